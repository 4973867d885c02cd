from __future__ import annotations

import contextlib
import itertools
import os
import queue
import re
import select
import socket
import termios
import threading
import time
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import pytest

from p1_exporter.errors import UserError
from p1_exporter.simulator.models import MODELS, telegram
from p1_exporter.simulator.serve import MAX_CLIENTS, serve_pty, serve_tcp
from p1_exporter.simulator.source import Source, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 10.0
"""Seconds after which a test gives up."""
NOON = 1_781_690_400


class Pieces:
    """A stream without a pace: the next piece has arrived as soon as `more` is set, and clears it."""

    def __init__(self, size: int) -> None:
        self.more = threading.Event()
        self.more.set()
        self.taken = itertools.count()
        self.size = size

    @property
    def due(self) -> float:
        return time.monotonic() + (0.0 if self.more.is_set() else 0.002)

    def take(self, _now: float) -> bytes:
        if not self.more.is_set():
            return b""
        self.more.clear()
        return self.piece(next(self.taken))

    def piece(self, number: int) -> bytes:
        return b"%08d" % number * (self.size // 8)


class Flood(Pieces):
    """A stream that never ceases; `enough` is set after `limit` pieces."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size)
        self.limit = limit
        self.enough = threading.Event()

    def take(self, _now: float) -> bytes:
        number = next(self.taken)
        if number >= self.limit:
            self.enough.set()
        return self.piece(number)

    @property
    def due(self) -> float:
        return time.monotonic() + 0.0005


class Serve(Protocol):
    def __call__(
        self, stream: Stream, *, link: Path | None = None, tcp: tuple[str, int] | None = None
    ) -> str: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves in threads until the test ends; returns what was announced."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(stream: Stream, *, link: Path | None = None, tcp: tuple[str, int] | None = None) -> str:
        announced: queue.Queue[str] = queue.Queue()
        target: Callable[[], None] = (
            (lambda: serve_tcp(stream, tcp, stop, announced.put))
            if tcp
            else (lambda: serve_pty(stream, link, stop, announced.put))
        )
        threads.append(threading.Thread(target=target))
        threads[-1].start()
        return announced.get(timeout=PATIENCE)

    yield start
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_until(descriptor: int, pattern: bytes) -> re.Match[bytes]:
    """Read until `pattern` is found in what came."""
    received = b""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.5)[0]:
            received += os.read(descriptor, 65536)
            if found := re.search(pattern, received, re.DOTALL):
                return found
    raise AssertionError(received)


def connected(url: str, receive_buffer: int | None = None) -> socket.socket:
    parts = urlsplit(url)
    assert parts.scheme == "socket"
    assert parts.hostname
    client = socket.socket(socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET)
    client.settimeout(PATIENCE)
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect((parts.hostname, parts.port))
    return client


def receive(client: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        data = client.recv(count - len(received))
        assert data, received
        received += data
    return received


def admitted(stream: Pieces, client: socket.socket) -> int:
    """Wait until the client is accepted and has got a piece; return the number of the next one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stream.more.set()
        if select.select([client], [], [], 0.1)[0]:
            return int(receive(client, stream.size)[:8]) + 1
    raise AssertionError


@pytest.mark.parametrize("name", ["dsmr5", "dsmr4", "belgium"])
def test_a_pseudo_terminal_delivers_whole_telegrams(serve: Serve, name: str) -> None:
    model = MODELS[name]
    # The first telegram comes 0.4 s after the start: enough time to open the terminal before it.
    path = serve(Source(model, seed=1, start=NOON - 0.4, now=time.monotonic()))
    with opened(path) as terminal:
        found = read_until(terminal, rb"/.*\r\n![0-9A-F]{4}\r\n")
    household = model.household(seed=1)
    assert found[0] in [telegram(model, household, NOON + second) for second in range(int(PATIENCE))]


def test_a_pseudo_terminal_passes_all_256_bytes_unchanged(serve: Serve) -> None:
    class AllBytes(Pieces):
        def piece(self, _number: int) -> bytes:
            return bytes(range(256))

    stream = AllBytes(256)
    stream.more.clear()
    with opened(serve(stream)) as terminal:
        stream.more.set()
        assert read_until(terminal, b".{256}")[0] == bytes(range(256))
        assert not termios.tcgetattr(terminal)[3] & (termios.ECHO | termios.ICANON)


def test_a_pseudo_terminal_that_nobody_opens_blocks_nothing(serve: Serve) -> None:
    stream = Flood(8192, limit=100)
    serve(stream)
    assert stream.enough.wait(PATIENCE)


def test_a_pseudo_terminal_that_is_opened_but_not_read_blocks_nothing(serve: Serve) -> None:
    stream = Flood(8192, limit=100)
    with opened(serve(stream)):
        assert stream.enough.wait(PATIENCE)


def test_who_opens_the_pseudo_terminal_late_does_not_get_old_bytes(serve: Serve) -> None:
    stream = Flood(80, limit=300)
    path = serve(stream)
    assert stream.enough.wait(PATIENCE)
    with opened(path) as terminal:
        first = read_until(terminal, rb"\d{8}")[0]
    assert int(first) >= 300


def test_a_pseudo_terminal_can_be_opened_again_after_its_reader_left(serve: Serve) -> None:
    stream = Flood(80, limit=300)
    path = serve(stream)
    for _ in range(3):
        with opened(path) as terminal:
            assert read_until(terminal, rb"\d{8}")[0].isdigit()


def test_the_link_is_announced_points_to_the_terminal_and_goes_away(tmp_path: Path) -> None:
    link = tmp_path / "p1"
    stop = threading.Event()
    seen: list[tuple[str, bool]] = []

    def announce(text: str) -> None:
        seen.append((text, os.path.exists(link) and os.readlink(link).startswith("/dev/")))  # noqa: PTH110, PTH115 - as a reader would
        stop.set()

    serve_pty(Pieces(8), link, stop, announce)
    assert seen == [(str(link), True)]
    assert not link.is_symlink()


def test_a_link_left_behind_is_replaced(tmp_path: Path, serve: Serve) -> None:
    link = tmp_path / "p1"
    link.symlink_to(tmp_path / "gone")
    path = serve(Flood(80, limit=1), link=link)
    with opened(path) as terminal:
        assert read_until(terminal, rb"\d{8}")[0].isdigit()


def test_a_link_of_somebody_else_is_left_alone_at_the_end(tmp_path: Path) -> None:
    link = tmp_path / "p1"
    stop = threading.Event()

    def announce(_: str) -> None:
        link.unlink()
        link.symlink_to(tmp_path)
        stop.set()

    serve_pty(Pieces(8), link, stop, announce)
    assert link.readlink() == tmp_path


@pytest.mark.parametrize("obstacle", ["file", "link to something", "no such folder"])
def test_a_link_that_cannot_be_made_is_an_error_and_overwrites_nothing(tmp_path: Path, obstacle: str) -> None:
    link = tmp_path / "p1"
    if obstacle == "file":
        link.write_text("precious")
    elif obstacle == "link to something":
        link.symlink_to(tmp_path)
    else:
        link = tmp_path / "missing" / "p1"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=rf"^{link}: cannot be made a link"):
        serve_pty(Pieces(8), link, threading.Event(), lambda _: None)
    assert sorted(tmp_path.iterdir()) == before
    assert obstacle != "file" or link.read_text() == "precious"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tcp_clients_get_the_telegrams_of_the_meter(serve: Serve, host: str) -> None:
    model = MODELS["dsmr5"]
    url = serve(Source(model, seed=1, start=NOON - 0.4, now=time.monotonic()), tcp=(host, 0))
    with connected(url) as client:
        found = read_until(client.fileno(), rb"/.*\r\n![0-9A-F]{4}\r\n")
    household = model.household(seed=1)
    assert found[0] in [telegram(model, household, NOON + second) for second in range(int(PATIENCE))]


