"""Meters behind a serial server that speaks RFC 2217."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import serial
from serial import rfc2217

from p1_exporter.link.port import Port, PortError, PortSettings, open_port

if TYPE_CHECKING:
    from collections.abc import Iterator

# pyserial 3.5 names its thread in a way that newer versions of Python advise against.
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")

EVERY_BYTE = bytes(range(256)) + b"\xff\xff\xff\xf0\x00\r\n\r\x00\r"


class Server:
    """pyserial's own server, for one client; its serial port leads nowhere, and remembers its settings."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self.line = serial.serial_for_url("loop://", timeout=0)
        self.line.rts = self.line.dtr = False
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Data on the line, with the escapes of Telnet."""
        self.write(b"".join(self._manager.escape(data)))

    def write(self, data: bytes) -> None:
        """As it is (called by pyserial as well)."""
        assert self._connection is not None
        self._connection.sendall(data)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            self._connection, _ = self._listener.accept()
            self._manager = rfc2217.PortManager(self.line, self)  # type: ignore[arg-type]  # needs only write
            while received := self._connection.recv(1024):
                for _ in self._manager.filter(received):
                    pytest.fail("the port sent data to the meter")

    def reset(self) -> None:
        assert self._connection is not None
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.shutdown(socket.SHUT_RD)  # wakes the thread, which must not keep it open
        self._thread.join()
        self._connection.close()

    def stop(self) -> None:
        for connection in (self._connection, self._listener):
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
        self._thread.join()
        self.line.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a burst may gather here: long enough for the second half to come late on a busy computer."""
    seconds = 0.3
    monkeypatch.setattr("p1_exporter.link.rfc2217_port.GATHER_SECONDS", seconds)
    return seconds


def read_all(port: Port, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = port.read(5)
        assert chunk is not None, f"only {len(data)} of {size} bytes came"
        data += chunk.data
    return data


def test_bytes_arrive_as_they_were_sent_with_the_line_set_up(server: Server) -> None:
    with open_port(PortSettings(server.url, 9600)) as port:
        assert (port.driver, port.baudrate, port.request_asserted) == ("tcp", 9600, None)
        assert (server.line.baudrate, server.line.bytesize, server.line.parity) == (9600, 8, "N")
        server.send(EVERY_BYTE)
        assert read_all(port, len(EVERY_BYTE)) == EVERY_BYTE


def test_the_server_sets_another_baud_rate_when_asked(server: Server) -> None:
    with open_port(PortSettings(server.url)) as port:
        assert port.set_baudrate(9600)
        assert port.baudrate == server.line.baudrate == 9600
        server.send(EVERY_BYTE)
        assert read_all(port, len(EVERY_BYTE)) == EVERY_BYTE


def test_a_baud_rate_that_the_server_does_not_confirm_is_not_set(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_port(PortSettings(server.url)) as port:
        monkeypatch.setattr(rfc2217.PortManager, "rfc2217_send_subnegotiation", lambda *_: None)
        timeout = rfc2217.Timeout  # type: ignore[attr-defined]  # not in the published types
        monkeypatch.setattr("serial.rfc2217.Timeout", lambda _: timeout(0.1))
        assert not port.set_baudrate(9600)
        assert port.baudrate == 115_200


def test_a_burst_is_one_chunk_with_the_time_of_its_first_byte(server: Server, patience: float) -> None:
    with open_port(PortSettings(server.url)) as port:
        before = time.monotonic()
        server.send(b"first ")
        late = threading.Timer(0.01, server.send, [b"second"])
        late.start()
        chunk = port.read(5)
        late.join()
        after = time.monotonic()
    assert chunk is not None
    assert chunk.data == b"first second"
    assert before <= chunk.time <= after - patience


@pytest.mark.parametrize("line", ["rts", "dtr"])
def test_the_request_line_is_asserted_while_the_port_is_open_and_then_released(
    server: Server, line: str
) -> None:
    with open_port(PortSettings(server.url, request_line=line)) as port:
        assert port.request_asserted is True
        assert getattr(server.line, line) is True
    assert port.request_asserted is False
    assert getattr(server.line, line) is False


@pytest.mark.parametrize("line", ["rts", "dtr"])
def test_the_request_line_can_be_switched_while_the_port_is_open(server: Server, line: str) -> None:
    with open_port(PortSettings(server.url, request_line=line)) as port:
        for asserted in (False, True):
            port.request(asserted)
            assert port.request_asserted is asserted
            assert getattr(server.line, line) is asserted


def test_a_request_line_whose_server_is_gone_cannot_be_switched(server: Server) -> None:
    with open_port(PortSettings(server.url, request_line="rts")) as port:
        server.reset()
        with pytest.raises(PortError, match="does not confirm that RTS was switched") as caught:
            port.request(asserted=False)
        assert caught.value.reason == "closed"
    assert port.request_asserted is False


def test_silence_is_no_chunk_and_a_wake_ends_the_wait(server: Server) -> None:
    with open_port(PortSettings(server.url)) as port:
        assert port.read(0) is None
        alarm = threading.Timer(0.02, port.wake)
        alarm.start()
        before = time.monotonic()
        assert port.read(30) is None
        assert time.monotonic() - before < 5
        alarm.join()


def test_the_connection_is_kept_alive(server: Server) -> None:
    with open_port(PortSettings(server.url)):
        _, _, number = server.url.rpartition(":")
        # proc(5): addresses, state 01 for established, queues, and the timer, 02 for keep-alive.
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()]
        timers = [row[5][:2] for row in rows if row[2].endswith(f":{int(number):04X}") and row[3] == "01"]
    assert timers == ["02"]


def test_a_server_that_goes_away_is_an_error_at_once(server: Server) -> None:
    with open_port(PortSettings(server.url)) as port:
        server.stop()
        before = time.monotonic()
        with pytest.raises(PortError, match=r"connection to 127\.0\.0\.1:\d+ broke") as caught:
            port.read(30)
        assert time.monotonic() - before < 5
    assert caught.value.reason == "closed"


def test_a_connection_that_is_reset_leaves_no_socket_behind(server: Server) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    with open_port(PortSettings(server.url)) as port:
        server.reset()
        with pytest.raises(PortError, match="broke"):
            port.read(30)
    server.stop()
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_nonsense_from_the_server_is_an_error_and_no_traceback(server: Server) -> None:
    with open_port(PortSettings(server.url)) as port:
        server.write(bytes([0xFF, 0xF0]))  # the end of a negotiation that never began
        with pytest.raises(PortError, match="broke"):
            port.read(30)


def test_a_server_that_is_not_running_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(PortError, match=f"cannot connect to {address}: connection refused") as caught:
        open_port(PortSettings(f"rfc2217://{address}"))
    assert caught.value.reason == "refused"


def test_a_server_without_rfc_2217_is_a_matter_of_settings() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(PortError, match=f"{address} answers, but does not agree on RFC 2217") as caught:
            open_port(PortSettings(f"rfc2217://{address}"))
    assert caught.value.reason == "settings"
