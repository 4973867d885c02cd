"""The real program under a service manager: a socket that listens as systemd's does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.service_manager import Listener, abstract_name
from tests.system.exporter import PATIENCE, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.system.exporter import Exporter
    from tests.system.lines import Terminal

SIMULATED = "--serial.port=simulate://dsmr5"
READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"
# The first of two meters meets a mistake of the program as its port is opened.
ONE_OF_TWO_CRASHES = """
import sys
from p1_exporter import meter
from p1_exporter.cli import main

def open_port(settings, really=meter.open_port):
    return 1 / 0 if "crash" in settings.url else really(settings)

meter.open_port = open_port
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    name = str(tmp_path / "notify") if request.param == "path" else abstract_name("program")
    with Listener(name) as listening:
        yield listening


@pytest.fixture
def serve(run: Callable[..., Exporter], listener: Listener) -> Callable[..., Exporter]:
    """Start exporters, with flags and with variables of the service manager's."""

    def start(*flags: str, **variables: str) -> Exporter:
        return run(*flags, env=environment(listener.environ(**variables)))

    return start


def test_it_is_ready_once_it_serves_and_tells_how_it_is_until_it_ends(
    serve: Callable[..., Exporter], listener: Listener
) -> None:
    exporter = serve(SIMULATED)
    assert listener.next() == READY
    # No waiting here: whoever is told that it is ready, may scrape.
    assert exporter.scrape().meters == {"main"}
    assert listener.until("STATUS=main: starting")[0].startswith("STATUS=main: ")
    exporter.signal(signal.SIGTERM)
    assert exporter.ends() == 0
    told = listener.waiting()
    assert told[-1] == STOPPING
    assert ALIVE not in told, "nobody asked for signs of life"


def test_a_port_that_is_missing_makes_no_service_fail(
    serve: Callable[..., Exporter], listener: Listener, tmp_path: Path
) -> None:
    serve(f"--serial.port={tmp_path}/ttyUSB0")
    assert listener.next() == READY
    told = listener.until("STATUS=main: disconnected")[-1]
    assert told == f"STATUS=main: disconnected, {tmp_path}/ttyUSB0: no such device"


def test_a_port_that_comes_and_goes_is_told(
    serve: Callable[..., Exporter], listener: Listener, plug: Callable[[], Terminal]
) -> None:
    terminal = plug()
    serve(f"--serial.port={terminal.path}")
    listener.until("STATUS=main: starting")
    terminal.vanish()
    listener.until("STATUS=main: disconnected")


def test_a_reload_is_told_before_and_after_also_if_the_new_configuration_is_broken(
    serve: Callable[..., Exporter], listener: Listener, tmp_path: Path
) -> None:
    file = tmp_path / "p1.yml"
    file.write_text("serial: {port: 'simulate://dsmr5'}\n")
    exporter = serve(f"--config.file={file}")
    listener.until("STATUS=main: starting")
    for text in ("meter: {name: annex}\nserial: {port: 'simulate://dsmr5'}\n", "serial: ["):
        file.write_text(text)
        asked = time.monotonic_ns() // 1000
        exporter.signal(signal.SIGHUP)
        reloading = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", listener.until("RELOADING=1")[-1])
        assert reloading
        assert asked <= int(reloading[1]) <= time.monotonic_ns() // 1000
        assert listener.next() == READY
    listener.until("STATUS=annex: starting")
    exporter.signal(signal.SIGTERM)
    assert exporter.ends() == 0
    assert listener.waiting()[-1] == STOPPING


def test_signs_of_life_come_twice_as_often_as_asked_for(
    serve: Callable[..., Exporter], listener: Listener
) -> None:
    exporter = serve(SIMULATED, WATCHDOG_USEC="600000")
    listener.until(ALIVE)
    began = time.monotonic()
    for _ in range(10):
        listener.until(ALIVE)
    # Ten times 0.3 s.
    assert 2.9 <= time.monotonic() - began < 4.5
    exporter.signal(signal.SIGTERM)
    assert exporter.ends() == 0


def goes_on(exporter: Exporter) -> None:
    before = exporter.scrape()("p1_telegrams_accepted_total")
    exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total") > before)


@pytest.mark.parametrize("usec", ["600000", None], ids=["watchdog", "no watchdog"])
def test_a_computer_that_sleeps_ends_nothing(
    serve: Callable[..., Exporter], listener: Listener, usec: str | None
) -> None:
    exporter = serve(SIMULATED, **({"WATCHDOG_USEC": usec} if usec else {}))
    listener.until("STATUS=main: starting")
    for _ in range(3):
        exporter.signal(signal.SIGSTOP)
        time.sleep(1.2)  # longer than it waits for anything
        listener.waiting()
        exporter.signal(signal.SIGCONT)
        if usec:
            assert [listener.next(), listener.next()] == [ALIVE, ALIVE]
        goes_on(exporter)
    assert STOPPING not in listener.waiting()
    assert not exporter.events("configuration reloaded")


def test_signs_of_life_of_another_process_are_not_given_in_its_place(
    serve: Callable[..., Exporter], listener: Listener
) -> None:
    exporter = serve(SIMULATED, WATCHDOG_USEC="100000", WATCHDOG_PID=str(os.getpid()))
    listener.until("STATUS=main: starting")
    exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total") >= 2)
    assert ALIVE not in listener.waiting()


def test_a_thread_that_ends_is_not_hidden_and_takes_nothing_along(listener: Listener, tmp_path: Path) -> None:
    file = tmp_path / "p1.yml"
    file.write_text("meters:\n- {name: bad, port: /crash}\n- {name: good, port: 'simulate://dsmr5'}\n")
    command = [sys.executable, "-c", ONE_OF_TWO_CRASHES, "run", f"--config.file={file}"]
    variables = listener.environ(WATCHDOG_USEC="200000")
    with subprocess.Popen(
        [*command, "--web.listen-address=127.0.0.1:0"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(variables),
    ) as process:
        try:
            # More than the time that it has for a sign of life.
            listener.until("STATUS=bad: its thread has ended; good: starting")
            time.sleep(0.5)
            assert not [told for told in listener.waiting() if told == ALIVE]
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "ZeroDivisionError" in log
    assert "Traceback" not in log
    errors = [line for line in log.splitlines() if "level=error" in line]
    assert [re.search(r"meter=\w+", line) is not None for line in errors].count(True) == 2
    assert "the other meters miss some telegrams then" in log
