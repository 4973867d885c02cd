"""Signals, ports that come and go, several meters, and those who share one: the real program in its life of years.

Needs the Debian package systemd, for /usr/bin/systemd-socket-activate; systemd itself need not run.
"""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.system.exporter import PATIENCE
from tests.system.scrape import series
from tests.system.telegrams import expected, simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.system.exporter import Exporter
    from tests.system.lines import Feeder, SerialServer, Terminal

SIMULATED = "--serial.port=simulate://dsmr5"
UNAVAILABLE = "port is not available, trying again"
BROKEN = "the new configuration is broken, keeping on with the old one"
RELOADED = "configuration reloaded"


def free_address() -> str:
    """Return an address that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return "{}:{}".format(*taken.getsockname())


# The end.


def ends_in_time(exporter: Exporter, number: int) -> None:
    sent = time.monotonic()
    exporter.signal(number)
    assert exporter.ends() == 0
    assert time.monotonic() - sent < 1
    assert exporter.events()[-1]["msg"] == "p1-exporter has stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second(run: Callable[..., Exporter], number: int) -> None:
    exporter = run(SIMULATED)
    exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total") >= 1)
    ends_in_time(exporter, number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second_while_the_port_is_unavailable(
    run: Callable[..., Exporter], tmp_path: Path, number: int
) -> None:
    exporter = run(f"--serial.port={tmp_path}/ttyUSB0")
    # The third attempt is followed by seconds of patience.
    exporter.until(lambda scrape: scrape("p1_port_errors_total", reason="missing") >= 3)
    ends_in_time(exporter, number)


def test_a_signal_ends_it_within_a_second_while_nobody_answers_to_a_connection(
    run: Callable[..., Exporter],
) -> None:
    # The kernel accepts one connection beyond a backlog of none; to the next it does not answer.
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(socket.create_connection(listener.getsockname(), PATIENCE))
        exporter = run("--serial.port=socket://{}:{}".format(*listener.getsockname()))
        exporter.event("listening")
        scrape = exporter.scrape()
        assert (scrape("p1_port_open"), scrape.total("p1_port_errors_total")) == (0, 0)
        ends_in_time(exporter, signal.SIGTERM)


@pytest.mark.parametrize("said", [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_signal_ends_it_within_a_second_while_a_client_is_connected(
    run: Callable[..., Exporter], said: bytes
) -> None:
    exporter = run(SIMULATED, f"--share.listen-address={(share := free_address())}")
    with (
        socket.create_connection(exporter.address, PATIENCE) as client,
        socket.create_connection(share.split(":"), PATIENCE) as reader,  # type: ignore[arg-type] # resolved as text
    ):
        client.sendall(said)
        if said.endswith(b"\r\n\r\n"):
            # It stays open for further requests.
            assert client.recv(12) == b"HTTP/1.1 200"
        assert reader.recv(1), "a client of the shared port gets what the meter sends"
        ends_in_time(exporter, signal.SIGTERM)


# A new configuration.


def test_hangup_reopens_the_port_and_every_counter_goes_on(
    run: Callable[..., Exporter], terminal: Terminal, feed: Callable[..., Feeder]
) -> None:
    exporter = run(f"--serial.port={terminal.path}")
    exporter.event("port open")
    feed(terminal, simulated("dsmr5", 60))
    before = exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total") >= 2)
    assert before("p1_port_opens_total") == 1

    exporter.signal(signal.SIGHUP)
    exporter.event(RELOADED)
    after = exporter.until(
        lambda scrape: (
            scrape("p1_port_opens_total") == 2
            and scrape("p1_telegrams_accepted_total") >= before("p1_telegrams_accepted_total") + 2
        )
    )
    assert after("p1_port_open") == 1
    assert after("p1_received_bytes_total") > before("p1_received_bytes_total")
    for key, value in before.samples.items():
        if key[0].endswith(("_total", "_count", "_sum", "_bucket")):
            assert after.samples[key] >= value
    assert not exporter.events(level="warning")


class Configuration:
    """A YAML file with meters, and an exporter that reads it."""

    def __init__(self, path: Path, run: Callable[..., Exporter]) -> None:
        self._path = path
        self._run = run

    def start(self, *meters: str, **ports: str) -> Exporter:
        self.write(*meters, **ports)
        return self._run(f"--config.file={self._path}")

    def write(self, *meters: str, **ports: str) -> None:
        """Write a list of meters: names of simulated ones, then names and ports (with further keys) of others."""
        simulated = {name: f"'simulate://dsmr5?seed={ord(name[0])}'" for name in meters}
        items = (f"  - {{name: {name}, port: {port}}}\n" for name, port in (simulated | ports).items())
        self._path.write_text("meters:\n" + "".join(items))

    def break_it(self, text: str) -> None:
        self._path.write_text(text)


@pytest.fixture
def configuration(run: Callable[..., Exporter], tmp_path: Path) -> Configuration:
    return Configuration(tmp_path / "p1.yml", run)


def test_hangup_reads_the_file_again_so_that_meters_come_and_go(configuration: Configuration) -> None:
    exporter = configuration.start("attic", "barn")
    before = exporter.until(
        lambda scrape: min(scrape("p1_telegrams_accepted_total", meter) for meter in ("attic", "barn")) >= 1
    )
    assert before.meters == {"attic", "barn"}

    configuration.write("barn", "cellar")
    exporter.signal(signal.SIGHUP)
    exporter.event(RELOADED)
    after = exporter.scrape()
    assert after.meters == {"barn", "cellar"}
    assert after("p1_telegrams_accepted_total", "barn") >= before("p1_telegrams_accepted_total", "barn")
    assert after("p1_port_opens_total", "cellar") <= 1
    both = exporter.until(lambda scrape: scrape("p1_up", "barn") + scrape("p1_up", "cellar") == 2)
    assert both.of_meter("cellar")
    assert exporter.event("port closed", meter="attic")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meters: [", "p1.yml, line 1: this is not YAML"),
        ("meters:\n  - {name: attic, prot: /dev/ttyUSB0}\n", "p1.yml, line 2: meters[0].prot: unknown key"),
        ("meters:\n  - {name: attic, port: /}\n", "p1.yml, line 2: meters[0].port: '/' is a directory"),
        (
            "meters:\n  - {name: attic, port: x, key-file: absent.key}\n",
            "absent.key: the key file cannot be read",
        ),
    ],
    ids=["syntax", "key", "port", "key file"],
)
def test_a_broken_new_file_leaves_the_old_configuration_running(
    configuration: Configuration, text: str, message: str
) -> None:
    exporter = configuration.start("attic")
    before = exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total", "attic") >= 1)
    configuration.break_it(text)
    exporter.signal(signal.SIGHUP)
    told = exporter.event(BROKEN)
    assert told["level"] == "error"
    assert message in told["error"]
    after = exporter.until(
        lambda scrape: (
            scrape("p1_telegrams_accepted_total", "attic")
            > before("p1_telegrams_accepted_total", "attic") + 1
        )
    )
    assert after("p1_port_opens_total", "attic") == 1
    assert after.meters == {"attic"}

    configuration.write("attic", "barn")
    exporter.signal(signal.SIGHUP)
    exporter.event(RELOADED)
    assert exporter.scrape().meters == {"attic", "barn"}


def test_a_new_file_of_which_half_would_work_changes_nothing(configuration: Configuration) -> None:
    exporter = configuration.start("attic")
    before = exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total", "attic") >= 1)
    free = free_address()
    with socket.create_server(("127.0.0.1", 0)) as taken_by_other:
        taken = "{}:{}".format(*taken_by_other.getsockname())
        configuration.write(
            attic=f"'simulate://dsmr4', share-listen-address: '{free}'",
            barn=f"'simulate://dsmr5', share-listen-address: '{taken}'",
        )
        exporter.signal(signal.SIGHUP)
        assert taken in exporter.event(BROKEN)["error"]
    # Long enough for a port to be opened anew.
    accepted = before("p1_telegrams_accepted_total", "attic")
    after = exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total", "attic") >= accepted + 2)
    assert after.meters == {"attic"}
    assert after.of_link("attic") == before.of_link("attic")
    assert after("p1_port_opens_total", "attic") == 1
    host, _, port = free.rpartition(":")
    with socket.socket() as client:
        assert client.connect_ex((host, int(port))) == errno.ECONNREFUSED


def test_a_meter_that_got_another_name_is_read_from_the_same_port_at_once(
    configuration: Configuration, terminal: Terminal, feed: Callable[..., Feeder]
) -> None:
    exporter = configuration.start(attic=terminal.path)
    exporter.event("port open")
    configuration.write(barn=terminal.path)
    exporter.signal(signal.SIGHUP)
    exporter.event("port open", meter="barn")
    feed(terminal, simulated("dsmr5", 1))
    after = exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total", "barn") == 1)
    assert after.meters == {"barn"}
    assert not exporter.events(UNAVAILABLE)


# Several meters.


def test_a_broken_port_does_not_touch_the_other_meters(
    configuration: Configuration, plug: Callable[[], Terminal], feed: Callable[..., Feeder], tmp_path: Path
) -> None:
    good, bad = plug(), plug()
    telegrams = simulated("dsmr5", 6)
    exporter = configuration.start(good=good.path, bad=bad.path, absent=f"{tmp_path}/ttyUSB0")
    exporter.event("port open", meter="good")
    exporter.event("port open", meter="bad")
    feeder = feed(good, telegrams, interval=0.2)
    bad.send(telegrams[0][:500])
    exporter.until(lambda scrape: scrape("p1_pending_bytes", "bad") == 500)
    bad.vanish()

    end = exporter.until(lambda scrape: scrape.of_meter("good") == expected(telegrams[-1]))
    feeder.stop()
    assert end("p1_telegrams_accepted_total", "good") == end("p1_telegrams_total", "good") == len(telegrams)
    assert end("p1_accepted_bytes_total", "good") == end("p1_received_bytes_total", "good")
    assert end("p1_port_opens_total", "good") == 1
    assert end("p1_dropped_bytes_total", "bad", reason="truncated") == 500
    assert end("p1_port_errors_total", "bad", reason="vanished") == 1
    assert [end("p1_port_open", meter) for meter in ("good", "bad", "absent")] == [1, 0, 0]
    assert not end.of_meter("bad")
    healthy = "http://{}:{}/-/healthy".format(*exporter.address)
    with urllib.request.urlopen(healthy, timeout=PATIENCE) as response:  # noqa: S310 - of our own program
        assert response.status == 200


# Sockets of systemd.


def test_it_serves_on_a_socket_of_systemd(run: Callable[..., Exporter]) -> None:
    address = free_address()
    activate = ("systemd-socket-activate", f"--listen={address}")
    exporter = run(SIMULATED, "--web.systemd-socket", prefix=activate, address=None)
    # It is started by its first client, who waits for it; who comes before the socket is refused.
    with until_connected(address) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    assert "{}:{}".format(*exporter.address) == address
    exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total") >= 1)
    ends_in_time(exporter, signal.SIGTERM)


@contextlib.contextmanager
def until_connected(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client = socket.create_connection((host, int(port)), PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"nobody listens on {address}"
            time.sleep(0.02)  # nothing tells when another program begins to listen
        else:
            break
    with client:
        yield client


# An adapter that comes and goes.


def test_readings_resume_when_a_usb_adapter_comes_back_as_another_device(
    run: Callable[..., Exporter], plug: Callable[[], Terminal], feed: Callable[..., Feeder], tmp_path: Path
) -> None:
    telegrams = simulated("dsmr5", 6)
    link = tmp_path / "usb-P1-if00-port0"
    first = plug()
    link.symlink_to(first.path)
    exporter = run(f"--serial.port={link}")
    exporter.event("port open")
    feed(first, telegrams[:3], interval=0.2).join()
    first.send(telegrams[3][:400])
    before = exporter.until(lambda scrape: scrape("p1_pending_bytes") == 400)
    assert before("p1_telegrams_accepted_total") == 3

    # The device is taken away first, its name a moment later; another takes its place, perhaps of the same name.
    first.vanish()
    link.unlink()
    exporter.event(UNAVAILABLE, reason="vanished")
    exporter.event(UNAVAILABLE, reason="missing")
    gone = exporter.until(lambda scrape: scrape("p1_port_errors_total", reason="missing") >= 2)
    assert gone("p1_port_open") == 0
    assert gone.state() == "disconnected"
    assert gone("p1_up") == 1, "what was read last is fresh still"
    assert gone.of_meter() == expected(telegrams[2])

    second = plug()
    link.symlink_to(second.path)
    exporter.event("port open", count=2)
    feed(second, telegrams[4:], interval=0.2).join()
    back = exporter.until(lambda scrape: scrape.of_meter() == expected(telegrams[5]))
    assert back("p1_telegrams_accepted_total") == 5
    assert back("p1_telegram_errors_total", reason="truncated") == 1
    assert back("p1_telegrams_total") == 6
    assert back("p1_received_bytes_total") == sum(map(len, telegrams[:3])) + 400 + sum(
        map(len, telegrams[4:])
    )
    assert back("p1_port_opens_total") == 2
    assert back("p1_port_errors_total", reason="vanished") == 1
    told = [(event["msg"], event.get("reason")) for event in exporter.events(meter="main")]
    assert told == [
        ("port open", None),
        (UNAVAILABLE, "vanished"),
        (UNAVAILABLE, "missing"),
        ("port open", None),
    ]


# Sharing.


class Reader:
    """A client of the shared port that keeps what it gets."""

    def __init__(self, address: str, amount: int) -> None:
        host, _, port = address.rpartition(":")
        self.received = b""
        self._connection = socket.create_connection((host, int(port)), PATIENCE)
        self._thread = threading.Thread(target=self._run, args=(amount,), daemon=True)
        self._thread.start()

    def _run(self, amount: int) -> None:
        with contextlib.suppress(TimeoutError):  # the test sees what is missing
            while len(self.received) < amount and (more := self._connection.recv(65536)):
                self.received += more

    def close(self) -> None:
        self._thread.join()
        self._connection.close()


def test_every_client_of_the_shared_port_gets_the_bytes_as_they_were_sent(
    run: Callable[..., Exporter], serial_server: SerialServer
) -> None:
    # More than buffers hold, so that whoever does not read is in the way; with all bytes there are.
    data = (b"".join(simulated("dsmr5", 40)) + bytes(range(256))) * 40
    share = free_address()
    exporter = run(f"--serial.port={serial_server.url}", f"--share.listen-address={share}")
    exporter.event("port open")
    host, _, port = share.rpartition(":")
    with contextlib.ExitStack() as stack:
        lazy = stack.enter_context(socket.socket())
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((host, int(port)))
        readers = [Reader(share, len(data)) for _ in range(2)]
        for reader in readers:
            stack.callback(reader.close)
        serial_server.send(data, pause=0.005)
        # It would wait for ever, if it waited for the lazy one.
        end = exporter.until(lambda scrape: scrape("p1_received_bytes_total") == len(data))
    assert [reader.received == data for reader in readers] == [True, True]
    assert end("p1_telegrams_accepted_total") == 40 * 40
    (told,) = exporter.events("client of the shared port disconnected: it does not read")
    assert told["level"] == "warning"
    assert series("p1_up", meter="main") in end.samples
