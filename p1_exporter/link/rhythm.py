"""The rhythm of what arrives: bursts of bytes, which of them are a telegram's, and how often they come.

Length and distance of bursts survive every fault of a line that lets anything through at all.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p1_exporter.link.port import Chunk

# A meter pauses for most of its interval. On its way, a burst pauses for less than this.
_PAUSE: Final = 0.12
_PAUSE_IN_NETWORK: Final = 0.35
# A burst so much smaller than those of telegrams is stray.
_STRAY_SHARE: Final = 0.15
# What a wrong speed leaves of a telegram is longer than this, what an impulse makes is not.
_STRAY_SIZE: Final = 12
# How much two intervals of a meter may differ, as far as they are seen from here.
_NEAR: Final = 0.15


class Burst(NamedTuple):
    """Bytes without a pause between them; times in seconds."""

    start: float
    end: float
    chunks: tuple[Chunk, ...]

    @property
    def size(self) -> int:
        """Characters in it."""
        return sum(len(chunk.data) for chunk in self.chunks)

    @property
    def data(self) -> bytes:
        """What arrived."""
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


class Rhythm(NamedTuple):
    """Bursts of telegrams, and short ones between them."""

    main: tuple[Burst, ...]
    stray: tuple[Burst, ...]

    @property
    def period(self) -> float:
        """Seconds from telegram to telegram; 0 if fewer than three came."""
        return median(self._intervals) if len(self._intervals) > 1 else 0.0

    @property
    def regularity(self) -> float:
        """Share of the intervals that last as long as most."""
        period = self.period
        near = sum(abs(interval - period) < _NEAR * period for interval in self._intervals)
        return near / len(self._intervals) if self._intervals else 0.0

    @property
    def _intervals(self) -> list[float]:
        return [later.start - earlier.start for earlier, later in pairwise(self.main)]

    @property
    def busy(self) -> float:
        """Seconds in which something arrived."""
        return sum(burst.seconds for burst in (*self.main, *self.stray))


def rhythm(chunks: Sequence[Chunk], capacity: float, *, network: bool) -> Rhythm:
    """Return the rhythm of `chunks`, of a line that carries `capacity` characters a second.

    A `network` on the way holds up what it carries, so that longer pauses are none.
    """
    bursts = tuple(_bursts(chunks, capacity, _PAUSE_IN_NETWORK if network else _PAUSE))
    large = _typical_size([burst.size for burst in bursts])
    # Where nothing is long, short bursts are all that is left of telegrams.
    bound = max(_STRAY_SIZE, large * _STRAY_SHARE) if large > _STRAY_SIZE else 0
    main = tuple(burst for burst in bursts if burst.size > bound)
    stray = tuple(burst for burst in bursts if burst.size <= bound)
    return Rhythm(main, stray)


def _typical_size(sizes: Sequence[int]) -> int:
    """Return the size of the burst that the median byte is in: stray bursts may be many, but they hold little."""
    half = sum(sizes) / 2
    for size in sorted(sizes):
        half -= size
        if half <= 0:
            return size
    return 0


def median(values: Iterable[float]) -> float:
    """Return the lower median, 0 of nothing."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2] if ordered else 0.0


def _bursts(chunks: Sequence[Chunk], capacity: float, pause: float) -> Iterable[Burst]:
    gathered: list[Chunk] = []
    end = 0.0
    for chunk in chunks:
        if gathered and chunk.time - end > pause:
            yield Burst(gathered[0].time, end, tuple(gathered))
            gathered = []
        gathered.append(chunk)
        # The time of a chunk is that of its first byte; no line is faster than its speed.
        end = max(end, chunk.time + len(chunk.data) / capacity)
    if gathered:
        yield Burst(gathered[0].time, end, tuple(gathered))
