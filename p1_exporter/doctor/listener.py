"""Listens to a line as the exporter does, and keeps all it hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p1_exporter.link.reception import Accepted, Reception, Refused, Understanding
from p1_exporter.link.watch import LinkWatch

if TYPE_CHECKING:
    from p1_exporter.link.counters import Counters
    from p1_exporter.link.evidence import Evidence
    from p1_exporter.link.line import Line
    from p1_exporter.link.port import Chunk
    from p1_exporter.link.reception import Judged


class Listener:
    """Listens to one line.

    Args of the constructor: `now`, the time; `line`, what is known of it; `kept_bytes`, how much of what arrives is
    looked at in the end; `understanding`, what it takes to understand the meter.
    """

    def __init__(
        self, now: float, line: Line, kept_bytes: int, understanding: Understanding | None = None
    ) -> None:
        self.watch = LinkWatch(now, line, kept_bytes)
        self.accepted = 0
        self.rejected = 0
        self._reception = Reception(understanding or Understanding())

    def received(self, chunk: Chunk) -> None:
        """A read gave something."""
        self.passed(chunk.time)
        self.watch.received(chunk)
        self._take(self._reception.received(chunk.data, chunk.time))

    def counted(self, now: float, counters: Counters) -> None:
        """The driver said what it counted."""
        self.watch.counted(now, counters)

    def passed(self, now: float) -> None:
        """Time passed."""
        self._take(self._reception.passed(now))

    def finish(self, now: float) -> Evidence:
        """Return the evidence on all that was heard; nothing more will come."""
        self.passed(now)
        return self.watch.all_evidence(now)

    def _take(self, judged: list[Judged]) -> None:
        for each in judged:
            self.accepted += isinstance(each, Accepted)
            self.rejected += isinstance(each, Refused)
            self.watch.judged(each)
