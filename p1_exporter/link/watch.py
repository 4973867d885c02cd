"""Watches one link: remembers what happened lately, looks into telegrams that failed, and gives the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage import DamageAnalysis, Ration
from p1_exporter.link.evidence import Evidence, Line, gather
from p1_exporter.link.history import KEPT_BYTES, History, Outcome
from p1_exporter.link.rhythm import rhythm
from p1_exporter.telegram.framer import MAX_TELEGRAM

if TYPE_CHECKING:
    from p1_exporter.link.counters import Counters
    from p1_exporter.link.damage import Damage
    from p1_exporter.link.port import Chunk
    from p1_exporter.telegram.events import Reason, Rejection, Telegram

# What became of a telegram in other ways than on the wire is nothing to look into.
_WIRE_REASONS: Final = frozenset({"crc", "truncated", "malformed", "parity", "too_long"})

# What comes after such a pause belongs to another telegram.
_PAUSE: Final = 0.3
_SHORTEST_TELEGRAM: Final = 100

_MEMORY: Final = 45.0
_SHORT: Final = 12.0
# Meters that send more often than this many seconds fill the short look with telegrams.
_FREQUENT: Final = 3.0


class DamageTotals(NamedTuple):
    """What was found in all rejected telegrams that were looked into."""

    up: int = 0
    """Bits sent as 0 that arrived as 1."""
    down: int = 0
    lost: int = 0
    """Bytes missing."""
    foreign: int = 0

    def plus(self, damage: Damage) -> DamageTotals:
        """Return the sums with those of another telegram."""
        up = sum(flip.direction == "0_to_1" for flip in damage.flips)
        return DamageTotals(
            self.up + up,
            self.down + len(damage.flips) - up,
            self.lost + sum(run.size for run in damage.lost),
            self.foreign + sum(run.size for run in damage.inserted),
        )


class LinkWatch:
    """Watches one link.

    Args of the constructor: `now`, the time; `line`, what is known of it; `kept_bytes`, as of `History`.
    """

    def __init__(self, now: float, line: Line, kept_bytes: int = KEPT_BYTES) -> None:
        self.line = line
        self.totals = DamageTotals()
        self.history = History(now, kept_bytes)
        self._analysis = DamageAnalysis()
        self._ration = Ration()
        self._noise = bytearray()
        self._noise_began = 0.0
        self._noise_ended = 0.0

    def received(self, chunk: Chunk) -> None:
        """A read gave something."""
        self.history.received(chunk)

    def counted(self, now: float, counters: Counters) -> None:
        """The driver said what it counted."""
        self.history.counted(now, counters)

    def noise(self, data: bytes, time: float) -> None:
        """Bytes outside telegrams, the first of which arrived at `time`: perhaps one whose beginning is damaged."""
        if self._noise and time - self._noise_ended > _PAUSE:
            self._end_noise()
        if not self._noise:
            self._noise_began = time
        self._noise += data[: MAX_TELEGRAM - len(self._noise)]
        self._noise_ended = time

    def accepted(self, telegram: Telegram, began: float) -> None:
        """A telegram that began at the time `began` was accepted."""
        self._end_noise()
        self._ration.passed()
        self._analysis.learn(telegram.data)
        self.history.decided(Outcome(began, telegram.size, None))

    def rejected(self, event: Telegram | Rejection, began: float, reason: Reason) -> None:
        """A telegram was rejected."""
        self._end_noise()
        damage = self._examined(event.data) if reason in _WIRE_REASONS else None
        self.history.decided(Outcome(began, event.size, reason, damage, event.data))

    def _settle(self, now: float) -> None:
        if now - self._noise_ended > _PAUSE:
            self._end_noise()

    def _end_noise(self) -> None:
        if len(self._noise) >= _SHORTEST_TELEGRAM:
            data = bytes(self._noise)
            outcome = Outcome(self._noise_began, len(data), "unbegun", self._examined(data), data)
            self.history.decided(outcome)
        self._noise.clear()

    def _examined(self, data: bytes) -> Damage | None:
        damage = self._analysis.analyse(data) if self._ration.take() else None
        if damage:
            self.totals = self.totals.plus(damage)
        return damage

    def evidence(self, now: float) -> Evidence:
        """Return what speaks for or against a fault at the time `now`, by what the last few telegrams show.

        That is long enough to tell faults apart, and short enough to see soon that one has gone.
        """
        self._settle(now)
        self.history.forget_before(now - _MEMORY)
        whole = self.history.since(now - _MEMORY)
        period = rhythm(whole.chunks, self.line.capacity, network=self.line.network).period
        return gather(self.history.since(now - _SHORT) if 0 < period < _FREQUENT else whole, self.line, now)

    def all_evidence(self, now: float) -> Evidence:
        """Return the evidence on everything since the beginning, as far as it is kept."""
        self._settle(now)
        return gather(self.history.since(self.history.began), self.line, now)
