"""What all ports with a descriptor share: wait, let a burst gather, read once."""

from __future__ import annotations

import select
import time
from abc import abstractmethod
from typing import TYPE_CHECKING

from p1_exporter.link.port import GATHER_SECONDS, Chunk, Port
from p1_exporter.link.waker import milliseconds

if TYPE_CHECKING:
    from p1_exporter.link.port import PortSettings


class DescriptorPort(Port):
    """A port whose bytes come from a file descriptor."""

    def __init__(self, settings: PortSettings, driver: str, descriptor: int) -> None:
        super().__init__(settings, driver)
        self._descriptor = descriptor
        # Unlike select, poll works with descriptors above 1023.
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._poll.register(self._waker, select.POLLIN)

    def _read(self, timeout: float) -> Chunk | None:
        events = dict(self._poll.poll(milliseconds(timeout)))
        first_byte = time.monotonic()
        if not events or self._waker.wait(0):
            return None
        hung_up = bool(events[self._descriptor] & (select.POLLERR | select.POLLHUP))
        if not hung_up:
            self._waker.wait(self._gather_seconds())
        data = self._receive(hung_up=hung_up)
        return Chunk(first_byte, data) if data else None

    def _gather_seconds(self) -> float:
        """How long a burst may gather before it is read."""
        return GATHER_SECONDS

    @abstractmethod
    def _receive(self, *, hung_up: bool) -> bytes:
        """What is there, READ_LIMIT bytes at most, without waiting.

        Args:
            hung_up: the kernel says that nothing will ever come again.

        Raises:
            PortError: the device vanished or the connection broke.
        """
