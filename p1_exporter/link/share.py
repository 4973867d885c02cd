"""A meter's bytes for other programs, as they came, over TCP: a serial port has one reader, this has many."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import TYPE_CHECKING

import structlog

from p1_exporter.link.address import TcpAddress
from p1_exporter.link.keep_alive import KEEP_ALIVE
from p1_exporter.link.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIENT_LIMIT = 32
# Some six seconds of a line at full speed: who is further behind than that does not read.
BACKLOG_LIMIT = 64 * 1024

_DISCARD_SIZE = 4096
# Before another attempt, when the system has no descriptor or memory left for one more client.
_EXHAUSTED_PAUSE_SECONDS = 1.0

log = structlog.get_logger()


class _Client:
    """One connection, and the bytes that wait to be sent on it."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self.connection = connection
        self.name = name
        self.backlog = bytearray()
        self.too_slow = False
        self.gone = False

    @property
    def interest(self) -> int:
        """What the selector should wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.backlog else 0)

    def append(self, data: bytes) -> None:
        if len(self.backlog) + len(data) > BACKLOG_LIMIT:
            self.too_slow = True
        else:
            self.backlog += data

    def send(self) -> None:
        """Send as much of the backlog as the connection takes without waiting."""
        try:
            del self.backlog[: self.connection.send(self.backlog)]
        except BlockingIOError:
            pass  # the kernel's buffer is full: the selector tells when to go on
        except OSError:
            self.gone = True

    def discard_input(self) -> None:
        try:
            self.gone = not self.connection.recv(_DISCARD_SIZE)
        except BlockingIOError:
            pass  # announced too early
        except OSError:
            self.gone = True


class ShareServer:
    """Sends every client all bytes published after it connected. What clients send is thrown away.

    Args:
        sockets: bound and listening TCP sockets; closed together with the server.
    """

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._listeners = list(sockets)
        self._clients: list[_Client] = []
        # Guards the list of clients and their backlogs. Nothing that can wait is done while it is held.
        self._lock = threading.Lock()
        self._waker = Waker()
        self._closing = threading.Event()
        self._refusing = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._waker, selectors.EVENT_READ)
        for listener in self._listeners:
            listener.settimeout(0)
            # Accepted connections inherit these. The kernel would let a backlog of its own grow to megabytes.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BACKLOG_LIMIT)
            KEEP_ALIVE.apply(listener)
            self._selector.register(listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="share", daemon=True)
        self._thread.start()

    def publish(self, data: bytes) -> None:
        """Send these bytes to all who are connected. Never blocks; next to nothing to do where nobody is."""
        if not self._clients:
            return
        with self._lock:
            for client in self._clients:
                client.append(data)
        self._waker.wake()

    def close(self) -> None:
        """Disconnect everybody and stop listening. May be called more than once."""
        self._closing.set()
        self._waker.wake()
        self._thread.join()
        self._waker.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            for key, events in self._selector.select():
                if key.data is not None and events & selectors.EVENT_READ:
                    key.data.discard_input()
                elif key.fileobj in self._listeners:
                    self._accept(key.fileobj)
            self._waker.wait(0)
            with self._lock:
                for client in self._clients:
                    if client.backlog:
                        client.send()
            self._settle()
        self._disconnect(self._clients)
        for listener in self._listeners:
            listener.close()
        self._selector.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # gone again before its turn came
        except OSError as error:
            self._refuse("client of the shared port cannot be accepted", error=str(error))
            self._closing.wait(_EXHAUSTED_PAUSE_SECONDS)
            return
        name = str(TcpAddress(*address[:2]))
        if len(self._clients) >= CLIENT_LIMIT:
            connection.close()
            self._refuse("client of the shared port refused: too many", client=name, limit=CLIENT_LIMIT)
            return
        self._refusing = False
        connection.settimeout(0)
        client = _Client(connection, name)
        self._selector.register(connection, client.interest, client)
        with self._lock:
            self._clients.append(client)
        log.debug("client of the shared port connected", client=name)

    def _refuse(self, event: str, **details: object) -> None:
        """Say so once, however often clients come back, until one is accepted."""
        if not self._refusing:
            log.warning(event, **details)
        self._refusing = True

    def _settle(self) -> None:
        """Part with those who are gone or too slow; wait for the others' buffers where need be."""
        parting = [client for client in self._clients if client.gone or client.too_slow]
        for client in parting:
            if client.gone:
                log.debug("client of the shared port disconnected", client=client.name)
            else:
                log.warning("client of the shared port disconnected: it does not read", client=client.name)
        self._disconnect(parting)
        for client in self._clients:
            if self._selector.get_key(client.connection).events != client.interest:
                self._selector.modify(client.connection, client.interest, client)

    def _disconnect(self, parting: list[_Client]) -> None:
        with self._lock:
            self._clients = [client for client in self._clients if client not in parting]
        for client in parting:
            self._selector.unregister(client.connection)
            client.connection.close()
