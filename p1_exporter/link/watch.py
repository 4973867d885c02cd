"""Watches one link: remembers what happened lately, looks into telegrams that failed, names the faults.

A link that works costs next to nothing: what it takes to tell faults apart is loaded when something is wrong.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage.ration import Ration
from p1_exporter.link.history import KEPT_BYTES, History, Outcome
from p1_exporter.link.line import Line
from p1_exporter.link.reception import Accepted, Refused
from p1_exporter.link.verdict import Verdict
from p1_exporter.telegram.framer import MAX_TELEGRAM
from p1_exporter.telegram.parity import looks_seven_bit, without_parity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p1_exporter.link.counters import Counters
    from p1_exporter.link.damage.analysis import Damage, DamageAnalysis
    from p1_exporter.link.diagnosis import Diagnosis
    from p1_exporter.link.evidence import Evidence
    from p1_exporter.link.port import Chunk
    from p1_exporter.link.reception import Judged
    from p1_exporter.link.rhythm import Rhythm
    from p1_exporter.telegram.events import Reason, Telegram

# What became of a telegram in other ways than on the wire is nothing to look into.
_WIRE_REASONS: Final = frozenset({"crc", "truncated", "malformed", "parity", "too_long"})
# What comes after such a pause belongs to another telegram.
_PAUSE: Final = 0.3
_SHORTEST_TELEGRAM: Final = 100
# Less than this is nothing that is left of a telegram.
_SHORTEST_BURST: Final = 16
# Good telegrams that a bad one is compared with.
_GOOD: Final = 3

_LOOK_EVERY: Final = 1.0
# How far back one looks: far enough to tell faults apart, near enough to see soon that one has gone.
_FAR: Final = 45.0
_NEAR: Final = 12.0
# Meters that send more often than this fill the near past with telegrams.
_FREQUENT: Final = 3.0
# How long something must be found before it is named, or gone before it is named no longer.
_SETTLING_FREQUENT: Final = 4.0
_SETTLING: Final = 10.0
# While telegrams come there is nothing to look for, but for the second thing that is odd: one is an accident.
_QUIET_INTERVALS: Final = 2.5
_USUAL_INTERVAL: Final = 5.0
_SHORTEST_INTERVAL: Final = 1.0
_LONGEST_INTERVAL: Final = 12.0
# So many bad telegrams in a row are no accident.
_WENT_WRONG: Final = 2
_ODDITIES: Final = 2


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


class WatchSnapshot(NamedTuple):
    """What is known of a link's faults; immutable."""

    faults: tuple[Diagnosis, ...] = ()
    """Those to name, likeliest first."""
    evidence: Evidence | None = None
    """Of the last look, where there was something to look for."""
    damage: DamageTotals = DamageTotals()
    line: Line = Line()


