"""The HTTP server: one thread for each client, and never more than `MAX_CONNECTIONS` of them.

When all are taken, a newcomer gets the place of the client that has kept the server waiting longest. So
silent and slow clients, however many, cost memory for eight and never keep a scrape out; none is logged.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from p1_exporter.link.waker import Waker
from p1_exporter.web.connection import Connection, Phase
from p1_exporter.web.message import Handler, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p1_exporter.web.settings import WebSettings

__all__ = ["MAX_CONNECTIONS", "Handler", "Request", "Response", "Server"]

MAX_CONNECTIONS: Final = 8
# Python's default is the limit of the shell, mostly 8 MiB: much, where the address space has 32 bits.
_STACK_BYTES: Final = 256 * 1024
# When the system has no descriptor or no thread left, before it is asked again.
_RETRY_SECONDS: Final = 0.1
# What answers that are being made or sent when the server closes are given to end.
_CLOSE_SECONDS: Final = 0.5
# A thread that is still in the handler then is left to the end of the process.
_JOIN_SECONDS: Final = 0.05

_log = structlog.get_logger()


class Server:
    """Serves `handler` on listening sockets, which are the server's from then on.

    `settings` is asked for TLS at every connection and for the rest at every request, so that changes take
    effect without a restart. `handler` is called in several threads at once.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], handler: Handler, settings: Callable[[], WebSettings]
    ) -> None:
        self._sockets = tuple(sockets)
        self._handler = handler
        self._settings = settings
        self._changed = threading.Condition()
        self._live: set[Connection] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._starving = False
        self._waker = Waker()
        self._acceptor = threading.Thread(target=self._accept_all, name="web", daemon=True)

    def start(self) -> None:
        """Begin to accept clients."""
        _start(self._acceptor)

    def close(self) -> None:
        """Stop accepting, let answers under way be sent, end all threads; takes less than a second."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._waker.wake()
        if self._acceptor.is_alive():
            self._acceptor.join()
        self._waker.close()
        for listening in self._sockets:
            listening.close()

        end = time.monotonic() + _CLOSE_SECONDS
        with self._changed:
            while self._live and (remaining := end - time.monotonic()) > 0:
                self._evict_all(Phase.RECEIVING)
                self._changed.wait(remaining)
            self._evict_all(*Phase)
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _accept_all(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._waker, selectors.EVENT_READ)
            for listening in self._sockets:
                listening.settimeout(0)  # the client may be gone before it is accepted
                selector.register(listening, selectors.EVENT_READ, listening)
            while not self._closing:
                for key, _ in selector.select():
                    if key.data is not None:
                        self._accept(key.data)

    def _accept(self, listening: socket.socket) -> None:
        try:
            client, _ = listening.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            self._starve(error)
            return
        with contextlib.suppress(OSError):  # not every kind of socket has it
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(client, self._handler, self._settings, self._changed)
        thread = threading.Thread(target=self._serve, args=(connection,), name="web client", daemon=True)
        with self._changed:
            self._make_room()
            self._live.add(connection)
        try:
            _start(thread)
        except RuntimeError as error:
            client.close()
            self._forget(connection)
            self._starve(error)
            return
        self._starving = False
        self._threads = [thread, *(other for other in self._threads if other.is_alive())]

    def _serve(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._changed:
            self._live.remove(connection)
            self._changed.notify_all()

    def _make_room(self) -> None:
        """Wait for a free place, giving up a client for it if there is none. The lock is held."""
        while len(self._live) >= MAX_CONNECTIONS and not self._closing:
            if not any(connection.evicted for connection in self._live):
                self._evict_one()
            self._changed.wait()

    def _evict_one(self) -> None:
        """End the connection that has waited longest for its client. The lock is held.

        Those whose client has yet to take its answer are the last to go. Those whose answer is being made
        wait for nobody: they will be through in a moment.
        """
        waiting = [connection for connection in self._live if connection.phase is not Phase.ANSWERING]
        if waiting:
            min(waiting, key=lambda connection: (connection.phase, connection.since)).evict()

    def _evict_all(self, *phases: Phase) -> None:
        for connection in self._live:
            if connection.phase in phases:
                connection.evict()

    def _starve(self, error: Exception) -> None:
        """Out of descriptors or threads: give a client up and pause, instead of asking again without end."""
        if not self._starving:
            _log.warning("web clients cannot be served, the system's resources are used up", error=str(error))
        self._starving = True
        with self._changed:
            self._evict_one()
        self._waker.wait(_RETRY_SECONDS)


def _start(thread: threading.Thread) -> None:
    """Start a thread with a small stack. The size can only be set for all threads, so it is set back at once."""
    usual = threading.stack_size(_STACK_BYTES)
    try:
        thread.start()
    finally:
        threading.stack_size(usual)
