"""A service manager for tests: the socket on which systemd listens to its services."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE = 15.0
"""Seconds: a test that waits longer for something that must come has failed."""


class Listener:
    """Listens as systemd does.

    Args of the constructor: `name`, as the variable NOTIFY_SOCKET gives it: a path, or with @ a name without a file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self._socket.settimeout(PATIENCE)

    def environ(self, **variables: str) -> dict[str, str]:
        """The variables that a service is started with."""
        return {"NOTIFY_SOCKET": self.name, **variables}

    def next(self) -> str:
        """Wait for the next message."""
        return self._socket.recv(65536).decode()

    def until(self, beginning: str) -> list[str]:
        """Wait for the message that begins like this; return it behind those that came before."""
        messages = [self.next()]
        while not messages[-1].startswith(beginning):
            messages.append(self.next())
        return messages

    def waiting(self) -> list[str]:
        """All messages that are there."""
        self._socket.settimeout(0)
        messages = []
        try:
            while True:
                messages.append(self.next())
        except BlockingIOError:
            return messages
        finally:
            self._socket.settimeout(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def abstract_name(word: str) -> str:
    """A name without a file that no other test has."""
    return f"@p1-exporter-test/{os.getpid()}/{word}"
