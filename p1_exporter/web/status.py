"""`/api/v1/status`: the state of every meter's link, for scripts and for the doctor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from p1_exporter import __version__
from p1_exporter.link.state import link_state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p1_exporter.link.diagnosis import Diagnosis
    from p1_exporter.meter import MeterSnapshot

STATUS_PATH: Final = "/api/v1/status"


def status(snapshots: Iterable[MeterSnapshot], now: float) -> bytes:
    """Return the status of the meters at the time `now` (seconds of a monotonic clock), as JSON in UTF-8.

    Ages are in seconds. Nothing of what a meter sends is in it.
    """
    return json.dumps({"version": __version__, "meters": meters(snapshots, now)}, indent=2).encode() + b"\n"


def meters(snapshots: Iterable[MeterSnapshot], now: float) -> list[dict[str, Any]]:
    """Return the status of each meter at the time `now`, as in the JSON."""
    return [_meter(snapshot, now) for snapshot in snapshots]


def _meter(snapshot: MeterSnapshot, now: float) -> dict[str, Any]:
    link, watch = snapshot.link, snapshot.watch
    return {
        "name": snapshot.name,
        "port": link.port.port,
        "driver": link.port.driver,
        "baudrate": link.port.baudrate,
        "circuit": snapshot.circuit,
        "state": link_state(link, now),
        "up": link.fresh(now),
        "last_telegram_age": None if link.last_accepted is None else round(now - link.last_accepted, 1),
        "telegrams": {"accepted": link.accepted, "errors": dict(link.errors), "missed": link.missed},
        "line_errors": dict(link.line_errors),
        "damage": {
            "0_to_1": watch.damage.up,
            "1_to_0": watch.damage.down,
            "lost": watch.damage.lost,
            "inserted": watch.damage.foreign,
        },
        "faults": [_fault(snapshot, diagnosis) for diagnosis in watch.faults],
    }


def _fault(snapshot: MeterSnapshot, diagnosis: Diagnosis) -> dict[str, Any]:
    from p1_exporter.link.faults import faults  # noqa: PLC0415 - most links have none

    fault = faults()[diagnosis.fault]
    return {
        "fault": diagnosis.fault,
        "confidence": diagnosis.confidence,
        "meaning": fault.meaning,
        "seen": diagnosis.seen,
        "part": fault.part(snapshot.circuit),
        "advice": list(fault.advice(snapshot.circuit, diagnosis.situation)),
        "situation": sorted(diagnosis.situation),
    }
