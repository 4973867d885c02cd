"""How often the diagnosis is right: ``python -m tests.benchmarks.diagnosis``, or ``make bench-diagnosis``.

Every fault, by severity, kind of driver and seed, goes from the simulated wire through the framer, the analysis of
damage and the diagnosis, as in `p1-exporter doctor`. Printed is the matrix of what was named in moderate and severe
cases, then the bars: the exit code is 1 where one of them is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.doctor.listener import Listener
from p1_exporter.link.capture import CounterReading
from p1_exporter.link.counters import Counters
from p1_exporter.link.diagnosis import SURE, UNCLEAR, diagnose
from p1_exporter.link.line import Line
from p1_exporter.link.port import Chunk
from p1_exporter.simulator.faults import FAULTS
from p1_exporter.simulator.models import MODELS
from p1_exporter.simulator.recording import Counted, record
from tests.benchmarks.table import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p1_exporter.link.diagnosis import Diagnosis
    from p1_exporter.link.evidence import Evidence

NAMED_RIGHT: Final = 0.95
"""Least share of moderate and severe cases in which the right fault is named, where the driver can tell."""
NAMED_WRONG_AND_SURE: Final = 0.01
"""Largest share in which a wrong part is named with confidence."""

SEVERITIES: Final = {"mild": 0.3, "moderate": 0.6, "severe": 0.9}
DRIVERS: Final = {
    "amba-pl011": "full marks",
    "ftdi_sio": "FTDI packets",
    "bcm2835aux": "mini UART",
    "ch341": "nothing",
    "tcp": "TCP",
}
SECONDS: Final = {"dsmr5": 25.0, "dsmr2": 65.0}
HEALTHY: Final = "healthy"
_KEPT: Final = 1 << 24

# A port that vanishes is no matter of what arrives.
NAMED_OTHERWISE: Final = frozenset({"disconnected"})
_LOST: Final = frozenset({"overrun", "second_reader", "lost_characters"})
_BLIND: Final = ("bcm2835aux", "ch341", "tcp")
# What cannot be told apart by what such a driver gives: one of these, without confidence, is right; so is `unclear`.
ALIKE: Final = {
    **{("overrun", driver): _LOST for driver in _BLIND},
    **{("second_reader", driver): _LOST for driver in _BLIND},
    **{
        ("lost_characters", driver): _LOST | {"wrong_speed", "clock"}
        for driver in ("bcm2835aux", "ch341", "tcp")
    },
    **{
        ("clock", driver): frozenset({"clock", "slow_fall", "wrong_speed", "lost_characters"})
        for driver in _BLIND
    },
    ("stuck_low", "ch341"): frozenset({"stuck_low", "silent"}),
    ("stuck_low", "tcp"): frozenset({"stuck_low", "silent"}),
}
# Behind a serial server all that loses characters is one part, the serial server.
ONE_PART: Final = {("overrun", "tcp"), ("second_reader", "tcp"), ("lost_characters", "tcp")}
# What does no harm to what such a driver gives.
HARMLESS: Final = {("wrong_format", "ch341")}


class Case(NamedTuple):
    """One run of the simulated wire."""

    fault: str
    severity: str
    driver: str
    model: str
    kind: str | None
    seed: int

    @property
    def can_tell(self) -> bool:
        """Whether the driver gives enough to tell this fault from all others."""
        return (self.fault, self.driver) not in ALIKE


class Outcome(NamedTuple):
    """What was made of it."""

    case: Case
    named: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the right fault was named, or all that can be said where the driver does not tell."""
        case = self.case
        if (case.fault, case.driver) in HARMLESS:
            return self.named == HEALTHY
        if case.can_tell:
            return self.named == case.fault
        if (case.fault, case.driver) in ONE_PART and self.named in _LOST:
            return True
        alike = self.named in ALIKE[case.fault, case.driver]
        return self.named in {case.fault, UNCLEAR} or (alike and self.confidence < SURE)

    @property
    def wrong_and_sure(self) -> bool:
        """Whether a wrong part was named with confidence."""
        return not self.right and self.named not in {UNCLEAR, HEALTHY} and self.confidence >= SURE


