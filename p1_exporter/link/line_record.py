"""What the driver told of one line: its errors, and bytes that another program took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p1_exporter.link.counters import LINE_ERRORS, Counters, LineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p1_exporter.link.counters import Mark

_NOTHING: frozenset[LineError] = frozenset()


class LineRecord:
    """Counts over all openings of a port, which may be another port with another driver each time.

    Attributes:
        bytes_taken_by_others: received since the port was opened, but not by this program; None while that is not
            known. The one direct proof of a second reader.
    """

    def __init__(self) -> None:
        self._before = dict.fromkeys(LINE_ERRORS, 0)
        self._supported = _NOTHING
        self._begin(None)

    def _begin(self, counters: Counters | None) -> None:
        self._counters = counters or Counters()
        self._marked = dict.fromkeys(LINE_ERRORS, 0)
        self._received = 0
        self._ahead = 0
        self.bytes_taken_by_others: int | None = None

    @property
    def errors(self) -> dict[str, int]:
        """How often each error occurred that the driver can tell."""
        return {error: count for error, count in self._all().items() if error in self._supported}

    @property
    def supported(self) -> dict[str, bool]:
        """Whether the driver can tell each error: that of the open port, or of the last one."""
        return {error: error in self._supported for error in LINE_ERRORS}

    def opened(self, supported: frozenset[LineError], counters: Counters | None) -> None:
        """A port was opened whose driver can tell the errors `supported`, and has counted `counters` since."""
        self._before = self._all()
        self._supported = supported
        self._begin(counters)

    def received(self, count: int, marks: Iterable[Mark]) -> None:
        """`count` characters were read, those at `marks` in error."""
        self._received += count
        for _, kind in marks:
            self._marked[kind] += 1

    def counted(self, counters: Counters | None, bytes_waiting: int | None) -> None:
        """The driver has counted `counters` since the port was opened; so many bytes wait to be read."""
        self._counters = counters or Counters()
        rx = self._counters.rx
        if rx is None or rx == 0 < self._received:
            return  # not counted by this driver
        if bytes_waiting == 0:
            ahead = max(0, rx - self._received)
            # A driver counts a character a moment before it can be read: only what two looks see was taken.
            self.bytes_taken_by_others = min(self._ahead, ahead)
            self._ahead = ahead

    def _all(self) -> dict[LineError, int]:
        """Errors of all openings; what the driver of the open port has no counter for, by its marks."""
        _, *counts = self._counters
        # Not the marks where there is a counter: some drivers mark all characters that came with a bad one.
        return {
            error: self._before[error] + (self._marked[error] if count is None else count)
            for error, count in zip(LINE_ERRORS, counts, strict=True)
        }
