"""How soon a fault is named, and forgotten once it is mended: ``python -m tests.benchmarks.verdict [FAULT ...]``.

A wire is healthy, then something is wrong with it, then it is healthy again; times are those of the injected clock,
from the first telegram that is affected, and from the repair.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.counters import Counters
from p1_exporter.link.diagnosis import SURE, UNCLEAR
from p1_exporter.link.line import Line
from p1_exporter.link.port import GATHER_SECONDS, Chunk
from p1_exporter.simulator.faults import FAULTS
from p1_exporter.simulator.models import MODELS, telegram
from p1_exporter.simulator.recording import NOON
from p1_exporter.simulator.wire import Wire
from tests.benchmarks.diagnosis import ALIKE
from tests.benchmarks.table import show
from tests.system.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from p1_exporter.simulator.reporting import Counts
    from p1_exporter.simulator.wire import Read
    from tests.system.watched import Change

MODELS_MEASURED: Final = ("dsmr5", "dsmr4", "dsmr2")
DRIVERS: Final = ("amba-pl011", "ftdi_sio", "bcm2835aux", "tcp")
SEVERITIES: Final = (0.6, 0.9)
FIRST: Final = 0.5
"""Seconds from the opening of the port to the first telegram."""
START: Final = NOON - FIRST
_FREQUENT: Final = 1
_NOT_ON_THE_WIRE: Final = ("disconnected",)
HARMLESS: Final = frozenset(
    {("checksum", "polynomial", "dsmr2"), ("checksum", "translated", "dsmr2"), ("wrong_format", "", "dsmr2")}
)
"""Faults that such a meter does not mind."""


class Case(NamedTuple):
    """A wire that fails and is mended; from the very start, if it has no `healthy` seconds."""

    fault: str
    kind: str
    severity: float
    model: str
    driver: str
    healthy: bool = True
    seed: int = 1

    @property
    def bar(self) -> float:
        """Seconds in which the fault must be named, or forgotten."""
        return 20.0 if MODELS[self.model].interval == _FREQUENT else 60.0

    @property
    def right(self) -> frozenset[str]:
        """The names that are right: where the driver cannot tell, any that looks the same."""
        alike = ALIKE.get((self.fault, self.driver))
        return frozenset({self.fault}) if alike is None else alike | {self.fault, UNCLEAR}


class Times(NamedTuple):
    """What was measured, in seconds; None for never."""

    case: Case
    named: float | None
    """From the first telegram that was affected until the right name was there."""
    cleared: float | None
    """From the repair until nothing was named any more."""
    wrong: tuple[tuple[float, str, bool], ...]
    """Other names, when they came, counted like `named`, and whether with confidence."""
    changes: tuple[Change, ...]
    onset: float
    repair: float

    @property
    def held(self) -> bool:
        """Whether the bars hold."""
        bar = self.case.bar
        return (
            self.named is not None and self.cleared is not None and self.named <= bar and self.cleared <= bar
        )


def measure(case: Case) -> Times:
    """Let the fault of a case come and go."""
    model = MODELS[case.model]
    bar = case.bar
    begin = (30.0 if model.interval == _FREQUENT else 60.0) if case.healthy else 0.0
    repair = begin + 2 * bar
    end = repair + 2 * bar
    link = _Link(case)
    # A serial server has no speed to set.
    set_rate = None if case.driver == "tcp" else link.set_rate
    watched = Watched(Line(case.driver, model.baudrate), set_rate=set_rate)
    for time, read, counters in link.joined((0.0, begin, repair, end)):
        if read is not None:
            watched.received(Chunk(read.time, read.data, read.marks), counters)
        elif counters is not None:
            watched.counted(time, counters)
    watched.until(end)
    # The first telegram without a checksum is not believed, however well it arrived.
    intact = {data for _, data in watched.accepted}
    unbelieved = {int(time) for time, reason in watched.refused if reason == "implausible"}
    onset = _first_affected(intact, unbelieved, case, begin, repair)
    changes = watched.changes
    named = next((c.time for c in changes if c.time > begin and set(c.names) & case.right), None)
    if named is not None and named > repair:
        named = None
    cleared = None
    if not watched.names:
        cleared = max(0.0, changes[-1].time - repair) if changes else 0.0
    wrong = tuple(
        (change.time - onset, diagnosis.fault, diagnosis.confidence >= SURE)
        for change in changes
        for diagnosis in change.faults
        if diagnosis.fault not in case.right
    )
    return Times(
        case, None if named is None else named - onset, cleared, wrong, tuple(changes), onset, repair
    )


def _first_affected(intact: set[bytes], unbelieved: set[int], case: Case, begin: float, end: float) -> float:
    """Return when the first telegram began that did not arrive as it was sent; the beginning where all did."""
    model = MODELS[case.model]
    household = model.household(case.seed)
    for number in range(int((end - begin) / model.interval)):
        time = begin + FIRST + number * model.interval
        if int(time) not in unbelieved and telegram(model, household, int(START + time)) not in intact:
            return time
    return begin + FIRST


class _Link:
    """The port of a case, and the wires that are behind it, one after the other."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._rate = MODELS[case.model].baudrate
        self._wire = self._wire_from(0.0, None)

    def set_rate(self, rate: int) -> None:
        """Listen at another speed."""
        self._rate = rate
        self._wire.set_baudrate(rate)

    def joined(
        self, bounds: tuple[float, float, float, float]
    ) -> Iterator[tuple[float, Read | None, Counters | None]]:
        """Yield when something happens from bound to bound: what is read, and what the driver counted."""
        before: Counters | None = None
        for fault, begin, end in zip((None, self._case.fault, None), bounds[:-1], bounds[1:], strict=True):
            self._wire = wire = self._wire_from(begin, fault)
            counters = before
            for second in range(int(begin), int(end)):
                while (arrival := wire.arrival(second + 1)) is not None:
                    read = wire.take(arrival + GATHER_SECONDS)
                    counters = _sum(before, wire.counts)
                    yield arrival, read, counters
                wire.take(second + 1)
                counters = _sum(before, wire.counts)
                yield second + 1, None, counters
            before = counters

    def _wire_from(self, begin: float, fault: str | None) -> Wire:
        case = self._case
        return Wire(
            MODELS[case.model],
            case.seed,
            START + begin,
            begin,
            fault=fault,
            severity=case.severity,
            kind=case.kind,
            driver=case.driver,
            baudrate=self._rate,
        )


