"""The service manager that started this program: what it is told, and how often it wants a sign of life.

systemd's protocol, sd_notify(3) and sd_watchdog_enabled(3): datagrams of lines `NAME=value`. Other service managers
that speak it serve as well; without one, nothing is told to anybody.
"""

from __future__ import annotations

import os
import re
import socket
import time
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SEND_SECONDS: Final = 1.0
"""How long to wait for a service manager that does not read what it is told."""
_STATUS_LIMIT: Final = 500
"""Characters, of up to six bytes each: systemd takes no message of more than 4096 bytes."""
_MICROSECONDS: Final = 1_000_000

_log = structlog.get_logger()


class ServiceManager:
    """Who is told how this program is. To be used by one thread.

    Args of the constructor: `environ`, with the variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which are
    taken out of it: they are not for programs that this one starts.

    Attributes:
        watchdog_seconds: the service is started anew when it gives no sign of life for so long; None for never.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        name = environ.pop("NOTIFY_SOCKET", "")
        seconds = _watchdog_seconds(environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", ""))
        # Where @ stands for NUL, the name is one of Linux's own, and no file.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._socket: socket.socket | None = None
        self.watchdog_seconds = seconds if name else None
        self._unheard = False
        if name:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(_SEND_SECONDS)

    @property
    def listens(self) -> bool:
        """Whether there is anybody to be told."""
        return self._socket is not None

    def ready(self) -> None:
        """Tell that the program does what it is there for, be it at start or after a reload."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Tell that the configuration is being read again."""
        # systemd has to know whether this answers to what it asked for, or to something earlier.
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tell that the program is about to end."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """Tell in words, on one line, how things are."""
        line = " ".join(text.split())
        short = line if len(line) <= _STATUS_LIMIT else f"{line[: _STATUS_LIMIT - 3]}..."
        self._tell(f"STATUS={short}")

    def alive(self) -> None:
        """Give a sign of life."""
        self._tell("WATCHDOG=1")

    def close(self) -> None:
        """Tell nothing any more. May be called more than once."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            # A path need not be UTF-8; what is told must be.
            self._socket.sendto(message.encode(errors="backslashreplace"), self._address)
        except OSError as error:
            if not self._unheard:
                _log.warning("the service manager cannot be told how things are", error=str(error))
            self._unheard = True
        else:
            self._unheard = False


def _watchdog_seconds(microseconds: str, pid: str) -> float | None:
    """Return the time that WATCHDOG_USEC gives; None if it gives none, or WATCHDOG_PID names another process."""
    if pid and pid != str(os.getpid()):
        return None
    # As many digits as 64 bits have. Zero is none.
    given = int(microseconds) if re.fullmatch("[0-9]{1,20}", microseconds) else 0
    return given / _MICROSECONDS if given else None
