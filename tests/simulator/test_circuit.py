from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.simulator.circuit import (
    CABLE_FARAD,
    METER_FARAD,
    pull_up_for,
    rise_tau_for,
    rx_node,
    wire_node,
)

BIT = 1 / 115_200
LATER = 1.0


def delays(metres: float = 3, pull_up: float = 6800.0) -> tuple[float, float]:
    """How long after the meter releases the wire RX falls, and after it pulls it RX rises (us)."""
    wire = wire_node(pull_up, METER_FARAD + metres * CABLE_FARAD)
    edges = [0.001, 0.001 + 5 * BIT]
    fall, rise = rx_node().pass_on(wire.pass_on(edges, LATER), LATER)
    return 1e6 * (fall - edges[0]), 1e6 * (rise - edges[1])


@pytest.mark.parametrize(("metres", "microseconds"), [(3, 0.6), (15, 1.5), (40, 3.3)])
def test_rx_falls_as_late_as_a_circuit_simulator_says(metres: float, microseconds: float) -> None:
    assert delays(metres)[0] == pytest.approx(microseconds, rel=0.1)


@pytest.mark.parametrize("metres", [3, 15, 40])
def test_rx_rises_as_late_as_a_circuit_simulator_says(metres: float) -> None:
    assert 0.3 < delays(metres)[1] < 0.65


@pytest.mark.parametrize("bits", [0.3, 0.7, 1.5])
def test_a_pull_up_is_found_for_a_delay(bits: float) -> None:
    fall, _ = delays(pull_up=pull_up_for(bits * BIT))
    assert fall == pytest.approx(1e6 * bits * BIT, rel=0.01)


def test_a_time_constant_is_found_for_a_delay() -> None:
    rx = rx_node(rise_tau_for(0.7 * BIT))
    _, rise = rx.pass_on([0.001, 0.001 + 5 * BIT], LATER)
    assert rise - 0.001 - 5 * BIT == pytest.approx(0.7 * BIT, rel=0.01)


def test_a_space_that_is_over_before_the_wire_has_risen_is_swallowed() -> None:
    wire = wire_node(pull_up_for(1.3 * BIT))
    assert wire.pass_on([0.001, 0.001 + BIT], LATER) == []
    assert wire.at_rest
    assert len(wire.pass_on([0.002, 0.002 + 2 * BIT], LATER)) == 2


def test_a_node_is_not_at_rest_until_an_edge_has_come_through() -> None:
    wire = wire_node(pull_up_for(BIT))
    assert wire.pass_on([0.001], 0.001 + 0.5 * BIT) == []
    assert not wire.at_rest
    assert len(wire.pass_on([], LATER)) == 1
    assert not wire.at_rest


@given(
    gaps=st.lists(st.floats(1e-8, 1e-4), max_size=40),
    cuts=st.lists(st.floats(0, 1e-3), max_size=10),
    pull_up=st.floats(1000, 100_000),
)
def test_edges_come_through_in_order_and_however_they_are_cut(
    gaps: list[float], cuts: list[float], pull_up: float
) -> None:
    edges: list[float] = []
    for gap in gaps:
        edges.append((edges[-1] if edges else 0.0) + gap)
    whole = wire_node(pull_up).pass_on(edges, LATER)
    assert whole == sorted(whole)
    assert len(whole) % 2 == len(edges) % 2
    node, passed, before = wire_node(pull_up), [], 0.0
    for cut in [*sorted(cuts), LATER]:
        passed += node.pass_on([edge for edge in edges if before <= edge < cut], cut)
        before = cut
    assert passed == whole
