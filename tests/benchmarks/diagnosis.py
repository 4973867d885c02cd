"""How often the diagnosis is right: ``python -m tests.benchmarks.diagnosis``, or ``make bench-diagnosis``.

Every fault, by severity, kind of driver and seed, goes from the simulated wire through the framer, the analysis of
damage and the diagnosis, as in `p1-exporter doctor`. Printed is what was named, and beside it the bars: it exits with
1 where one of them is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from p1_exporter.doctor.listener import Listener
from p1_exporter.link.counters import Counters
from p1_exporter.link.diagnosis import diagnose
from p1_exporter.link.line import Line
from p1_exporter.link.port import Chunk
from p1_exporter.simulator.faults import FAULTS
from p1_exporter.simulator.models import MODELS
from p1_exporter.simulator.recording import Counted, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p1_exporter.link.evidence import Evidence

SEVERITIES = {"mild": 0.3, "moderate": 0.6, "severe": 0.9}
DRIVERS = {
    "amba-pl011": "full marks",
    "ftdi_sio": "FTDI packets",
    "bcm2835aux": "mini UART",
    "ch341": "nothing",
    "tcp": "TCP",
}
SECONDS = {"dsmr5": 25.0, "dsmr2": 65.0}
HEALTHY = "healthy"
KEPT = 1 << 24

# A port that vanishes is no matter of what arrives.
NAMED_OTHERWISE = {"disconnected"}
# What cannot be told apart by what such a driver gives, and may be named in its place, if not with confidence.
_LOST = {"overrun", "second_reader", "lost_characters"}
ALIKE = {
    ("overrun", "ch341"): _LOST,
    ("overrun", "tcp"): _LOST,
    ("second_reader", "ch341"): _LOST,
    ("second_reader", "tcp"): _LOST,
    ("second_reader", "bcm2835aux"): _LOST,
    ("stuck_low", "ch341"): {"silent"},
    ("stuck_low", "tcp"): {"silent"},
    ("wrong_format", "ch341"): {HEALTHY},
}


class Case(NamedTuple):
    """One run of the simulated wire."""

    fault: str | None
    severity: str
    driver: str
    model: str
    kind: str | None
    seed: int


class Outcome(NamedTuple):
    """What was made of it."""

    case: Case
    named: str
    confidence: float
    intact: float


def listen(case: Case) -> Evidence:
    """Return the evidence on a case."""
    seconds = SECONDS[case.model]
    line = Line(case.driver, MODELS[case.model].baudrate)
    listener = Listener(0.0, line, KEPT)
    events = record(
        case.model,
        case.fault,
        SEVERITIES.get(case.severity, 0.0),
        seed=case.seed,
        driver=case.driver,
        seconds=seconds,
        kind=case.kind,
    )
    for event in events:
        if isinstance(event, Counted):
            listener.counted(event.time, Counters(*event.counts))
        else:
            listener.received(Chunk(event.time, event.data, event.marks))
    return listener.finish(seconds)


def judge(case: Case) -> Outcome:
    """Return what the diagnosis names for a case."""
    evidence = listen(case)
    diagnoses = diagnose(evidence)
    if not diagnoses:
        return Outcome(case, HEALTHY, 1.0, evidence.telegrams.intact)
    return Outcome(case, diagnoses[0].fault, diagnoses[0].confidence, evidence.telegrams.intact)


def cases(seeds: Iterable[int], models: Sequence[str], faults: Sequence[str]) -> list[Case]:
    """Return all cases."""
    return [
        Case(fault, severity, driver, model, kind or None, seed)
        for fault in faults
        for model, severity, driver, seed, kind in product(
            models, SEVERITIES, DRIVERS, seeds, FAULTS[fault].kinds
        )
    ]


def main() -> int:
    """Run and print; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--models", nargs="*", default=["dsmr5"])
    parser.add_argument("--show", action="store_true", help="each case that is wrong")
    flags = parser.parse_args()
    faults = flags.faults or [fault for fault in FAULTS if fault not in NAMED_OTHERWISE]
    seeds = range(flags.first_seed, flags.first_seed + flags.seeds)
    table: dict[tuple[str, str, str], Counter[str]] = {}
    wrong: list[Outcome] = []
    with ProcessPoolExecutor(2) as pool:
        for outcome in pool.map(judge, cases(seeds, flags.models, faults), chunksize=4):
            case = outcome.case
            row = table.setdefault((str(case.fault), case.severity, case.driver), Counter())
            row[outcome.named] += 1
            if outcome.named != case.fault:
                wrong.append(outcome)
    for (fault, severity, driver), row in table.items():
        print(f"{fault:16}{severity:10}{DRIVERS[driver]:14}", dict(row))
    if flags.show:
        for outcome in wrong:
            print(outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
