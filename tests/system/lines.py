"""The other end of the line: meters behind pseudo-terminals and TCP ports, which send what a test wants."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import tty
from typing import TYPE_CHECKING

from tests.system.exporter import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

BYTES_PER_SECOND = 115_200 / 10
"""Of a line with 115200 baud: a character is ten bits."""
_PIECE = 32
"""Characters that a serial adapter passes on at a time."""


class Terminal:
    """A pseudo-terminal whose other end is a meter; `path` is what an exporter reads."""

    def __init__(self) -> None:
        self._meter, terminal = os.openpty()
        self.path = os.ttyname(terminal)
        tty.setraw(terminal)
        os.close(terminal)
        os.set_blocking(self._meter, False)

    def send(self, data: bytes) -> None:
        """Send bytes at the pace of the line; what nobody takes is lost, as on a real line."""
        began = time.monotonic()
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            arrived = began + (start + len(piece)) / BYTES_PER_SECOND
            time.sleep(max(0.0, arrived - time.monotonic()))  # this is the time that the characters take
            with contextlib.suppress(BlockingIOError):
                os.write(self._meter, piece)

    def vanish(self) -> None:
        """Be unplugged. May be called more than once."""
        if self._meter >= 0:
            os.close(self._meter)
            self._meter = -1


class Feeder:
    """Sends telegrams to a terminal, one after another, each at its time; `sent` are those that are under way or over.

    Args of the constructor: where to, what, and how many seconds lie between the beginnings of two telegrams.
    """

    def __init__(self, terminal: Terminal, telegrams: Iterable[bytes], interval: float = 1.0) -> None:
        self.sent: list[bytes] = []
        self.last_byte = 0.0
        """When the last telegram was over, in seconds of `time.monotonic()`."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(terminal, telegrams, interval), daemon=True)
        self._thread.start()

    def _run(self, terminal: Terminal, telegrams: Iterable[bytes], interval: float) -> None:
        begins = time.monotonic()
        for telegram in telegrams:
            if self._stop.wait(max(0.0, begins - time.monotonic())):
                return
            self.sent.append(telegram)
            terminal.send(telegram)
            self.last_byte = time.monotonic()
            begins += interval

    def join(self) -> None:
        """Wait until all was sent."""
        self._thread.join()

    def stop(self) -> None:
        """Send the telegram under way to its end, and no other one. May be called more than once."""
        self._stop.set()
        self._thread.join()


class SerialServer:
    """A TCP port as of a serial server, for one client at a time: what is sent waits for a client to take it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._client: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self.url = "socket://{}:{}".format(*self._listener.getsockname())

    def send(self, data: bytes, pause: float = 0.0, piece: int = 8192) -> None:
        """Send bytes as fast as they are taken, or with pauses between pieces; to a client that has gone, nothing."""
        if self._client is None:
            self._client, _ = self._listener.accept()
            self._client.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(data), piece):
                self._client.sendall(data[start : start + piece])
                time.sleep(pause)

    def send_meanwhile(self, data: bytes, pause: float, piece: int) -> None:
        """Begin to send bytes, as `send` does, in a thread of its own."""
        thread = threading.Thread(target=self.send, args=(data, pause, piece), daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            with contextlib.suppress(OSError):  # the client may have gone first
                self._client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        if self._client is not None:
            self._client.close()
        self._listener.close()