class LinkWatch:
    """Watches one link. Times are seconds of a monotonic clock.

    Args of the constructor: `now`, the time; `line`, what is known of it; `kept_bytes`, as of `History`.
    """

    def __init__(self, now: float, line: Line | None = None, kept_bytes: int = KEPT_BYTES) -> None:
        self.history = History(now, kept_bytes)
        self._kept_bytes = kept_bytes
        self._line = line or Line()
        self._closed: str | None = None
        """Why the port is closed; empty if on purpose."""
        self._paused = False
        self._probing: float | None = None
        """Since when another speed is tried."""
        self._skipped = 0.0
        """Seconds in which another speed was tried: to this watch they do not exist."""
        self._totals = DamageTotals()
        self._analysis: DamageAnalysis | None = None
        self._good: deque[bytes] = deque(maxlen=_GOOD)
        """Accepted telegrams that the analysis does not know yet."""
        self._noise = bytearray()
        self._noise_began = 0.0
        self._noise_counts = False
        self._heard = False
        """Whether anything but the first bytes was heard since the port was opened."""
        self._noise_ended = 0.0
        self._last_look = now
        self._expected = now + _QUIET_INTERVALS * _USUAL_INTERVAL
        """By when another telegram must have been accepted."""
        self._last_good: float | None = None
        self._last_good_ended: float | None = None
        self._interval: float | None = None
        """Between the last two good telegrams."""
        self._encrypted = False
        self._oddities: deque[float] = deque(maxlen=_ODDITIES)
        """When the last odd things began."""
        self._odd_until = -math.inf
        self._verdict = Verdict()
        self._settling = _SETTLING_FREQUENT
        self._ration = Ration()
        self._faults: tuple[Diagnosis, ...] = ()
        self._evidence: Evidence | None = None

    @property
    def probing(self) -> bool:
        """Whether another speed is tried."""
        return self._probing is not None

    def opened(self, now: float, line: Line) -> None:
        """The port is open now, or read in another way: what was seen before says nothing any more."""
        self._closed = None
        self._line = line
        self._end_probe(now)
        self._begin(now - self._skipped)

    def closed(self, now: float, why: str) -> None:
        """The port is closed, for a reason in words; empty if on purpose."""
        self._end_probe(now)
        self._closed = why

    def pause(self, now: float, *, paused: bool) -> None:
        """Nothing is requested from the meter now, or again."""
        self._paused = paused
        self._begin(now - self._skipped)

    def probe(self, now: float) -> None:
        """Another speed is tried: until the end of that, what arrives says nothing, and what was named stays."""
        if self._probing is None:
            self._probing = now

    def resume(self, now: float) -> None:
        """It was tried in vain: everything is as it was before."""
        self._end_probe(now)

    def received(self, chunk: Chunk) -> None:
        """A read gave something."""
        if self.probing:
            return
        if self._skipped:
            chunk = replace(chunk, time=chunk.time - self._skipped)
        self.history.received(chunk)
        if chunk.marks:
            self._odd(chunk.time)

    def counted(self, now: float, counters: Counters) -> None:
        """The driver said what it counted."""
        if self.probing:
            return
        now -= self._skipped
        if self.history.counts and _errors(counters) != _errors(self.history.counts[-1].counters):
            self._odd(now)
        self.history.counted(now, counters)

    def judged(self, judged: Judged) -> None:
        """Something was decided about what was received."""
        if self.probing:
            return
        began = judged.began - self._skipped
        if isinstance(judged, Accepted):
            if judged.damaged:
                self._failed(judged.telegram.data, judged.telegram.size, began, "malformed")
            else:
                self._accepted(judged.telegram, began)
        elif isinstance(judged, Refused):
            self._failed(judged.event.data, judged.event.size, began, judged.reason)
        else:
            self._stray(judged.noise.data, began)

    def look(self, now: float) -> None:
        """Look at the link, once a second at most, and name the faults."""
        now -= self._skipped
        if self.probing or now - self._last_look < _LOOK_EVERY:
            return
        self._last_look = now
        self.history.forget_before(now - _FAR)
        self._faults = self._verdict.update(now, self._found(now), self._settling)

    def snapshot(self) -> WatchSnapshot:
        """Return what is known."""
        return WatchSnapshot(self._faults, self._evidence, self._totals, self._line)

    def all_evidence(self, now: float) -> Evidence:
        """Return the evidence on everything since the beginning, as far as it is kept."""
        from p1_exporter.link.evidence import gather  # noqa: PLC0415 - see above

        now -= self._skipped
        self._settle(now)
        past = self.history.since(self.history.began)
        return gather(past, past.outcomes, self._line, now)

    def _found(self, now: float) -> Sequence[Diagnosis]:
        if self._closed is None and not self._paused and not self._quiet(now):
            from p1_exporter.link.diagnosis import diagnose  # noqa: PLC0415 - only where something is wrong

            self._evidence = self._recent_evidence(now)
            return diagnose(self._evidence)
        self._evidence = None
        if self._closed:
            from p1_exporter.link.diagnosis import disconnected  # noqa: PLC0415 - as above

            return (disconnected(self._closed),)
        return ()

    def _quiet(self, now: float) -> bool:
        """Whether telegrams come as they should: then there is nothing to look for."""
        odd = len(self._oddities) == _ODDITIES and now - self._oddities[0] < _FAR
        return not odd and now < self._expected

    def _odd(self, time: float) -> None:
        """Take note of something that a good line does not do; what comes in one burst is one thing."""
        if time - self._odd_until > _PAUSE:
            self._oddities.append(time)
        self._odd_until = max(self._odd_until, time)

    def _recent_evidence(self, now: float) -> Evidence:
        from p1_exporter.link.evidence import gather  # noqa: PLC0415 - only where something is wrong
        from p1_exporter.link.rhythm import rhythm  # noqa: PLC0415 - as above

        self._settle(now)
        past = self.history.since(now - _FAR)
        bursts = rhythm(past.chunks, self._line.capacity, network=self._line.network)
        period = bursts.period
        # A disturbed line may have any rhythm: that of good telegrams is the meter's.
        frequent = 0 < (self._interval or period) < _FREQUENT
        self._settling = _SETTLING_FREQUENT if frequent or not period else _SETTLING
        # Of telegrams that all fail, few are looked into: their damage is that of the whole past.
        began = max(self._went_wrong(bursts), now - (_NEAR if frequent else _FAR))
        return gather(self.history.since(began), past.outcomes, self._line, now)

    def _went_wrong(self, bursts: Rhythm) -> float:
        """Return when it went wrong, if the last telegrams are bad, or none at all: what was before does not matter."""
        good = self._last_good_ended
        if self._interval is not None and good is not None:
            since = [
                burst.start
                for burst in (*bursts.main, *bursts.stray)
                if burst.start > good and burst.size >= _SHORTEST_BURST
            ]
            if len(since) >= _WENT_WRONG and max(since) - good > self._interval:
                return good
        outcomes = self.history.outcomes
        bad = list(takewhile(lambda outcome: outcome.reason is not None, reversed(outcomes)))
        return bad[-1].began if _WENT_WRONG <= len(bad) < len(outcomes) else -math.inf

    def _end_probe(self, now: float) -> None:
        if self._probing is not None:
            self._skipped += now - self._probing
            self._probing = None
            # What was counted meanwhile is nobody's fault.
            self.history.counts.clear()

    def _begin(self, now: float) -> None:
        self.history = History(now, self._kept_bytes)
        self._noise.clear()
        self._heard = False
        self._oddities.clear()
        self._expected = now + _QUIET_INTERVALS * _USUAL_INTERVAL

    def _accepted(self, telegram: Telegram, began: float) -> None:
        self._end_noise()
        self._heard = True
        self._ration.passed()
        self._good.append(telegram.data)
        self.history.decided(Outcome(began, telegram.size, None))
        self._interval = None if self._last_good is None else began - self._last_good
        interval = min(max(self._interval or _USUAL_INTERVAL, _SHORTEST_INTERVAL), _LONGEST_INTERVAL)
        self._expected = began + _QUIET_INTERVALS * interval
        self._last_good = began
        self._last_good_ended = began + telegram.size / self._line.capacity + _PAUSE
        # However closely the next odd thing follows, it is another one.
        self._odd_until = -math.inf

    def _failed(self, data: bytes, size: int, began: float, reason: Reason) -> None:
        self._end_noise()
        self._heard = True
        self._encrypted = self._encrypted or reason == "decrypt"
        if self._last_good is None and (self._encrypted or reason == "implausible"):
            # Without the right key, nothing can be said of what an encrypted meter sends; and of a meter without
            # checksum the first telegram is never believed.
            self.history.decided(Outcome(began, size, None))
            return
        damage = self._examined(data) if reason in _WIRE_REASONS else None
        self._decided(Outcome(began, size, reason, damage, data))

    def _stray(self, data: bytes, began: float) -> None:
        """Take bytes outside telegrams: perhaps a telegram whose beginning is damaged."""
        if self._noise and began - self._noise_ended > _PAUSE:
            self._end_noise()
        if not self._noise:
            self._noise_began = began
            # A line is opened in the middle of a telegram as often as not.
            self._noise_counts = self._heard
        self._noise += data[: MAX_TELEGRAM - len(self._noise)]
        self._noise_ended = began
        self._odd(began)

    def _settle(self, now: float) -> None:
        if now - self._noise_ended > _PAUSE:
            self._end_noise()

    def _end_noise(self) -> None:
        if len(self._noise) >= _SHORTEST_TELEGRAM and self._noise_counts:
            data = without_parity(self._noise) if looks_seven_bit(self._noise) else bytes(self._noise)
            self._decided(Outcome(self._noise_began, len(data), "unbegun", self._examined(data), data))
        self._heard = self._heard or bool(self._noise)
        self._noise.clear()

    def _decided(self, outcome: Outcome) -> None:
        self._odd(outcome.began)
        self.history.decided(outcome)

    def _examined(self, data: bytes) -> Damage | None:
        """Return what happened to a telegram, if it is its turn to be looked into."""
        if not self._ration.take():
            return None
        if self._analysis is None:
            from p1_exporter.link.damage.analysis import DamageAnalysis  # noqa: PLC0415 - only where something is wrong

            self._analysis = DamageAnalysis()
        while self._good:
            self._analysis.learn(self._good.popleft())
        damage = self._analysis.analyse(data)
        if damage:
            self._totals = self._totals.plus(damage)
        return damage


def _errors(counters: Counters) -> tuple[int | None, ...]:
    return counters[1:]