def _sum(before: Counters | None, counts: Counts | None) -> Counters | None:
    if before is None or counts is None:
        return None if counts is None else Counters(*counts)
    return Counters(
        *(None if new is None else (old or 0) + new for old, new in zip(before, counts, strict=True))
    )


def cases(faults: Iterable[str] = ()) -> list[Case]:
    """Return all cases, or those of some faults."""
    return [
        Case(fault, kind, severity, model, driver, healthy)
        for fault in (faults or FAULTS)
        if fault not in _NOT_ON_THE_WIRE
        for model, kind, driver, severity, healthy in product(
            MODELS_MEASURED, FAULTS[fault].kinds, DRIVERS, SEVERITIES, (True, False)
        )
        if (fault, kind, model) not in HARMLESS
    ]


def main() -> int:
    """Print all times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    chosen = [case._replace(seed=flags.seed) for case in cases(flags.faults)]
    missed = sure = 0
    show(_LINE.format("seconds to the verdict", "named", "cleared", "bar", "other names"))
    with ProcessPoolExecutor(2) as pool:
        for times in pool.map(measure, chosen, chunksize=4):
            missed += not times.held
            sure += any(confident for _, _, confident in times.wrong)
            show(_LINE.format(*_row(times)).rstrip())
    show(f"{missed} of {len(chosen)} miss a bar, {sure} name another fault with confidence (!) for a while")
    return 0


_LINE: Final = "{:56} {:>7} {:>7}  {:10}  {}"


def _row(times: Times) -> tuple[str, ...]:
    case = times.case
    title = f"{case.fault} {case.kind} {case.severity} {case.model} {case.driver}"
    return (
        f"{title}{'' if case.healthy else ' from the start'}",
        _seconds(times.named),
        _seconds(times.cleared),
        f"{case.bar:.0f}{'' if times.held else ' MISSED'}",
        ", ".join(f"{name}{'!' if sure else ''} ({time:.0f})" for time, name, sure in times.wrong),
    )


def _seconds(time: float | None) -> str:
    return "never" if time is None else f"{time:.0f}"


if __name__ == "__main__":
    sys.exit(main())
