"""A link watched as the thread of a meter watches it, by an injected clock: nothing here waits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.detect import RateSearch
from p1_exporter.link.port import GATHER_SECONDS, Chunk
from p1_exporter.link.reception import Accepted, Reception, Refused, Understanding
from p1_exporter.link.watch import LinkWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p1_exporter.link.counters import Counters
    from p1_exporter.link.diagnosis import Diagnosis
    from p1_exporter.link.evidence import Evidence
    from p1_exporter.link.line import Line
    from p1_exporter.link.reception import Judged

TICK: Final = 1.0
"""Seconds that the thread waits for bytes, and after which it asks for counters."""


FRESH: Final = 30.0
"""Seconds for which a telegram counts as new, of all meters here."""


class Change(NamedTuple):
    """From when on which faults are named."""

    time: float
    faults: tuple[Diagnosis, ...]
    evidence: Evidence | None

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, likeliest first."""
        return tuple(diagnosis.fault for diagnosis in self.faults)


class Watched:
    """Reception and watch of one link, called in the order in which the thread of a meter calls them.

    Args of the constructor: `line`, what is known of it; `now`, the time at which its port is opened; `understanding`,
    what it takes to understand the meter; `set_rate`, which sets the speed of the port, if that is to be found out.
    """

    def __init__(
        self,
        line: Line,
        now: float = 0.0,
        understanding: Understanding | None = None,
        set_rate: Callable[[int], None] | None = None,
    ) -> None:
        self._line = line
        self._set_rate = set_rate
        self._search = RateSearch(line.baudrate)
        self.watch = LinkWatch(now)
        self.watch.opened(now, line)
        self.reception = Reception(understanding or Understanding())
        self.accepted: list[tuple[float, bytes]] = []
        """When those began that were accepted, and what they are."""
        self.refused: list[tuple[float, str]] = []
        """When those began that were rejected, and why."""
        self.changes: list[Change] = []
        self.looks = 0
        self._now = now
        self._counters: Counters | None = None
        self._last_count = -math.inf

    def counted(self, time: float, counters: Counters) -> None:
        """The driver would say so from then on, if it were asked."""
        self.until(time)
        self._counters = counters

    def received(self, chunk: Chunk, counters: Counters | None = None) -> None:
        """A read gave something, after all those that gave nothing; by then, the driver had counted so much."""
        self.until(chunk.time)
        self._counters = counters or self._counters
        self._take(self.reception.passed(chunk.time))
        self.watch.received(chunk)
        self._take(self.reception.received(chunk.data, chunk.time))
        self._turn(chunk.time + GATHER_SECONDS, chunk)

    def until(self, time: float) -> None:
        """Wait for bytes in vain until then."""
        while time - self._now > TICK:
            self._turn(self._now + TICK)

    @property
    def names(self) -> tuple[str, ...]:
        """The faults that are named now, likeliest first."""
        return self.changes[-1].names if self.changes else ()

    def _turn(self, now: float, chunk: Chunk | None = None) -> None:
        """Do what the thread does after each read."""
        self._now = max(now, self._now)
        self._take(self.reception.passed(self._now))
        self._search_rate(chunk)
        if self._counters is not None and self._now - self._last_count >= TICK:
            self.watch.counted(self._now, self._counters)
            self._last_count = self._now
        self.watch.look(self._now)
        self.looks += 1
        seen = self.watch.snapshot()
        change = Change(self._now, seen.faults, seen.evidence)
        if change.names != self.names:
            self.changes.append(change)

    def _search_rate(self, chunk: Chunk | None) -> None:
        search = self._search
        if self._set_rate is None:
            return
        if self.watch.probing and not search.trying:
            self.watch.opened(self._now, replace(self._line, baudrate=search.rate))
        if self.accepted and self._now - self.accepted[-1][0] < FRESH:
            return
        if search.heard(chunk.data, chunk.time) if chunk else search.passed(self._now):
            self._set_rate(search.rate)
            self._take(self.reception.silence())
            if search.trying:
                self.watch.probe(self._now)
            elif self.watch.probing:
                self.watch.resume(self._now)
            else:
                self.watch.opened(self._now, replace(self._line, baudrate=search.rate))

    def _take(self, judged: Iterable[Judged]) -> None:
        for each in judged:
            self.watch.judged(each)
            if isinstance(each, Accepted):
                self._search.understood()
                self.accepted.append((each.began, each.telegram.data))
            elif isinstance(each, Refused):
                self.refused.append((each.began, each.reason))
