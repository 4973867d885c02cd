"""The guided look at the line: listen, at the other speed too if need be, and let go of the request line once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from p1_exporter.doctor.listener import Listener
from p1_exporter.link.capture import CaptureClock, CaptureHeader, CounterReading
from p1_exporter.link.counters import Counters
from p1_exporter.link.detect import RateSearch
from p1_exporter.link.diagnosis import diagnose
from p1_exporter.link.line import Line
from p1_exporter.link.port import Chunk, EndOfInput, open_port
from p1_exporter.link.reception import Understanding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from p1_exporter.link.diagnosis import Diagnosis
    from p1_exporter.link.evidence import Evidence
    from p1_exporter.link.port import Port, PortSettings

KEPT_BYTES: Final = 16 * 1024 * 1024
"""What is looked at in the end: more than the line carries in twenty minutes."""

_TICK: Final = 0.2
# Long enough for a meter that sends every second, and for one that sends every ten.
_SHORT: Final = 25.0
_LONG: Final = 65.0
_FEW_TELEGRAMS: Final = 5
_COUNT_EVERY: Final = 1.0
# However often the speed is changed in between, the look comes to its end.
_MOST_ROUNDS: Final = 3
_RELEASED: Final = 3.0
_RELEASED_PERIODS: Final = 1.5
# Meters begin to send as soon as data is requested; within 10 s at the latest.
_ANSWER: Final = 12.0


class Recorder(Protocol):
    """Who keeps what is heard."""

    def begin(self, header: CaptureHeader, /) -> None:
        """Begin, or begin anew."""

    def write(self, event: Chunk | CounterReading, /) -> None:
        """Something was heard, or counted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far listening has come."""

    what: str
    seconds_left: float
    listener: Listener


@dataclass(frozen=True, slots=True)
class LineLook:
    """What the look at the line brought to light."""

    evidence: Evidence
    diagnoses: tuple[Diagnosis, ...]
    tried: tuple[str, ...]
    """What was tried, and what came of it, a sentence each."""
    driver: str
    baudrate: int


@dataclass
class LineExamination:
    """Looks at one line.

    Attributes:
        settings: the port.
        seconds: how long to listen; None for as long as it takes to tell.
        show: is told how far it has come, a few times a second.
        understanding: what it takes to understand the meter.
        recorder: keeps what is heard in the main part.
    """

    settings: PortSettings
    seconds: float | None
    show: Callable[[Progress], None]
    understanding: Understanding = field(default_factory=Understanding)
    recorder: Recorder | None = None
    _tried: list[str] = field(default_factory=list)

    def run(self) -> LineLook:
        """Look, and say what was seen.

        Raises:
            PortError: the port cannot be opened, or broke.
            UserError: the settings can never work.
        """
        with open_port(self.settings) as port:
            evidence = self._listen_at_the_right_speed(port)
            diagnoses = tuple(diagnose(evidence))
            if port.request_asserted is not None:
                self._try_request_line(port, evidence)
            return LineLook(evidence, diagnoses, tuple(self._tried), port.driver, port.baudrate)

    def _listen_at_the_right_speed(self, port: Port) -> Evidence:
        search = RateSearch(port.baudrate) if self.settings.baudrate is None else None
        for rounds_left in reversed(range(_MOST_ROUNDS)):
            before = port.baudrate
            if not rounds_left:
                search = None
            listener = self._listener(port)
            if self.recorder:
                header = CaptureHeader(port.driver, port.baudrate, request_line=port.request_line)
                self.recorder.begin(header)
            for event in self._events(port, listener, f"Listening at {before} baud", self._long_enough):
                if self.recorder:
                    self.recorder.write(event)
                if search and isinstance(event, Chunk) and _other_rate(search, listener, event):
                    break
            if search is None or search.rate == before or not port.set_baudrate(search.rate):
                break
            self._tried.append(f"At {before} baud nothing was understood, so {search.rate} baud was tried.")
        return listener.finish()

    def _long_enough(self, listener: Listener) -> float:
        """Return for how many seconds to listen, by what was heard so far."""
        if self.seconds is not None:
            return self.seconds
        heard = listener.watch.history
        seldom = heard.read > 0 and len(heard.outcomes) < _FEW_TELEGRAMS
        return _LONG if seldom else _SHORT

    def _events(
        self, port: Port, listener: Listener, what: str, seconds: Callable[[Listener], float]
    ) -> Iterator[Chunk | CounterReading]:
        """Listen for so long, and give what is heard, and what is counted once a second and in the end.

        Times are those of a capture, so that a replay knows neither more nor less.
        """
        clock = CaptureClock(time.monotonic())
        next_count = 0.0
        while (now := clock.at(time.monotonic())) < (until := seconds(listener)):
            if now >= next_count and (counters := port.counters()):
                next_count = now + _COUNT_EVERY
                yield listener.hear(CounterReading(now, counters))
            try:
                chunk = port.read(min(_TICK, until - now))
            except EndOfInput:
                break
            if chunk:
                yield listener.hear(replace(chunk, time=clock.at(chunk.time)))
            self.show(Progress(what, until - now, listener))
        # However silent the line is, and whatever the driver counts: this is how long it was listened to.
        yield listener.hear(CounterReading(clock.at(time.monotonic()), port.counters() or Counters()))

    def _listener(self, port: Port) -> Listener:
        line = Line(port.driver, port.baudrate, request_line=port.request_line)
        return Listener(line, KEPT_BYTES, self.understanding)

    def _try_request_line(self, port: Port, before: Evidence) -> None:
        """Release the line that asks the meter for data, and raise it again: does the meter obey?"""
        released = max(_RELEASED, _RELEASED_PERIODS * before.bursts.period)
        port.request(asserted=False)
        sent_on = self._bytes_heard(port, "Request line released", released)
        port.request(asserted=True)
        sent = self._bytes_heard(port, "Request line raised again", _ANSWER)
        self._tried.append(_what_the_request_line_does(port.request_line, before.size, sent_on, sent))

    def _bytes_heard(self, port: Port, what: str, seconds: float) -> int:
        events = self._events(port, self._listener(port), what, lambda _: seconds)
        return sum(len(event.data) for event in events if isinstance(event, Chunk))


def _other_rate(search: RateSearch, listener: Listener, chunk: Chunk) -> bool:
    """Tell the search what was heard; return whether it wants another speed."""
    if listener.accepted:
        search.understood()
        return False
    return search.heard(chunk.data, chunk.time)


def _what_the_request_line_does(name: str, before: int, released: int, raised: int) -> str:
    if not before and not released and not raised:
        return f"Releasing and raising the request line ({name}) changed nothing: no byte arrived."
    if raised and not released:
        return f"The meter obeys the request line ({name}): it fell silent without it, and sends with it."
    if raised:
        return (
            f"The meter sends whether the request line ({name}) is raised or not: it is requested elsewhere, or "
            "needs no request."
        )
    return f"After the request line ({name}) was released and raised again, nothing arrived."
