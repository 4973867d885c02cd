"""Meters behind raw TCP."""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from p1_exporter.link.address import TcpAddress
from p1_exporter.link.keep_alive import KeepAlive
from p1_exporter.link.port import Port, PortError, PortSettings, open_port
from p1_exporter.link.socket_port import broken, unconnected

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY_BYTE = bytes(range(256)) * 2


class Server:
    """A serial server with one client, the port."""

    def __init__(self, listener: socket.socket, keep_alive: KeepAlive) -> None:
        address = TcpAddress(*listener.getsockname()[:2])
        self.port = open_port(PortSettings(f"socket://{address}"), keep_alive)
        self.client, _ = listener.accept()

    def reset(self) -> None:
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as listener:
        server = Server(listener, KeepAlive())
        with server.port, server.client:
            yield server


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a burst may gather here: long enough for the second half to come late on a busy computer."""
    seconds = 0.3
    monkeypatch.setattr("p1_exporter.link.descriptor_port.GATHER_SECONDS", seconds)
    return seconds


def read_all(port: Port, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = port.read(5)
        assert chunk is not None, f"only {len(data)} of {size} bytes came"
        data += chunk.data
    return data


def test_bytes_arrive_as_they_were_sent(server: Server) -> None:
    server.client.sendall(EVERY_BYTE)
    assert read_all(server.port, len(EVERY_BYTE)) == EVERY_BYTE
    assert (server.port.driver, server.port.request_asserted) == ("tcp", None)


def test_a_burst_is_one_chunk_with_the_time_of_its_first_byte(server: Server, patience: float) -> None:
    server.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    before = time.monotonic()
    server.client.sendall(b"first ")
    late = threading.Timer(0.01, server.client.sendall, [b"second"])
    late.start()
    chunk = server.port.read(5)
    late.join()
    after = time.monotonic()
    assert chunk is not None
    assert chunk.data == b"first second"
    assert before <= chunk.time <= after - patience


def test_silence_is_no_chunk_and_a_wake_ends_the_wait(server: Server) -> None:
    assert server.port.read(0.01) is None
    alarm = threading.Timer(0.02, server.port.wake)
    alarm.start()
    before = time.monotonic()
    assert server.port.read(30) is None
    assert time.monotonic() - before < 5
    alarm.join()


def test_what_came_before_the_end_is_read_before_the_end_is_reported(server: Server) -> None:
    server.client.sendall(b"/ISK5")
    server.client.close()
    assert read_all(server.port, 5) == b"/ISK5"
    with pytest.raises(PortError, match="closed the connection") as caught:
        server.port.read(5)
    assert caught.value.reason == "closed"


def test_a_connection_that_is_reset_is_an_error_at_once(server: Server) -> None:
    server.reset()
    with pytest.raises(PortError, match="broke: connection reset by peer") as caught:
        server.port.read(30)
    assert caught.value.reason == "closed"


def test_a_half_open_connection_is_noticed_within_half_a_minute() -> None:
    keep_alive = KeepAlive()
    assert keep_alive.seconds == 30
    with socket.socket() as connection:
        keep_alive.apply(connection)
        options = [
            connection.getsockopt(level, option)
            for level, option in [
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            ]
        ]
    assert options == [1, 10, 5, 4, 30_000]


def test_a_server_that_is_not_running_is_reported_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(PortError, match=f"cannot connect to {address}: connection refused") as caught:
        open_port(PortSettings(f"socket://{address}"))
    assert caught.value.reason == "refused"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "missing"),
        (TimeoutError("timed out"), "timeout"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "missing"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "missing"),
        (OSError(errno.ENOBUFS, "No buffer space available"), "other"),
    ],
)
def test_why_nobody_answers_is_told_apart(error: OSError, reason: str) -> None:
    failure = unconnected(TcpAddress("meter", 2000), error)
    assert failure.reason == reason
    assert str(failure).startswith(f"cannot connect to meter:2000: {str(error.args[-1]).lower()}. ")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "timeout"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "timeout"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "closed"),
        (OSError(errno.EPERM, "Operation not permitted"), "other"),
    ],
)
def test_how_a_connection_broke_is_told_apart(error: OSError, reason: str) -> None:
    assert broken(TcpAddress("meter", 2000), error).reason == reason
