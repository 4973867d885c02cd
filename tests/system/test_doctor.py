"""The doctor as its users call it: on every fault of a simulated line, and on ports that cannot be read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p1_exporter.simulator.faults import FAULTS
from tests.system.exporter import COMMAND, PATIENCE, environment, run_command
from tests.system.telegrams import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.system.exporter import Exporter
    from tests.system.lines import Feeder, Terminal

LISTENING = 20
"""Seconds: enough telegrams of a meter that sends every second."""
SEVERITY = 0.8
START = "2026-06-17T12:00:00"
"""What the meter's clock shows: noise meets the same telegrams each time."""
FAULTS_HEARD = sorted(set(FAULTS) - {"disconnected"})

Verdict = dict[str, Any]


def doctor(*flags: str, prefix: tuple[str, ...] = ()) -> tuple[int, Verdict]:
    """Run the doctor for scripts; return its exit code and what it says."""
    done = subprocess.run(
        [*prefix, *COMMAND, "doctor", "--json", *flags],
        capture_output=True,
        text=True,
        timeout=LISTENING + 2 * PATIENCE,
        check=False,
        env=environment(),
    )
    assert done.stderr == ""
    verdict: Verdict = json.loads(done.stdout)
    assert set(verdict) == {"verdict", "faults", "evidence"}
    return done.returncode, verdict


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, Verdict, Path]]:
    """What the doctor says of each simulated fault, all listened to at the same time; and the captures."""
    folder = tmp_path_factory.mktemp("captures")
    # Patience of three rounds: the doctor tries the other speed where it understands nothing.
    running = {
        fault: subprocess.Popen(
            [
                *COMMAND,
                "doctor",
                "--json",
                f"--seconds={LISTENING}",
                f"--record={folder / fault}",
                f"--serial.port=simulate://dsmr5?fault={fault}&severity={SEVERITY}&seed=3&start={START}",
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for fault in FAULTS_HEARD
    }
    said = {
        fault: process.communicate(timeout=3 * LISTENING + 6 * PATIENCE)[0]
        for fault, process in running.items()
    }
    return {
        fault: (running[fault].returncode, json.loads(text), folder / fault) for fault, text in said.items()
    }


@pytest.mark.parametrize("fault", FAULTS_HEARD)
def test_every_simulated_fault_is_named_with_its_part_and_advice(
    fault: str, verdicts: dict[str, tuple[int, Verdict, Path]]
) -> None:
    code, verdict, _ = verdicts[fault]
    assert code == 1
    first = verdict["faults"][0]
    assert first["fault"] == fault, verdict["evidence"]
    assert 0 < first["confidence"] <= 1
    assert first["part"]
    assert first["advice"]
    assert first["part"] in verdict["verdict"]


@pytest.mark.parametrize("fault", FAULTS_HEARD)
def test_a_capture_gives_the_same_verdict_also_redacted(
    fault: str, verdicts: dict[str, tuple[int, Verdict, Path]], tmp_path: Path
) -> None:
    live, capture = verdicts[fault][1], verdicts[fault][2]
    code, replayed = doctor(f"--replay={capture}")
    redacted = tmp_path / "redacted"
    _, of_redaction = doctor(f"--replay={capture}", f"--record={redacted}", "--redact")
    _, from_redacted = doctor(f"--replay={redacted}")
    for verdict in (replayed, of_redaction, from_redacted):
        assert [named["fault"] for named in verdict["faults"]] == [named["fault"] for named in live["faults"]]
    # How sure one can be may change with identities, as what is flipped in them counts for less; not by replaying.
    assert replayed["faults"] == live["faults"]
    assert code == 1


def test_a_healthy_line_is_said_to_be_healthy(tmp_path: Path) -> None:
    code, verdict = doctor(
        "--serial.port=simulate://dsmr5", "--seconds=5", f"--record={tmp_path / 'capture'}"
    )
    assert code == 0
    assert verdict["faults"] == []
    assert verdict["verdict"].startswith("The link is healthy")
    assert doctor(f"--replay={tmp_path / 'capture'}")[0] == 0


def test_a_recording_to_show_around_holds_no_serial_number(tmp_path: Path) -> None:
    telegram = simulated("dsmr5", 1)[0]
    serial_number = telegram.partition(b"0-0:96.1.1(")[2].partition(b")")[0]
    assert len(serial_number) > 10
    for name, flags in {"plain": (), "redacted": ("--redact",)}.items():
        doctor("--serial.port=simulate://dsmr5", "--seconds=3", f"--record={tmp_path / name}", *flags)

    def shows(name: str) -> bool:
        lines = map(json.loads, (tmp_path / name).read_text().splitlines())
        return serial_number in b"".join(bytes.fromhex(line.get("data", "")) for line in lines)

    assert shows("plain")
    assert not shows("redacted")


# Ports that cannot be read.


def test_a_port_that_is_not_there_is_a_finding() -> None:
    code, verdict = doctor("--serial.port=/dev/ttyUSB7")
    assert code == 1
    assert verdict["faults"][0]["fault"] == "disconnected"
    assert "does not exist" in verdict["evidence"]["computer"][0]["summary"]
    assert any("lsusb" in step for step in verdict["faults"][0]["advice"])


def test_a_forbidden_port_is_a_finding_with_the_command_that_lets_the_user_in(terminal: Terminal) -> None:
    shutil.chown(terminal.path, user="nobody", group="dialout")
    Path(terminal.path).chmod(0o660)
    anybody = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--clear-groups")
    code, verdict = doctor(f"--serial.port={terminal.path}", prefix=anybody)
    assert code == 1
    assert verdict["faults"][0]["fault"] == "disconnected"
    assert any("usermod -aG dialout" in step for step in verdict["faults"][0]["advice"])


def test_a_port_held_by_another_program_is_a_finding_that_names_it(terminal: Terminal) -> None:
    descriptor = os.open(terminal.path, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        code, verdict = doctor(f"--serial.port={terminal.path}")
    finally:
        fcntl.ioctl(descriptor, termios.TIOCNXCL)
        os.close(descriptor)
    assert code == 1
    assert verdict["faults"][0]["fault"] == "second_reader"
    assert str(os.getpid()) in verdict["faults"][0]["part"]


def test_while_the_exporter_holds_the_port_it_is_asked(
    run: Callable[..., Exporter], feed: Callable[..., Feeder], terminal: Terminal
) -> None:
    exporter = run(f"--serial.port={terminal.path}")
    feeder = feed(terminal, simulated("dsmr5", 60))
    exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total") >= 2)
    host, port = exporter.address
    code, verdict = doctor(f"--serial.port={terminal.path}", f"--web.listen-address={host}:{port}")
    feeder.stop()
    assert code == 0
    assert verdict["faults"] == []
    assert verdict["evidence"]["service"]["port"] == terminal.path
    assert verdict["evidence"]["service"]["telegrams"]["accepted"] >= 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--seconds=soon",), "--seconds"),
        (("--redact",), "--record FILE"),
        (("--replay=/nowhere/capture",), "/nowhere/capture: cannot be read: No such file or directory."),
        (
            ("--record=/nowhere/capture", "--serial.port=simulate://dsmr5"),
            "--record /nowhere/capture: cannot be written",
        ),
    ],
)
def test_what_cannot_work_is_told_and_exits_with_2(flags: tuple[str, ...], message: str) -> None:
    done = run_command("doctor", *flags)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# In a terminal.


@contextlib.contextmanager
def in_a_terminal(*flags: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str], int]]:
    """Run the doctor in a terminal of 80 columns; give the process, what gives all that is shown until
    its end, and the terminal."""
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 80))
    process = subprocess.Popen(
        [*COMMAND, "doctor", *flags],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment({"TERM": "xterm-256color"}),
        start_new_session=True,
    )
    os.close(terminal)

    def shown() -> str:
        output = b""
        deadline = time.monotonic() + 3 * PATIENCE
        while time.monotonic() < deadline and select.select([screen], [], [], PATIENCE)[0]:
            try:
                output += os.read(screen, 65536)
            except OSError:  # how a terminal says that nobody writes to it any more
                break
        return output.decode()

    try:
        yield process, shown, screen
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def test_in_a_terminal_it_shows_moving_figures_and_then_the_verdict() -> None:
    with in_a_terminal("--serial.port=simulate://dsmr5", "--seconds=4") as (process, shown, _):
        text = shown()
        assert process.wait(PATIENCE) == 0
    assert "\x1b[" in text
    assert "Listening at 115200 baud" in text
    assert "good telegrams, 0 bad" in text
    assert "The link is healthy" in text
    assert "Traceback" not in text


def test_interrupted_it_ends_without_a_traceback() -> None:
    with in_a_terminal("--serial.port=simulate://dsmr5", "--seconds=60") as (process, shown, screen):
        screen_shows = b""
        while b"Listening" not in screen_shows:
            assert select.select([screen], [], [], PATIENCE)[0]
            screen_shows += os.read(screen, 65536)
        process.send_signal(signal.SIGINT)
        text = shown()
        assert process.wait(PATIENCE) == 128 + signal.SIGINT
    assert "Traceback" not in text
