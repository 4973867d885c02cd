"""Signatures of simulated faults, and their cost: ``python -m tests.benchmarks.signatures [FAULT ...]``.

Each fault at three severities on each class of driver: what a program sees of it, medians over several seeds.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import Final, NamedTuple

from p1_exporter.simulator.faults import FAULTS
from p1_exporter.simulator.models import MODELS, wire_bytes
from p1_exporter.simulator.recording import NOON, Counted, record
from p1_exporter.telegram.parity import without_parity
from tests.benchmarks.table import show_table

SEVERITIES: Final = (0.25, 0.6, 1.0)
DRIVERS: Final = ("amba-pl011", "ftdi_sio", "bcm2835aux", "8250")
_SEEDS: Final = range(1, 4)
_TELEGRAMS: Final = 15


class Signature(NamedTuple):
    """What a program sees of a link; shares are of 1.

    Attributes:
        intact: telegrams that arrived whole, with or without their parity bits, of those sent.
        marked: characters marked, but for breaks, of those received.
        breaks: a second.
        nul, bit_7: characters that are 00, or above 7F, of those received.
        received: characters received, of those sent.
        between: characters received between telegrams, of those sent.
        taken: characters that the driver counted and the program did not get, of those counted.
        cost: CPU seconds a telegram.
    """

    intact: float
    marked: float
    breaks: float
    nul: float
    bit_7: float
    received: float
    between: float
    taken: float
    cost: float


def signature(  # noqa: PLR0913 - as `record`
    model: str,
    fault: str | None,
    severity: float,
    *,
    driver: str = "amba-pl011",
    seed: int = 1,
    telegrams: int = _TELEGRAMS,
    kind: str | None = None,
) -> Signature:
    """Record so many telegrams, and return what they look like."""
    meter = MODELS[model]
    seconds = telegrams * meter.interval
    household = meter.household(seed)
    whole = [wire_bytes(meter, household, NOON + when) for when in range(0, seconds, meter.interval)]
    sent = sum(map(len, whole))
    one = sent / telegrams * 10 / meter.baudrate
    data = bytearray()
    marks = {"framing": 0, "parity": 0, "break": 0}
    between = 0
    counted = 0
    began = time.process_time()
    for item in record(model, fault, severity, seed=seed, driver=driver, seconds=seconds, kind=kind):
        if isinstance(item, Counted):
            counted = item.counts.rx or 0
            continue
        data += item.data
        for _, error in item.marks:
            marks[error] += 1
        if one + 0.1 < (item.time - 0.5) % meter.interval < meter.interval - 0.1:
            between += len(item.data)
    cost = time.process_time() - began
    intact = sum(telegram in data or without_parity(telegram) in data for telegram in whole)
    total = len(data) or 1
    return Signature(
        intact=intact / telegrams,
        marked=(marks["framing"] + marks["parity"]) / total,
        breaks=marks["break"] / seconds,
        nul=data.count(0) / total,
        bit_7=sum(byte >> 7 for byte in data) / total,
        received=len(data) / sent,
        between=between / sent,
        taken=(counted - len(data)) / counted if counted else 0.0,
        cost=cost / telegrams,
    )


def main(faults: list[str]) -> int:
    """Print a table for each of the faults, or for all."""
    for fault in faults or FAULTS:
        for kind in FAULTS[fault].kinds:
            rows = []
            for driver in DRIVERS:
                for model in ("dsmr5", "dsmr2"):
                    for severity in SEVERITIES:
                        seen = [
                            signature(model, fault, severity, driver=driver, seed=seed, kind=kind)
                            for seed in _SEEDS
                        ]
                        rows.append(_row(f"{driver} {model} {severity}", seen))
            show_table(f"{fault} {kind}", _HEADER, rows)
    return 0


_HEADER: Final = (
    "",
    "intact %",
    "marked %",
    "breaks/s",
    "NUL %",
    "bit 7 %",
    "bytes %",
    "between %",
    "taken %",
    "CPU ms",
)


def _row(name: str, seen: list[Signature]) -> tuple[str, ...]:
    intact, marked, breaks, nul, bit_7, received, between, taken, cost = map(median, zip(*seen, strict=True))
    intacts = sorted(one.intact for one in seen)
    return (
        name,
        f"{intact:.0%} ({intacts[0]:.0%}-{intacts[-1]:.0%})",
        f"{marked:.1%}",
        f"{breaks:.1f}",
        f"{nul:.1%}",
        f"{bit_7:.1%}",
        f"{received:.0%}",
        f"{between:.1%}",
        f"{taken:.0%}",
        f"{1000 * cost:.1f}",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
