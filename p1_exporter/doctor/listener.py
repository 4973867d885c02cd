"""Listens to a line as the exporter does, and keeps all it hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p1_exporter.link.port import Chunk
from p1_exporter.link.reception import Accepted, Reception, Refused, Understanding
from p1_exporter.link.watch import LinkWatch

if TYPE_CHECKING:
    from p1_exporter.link.capture import CounterReading
    from p1_exporter.link.evidence import Evidence
    from p1_exporter.link.line import Line
    from p1_exporter.link.reception import Judged


class Listener:
    """Listens to one line.

    Times are those of a capture: seconds since it began to listen.

    Args of the constructor: `line`, what is known of it; `kept_bytes`, how much of what arrives is looked at in the
    end; `understanding`, what it takes to understand the meter.
    """

    def __init__(self, line: Line, kept_bytes: int, understanding: Understanding | None = None) -> None:
        self.watch = LinkWatch(0.0, line, kept_bytes)
        self.now = 0.0
        self.accepted = 0
        self.rejected = 0
        self._reception = Reception(understanding or Understanding())

    def hear(self, event: Chunk | CounterReading) -> Chunk | CounterReading:
        """Take in what a read gave, or what the driver counted; return it."""
        self._pass(event.time)
        if isinstance(event, Chunk):
            self.watch.received(event)
            self._take(self._reception.received(event.data, event.time))
        else:
            self.watch.counted(event.time, event.counters)
        return event

    def finish(self, until: float = 0.0) -> Evidence:
        """Return the evidence on all that was heard, if nothing more came `until` then."""
        self._pass(max(self.now, until))
        return self.watch.all_evidence(self.now)

    def _pass(self, now: float) -> None:
        self.now = now
        self._take(self._reception.passed(now))

    def _take(self, judged: list[Judged]) -> None:
        for each in judged:
            self.accepted += isinstance(each, Accepted)
            self.rejected += isinstance(each, Refused)
            self.watch.judged(each)
