"""The recent past of a link: what arrived, what became of it, and what the driver counted. Bounded.

Times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from p1_exporter.link.counters import Counters
    from p1_exporter.link.damage.analysis import Damage
    from p1_exporter.link.port import Chunk
    from p1_exporter.telegram.events import Reason

KEPT_BYTES: Final = 160 * 1024
"""What is kept of the bytes: more than the interval of any meter of a line that never pauses, minutes of others."""
_KEPT_OUTCOMES: Final = 1024
_KEPT_COUNTS: Final = 1024
_MARK_WEIGHT: Final = 16


class Outcome(NamedTuple):
    """What became of one telegram."""

    began: float
    """When its first byte arrived."""
    size: int
    """Bytes on the wire."""
    reason: Reason | Literal["unbegun"] | None
    """Why it was rejected; None if it was accepted; `unbegun` where its beginning was damaged beyond recognition."""
    damage: Damage | None = None
    """What happened to it, where that was looked into."""
    data: bytes = b""
    """What arrived of a rejected one, without parity bits."""


class Counted(NamedTuple):
    """What the driver had counted at a time, and what had been read by then."""

    time: float
    counters: Counters
    read: int


class Look(NamedTuple):
    """What happened on a link from one time on."""

    began: float
    chunks: tuple[Chunk, ...]
    outcomes: tuple[Outcome, ...]
    counts: tuple[Counted, ...]
    """With the last count before, as counts matter as differences."""
    last_byte: float | None
    """When the last one arrived, however long ago."""
    ended_low: bool
    """Whether it was a NUL, as a line leaves that goes low and stays there."""


class History:
    """What happened on a link lately.

    Args of the constructor: `now`, the time; `kept_bytes`, how many of the newest bytes are kept.
    """

    def __init__(self, now: float, kept_bytes: int = KEPT_BYTES) -> None:
        self.began = now
        """From when on it is complete."""
        self.chunks: deque[Chunk] = deque()
        self.outcomes: deque[Outcome] = deque()
        self.counts: deque[Counted] = deque(maxlen=_KEPT_COUNTS)
        self.last_byte: float | None = None
        self.ended_low = False
        self.read = 0
        """Characters read since the port was opened."""
        self._kept_bytes = kept_bytes
        self._held = 0
        self._held_of_outcomes = 0

    def received(self, chunk: Chunk) -> None:
        """Remember what one read gave."""
        self.chunks.append(chunk)
        self.last_byte = chunk.time
        self.ended_low = chunk.data.endswith(b"\0")
        self.read += len(chunk.data)
        self._held += _weight(chunk)
        while self._held > self._kept_bytes and len(self.chunks) > 1:
            self._held -= _weight(self.chunks.popleft())
            self.began = max(self.began, self.chunks[0].time)

    def decided(self, outcome: Outcome) -> None:
        """Remember what became of a telegram."""
        self.outcomes.append(outcome)
        self._held_of_outcomes += len(outcome.data)
        while len(self.outcomes) > 1 and (
            self._held_of_outcomes > self._kept_bytes or len(self.outcomes) > _KEPT_OUTCOMES
        ):
            self._held_of_outcomes -= len(self.outcomes.popleft().data)

    def counted(self, now: float, counters: Counters) -> None:
        """Remember what the driver counted."""
        self.counts.append(Counted(now, counters, self.read))

    def forget_before(self, time: float) -> None:
        """Forget what is older than `time`, but for the last count before it."""
        self.began = max(self.began, time)
        while self.chunks and self.chunks[0].time < time:
            self._held -= _weight(self.chunks.popleft())
        while self.outcomes and self.outcomes[0].began < time:
            self._held_of_outcomes -= len(self.outcomes.popleft().data)
        while len(self.counts) > 1 and self.counts[1].time < time:
            self.counts.popleft()

    def since(self, time: float) -> Look:
        """Return what happened from `time` on, as far as it is remembered."""
        # As far back as bytes are kept, and no further: all that is seen is to be of the same time.
        time = max(time, self.began)
        earlier = [count for count in self.counts if count.time < time][-1:]
        return Look(
            began=time,
            chunks=tuple(chunk for chunk in self.chunks if chunk.time >= time),
            outcomes=tuple(outcome for outcome in self.outcomes if outcome.began >= time),
            counts=(*earlier, *(count for count in self.counts if count.time >= time)),
            last_byte=self.last_byte,
            ended_low=self.ended_low,
        )


def _weight(chunk: Chunk) -> int:
    """Return what a chunk counts for: a mark takes as much memory as many bytes."""
    return len(chunk.data) + _MARK_WEIGHT * len(chunk.marks)
