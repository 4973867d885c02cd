"""Debian's ser2net in front of a pseudo-terminal, and a network that breaks.

Needs ser2net 4; for the network that breaks, also iproute2 and root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p1_exporter.link.keep_alive import KeepAlive
from p1_exporter.link.port import PortError, PortSettings, open_port
from tests.system.telegrams import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from p1_exporter.link.port import Port
    from tests.system.exporter import Exporter
    from tests.system.scrape import Scrape

pytestmark = [
    # pyserial 3.5 names its thread in a way that newer versions of Python advise against.
    pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning"),
]

# How ser2net is to be told to speak, by the scheme of the port that understands it (see gensio(5)).
ACCEPTERS = {"socket": "tcp", "rfc2217": "telnet(rfc2217),tcp"}

# Among them ff, which Telnet escapes, and CR without LF, which it pads.
EVERY_BYTE = bytes(range(256)) + b"\xff\xff\xff\x00\xff\xfd\x03\r\r\n\r\x00\r"
CLONE_NEWNET = 0x40000000  # setns(2)


class Ser2net:
    """ser2net on a TCP port, whose serial port ends in the descriptor `meter`."""

    def __init__(self, folder: Path, scheme: str, host: str, prefix: Sequence[str]) -> None:
        self.meter, self._terminal = os.openpty()
        with socket.create_server(("127.0.0.1", 0)) as free:
            number = free.getsockname()[1]
        self.url = f"{scheme}://{host}:{number}"
        configuration = folder / "ser2net.yaml"
        configuration.write_text(
            "connection: &meter\n"
            f"  accepter: {ACCEPTERS[scheme]},{host},{number}\n"
            f"  connector: serialdev(nouucplock),{os.ttyname(self._terminal)},115200n81,local\n"
        )
        self._command = [*prefix, "ser2net", "-n", "-d", "-u", "-c", str(configuration)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def open(self, keep_alive: KeepAlive = KeepAlive()) -> Port:  # noqa: B008 - cannot be changed
        """Open the port as soon as ser2net listens."""
        until = time.monotonic() + 10
        while True:
            try:
                return open_port(PortSettings(self.url), keep_alive)
            except PortError as error:
                if error.reason != "refused" or time.monotonic() > until:
                    raise
                time.sleep(0.05)  # nothing tells when another program begins to listen

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        os.close(self.meter)
        os.close(self._terminal)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., Ser2net]]:
    """Starts ser2net, and ends it after the test."""
    started: list[Ser2net] = []

    def start(scheme: str, host: str = "127.0.0.1", prefix: Sequence[str] = ()) -> Ser2net:
        started.append(Ser2net(tmp_path, scheme, host, prefix))
        return started[-1]

    yield start
    for server in started:
        server.close()


def transmit(server: Ser2net, port: Port, data: bytes) -> None:
    """Send data over the line, and see it come out of the port."""
    os.write(server.meter, data)
    received = b""
    while len(received) < len(data):
        chunk = port.read(5)
        assert chunk is not None, f"only {received!r} came"
        received += chunk.data
    assert received == data


def wait_for_line(server: Ser2net, port: Port) -> None:
    """ser2net takes connections before it opens its serial port: what the meter sends until then is lost."""
    until = time.monotonic() + 10
    while port.read(0.1) is None:
        assert time.monotonic() < until, "ser2net does not open its serial port"
        os.write(server.meter, b".")
    while port.read(0.2) is not None:
        pass


@pytest.mark.parametrize("scheme", ACCEPTERS)
def test_bytes_arrive_as_the_meter_sent_them(servers: Callable[..., Ser2net], scheme: str) -> None:
    server = servers(scheme)
    with server.open() as port:
        wait_for_line(server, port)
        for _ in range(10):
            transmit(server, port, EVERY_BYTE)


@pytest.mark.parametrize("scheme", ACCEPTERS)
def test_a_server_that_is_killed_is_noticed_at_once_and_found_again(
    servers: Callable[..., Ser2net], scheme: str
) -> None:
    server = servers(scheme)
    with server.open() as port:
        wait_for_line(server, port)
        transmit(server, port, EVERY_BYTE)
        server.kill()
        before = time.monotonic()
        with pytest.raises(PortError) as caught:
            port.read(30)
        assert time.monotonic() - before < 1
        assert caught.value.reason == "closed"
    with pytest.raises(PortError) as caught:
        open_port(PortSettings(server.url))
    assert caught.value.reason == "refused"
    server.start()
    with server.open() as port:
        wait_for_line(server, port)
        transmit(server, port, EVERY_BYTE)


@pytest.mark.parametrize("scheme", ACCEPTERS)
def test_readings_resume_and_counters_stay_when_the_server_is_killed_and_started_again(
    run: Callable[..., Exporter], servers: Callable[..., Ser2net], scheme: str
) -> None:
    server = servers(scheme)
    os.set_blocking(server.meter, False)
    telegrams = iter(simulated("dsmr5", 600))
    exporter = run(f"--serial.port={server.url}")

    def send_until_accepted(count: int) -> Scrape:
        until = time.monotonic() + 30
        while (scrape := exporter.scrape())("p1_telegrams_accepted_total") < count:
            assert time.monotonic() < until
            with contextlib.suppress(BlockingIOError):  # nobody takes it yet: lost, as on a real line
                os.write(server.meter, next(telegrams))
            time.sleep(0.1)  # a telegram takes 78 ms on the line
        return scrape

    before = send_until_accepted(3)
    server.kill()
    exporter.until(lambda scrape: scrape("p1_port_open") == 0)
    server.start()
    after = send_until_accepted(int(before("p1_telegrams_accepted_total")) + 3)
    assert after("p1_port_opens_total") == before("p1_port_opens_total") + 1
    assert after("p1_received_bytes_total") > before("p1_received_bytes_total")
    assert after.of_meter()


class Network:
    """Two network namespaces joined by a cable, apart from the network of this computer."""

    def __init__(self) -> None:
        self.here, self.there = f"p1-here-{os.getpid()}", f"p1-there-{os.getpid()}"
        self.address = "192.0.2.2"
        ip("netns", "add", self.here)
        ip("netns", "add", self.there)
        ip("-n", self.here, "link", "add", "p1", "type", "veth", "peer", "name", "p1", "netns", self.there)
        for namespace, address in [(self.here, "192.0.2.1"), (self.there, self.address)]:
            ip("-n", namespace, "address", "add", f"{address}/30", "dev", "p1")
            ip("-n", namespace, "link", "set", "p1", "up")

    def open(self, server: Ser2net, keep_alive: KeepAlive) -> Port:
        """Open the server's port from here."""

        def enter_and_open() -> Port:
            with Path("/run/netns", self.here).open() as namespace:
                assert ctypes.CDLL(None).setns(namespace.fileno(), CLONE_NEWNET) == 0
            return server.open(keep_alive)

        # A thread moves alone, and a socket stays where it was made.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(enter_and_open).result()

    def cut(self) -> None:
        ip("-n", self.there, "link", "set", "p1", "down")

    def close(self) -> None:
        ip("netns", "delete", self.here)
        ip("netns", "delete", self.there)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)  # noqa: S607 - where the system keeps it


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.mark.parametrize("scheme", ACCEPTERS)
def test_a_half_open_connection_is_noticed_within_the_time_of_keep_alive(
    servers: Callable[..., Ser2net], network: Network, scheme: str
) -> None:
    server = servers(scheme, network.address, ("ip", "netns", "exec", network.there))
    with network.open(server, KeepAlive(idle=1, interval=1, count=2)) as port:
        wait_for_line(server, port)
        transmit(server, port, EVERY_BYTE)
        network.cut()
        before = time.monotonic()
        with pytest.raises(PortError) as caught:
            assert port.read(30) is None, "more came over a network that is down"
        assert 1 < time.monotonic() - before < 10
    assert caught.value.reason in ("timeout", "closed")
