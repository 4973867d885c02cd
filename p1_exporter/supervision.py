"""Looks after the threads of the meters while the program runs, and keeps the service manager up to date.

A sign of life is given only while every thread comes round. The clock that counts is the monotonic one, as it is for
systemd: it knows no jumps, and stands still while the computer sleeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from p1_exporter.link.state import link_state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from p1_exporter.meter import Meter, MeterSnapshot
    from p1_exporter.service_manager import ServiceManager

_LOOK_SECONDS: Final = 1.0
"""Between looks, at most: how late the status can be."""

_log = structlog.get_logger()


class Supervision:
    """Sees how the meters are, and tells the service manager.

    Args of the constructor: `manager`; `meters`, which gives those that are read now.
    """

    def __init__(self, manager: ServiceManager, meters: Callable[[], Iterable[Meter]]) -> None:
        self._manager = manager
        self._meters = meters
        self._status = ""
        self._ailing: frozenset[str] = frozenset()
        self._due = 0.0
        """When the next sign of life is due: at once, at first."""

    def look(self, now: float) -> float | None:
        """Tell what has changed, and give a sign of life if it is time for one and all is alive.

        Args:
            now: seconds of the monotonic clock.

        Returns:
            How many seconds later to look again, at the latest; None where there is nobody to be told.
        """
        if not self._manager.listens:
            return None
        meters = list(self._meters())
        ailments = {meter.name: words for meter in meters if (words := meter.ailment())}
        status = "; ".join(describe(meter.snapshot, ailments.get(meter.name, ""), now) for meter in meters)
        if status != self._status:
            self._status = status
            self._manager.status(status)
        for name in sorted(ailments.keys() - self._ailing):
            _log.error(
                "a meter needs p1-exporter to start anew",
                meter=name,
                reason=ailments[name],
                hint=self._hint(),
            )
        self._ailing = frozenset(ailments)
        return self._feed(now, ailments)

    def _feed(self, now: float, ailments: Collection[str]) -> float:
        """Give a sign of life twice as often as is asked for; return when to look again, in seconds."""
        if self._manager.watchdog_seconds is None:
            return _LOOK_SECONDS
        half = self._manager.watchdog_seconds / 2
        if now >= self._due and not ailments:
            self._manager.alive()
            self._due = now + half
        left = self._due - now
        return min(_LOOK_SECONDS, left if left > 0 else half)

    def _hint(self) -> str:
        if self._manager.watchdog_seconds is None:
            return "restart the service"
        return "the service manager will do that by itself; the other meters miss some telegrams then"


def describe(snapshot: MeterSnapshot, ailment: str, now: float) -> str:
    """Return in words how a meter is, such as `main: ok`.

    Args:
        snapshot: what is known of it.
        ailment: what is wrong with the thread that reads it; empty if nothing is.
        now: seconds of the monotonic clock.
    """
    return f"{snapshot.name}: {ailment or _link(snapshot, now)}"


def _link(snapshot: MeterSnapshot, now: float) -> str:
    state = link_state(snapshot.link, now)
    if snapshot.link.port_open:
        # Silence is a state and a fault.
        faults = [diagnosis.fault for diagnosis in snapshot.watch.faults if diagnosis.fault != state]
        return f"{state} ({', '.join(faults).replace('_', ' ')})" if faults else state
    if not snapshot.trouble:
        return f"opening {snapshot.link.port.port}"
    # Its first sentence says what is wrong, the others what to do.
    return f"{state}, {snapshot.trouble.partition('. ')[0].rstrip('.')}"
