"""The words for a link: its state, `p1_link_state`, and the names of its faults, `p1_link_fault`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from p1_exporter.link.record import LinkSnapshot

STATES: Final = ("disconnected", "starting", "silent", "failing", "degraded", "ok")

FAULT_NAMES: Final = (
    "disconnected",
    "silent",
    "stuck_low",
    "inverted",
    "wrong_speed",
    "wrong_format",
    "clock",
    "slow_fall",
    "slow_rise",
    "noise",
    "hum",
    "intermittent",
    "overrun",
    "lost_characters",
    "second_reader",
    "request_drop",
    "checksum",
    "unclear",
)
"""Values of the label of `p1_link_fault`. `faults.toml` says what they are."""

_STARTING_SECONDS: Final = 60.0
_FAILING: Final = 0.5
_DEGRADED: Final = 0.99


def link_state(link: LinkSnapshot, now: float) -> str:
    """Return the first of STATES that holds at `now` (seconds of a monotonic clock)."""
    if not link.port_open:
        return "disconnected"
    if now - link.started < _STARTING_SECONDS:
        return "starting"
    if link.last_byte is None or now - link.last_byte > link.expiry:
        return "silent"
    if link.reachability is None or link.reachability < _FAILING or not link.fresh(now):
        return "failing"
    return "degraded" if link.reachability < _DEGRADED else "ok"
