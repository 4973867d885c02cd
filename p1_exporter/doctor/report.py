"""The outcome of a look: a verdict in one sentence, the faults with their parts and advice, and the evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from p1_exporter.link.diagnosis import SURE, UNCLEAR
from p1_exporter.link.faults import faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from p1_exporter.doctor.finding import Finding
    from p1_exporter.link.circuits import Circuit
    from p1_exporter.link.diagnosis import Diagnosis
    from p1_exporter.link.evidence import Evidence

_TROUBLE: Final = frozenset({"warning", "problem"})
_DECIMALS: Final = 4


@dataclass(frozen=True, slots=True)
class NamedFault:
    """A fault, as it is shown to people."""

    fault: str
    confidence: float
    meaning: str
    seen: str
    part: str
    marked: tuple[str, ...]
    """The parts to mark in the drawing of the circuit."""
    advice: tuple[str, ...]
    """What to do, likeliest and easiest first."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that one look brought to light."""

    verdict: str
    circuit: Circuit
    faults: tuple[NamedFault, ...]
    evidence: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the report in the shape that scripts read."""
        shown = [
            {
                "fault": named.fault,
                "confidence": named.confidence,
                "part": named.part,
                "advice": list(named.advice),
            }
            for named in self.faults
        ]
        return {"verdict": self.verdict, "faults": shown, "evidence": dict(self.evidence)}


def report(
    diagnoses: Sequence[Diagnosis],
    evidence: Evidence | None,
    circuit: Circuit,
    computer: Sequence[Finding] = (),
    tried: Sequence[str] = (),
) -> Report:
    """Return the report on what was found.

    Args:
        diagnoses: what the line speaks for, likeliest first.
        evidence: figures of the line; None where it could not be listened to.
        circuit: what stands between meter and computer.
        computer: what the checks of the computer found.
        tried: what was tried, a sentence each.
    """
    named = tuple(_named(diagnosis, circuit, computer) for diagnosis in diagnoses)
    figures: dict[str, Any] = {} if evidence is None else evidence_figures(evidence)
    return Report(
        verdict=_verdict(named, evidence),
        circuit=circuit,
        faults=named,
        evidence={
            "line": figures,
            "computer": [asdict(finding) for finding in computer],
            "tried": list(tried),
        },
    )


def evidence_figures(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence as nested tables of rounded figures."""
    line = evidence.line
    groups = ("telegrams", "uart", "characters", "text", "bursts", "harm")
    figures: dict[str, Any] = {
        "driver": line.driver,
        "baudrate": line.baudrate,
        "seconds": _rounded(evidence.seconds),
        "bytes": evidence.size,
        "load": _rounded(evidence.load),
        "silent_for_seconds": _rounded(evidence.silent_for),
    }
    for group in groups:
        figures[group] = {name: _rounded(value) for name, value in getattr(evidence, group)._asdict().items()}
    return figures


def _rounded(value: Any) -> Any:  # noqa: ANN401  figures, and whatever else stands beside them
    return round(value, _DECIMALS) if isinstance(value, float) else value


def _named(diagnosis: Diagnosis, circuit: Circuit, computer: Sequence[Finding]) -> NamedFault:
    fault = faults()[diagnosis.fault]
    # What was found on this computer is surer than what is usual, and comes with the exact commands.
    causes = [found for found in computer if found.fault == diagnosis.fault and found.status in _TROUBLE]
    specific = tuple(step for cause in causes for step in cause.advice)
    steps = fault.advice(circuit, diagnosis.situation)
    general = tuple(step for step in steps if step not in specific)
    return NamedFault(
        fault=diagnosis.fault,
        confidence=diagnosis.confidence,
        meaning=fault.meaning,
        seen=diagnosis.seen,
        part=causes[0].summary.rstrip(".") if causes else fault.part(circuit),
        marked=tuple(fault.marks(circuit)),
        advice=specific + general,
    )


def _verdict(named: Sequence[NamedFault], evidence: Evidence | None) -> str:
    if not named:
        telegrams = evidence.telegrams.accepted if evidence else 0
        seconds = evidence.seconds if evidence else 0.0
        return f"The link is healthy: {telegrams} good telegrams in {seconds:.0f} s."
    first = named[0]
    if first.fault == UNCLEAR:
        return f"{first.meaning} {first.seen[0].upper()}{first.seen[1:]}."
    if first.confidence >= SURE:
        return f"{first.meaning} Suspected part: {first.part}."
    return f"Not sure, but most likely: {first.meaning} Suspected part: {first.part}."
