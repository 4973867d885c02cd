"""`p1-exporter doctor --computer`: what on this computer stands in the way of reading the meters' ports.

For packages and services, before there is anything to listen to: no port is opened, nothing is changed, and only what
is wrong is told, each with the command that puts it right on a line of its own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from p1_exporter.doctor.computer import Computer, examine
from p1_exporter.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p1_exporter.doctor.finding import Finding
    from p1_exporter.link.port import PortSettings

_WRONG: Final = {"problem": "NO", "warning": "!!"}
"""The findings that are told, and the signs before them."""


class Place(NamedTuple):
    """Where a meter is read."""

    meter: str
    port: PortSettings
    reason: str = ""
    """Why there, if nobody named the port."""

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.meter}: {self.port.url}{why}"


def survey(places: Sequence[Place], *, as_json: bool, computer: Computer | None = None) -> int:
    """Look at the computer around each port, and print what is wrong.

    Args:
        places: where the meters are read.
        as_json: whether to print one JSON object in place of lines of text.
        computer: what to look at; None for the one that this runs on.

    Returns:
        The exit code: 0 if nothing is wrong, 1 if something is.

    Raises:
        UserError: Nothing can be seen here.
    """
    looked_at = computer or Computer()
    if looked_at.is_root:
        # On behalf of the service: whether somebody who typed sudo may open the port is no matter.
        looked_at = replace(looked_at, user="root")
    if not looked_at.path("/proc/cmdline").exists():
        raise UserError("--computer: nothing can be seen here. Look where /proc and /sys are mounted.")
    seen = {place: examine(looked_at, place.port, history=False) for place in places}
    wrong = any(finding.status in _WRONG for findings in seen.values() for finding in findings)
    verdict = _verdict(seen, wrong=wrong)
    if as_json:
        sys.stdout.write(json.dumps(_as_json(verdict, seen)) + "\n")
    else:
        # Not wrapped: commands are there to be copied, and logs have no width.
        sys.stdout.writelines(f"{line}\n" for line in (_lines(seen) if wrong else [verdict]))
    return int(wrong)


def _verdict(seen: dict[Place, list[Finding]], *, wrong: bool) -> str:
    ports = ", ".join(place.port.url for place in seen)
    if wrong:
        return f"Something on this computer stands in the way of reading {ports}."
    if any(finding.needs_root for findings in seen.values() for finding in findings):
        return (
            f"Nothing stands in the way of reading {ports}, as far as can be seen here. "
            "Root sees more: sudo p1-exporter doctor --computer"
        )
    return f"Nothing on this computer stands in the way of reading {ports}."


def _lines(seen: dict[Place, list[Finding]]) -> Iterable[str]:
    told: set[Finding] = set()
    for place, findings in seen.items():
        # What is wrong with the computer as such would be told again for each port.
        new = [finding for finding in findings if finding.status in _WRONG and finding not in told]
        told.update(new)
        if new:
            yield str(place)
        for finding in new:
            yield f"{_WRONG[finding.status]} {finding.summary}"
            yield from (f"   - {step}" for step in finding.advice)


def _as_json(verdict: str, seen: dict[Place, list[Finding]]) -> dict[str, Any]:
    meters = [
        {"name": place.meter, "port": place.port.url, "findings": [asdict(finding) for finding in findings]}
        for place, findings in seen.items()
    ]
    return {"verdict": verdict, "meters": meters}
