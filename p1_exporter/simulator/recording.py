"""A wire read for a while, without waiting: for benchmarks and tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.simulator.models import MODELS
from p1_exporter.simulator.wire import DEFAULT_DRIVER, DEFAULT_SEVERITY, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p1_exporter.simulator.reporting import Counts
    from p1_exporter.simulator.wire import Read

GATHER_SECONDS: Final = 0.05
"""How long a burst may gather, as at a real port."""
NOON: Final = 1781690400
"""2026-06-17, 12:00 in Amsterdam."""


class Counted(NamedTuple):
    """What a driver has counted by a time (seconds)."""

    time: float
    counts: Counts


def record(  # noqa: PLR0913 - as `Wire`
    model: str,
    fault: str | None = None,
    severity: float = DEFAULT_SEVERITY,
    *,
    seed: int = 0,
    driver: str = DEFAULT_DRIVER,
    seconds: float = 60.0,
    kind: str | None = None,
    baudrate: int | None = None,
    start: float = NOON - 0.5,
) -> Iterator[Read | Counted]:
    """Yield what a program reads in so many `seconds` from time 0 on, and every second the driver's counters.

    Args as those of `Wire`, but `model` by its name. `start` is what the meter's clock shows at time 0.

    Raises:
        UserError: as `Wire`.
    """
    wire = Wire(
        MODELS[model],
        seed,
        start,
        0.0,
        fault=fault,
        severity=severity,
        kind=kind,
        driver=driver,
        baudrate=baudrate,
    )
    for second in range(1, math.ceil(seconds) + 1):
        end = min(second, seconds)
        while (arrival := wire.arrival(end)) is not None:
            read = wire.take(arrival + GATHER_SECONDS)
            if read is not None and wire.present(read.time):
                yield read
        wire.take(end)
        if wire.counts is not None:
            yield Counted(end, wire.counts)
