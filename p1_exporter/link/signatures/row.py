"""A row of the table of signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from p1_exporter.link.evidence import Evidence


class Signature(NamedTuple):
    """A row of the table."""

    fault: str
    confidence: float
    """How sure one can be, 0 to 1."""
    seen: str
    """What one sees, in words."""
    holds: Callable[[Evidence], bool]
