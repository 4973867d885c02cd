"""Good links over days: all the telegrams that a meter sends, one of them disturbed each hour, and what else happens.

Telegrams are those of the simulated household, each of them; the disturbed ones have gone through the simulated wire
bit by bit. Times are seconds since the port was opened; nothing here waits.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.counters import Counters
from p1_exporter.link.line import Line
from p1_exporter.link.port import GATHER_SECONDS, Chunk
from p1_exporter.simulator.models import MODELS, Model, wire_bytes
from p1_exporter.simulator.reporting import DRIVERS
from p1_exporter.simulator.wire import Wire
from p1_exporter.telegram.crc import ARC, Checksum
from p1_exporter.telegram.events import Telegram
from p1_exporter.telegram.framer import Framer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from p1_exporter.link.counters import Mark

HOUR: Final = 3600
DAY: Final = 24 * HOUR
OPENED: Final = 0.37
"""How long after the port is opened, in mid-telegram, the next whole second begins."""
RESTART: Final = 10
"""Seconds that a meter needs to start anew."""
STALL: Final = 3
"""Seconds for which the computer has other things to do, at times."""
BEFORE: Final = 0.05
AFTER: Final = 0.55
"""From when to when a telegram is disturbed, in seconds from its beginning: the longest takes 0.46."""
MESSAGE: Final = b"4B65657020616E20657965206F6E20796F7572206D657465722E" * 30


class Trouble(NamedTuple):
    """What is wrong for the time of one telegram."""

    fault: str
    kind: str
    severity: float


TROUBLES: Final = (
    Trouble("noise", "ground", 0.6),
    Trouble("slow_fall", "", 0.35),
    Trouble("lost_characters", "bridge", 0.9),
    Trouble("intermittent", "", 0.6),
    Trouble("noise", "field", 0.6),
    Trouble("request_drop", "", 0.9),
    Trouble("overrun", "uart", 0.9),
    Trouble("noise", "random", 0.6),
    Trouble("slow_rise", "", 0.35),
    Trouble("lost_characters", "software", 0.6),
    Trouble("stuck_low", "", 1.0),
    Trouble("second_reader", "", 0.9),
    Trouble("slow_fall", "", 0.9),
    Trouble("silent", "", 1.0),
    Trouble("overrun", "kernel", 0.9),
    Trouble("hum", "", 0.6),
    Trouble("inverted", "", 1.0),
)
"""One an hour, by turns: bits flipped, edges at the brink, characters lost, breaks, a telegram that never comes."""


class Event(NamedTuple):
    """Something that is read, and what the driver has counted by then."""

    chunk: Chunk
    counters: Counters | None


class Plan(NamedTuple):
    """What happens in an hour, in seconds from its beginning."""

    disturbed: int
    restart: range
    """From when on a meter is away, with the telegram that breaks off."""
    stalled: range
    """When nobody reads."""


@dataclass
class Tally:
    """Telegrams by what becomes of them."""

    intact: int = 0
    disturbed: int = 0
    cut: int = 0
    """Those that broke off because the meter restarted, or whose beginning nobody heard."""


@dataclass
class GoodLink:
    """A link that works.

    Attributes:
        model: name of the meter.
        driver: of the port.
        start: when the port is opened, in seconds since 1970.
        checksum: of the meter's telegrams.
        message: from when to when the grid operator has something to say.
        jump: when the meter's clock is set, and by how many seconds.
        seed: number of the household, and of all that is random.
        sent: what was sent so far.
    """

    model: str
    driver: str
    start: int
    checksum: Checksum = ARC
    message: range = range(0)
    jump: tuple[int, int] = (0, 0)
    seed: int = 1
    sent: Tally = field(default_factory=Tally)

    @property
    def meter(self) -> Model:
        """The meter."""
        return MODELS[self.model]

    @property
    def line(self) -> Line:
        """What is known of the line."""
        return Line(self.driver, self.meter.baudrate)

    def events(self, seconds: int) -> Iterator[Event]:
        """Yield what is read in so many seconds; the meter begins a telegram at each multiple of its interval."""
        self._rng = random.Random(self.seed)
        self._household = self.meter.household(self.seed)
        known = DRIVERS[self.driver].counts
        self._counts = Counters(*(0 if name in known else None for name in Counters._fields))
        self._held = b""
        self.sent.cut += 1
        yield self._read(0.0, self._telegram(0)[self._rng.randrange(200, 400) :])
        for hour in range(seconds // HOUR):
            plan = self._plan(hour)
            for second in range(0 if hour else self.meter.interval, HOUR, self.meter.interval):
                yield from self._events_at(hour, second, plan)

    def _plan(self, hour: int) -> Plan:
        interval = self.meter.interval
        disturbed = self._rng.randrange(300, 1500, interval)
        away = self._rng.randrange(1800, 2400, interval)
        late = interval == 1 and self.driver != "tcp" and hour % 24 == (self.seed + 7) % 24
        return Plan(
            disturbed,
            range(away, away + RESTART) if hour % 24 == self.seed % 24 else range(0),
            range(3000, 3000 + STALL) if late else range(0),
        )

    def _events_at(self, hour: int, second: int, plan: Plan) -> Iterator[Event]:
        """Yield what is read of the telegram that begins in this second of an hour."""
        time = hour * HOUR + second
        begin = time + OPENED
        if second == plan.disturbed:
            self.sent.disturbed += 1
            yield from self._disturbed(TROUBLES[hour % len(TROUBLES)], time)
        elif second in plan.restart:
            if second == plan.restart.start:
                self.sent.cut += 1
                yield self._cut(begin, self._telegram(time), low=hour // 24 % 2 == 1)
        elif second in plan.stalled:
            self.sent.intact += 1
            self._held += self._telegram(time)
            if second == plan.stalled[-1]:
                yield self._read(begin + 0.5, self._held)
                self._held = b""
        else:
            self.sent.intact += 1
            for arrival, data in self._reads(begin, self._telegram(time), at_once=hour % 2 == 0):
                yield self._read(arrival, data)

    def _telegram(self, time: int) -> bytes:
        when = self.start + time
        jumped, by = self.jump
        return wire_bytes(
            self.meter,
            self._household,
            when + (by if when >= jumped else 0),
            lambda data: self._altered(data, when),
        )

    def _altered(self, data: bytes, when: int) -> bytes:
        """Return a telegram with what the grid operator has to say, and with the checksum of this meter."""
        if when in self.message:
            data = data.replace(b"0-0:96.13.0()", b"0-0:96.13.0(" + MESSAGE + b")")
        elif self.checksum is ARC:
            return data
        covered = data[: data.rindex(b"!") + 1]
        return covered + (b"%04X\r\n" % self.checksum.of(covered) if self.meter.checksum else b"\r\n")

    def _reads(self, begin: float, data: bytes, *, at_once: bool) -> Iterable[tuple[float, bytes]]:
        """Return when which part of a telegram is read: at once, in pieces as they gather, or as a network has it."""
        if self.driver == "tcp":
            late = begin + self._rng.random() * 0.2
            place = self._rng.randrange(1, len(data))
            return (late, data[:place]), (late + 0.05 + self._rng.random() * 0.25, data[place:])
        if at_once:
            return ((begin, data),)
        size = int(GATHER_SECONDS * self.meter.characters_a_second)
        return (
            (begin + place / self.meter.characters_a_second, data[place : place + size])
            for place in range(0, len(data), size)
        )

    def _cut(self, begin: float, data: bytes, *, low: bool) -> Event:
        """Return what is read as a meter goes off: then the wire idles, or is released, which pulls the pin low."""
        data = data[: self._rng.randrange(100, len(data))]
        if not low:
            return self._read(begin, data)
        return self._read(begin, data + b"\0", ((len(data), "break"),) if DRIVERS[self.driver].marks else ())

    def _disturbed(self, trouble: Trouble, time: int) -> Iterator[Event]:
        """Yield what is read of a telegram that does not get through, with the first seed by which it does not."""
        begin = time + OPENED
        seed = self._rng.randrange(1 << 30)
        while True:
            wire = Wire(
                self.meter,
                seed,
                self.start + time - BEFORE,
                begin - BEFORE,
                fault=trouble.fault,
                severity=trouble.severity,
                kind=trouble.kind,
                driver=self.driver,
            )
            found = []
            while (arrival := wire.arrival(begin + AFTER)) is not None:
                read = wire.take(min(arrival + GATHER_SECONDS, begin + AFTER))
                if read is not None:
                    found.append((read, wire.counts))
            if not _understood(b"".join(read.data for read, _ in found)):
                break
            seed += 1
        # What another program took after the last read was counted all the same.
        wire.take(begin + AFTER)
        before = self._counts
        for read, counts in found:
            yield Event(
                Chunk(read.time, read.data, read.marks), counts and Counters(*map(_sum, before, counts))
            )
        self._counts = Counters(*map(_sum, before, wire.counts)) if wire.counts else before

    def _read(self, time: float, data: bytes, marks: tuple[Mark, ...] = ()) -> Event:
        counts = self._counts
        if counts.rx is None:
            return Event(Chunk(time, data, marks), None)
        self._counts = counts._replace(rx=counts.rx + len(data), break_=_sum(counts.break_, len(marks)))
        return Event(Chunk(time, data, marks), self._counts)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None else one + (other or 0)


def _understood(data: bytes) -> bool:
    framer = Framer()
    return any(isinstance(event, Telegram) for event in (*framer.receive(data), *framer.silence()))
