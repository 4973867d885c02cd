"""What a check found, in words for people who stand at the meter cupboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem", "unknown"]

# The same words in every finding, so that they can be shown once.
AS_ROOT = "Look as root: sudo p1-exporter doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check of the computer.

    Attributes:
        check: name of the check, as in the table of checks.
        status: `ok`; `warning` may spoil the readings; `problem` does; `unknown` could not be looked at.
        summary: one plain sentence.
        advice: what to do, step by step, each with the exact command to type.
        fault: the fault of `p1_link_fault` that this is, or may lead to; empty if none.
        needs_root: whether root would have seen more.
    """

    check: str
    status: Status
    summary: str
    advice: tuple[str, ...] = ()
    fault: str = ""
    needs_root: bool = False