def listen(case: Case) -> Evidence:
    """Return the evidence on a case."""
    seconds = SECONDS[case.model]
    listener = Listener(Line(case.driver, MODELS[case.model].baudrate), _KEPT)
    events = record(
        case.model,
        case.fault,
        SEVERITIES[case.severity],
        seed=case.seed,
        driver=case.driver,
        seconds=seconds,
        kind=case.kind,
    )
    for event in events:
        if isinstance(event, Counted):
            listener.hear(CounterReading(event.time, Counters(*event.counts)))
        else:
            listener.hear(Chunk(event.time, event.data, event.marks))
    return listener.finish(seconds)


def judge(case: Case) -> Outcome:
    """Return what the diagnosis names for a case."""
    found: Sequence[Diagnosis] = diagnose(listen(case))
    return Outcome(case, found[0].fault, found[0].confidence) if found else Outcome(case, HEALTHY, 1.0)


def cases(faults: Sequence[str], models: Sequence[str], seeds: Iterable[int]) -> list[Case]:
    """Return all cases; those of the slow meter, whose line is the same, with full marks only."""
    return [
        Case(fault, severity, driver, model, kind or None, seed)
        for fault in faults
        for model, severity, driver, seed, kind in product(
            models, SEVERITIES, DRIVERS, seeds, FAULTS[fault].kinds
        )
        if model == "dsmr5" or driver == "amba-pl011"
    ]


def main() -> int:
    """Run and print; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", help="only these")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--models", nargs="*", default=["dsmr5"], choices=SECONDS)
    parser.add_argument("--wrong", action="store_true", help="show each case that is not right")
    flags = parser.parse_args()
    faults = flags.faults or [fault for fault in FAULTS if fault not in NAMED_OTHERWISE]
    todo = cases(faults, flags.models, range(flags.first_seed, flags.first_seed + flags.seeds))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        outcomes = list(pool.map(judge, todo, chunksize=4))
    _show_matrix(outcomes)
    if flags.wrong:
        show(*(str(outcome) for outcome in outcomes if not outcome.right))
    return _show_bars(outcomes)


def _show_matrix(outcomes: Sequence[Outcome]) -> None:
    rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        if outcome.case.severity != "mild":
            rows[outcome.case.fault, outcome.case.driver][outcome.named] += 1
    show("What was named in moderate and severe cases; * where the driver cannot tell")
    for (fault, driver), named in rows.items():
        star = "*" if (fault, driver) in ALIKE else " "
        counts = ", ".join(f"{name} {number}" for name, number in named.most_common())
        show(f"  {fault:16}{DRIVERS[driver]:13}{star} {counts}")


def _show_bars(outcomes: Sequence[Outcome]) -> int:
    serious = [outcome for outcome in outcomes if outcome.case.severity != "mild"]
    telling = [outcome for outcome in serious if outcome.case.can_tell]
    blind = [outcome for outcome in serious if not outcome.case.can_tell]
    right = sum(outcome.right for outcome in telling) / max(len(telling), 1)
    wrong = sum(outcome.wrong_and_sure for outcome in outcomes) / max(len(outcomes), 1)
    fitting = sum(outcome.right for outcome in blind) / max(len(blind), 1)
    show(
        f"right fault named, moderate and severe, driver can tell: {right:.1%} of {len(telling)} "
        f"(bar: {NAMED_RIGHT:.0%})",
        f"driver cannot tell: unclear, or one that looks alike without confidence: {fitting:.1%} of {len(blind)}",
        f"a wrong part named with confidence, all severities: {wrong:.1%} of {len(outcomes)} "
        f"(bar: {NAMED_WRONG_AND_SURE:.0%})",
    )
    return int(right < NAMED_RIGHT or wrong > NAMED_WRONG_AND_SURE)


if __name__ == "__main__":
    sys.exit(main())
