"""What became of every byte and every telegram of one link: the laws of conservation live here.

Times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Final, get_args

from p1_exporter.link.line_record import LineRecord
from p1_exporter.link.port import Reason as PortReason
from p1_exporter.link.request import ASK_SECONDS
from p1_exporter.telegram.events import REASONS, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p1_exporter.link.counters import Counters, LineError, Mark

INTERVAL_BUCKETS: Final = (0.5, 0.9, 1.1, 1.5, 2.5, 5.0, 9.0, 11.0, 15.0, 25.0, 60.0, 300.0)
"""Upper bounds of the interval histogram, in seconds."""

DROP_REASONS: Final = ("noise", *REASONS)
PORT_REASONS: Final = get_args(PortReason)

_EXPECTED: Final = 64
_INTERVALS: Final = 16
_SHORTEST_INTERVAL: Final = 0.5
_SHORTEST_EXPIRY: Final = 30.0
_EXPIRY_INTERVALS: Final = 3


@dataclass(frozen=True, slots=True)
class PortInfo:
    """What is being read, for `p1_port_info`."""

    port: str
    driver: str = "unknown"
    baudrate: int = 0
    format: str = "8N1"
    request_line: str = "none"
    request_interval: float | None = None
    """Seconds between telegrams that are asked for, None where every telegram is wanted; no label."""


@dataclass(frozen=True, slots=True)
class LinkSnapshot:
    """The state of a link at one moment; immutable.

    The laws hold in each: `received_bytes == accepted_bytes + sum(dropped_bytes) + pending_bytes`, and
    `telegrams == accepted + sum(errors) + pending`.
    """

    started: float
    """When the program began to look at the link."""
    received_bytes: int
    accepted_bytes: int
    dropped_bytes: Mapping[str, int]
    pending_bytes: int
    telegrams: int
    accepted: int
    errors: Mapping[str, int]
    pending: int
    missed: int
    interval_counts: tuple[int, ...]
    """Accepted telegrams by time since the one before, one for each bucket and one beyond; not cumulated."""
    interval_sum: float
    interval: float | None
    """The observed interval between telegrams in seconds, but no less than that at which they are asked for; None
    before two have begun."""
    reachability: float | None
    """Of the last 64 expected telegrams, the share accepted; None before the first."""
    last_accepted: float | None
    last_accepted_wall: float | None
    """The same moment in seconds since 1970 UTC."""
    last_byte: float | None
    telegram_size: int | None
    port_open: bool
    port_opens: int
    port_errors: Mapping[str, int]
    port: PortInfo
    request_asserted: bool | None
    line_errors: Mapping[str, int]
    """Only those that the driver can tell."""
    line_errors_supported: Mapping[str, bool]
    bytes_taken_by_others: int | None
    """Since the port was opened; None where the driver does not tell."""
    malformed_values: int
    dropped_values: int

    @property
    def expiry(self) -> float:
        """Seconds after which a telegram is no longer fresh."""
        return max(_SHORTEST_EXPIRY, _EXPIRY_INTERVALS * (self.interval or 0.0))

    def fresh(self, now: float) -> bool:
        """Whether the newest accepted telegram is fresh at `now`."""
        return self.last_accepted is not None and now - self.last_accepted <= self.expiry


class LinkRecord:
    """Counts for one link, over all openings of its port.

    Args of the constructor: `now`, the time; `port`, what is to be read.
    """

    def __init__(self, now: float, port: PortInfo) -> None:
        self._started = now
        self._port = port
        self._port_open = False
        self._port_opens = 0
        self._port_errors: dict[str, int] = dict.fromkeys(PORT_REASONS, 0)
        self._line = LineRecord()
        self._request_asserted: bool | None = None if port.request_line == "none" else False
        self._received = 0
        self._accepted_bytes = 0
        self._dropped: dict[str, int] = dict.fromkeys(DROP_REASONS, 0)
        self._begun = 0
        self._accepted = 0
        self._errors: dict[str, int] = dict.fromkeys(REASONS, 0)
        self._missed = 0
        self._missed_since = 0
        self._last_begun: tuple[int, float] | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._interval: float | None = None
        self._interrupted = False
        """The port was closed since the last telegram began."""
        self._history: deque[bool] = deque(maxlen=_EXPECTED)
        self._interval_counts = [0] * (len(INTERVAL_BUCKETS) + 1)
        self._interval_sum = 0.0
        self._last_accepted: float | None = None
        self._last_accepted_wall: float | None = None
        self._last_byte: float | None = None
        self._size: int | None = None
        self._malformed = 0
        self._values_dropped = 0

    def port_opened(
        self,
        port: PortInfo,
        *,
        request_asserted: bool | None,
        line_errors_supported: frozenset[LineError] = frozenset(),
        counters: Counters | None = None,
    ) -> None:
        """The port is open now; its driver can tell these errors of the line, and has counted so much already."""
        self._port, self._port_open, self._request_asserted = port, True, request_asserted
        self._port_opens += 1
        self._line.opened(line_errors_supported, counters)

    def port_changed(self, port: PortInfo) -> None:
        """The port is read in another way from now on."""
        self._port = port

    def port_closed(self) -> None:
        """The port is closed now, for whatever reason."""
        self._port_open = False
        self._interrupted = True
        self._request_asserted = False if self._request_asserted is not None else None

    def port_failed(self, reason: str) -> None:
        """The port could not be opened or read, for one of PORT_REASONS."""
        self._port_errors[reason] += 1

    def requested(self, *, asserted: bool) -> None:
        """The request line was raised, or released."""
        self._request_asserted = asserted

    def received(self, count: int, now: float, marks: Iterable[Mark] = ()) -> None:
        """`count` characters arrived, those at `marks` in error."""
        self._received += count
        self._last_byte = now
        self._line.received(count, marks)

    def counted(self, counters: Counters | None, bytes_waiting: int | None) -> None:
        """The driver has counted `counters` since the port was opened; so many bytes wait to be read."""
        self._line.counted(counters, bytes_waiting)

    def noise(self, count: int) -> None:
        """`count` characters were outside telegrams."""
        self._dropped["noise"] += count

    def accepted(self, offset: int, size: int, began: float, wall: float) -> None:
        """The telegram that began at the time `began`, at `offset` in the stream, was accepted."""
        self.begun(offset, began)
        self._begun += 1
        self._accepted += 1
        self._accepted_bytes += size
        self._size = size
        self._history.append(True)
        if self._last_accepted is not None:
            interval = began - self._last_accepted
            self._interval_counts[bisect_left(INTERVAL_BUCKETS, interval)] += 1
            self._interval_sum += interval
        self._last_accepted, self._last_accepted_wall = began, wall

    def rejected(self, offset: int, size: int, began: float, reason: Reason) -> None:
        """The telegram that began at the time `began`, at `offset` in the stream, was rejected."""
        self.begun(offset, began)
        self._begun += 1
        self._errors[reason] += 1
        self._dropped[reason] += size
        self._history.append(False)

    def begun(self, offset: int, began: float) -> None:
        """A telegram began, which may be undecided still. Told again for the same place, it changes nothing."""
        if self._last_begun is not None:
            if offset <= self._last_begun[0]:
                return
            self.passed(began)
            self._observe(began - self._last_begun[1])
        self._last_begun = (offset, began)
        self._missed_since = 0

    def _observe(self, interval: float) -> None:
        """Take the time between the beginnings of two telegrams into account, unless it says nothing of the meter."""
        # No meter sends more often than once a second; a TCP bridge that was held up sends many at once.
        if interval >= _SHORTEST_INTERVAL and not self._interrupted:
            self._intervals.append(interval)
            # The median; the module `statistics` would cost as much memory as all meters together.
            self._interval = sorted(self._intervals)[(len(self._intervals) - 1) // 2]
        self._interrupted = False

    @property
    def _expected_interval(self) -> float | None:
        # A meter may answer sooner at times, if it keeps to an interval of its own.
        return max(self._interval or 0.0, self._port.request_interval or 0.0) or None

    def passed(self, now: float) -> None:
        """Time passed: count the intervals in which no telegram began."""
        interval = self._expected_interval
        if self._last_begun is None or not interval:
            return
        # Half an interval of grace: meters and computers are late at times. A meter that is asked may take its time.
        grace = interval / 2 if self._port.request_interval is None else ASK_SECONDS
        missed = floor((now - self._last_begun[1] - grace) / interval)
        if missed > self._missed_since:
            self._history.extend([False] * min(missed - self._missed_since, _EXPECTED))
            self._missed += missed - self._missed_since
            self._missed_since = missed

    def values(self, *, malformed: int, dropped: int) -> None:
        """An accepted telegram held values that could not be read, or more than are kept."""
        self._malformed += malformed
        self._values_dropped += dropped

    def snapshot(self, *, pending_bytes: int, pending: bool) -> LinkSnapshot:
        """Return the state of the link; `pending...` is what the framer has not decided yet."""
        return LinkSnapshot(
            started=self._started,
            received_bytes=self._received,
            accepted_bytes=self._accepted_bytes,
            dropped_bytes=self._dropped.copy(),
            pending_bytes=pending_bytes,
            telegrams=self._begun + pending,
            accepted=self._accepted,
            errors=self._errors.copy(),
            pending=int(pending),
            missed=self._missed,
            interval_counts=tuple(self._interval_counts),
            interval_sum=self._interval_sum,
            interval=self._expected_interval,
            reachability=sum(self._history) / len(self._history) if self._history else None,
            last_accepted=self._last_accepted,
            last_accepted_wall=self._last_accepted_wall,
            last_byte=self._last_byte,
            telegram_size=self._size,
            port_open=self._port_open,
            port_opens=self._port_opens,
            port_errors=self._port_errors.copy(),
            port=self._port,
            request_asserted=self._request_asserted,
            line_errors=self._line.errors,
            line_errors_supported=self._line.supported,
            bytes_taken_by_others=self._line.bytes_taken_by_others,
            malformed_values=self._malformed,
            dropped_values=self._values_dropped,
        )