def test_a_slow_client_holds_up_no_other_and_keeps_little_in_memory(serve: Serve) -> None:
    stream = Pieces(8192)
    stream.more.clear()
    url = serve(stream, tcp=("127.0.0.1", 0))
    with connected(url, receive_buffer=4096) as slow, connected(url) as fast:
        first = admitted(stream, fast)
        for number in range(first, first + 300):
            stream.more.set()
            assert receive(fast, 8192) == stream.piece(number)
        kept = 0
        slow.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while data := slow.recv(65536):
                kept += len(data)
    assert 0 < kept < 300_000


def test_a_client_that_leaves_takes_nobody_with_it(serve: Serve) -> None:
    stream = Pieces(80)
    stream.more.clear()
    url = serve(stream, tcp=("127.0.0.1", 0))
    with connected(url) as staying:
        number = admitted(stream, staying)
        for _ in range(5):
            with connected(url) as leaving:
                number = admitted(stream, leaving)
            received = receive(staying, 80)
            while received != stream.piece(number - 1):
                received = receive(staying, 80)
        for later in range(number, number + 20):
            stream.more.set()
            assert receive(staying, 80) == stream.piece(later)


def test_what_a_client_sends_is_ignored_and_having_sent_all_it_still_receives(serve: Serve) -> None:
    stream = Pieces(80)
    stream.more.clear()
    with connected(serve(stream, tcp=("127.0.0.1", 0))) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n" * 1000)
        client.shutdown(socket.SHUT_WR)
        first = admitted(stream, client)
        for number in range(first, first + 20):
            stream.more.set()
            assert receive(client, 80) == stream.piece(number)


def test_clients_beyond_the_bound_are_turned_away(serve: Serve) -> None:
    stream = Pieces(80)
    stream.more.clear()
    url = serve(stream, tcp=("127.0.0.1", 0))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(url)) for _ in range(MAX_CLIENTS)]
        assert stack.enter_context(connected(url)).recv(1) == b""
        stream.more.set()
        assert {receive(client, 80) for client in clients} == {stream.piece(0)}


def test_all_connections_are_closed_at_the_end() -> None:
    stop = threading.Event()
    stream = Pieces(80)
    announced: queue.Queue[str] = queue.Queue()
    thread = threading.Thread(target=serve_tcp, args=(stream, ("127.0.0.1", 0), stop, announced.put))
    stream.more.clear()
    thread.start()
    with connected(announced.get(timeout=PATIENCE)) as client:
        admitted(stream, client)
        stop.set()
        assert client.recv(1) == b""
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_an_address_in_use_is_an_error_that_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*in use"):
            serve_tcp(Pieces(80), ("127.0.0.1", port), threading.Event(), lambda _: None)


@pytest.mark.parametrize("host", ["no such host", "x" * 70 + ".example"])
def test_a_host_that_does_not_exist_is_an_error(host: str) -> None:
    with pytest.raises(UserError, match="cannot listen on"):
        serve_tcp(Pieces(80), (host, 0), threading.Event(), lambda _: None)


def test_without_a_host_all_addresses_are_served(serve: Serve) -> None:
    stream = Pieces(80)
    stream.more.clear()
    port = urlsplit(serve(stream, tcp=("", 0))).port
    with connected(f"socket://127.0.0.1:{port}") as client:
        assert admitted(stream, client) > 0
