"""A meter's bytes for other programs."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from p1_exporter.link.port import PortSettings, open_port
from p1_exporter.link.share import BACKLOG_LIMIT, CLIENT_LIMIT, ShareServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from structlog.typing import EventDict

PATIENCE = 30.0
"""Seconds: other work on the computer may hold up the thread of the server for a while."""
TELEGRAM = b"/ISK5\\2M550T-1012\r\n\r\n1-0:1.7.0(00.244*kW)\r\n!F00D\r\n\x00\xff\xff"


class Share:
    def __init__(self) -> None:
        self.sockets = [
            socket.create_server(("127.0.0.1", 0)),
            socket.create_server(("::1", 0), family=socket.AF_INET6),
        ]
        self.addresses = [listener.getsockname()[:2] for listener in self.sockets]
        self.server = ShareServer(self.sockets)

    def connect(self, family: int = 0) -> socket.socket:
        """A client that the server has accepted: it gets what is published from now on."""
        client = socket.create_connection(self.addresses[family], timeout=5)
        assert self.serves(client)
        return client

    def accepts(self, clients: list[socket.socket]) -> bool:
        """Whether one more client is accepted; it is added to the others."""
        client = socket.create_connection(self.addresses[0], timeout=5)
        if self.serves(client):
            clients.append(client)
            return True
        client.close()
        return False

    def publish_to(self, reader: socket.socket, until: Callable[[int], bool]) -> int:
        """Publish so many bytes, while one client keeps reading; others may do as they please."""
        published = 0
        while not until(published):
            self.server.publish(bytes(1024))
            published += len(receive(reader, 1024))
            assert published < 100 * BACKLOG_LIMIT, "what was waited for did not come to pass"
        return published

    def serves(self, client: socket.socket) -> bool:
        """Whether the client gets dots that are published, and not the end of the connection."""
        client.settimeout(0.01)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self.server.publish(b".")
            try:
                return bool(client.recv(4096))
            except ConnectionResetError:
                return False
            except TimeoutError:
                continue
            finally:
                client.settimeout(5)
        pytest.fail("the server neither accepted nor refused a client")


@pytest.fixture
def share() -> Iterator[Share]:
    share = Share()
    yield share
    share.server.close()


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"


def receive(client: socket.socket, size: int) -> bytes:
    """So many bytes, from the first that is no dot."""
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        assert more, f"the connection ended after {data!r}"
        data = (data + more).lstrip(b".")
    return data


def warnings(logs: list[EventDict]) -> list[str]:
    return [entry["event"] for entry in logs if entry["log_level"] == "warning"]


def ended(client: socket.socket) -> bool:
    """Whether the server ended the connection, whatever it sent before."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def test_every_client_gets_every_byte_as_it_came(share: Share) -> None:
    clients = [share.connect(0), share.connect(1), share.connect(0)]
    share.server.publish(TELEGRAM)
    share.server.publish(TELEGRAM)
    for client in clients:
        assert receive(client, 2 * len(TELEGRAM)) == 2 * TELEGRAM
        client.close()


def test_another_exporter_can_read_the_shared_bytes(share: Share) -> None:
    host, number = share.addresses[0]
    with open_port(PortSettings(f"socket://{host}:{number}")) as port:
        chunk = None
        while chunk is None:
            share.server.publish(TELEGRAM)
            chunk = port.read(0.01)
    assert chunk.data.startswith(TELEGRAM)


def test_a_new_client_gets_nothing_of_the_past(share: Share) -> None:
    share.server.publish(b"long ago")
    with share.connect() as first, share.connect() as second:
        share.server.publish(TELEGRAM)
        assert receive(first, len(TELEGRAM)) == TELEGRAM
        assert receive(second, len(TELEGRAM)) == TELEGRAM


def test_what_clients_send_is_thrown_away(share: Share) -> None:
    with share.connect() as talker, share.connect() as listener:
        talker.sendall(b"GET / HTTP/1.1\r\n" * 10_000)
        share.server.publish(TELEGRAM)
        assert receive(talker, len(TELEGRAM)) == TELEGRAM
        assert receive(listener, len(TELEGRAM)) == TELEGRAM


def test_a_client_that_does_not_read_is_disconnected_and_the_others_stay(share: Share) -> None:
    with capture_logs() as logs, share.connect() as sleeper, share.connect() as reader:
        published = share.publish_to(reader, until=lambda _: bool(warnings(logs)))
        assert published < 16 * BACKLOG_LIMIT
        assert ended(sleeper)
        share.server.publish(TELEGRAM)
        assert receive(reader, len(TELEGRAM)) == TELEGRAM
    assert warnings(logs) == ["client of the shared port disconnected: it does not read"]


def test_a_client_that_pauses_gets_everything_later(share: Share) -> None:
    with capture_logs() as logs, share.connect(), share.connect() as reader:
        too_much = share.publish_to(reader, until=lambda _: bool(warnings(logs)))
    nearly_too_much = too_much - BACKLOG_LIMIT // 2
    with capture_logs() as logs, share.connect() as pauses, share.connect() as reader:
        published = share.publish_to(reader, until=lambda size: size >= nearly_too_much)
        assert len(receive(pauses, published)) == published
    assert warnings(logs) == []


def test_publishing_never_waits_for_anybody(share: Share) -> None:
    with share.connect():
        before = time.monotonic()
        for _ in range(1000):
            share.server.publish(bytes(4096))
        assert time.monotonic() - before < 5


def test_a_client_that_leaves_or_breaks_off_is_no_trouble(share: Share) -> None:
    with share.connect() as stays:
        share.connect().close()
        breaks_off = share.connect()
        breaks_off.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        breaks_off.close()
        for _ in range(3):
            share.server.publish(TELEGRAM)
        assert receive(stays, 3 * len(TELEGRAM)) == 3 * TELEGRAM


def test_a_client_that_says_goodbye_is_disconnected_without_waiting_for_the_meter(share: Share) -> None:
    with share.connect() as client:
        client.shutdown(socket.SHUT_WR)
        assert ended(client)


def test_more_clients_than_the_limit_are_refused_until_one_leaves(share: Share) -> None:
    clients: list[socket.socket] = []
    with capture_logs() as logs, ExitStack() as stack:
        stack.callback(lambda: [client.close() for client in clients])
        while len(clients) < CLIENT_LIMIT:
            clients.append(share.connect())
        for _ in range(3):
            with socket.create_connection(share.addresses[0], timeout=5) as refused:
                assert ended(refused)
        clients.pop().close()

        eventually(lambda: share.accepts(clients))
    assert warnings(logs)[0] == "client of the shared port refused: too many"


def test_closing_ends_all_connections_and_frees_the_addresses(share: Share) -> None:
    with share.connect() as client:
        before = time.monotonic()
        share.server.close()
        share.server.close()
        assert time.monotonic() - before < 1
        assert ended(client)
    share.server.publish(TELEGRAM)  # to nobody
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(share.addresses[0], timeout=5)


def test_without_clients_publishing_costs_next_to_nothing(share: Share) -> None:
    before = time.thread_time()
    for _ in range(100_000):
        share.server.publish(TELEGRAM)
    assert time.thread_time() - before < 0.1
