"""A bell that one thread waits for and any other may ring."""

from __future__ import annotations

import math
import os
import select
import threading


class Waker:
    """Ends a wait at once, from any thread; ringing before the wait begins counts too.

    An event counter of the kernel, not a `threading.Event`, because it can be waited for
    together with a serial port or sockets.
    """

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        # Without it, a late wake() could write to a descriptor that is somebody else's by then.
        self._lock = threading.Lock()
        self._closed = False

    def fileno(self) -> int:
        """The descriptor that becomes readable when the bell rings."""
        return self._descriptor

    def wake(self) -> None:
        """Ring. Never blocks; does nothing once closed."""
        with self._lock:
            if not self._closed:
                os.eventfd_write(self._descriptor, 1)

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; tell whether the bell rang, and silence it."""
        if not self._poll.poll(milliseconds(seconds)):
            return False
        os.eventfd_read(self._descriptor)
        return True

    def close(self) -> None:
        """Give the descriptor back. May be called more than once."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._descriptor)


def milliseconds(seconds: float) -> int:
    """Seconds as poll() wants them, rounded up, so that a short wait does not become a busy loop."""
    return math.ceil(max(0.0, seconds) * 1000)
