"""How soon a fault is named, and how soon it is forgotten after the repair: by an injected clock, on a simulated wire.

`python -m tests.benchmarks.verdict` prints the times for all drivers, meters, severities and beginnings; here are those
of the full marks of a PL011, and one severity of the others.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from p1_exporter.simulator.faults import FAULTS
from tests.benchmarks.verdict import cases, measure

FULL_MARKS = "amba-pl011"
SEVERE = 0.9


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"disconnected"}))
def test_a_fault_is_named_within_20_s_at_1_s_and_60_s_at_10_s_and_cleared_as_fast(fault: str) -> None:
    chosen = [
        case
        for case in cases([fault])
        if case.driver == FULL_MARKS or (case.severity == SEVERE and case.healthy)
    ]
    assert chosen
    with ProcessPoolExecutor() as pool:
        late = [times for times in pool.map(measure, chosen) if not times.held]
    assert [(times.case, times.named, times.cleared, times.wrong) for times in late] == []
