"""When each byte of a stream arrived, for as long as it is undecided what it belongs to."""

from __future__ import annotations

from collections import deque
from typing import Final

_RESOLUTION: Final = 0.005


class Arrivals:
    """Times of arrival by place in the stream. Places are asked for in order; what lies before them is forgotten."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes that have arrived in all."""
        self._times: deque[tuple[int, float]] = deque()

    def add(self, count: int, time: float) -> None:
        """`count` bytes arrived, the first of them at `time` (seconds)."""
        if not self._times or time - self._times[-1][1] > _RESOLUTION:
            self._times.append((self.size, time))
        self.size += count

    def at(self, offset: int) -> float:
        """Return when the byte at `offset` arrived."""
        times = self._times
        while len(times) > 1 and times[1][0] <= offset:
            times.popleft()
        return times[0][1]
