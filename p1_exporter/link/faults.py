"""The faults of a link, as `faults.toml` describes them: what each is, which part to suspect, what to do."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from p1_exporter.link.circuits import CIRCUITS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from p1_exporter.link.circuits import Circuit


class Step(NamedTuple):
    """Something to do."""

    text: str
    circuits: tuple[str, ...]
    """The circuits for which it makes sense."""
    when: str
    """The situation in which it makes sense (see `diagnosis.SITUATIONS`); empty for all."""


class Fault(NamedTuple):
    """One fault, in words for people."""

    name: str
    """As in `p1_link_fault{fault}`."""
    meaning: str
    """A sentence: what is wrong."""
    looks: str
    """How it shows in the metrics."""
    sure: str
    """How to make sure that it is this."""
    parts: Mapping[str, str]
    """The suspected part, by circuit; `others` is for those that are not named."""
    marked: Mapping[str, Sequence[str]]
    """The parts to mark in a drawing of the circuit, likewise."""
    steps: tuple[Step, ...]

    def part(self, circuit: Circuit) -> str:
        """Return the part to suspect in `circuit`."""
        return self.parts.get(circuit, self.parts["others"])

    def marks(self, circuit: Circuit) -> Sequence[str]:
        """Return the parts to mark in the drawing of `circuit`."""
        return self.marked.get(circuit, self.marked["others"])

    def advice(self, circuit: Circuit, situation: Collection[str]) -> tuple[str, ...]:
        """Return what to do with `circuit` in a situation, in the order of likelihood and ease."""
        return tuple(
            step.text
            for step in self.steps
            if circuit in step.circuits and (not step.when or step.when in situation)
        )


@cache
def faults() -> Mapping[str, Fault]:
    """Return all faults by name, in the order of the documentation."""
    with Path(__file__).with_suffix(".toml").open("rb") as file:
        table = tomllib.load(file)
    return {name: _fault(name, entry) for name, entry in table.items()}


def _fault(name: str, entry: Mapping[str, Any]) -> Fault:
    steps = tuple(
        Step(step["do"], tuple(step.get("for", CIRCUITS)), step.get("when", "")) for step in entry["steps"]
    )
    return Fault(
        name=name,
        steps=steps,
        **{key: entry[key] for key in ("meaning", "looks", "sure", "parts", "marked")},
    )
