"""The tables of signatures and of faults: whatever the evidence, the diagnosis stands, and its advice exists."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.doctor.drawing import drawing, parts
from p1_exporter.link.circuits import CIRCUITS
from p1_exporter.link.diagnosis import SITUATIONS, UNCLEAR, diagnose, disconnected
from p1_exporter.link.evidence import Evidence, gather
from p1_exporter.link.faults import faults
from p1_exporter.link.history import History, Outcome
from p1_exporter.link.line import Line
from p1_exporter.link.port import Chunk
from p1_exporter.link.signatures import LAYERS
from p1_exporter.link.signatures.signs import troubled
from p1_exporter.link.state import FAULT_NAMES
from p1_exporter.simulator.models import MODELS, telegram

if TYPE_CHECKING:
    from p1_exporter.link.circuits import Circuit

ROWS: Final = [row for layer in LAYERS for row in layer]
DRIVERS: Final = (
    "amba-pl011",
    "bcm2835aux",
    "8250",
    "ftdi_sio",
    "cp210x",
    "pl2303",
    "ch341",
    "tcp",
    "unknown",
)
OUTSIDE: Final = {"disconnected", UNCLEAR}
"""Faults that no signature is for: of a port, and what is left over."""

figures = st.one_of(
    st.sampled_from([0.0, 1.0]), st.floats(0, 1), st.floats(0, 60, allow_subnormal=False), st.floats(0, 1e6)
)
numbers = st.one_of(st.integers(0, 3), st.integers(0, 100), st.integers(0, 100_000))
lines = st.builds(
    Line,
    st.sampled_from(DRIVERS),
    st.sampled_from([9600, 115_200]),
    st.sampled_from("NE"),
    st.sampled_from(["none", "gpio:4", "rts"]),
)


def _any(kind: type) -> st.SearchStrategy[Any]:
    if kind is bool:
        return st.booleans()
    if kind is int:
        return numbers
    if kind is float:
        return figures
    if kind is Line:
        return lines
    return st.builds(kind, **{name: _any(hint) for name, hint in get_type_hints(kind).items()})


evidence = st.builds(
    Evidence,
    **{
        name: st.floats(0.001, 1000) if name == "seconds" else _any(hint)
        for name, hint in get_type_hints(Evidence, localns={"Line": Line}).items()
    },
)


def of_healthy_link(*, failed: int = 0, number: int = 20) -> Evidence:
    """Return the evidence on a link of which some telegrams were rejected for no visible reason."""
    meter = MODELS["dsmr5"]
    household = meter.household(1)
    past = History(0.0)
    for second in range(number):
        data = telegram(meter, household, 1_781_690_400 + second)
        past.received(Chunk(0.5 + second, data))
        past.decided(Outcome(0.5 + second, len(data), "crc" if second < failed else None))
    look = past.since(0.0)
    return gather(look, look.outcomes, Line("amba-pl011"), float(number))


@settings(max_examples=400)
@given(evidence)
def test_every_diagnosis_is_a_fault_of_the_contract_with_a_confidence_whatever_the_evidence(
    found: Evidence,
) -> None:
    before = dataclasses.asdict(found)
    diagnoses = diagnose(found)
    for diagnosis in diagnoses:
        assert diagnosis.fault in FAULT_NAMES
        assert 0 < diagnosis.confidence <= 1
        assert diagnosis.seen
        assert diagnosis.situation <= SITUATIONS.keys()
    assert [each.confidence for each in diagnoses] == sorted(
        (each.confidence for each in diagnoses), reverse=True
    )
    assert len({diagnosis.fault for diagnosis in diagnoses}) == len(diagnoses)
    assert bool(diagnoses) == troubled(found)
    assert diagnose(found) == diagnoses
    assert dataclasses.asdict(found) == before


@given(evidence)
def test_unclear_stands_alone_and_only_where_no_signature_fits(found: Evidence) -> None:
    names = [diagnosis.fault for diagnosis in diagnose(found)]
    assert (names == [UNCLEAR]) == (troubled(found) and not any(row.holds(found) for row in ROWS))
    assert len(names) == 1 or UNCLEAR not in names


@given(evidence)
def test_every_signature_can_be_asked_whatever_the_evidence(found: Evidence) -> None:
    assert {row.holds(found) for row in ROWS} <= {True, False}


def test_a_good_link_has_no_fault() -> None:
    assert diagnose(of_healthy_link()) == ()


def test_one_bad_telegram_is_an_accident() -> None:
    assert diagnose(of_healthy_link(failed=1)) == ()


def test_a_line_that_is_never_at_rest_is_noisy_even_if_hardly_a_telegram_is_hit() -> None:
    found = of_healthy_link(failed=1)
    stray = dataclasses.replace(
        found,
        bursts=found.bursts._replace(stray=50, stray_ff=0.6),
        characters=found.characters._replace(printable=0.99, high=0.01),
    )
    assert [diagnosis.fault for diagnosis in diagnose(stray)] == ["noise"]
    # What is text between the telegrams is something that the meter says.
    assert diagnose(dataclasses.replace(found, bursts=found.bursts._replace(stray=50))) == ()


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        ({"gaps": 5, "lost": 90}, "lost_characters"),
        ({"shifted": 3}, "lost_characters"),
        ({"gaps": 5, "lost": 90, "up": 4, "down": 5, "garbled": 3}, "noise"),
        ({"shifted": 1}, UNCLEAR),
    ],
)
def test_what_is_wrong_in_the_telegrams_that_were_looked_into_tells_lost_characters_from_noise(
    harm: dict[str, int], fault: str
) -> None:
    found = of_healthy_link(failed=5)
    # Not as clean as text alone would be: some of it is in no alphabet.
    damaged = dataclasses.replace(
        found,
        harm=found.harm._replace(examined=5, **harm),
        characters=found.characters._replace(printable=0.6),
        lines=found.lines._replace(whole=0.98),
    )
    assert [diagnosis.fault for diagnosis in diagnose(damaged)] == [fault]


@pytest.mark.parametrize(("rate", "fault"), [(50.3, "hum"), (99.5, "hum"), (72.0, UNCLEAR), (0.4, UNCLEAR)])
def test_breaks_that_are_as_many_as_the_mains_have_periods_are_of_the_mains(rate: float, fault: str) -> None:
    found = of_healthy_link(failed=20)
    breaks = dataclasses.replace(
        found,
        seconds=2000 / rate,
        uart=found.uart._replace(breaks=2000, framing=0.1),
        characters=found.characters._replace(printable=0.9, nul=0.05),
        text=found.text._replace(as_sent=0.3, top_bit=0.3, fall_late=0.3, rise_late=0.3, sampled_early=0.3),
        lines=found.lines._replace(whole=0.6),
    )
    assert [diagnosis.fault for diagnosis in diagnose(breaks)] == [fault]


def test_telegrams_that_fail_for_no_visible_reason_are_said_to() -> None:
    (diagnosis,) = diagnose(of_healthy_link(failed=8))
    assert diagnosis.fault in {UNCLEAR, "lost_characters"}
    assert diagnosis.confidence < 0.9


def test_a_port_that_cannot_be_read_is_disconnected_for_the_reason_that_was_given() -> None:
    diagnosis = disconnected("/dev/ttyUSB0: vanished")
    assert (diagnosis.fault, diagnosis.confidence, diagnosis.seen) == (
        "disconnected",
        1.0,
        "/dev/ttyUSB0: vanished",
    )


def test_every_signature_is_of_a_fault_of_the_contract_and_every_fault_has_one() -> None:
    assert {row.fault for row in ROWS} == set(FAULT_NAMES) - OUTSIDE


def test_confidences_are_shares() -> None:
    assert all(0 < row.confidence <= 1 for row in ROWS)


def test_the_faults_of_the_table_are_those_of_the_metric_in_its_order() -> None:
    assert tuple(faults()) == FAULT_NAMES
    assert [fault.name for fault in faults().values()] == list(FAULT_NAMES)


@pytest.mark.parametrize("name", FAULT_NAMES)
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_every_fault_has_advice_for_every_circuit_whatever_the_situation(name: str, circuit: Circuit) -> None:
    fault = faults()[name]
    assert fault.advice(circuit, frozenset())
    everything = fault.advice(circuit, SITUATIONS.keys())
    assert set(fault.advice(circuit, frozenset())) <= set(everything)
    assert len(set(everything)) == len(everything)
    assert fault.part(circuit)


@pytest.mark.parametrize("name", FAULT_NAMES)
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_the_parts_to_mark_are_in_the_drawing_of_the_circuit(name: str, circuit: Circuit) -> None:
    marked = faults()[name].marks(circuit)
    assert set(marked) <= parts(circuit)
    assert drawing(circuit, marked).count("#") == 2 * len(set(marked))
    assert bool(marked) == (name != UNCLEAR)


@pytest.mark.parametrize("name", FAULT_NAMES)
def test_steps_name_circuits_and_situations_that_exist(name: str) -> None:
    fault = faults()[name]
    for step in fault.steps:
        assert step.text.strip() == step.text != ""
        assert step.circuits
        assert set(step.circuits) <= set(CIRCUITS)
        assert not step.when or step.when in SITUATIONS
    assert fault.parts.keys() | fault.marked.keys() <= {*CIRCUITS, "others"}
    assert all(text.strip() == text != "" for text in (fault.meaning, fault.looks, fault.sure))


def test_every_situation_is_of_use() -> None:
    # Those that hold are shown with a diagnosis, too; but advice is what they are for.
    used = {step.when for fault in faults().values() for step in fault.steps}
    assert used - {""} == SITUATIONS.keys()
