"""A meter's wire, from what the meter sends to what a program reads, with a fault if one is wanted.

    Transmission -> wire node -> Disturbance -> RX node -> Receiver -> Reporter
    (the meter)     (circuit)                  (circuit)  (UART)       (driver)

`Wire` knows no clock and no I/O: it is told what time it is, in seconds of any clock that never falls. It computes
run by run, always cut at the same places, so that all it does is a function of its arguments, however often one looks.
A run that nothing disturbs is passed on whole.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.simulator.circuit import rx_node, wire_node
from p1_exporter.simulator.disturbance import Disturbance
from p1_exporter.simulator.faults import FAULTS, PHASE, Conditions, Setting
from p1_exporter.simulator.models import wire_bytes
from p1_exporter.simulator.reporting import DRIVERS, Reporter
from p1_exporter.simulator.source import PATIENCE
from p1_exporter.simulator.transmission import Transmission, edges
from p1_exporter.simulator.uart import Characters, SoftwareUart, as_even_parity

if TYPE_CHECKING:
    from p1_exporter.simulator.models import Model
    from p1_exporter.simulator.reporting import Counts, ErrorMark
    from p1_exporter.simulator.transmission import Run
    from p1_exporter.simulator.uart import Receiver


class Read(NamedTuple):
    """What was read at once.

    Attributes:
        time: arrival of the first byte, in seconds.
        data: at least one byte.
        marks: which bytes of `data` arrived in error, in order. A break is a 00 with its mark.
    """

    time: float
    data: bytes
    marks: tuple[ErrorMark, ...]


DEFAULT_DRIVER: Final = "amba-pl011"
DEFAULT_SEVERITY: Final = 0.5
_LOOK_AHEAD: Final = 1.0
"""Seconds after which one looks again whether anything comes."""
_TOLERANCE: Final = 0.003
"""By what share of its speed a sound receiver differs from a meter, at most: crystals and divisors."""
_LEAST_SEVERITY: Final = 0.001
"""What is less, but not nothing, would have rates that are too small for a float."""


class Wire:
    """The wire of `model`, whose clock shows `start` (epoch seconds) at `now`.

    Args of the constructor: `fault`, one of `FAULTS`, or None for a healthy wire, with its `severity` from 0 to 1 and
    its `kind`, by default one that the seed chooses; `driver`, one of `DRIVERS`; `baudrate`, what the port is
    set to, by default that of the meter; `seed`, number of the household, and of all that is random on the wire.

    Raises:
        UserError: as `Transmission`.
    """

    def __init__(  # noqa: PLR0913 - one for each parameter of a URL, and the time
        self,
        model: Model,
        seed: int,
        start: float,
        now: float,
        *,
        fault: str | None = None,
        severity: float = DEFAULT_SEVERITY,
        kind: str | None = None,
        driver: str = DEFAULT_DRIVER,
        baudrate: int | None = None,
    ) -> None:
        self._rng = random.Random(f"{seed} {fault} wire")  # noqa: S311 - noise, no secret
        self.driver = driver
        self._driver = DRIVERS[driver]
        self._conditions = conditions = Conditions()
        if fault is not None and severity > 0:
            rng = random.Random(f"{seed} {fault}")  # noqa: S311 - as above
            kinds = FAULTS[fault].kinds
            telegram = wire_bytes(model, model.household(seed), int(start))
            setting = Setting(
                model=model,
                driver=self._driver,
                telegram=len(telegram) / model.characters_a_second,
                begin=now,
                kind=rng.choice(kinds) if kind is None else kind,
                rng=rng,
            )
            self._conditions = conditions = FAULTS[fault].conditions(setting, max(severity, _LEAST_SEVERITY))
        self._transmission = Transmission(
            model, seed, start, now, change=conditions.change, timing=conditions.timing
        )
        self._bit = 1 / model.baudrate
        self._wire = conditions.wire or wire_node()
        self._disturbance = None if conditions.windows is None else Disturbance(conditions.windows)
        self._rx = conditions.rx or rx_node()
        self._idle_low = conditions.inverted
        self._paused = True
        self._tolerance = 1 + self._rng.uniform(-_TOLERANCE, _TOLERANCE)
        self._set_rate(baudrate or model.baudrate)
        self._receiver = self._new_receiver()
        self._reporter = Reporter(self._driver, conditions.losses)
        self.counts: Counts | None = self._reporter.counts()
        """What the driver had counted as the last read was made; None if it counts nothing."""

    @property
    def now(self) -> float:
        """Until when all is computed."""
        return self._transmission.now

    def arrival(self, until: float) -> float | None:
        """Return when the next byte that was not taken yet can be read; None if that is not by `until`.

        That should be no more than `PATIENCE` ahead.
        """
        self._skip_to(until - 2 * PATIENCE)
        pieces = self._reporter.pieces
        skipped = 0
        while True:
            while skipped < len(pieces):
                if pieces[skipped].data:
                    return pieces[skipped].time if pieces[skipped].time <= until else None
                skipped += 1
            if self._transmission.now > until:
                return None
            self._advance()

    def take(self, now: float) -> Read | None:
        """Return all that has arrived by `now` and was not taken yet, if anything."""
        self._skip_to(now - PATIENCE)
        while self._transmission.now <= now:
            self._advance()
        pieces = self._reporter.pieces
        data, marks = bytearray(), []
        begin = None
        while pieces and pieces[0].time <= now:
            piece = pieces.popleft()
            self.counts = piece.counts
            if piece.data and begin is None:
                begin = piece.time
            marks += [(len(data) + place, error) for place, error in piece.marks]
            data += piece.data
        return None if begin is None else Read(begin, bytes(data), tuple(marks))

    def present(self, now: float) -> bool:
        """Whether the port is there. That depends on the time alone: a port may be opened again, with another wire."""
        return now % PHASE >= self._conditions.absent * PHASE

    def set_baudrate(self, baudrate: int) -> None:
        """Set the receiver's speed, where it heeds that, for all that has not been computed yet."""
        self._set_rate(baudrate)
        self._receiver.tune(self._rate)

    def _set_rate(self, baudrate: int) -> None:
        conditions = self._conditions
        baudrate = conditions.baudrate or baudrate
        self._exact = conditions.clock == 1 and baudrate * self._bit == 1
        self._rate = baudrate * (conditions.clock if conditions.clock != 1 else self._tolerance)

    def _new_receiver(self) -> Receiver:
        conditions = self._conditions
        if conditions.late is not None:
            return SoftwareUart(self._rate, conditions.late, self._rng)
        if conditions.even_parity and self._driver.receiver_7e1 is not None:
            return self._driver.receiver_7e1(self._rate)
        return self._driver.receiver(self._rate)

    def _skip_to(self, time: float) -> None:
        """Let be lost what nobody has asked for in good time."""
        if self._transmission.now < time:
            self._transmission.skip_to(time)
            if self._disturbance is not None:
                self._disturbance.skip_to(time)

    def _wander(self) -> None:
        """Let pass what time there is between two telegrams, in which temperature, supply and load change."""
        conditions = self._conditions
        if conditions.drift:
            self._wire.stretch = self._rx.stretch = 1 + self._rng.gauss(0, conditions.drift)
        if conditions.clock_drift:
            self._receiver.tune(self._rate * (1 + self._rng.gauss(0, conditions.clock_drift)))

    def _advance(self) -> None:
        """Compute another run or pause."""
        run = self._transmission.next()
        self._paused, paused = not run.data, self._paused
        windows = [] if self._disturbance is None else self._disturbance.before(run.end)
        if self._clear and not windows:
            characters = self._whole(run)
        else:
            if paused and run.data:
                self._wander()
            line = self._wire.pass_on(edges(run, self._bit), run.end)
            if self._disturbance is not None:
                line = self._disturbance.impose(line, windows, run.end)
            line = self._rx.pass_on(line, run.end)
            if self._idle_low:
                line.insert(0, run.begin)
                self._idle_low = False
            characters = self._receiver.receive(line, run.end)
        if self._conditions.even_parity:
            characters = as_even_parity(characters)
        self._reporter.report(characters, run.end, 1 / self._receiver.baudrate)

    @property
    def _clear(self) -> bool:
        """Whether a run would get through whole, if nothing disturbed it."""
        conditions = self._conditions
        return (
            conditions.wire is None
            and conditions.rx is None
            and not conditions.inverted
            and conditions.late is None
            and not (conditions.even_parity and self._driver.receiver_7e1 is not None)
            and self._exact
            and (self._disturbance is None or self._disturbance.at_rest)
            and self._wire.at_rest
            and self._rx.at_rest
            and self._receiver.at_rest
        )

    def _whole(self, run: Run) -> Characters:
        """Return all characters of a run, each complete as its stop bit has been sent."""
        character = 10 * self._bit
        begin = run.begin + character
        times = [begin + number * character for number in range(len(run.data))]
        return Characters(times, bytearray(run.data), [])


class WireBytes:
    """The bytes that arrive over a wire, and nothing else about them: a `Stream`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._looked = wire.now

    @property
    def due(self) -> float:
        """When the next bytes will have arrived, or when to look again."""
        later = self._looked + _LOOK_AHEAD
        arrival = self._wire.arrival(later)
        return later if arrival is None else arrival

    def take(self, now: float) -> bytes:
        """Return what has arrived by `now` and was not taken yet; it may be nothing."""
        self._looked = now
        read = self._wire.take(now)
        return read.data if read is not None and self._wire.present(now) else b""
