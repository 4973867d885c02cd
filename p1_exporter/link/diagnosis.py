"""From evidence to a diagnosis: which fault, how sure, and what was seen. A pure function over a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.signatures import LAYERS
from p1_exporter.link.signatures.signs import troubled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p1_exporter.link.evidence import Evidence

SURE: Final = 0.8
"""From this confidence on, a diagnosis is a verdict to act on."""
UNCLEAR: Final = "unclear"
_FEW_TELEGRAMS: Final = 10

SITUATIONS: Final[dict[str, Callable[[Evidence], bool]]] = {
    "blind": lambda e: e.line.marks == "nothing" and not e.line.network,
    "brief": lambda e: e.telegrams.expected < _FEW_TELEGRAMS,
    "nothing_good": lambda e: not e.telegrams.accepted,
    "some_good": lambda e: e.telegrams.accepted > 0,
    "mini_uart": lambda e: e.line.mini_uart,
    "unrequested": lambda e: e.line.request_line == "none",
}
"""What steps of advice may depend on, besides the circuit."""


class Diagnosis(NamedTuple):
    """A fault that the evidence speaks for."""

    fault: str
    confidence: float
    """0 to 1."""
    seen: str
    """What speaks for it, in words."""
    situation: frozenset[str] = frozenset()
    """Of SITUATIONS, those that hold: what makes sense to do depends on them."""


def disconnected(why: str) -> Diagnosis:
    """Return the diagnosis of a port that cannot be read, and why."""
    return Diagnosis("disconnected", 1.0, why)


def diagnose(e: Evidence) -> Sequence[Diagnosis]:
    """Return the faults that the evidence speaks for, likeliest first: none if nothing is wrong.

    Where something is wrong that no signature fits, it is the single fault `unclear`.
    """
    if not troubled(e):
        return ()
    situation = frozenset(name for name, holds in SITUATIONS.items() if holds(e))
    found = [
        Diagnosis(row.fault, row.confidence, row.seen, situation)
        for layer in LAYERS
        for row in [next((row for row in layer if row.holds(e)), None)]
        if row
    ]
    # What the computer drops or another program takes leaves gaps, which are no fault of the wire.
    return found[:1] or [Diagnosis(UNCLEAR, 0.5, _what_is_wrong(e), situation)]


def _what_is_wrong(e: Evidence) -> str:
    bad = e.telegrams.failed + e.telegrams.missed
    return f"{bad} of {bad + e.telegrams.accepted} telegrams are bad, and no known fault looks like this"
