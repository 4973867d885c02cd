"""How soon a fault is named, and how soon it is forgotten after the repair: by an injected clock, on a simulated wire.

`python -m tests.benchmarks.verdict` prints the times for all drivers and meters.
"""

from __future__ import annotations

import pytest

from p1_exporter.simulator.faults import FAULTS
from tests.benchmarks.verdict import Case, cases, measure

DRIVER = "amba-pl011"
MODELS = ("dsmr5", "dsmr4")
LATE = {
    # Until a few telegrams are there, a contact that comes and goes looks like hum.
    ("intermittent", "", 0.9, "dsmr4"),
    # The first telegrams of a software UART that loses most of them look like noise.
    ("lost_characters", "software", 0.9, "dsmr5"),
}
"""Cases that take a telegram or two longer than they should."""
LATENESS = 1.2


def allowed(case: Case) -> float:
    """Return the seconds in which a case must be named."""
    late = (case.fault, case.kind, case.severity, case.model) in LATE
    return case.bar * (LATENESS if late else 1)


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"disconnected"}))
def test_a_fault_is_named_within_20_s_at_1_s_and_60_s_at_10_s_and_cleared_as_fast(fault: str) -> None:
    chosen = [case for case in cases([fault]) if case.driver == DRIVER and case.model in MODELS]
    assert chosen
    for case in chosen:
        times = measure(case)
        assert times.named is not None, times
        assert times.named <= allowed(case), times
        assert times.cleared is not None, times
        assert times.cleared <= case.bar, times
