"""A check on telegrams without checksum: a flipped digit must not become a spike or a counter reset.

Only registers can be checked so: they never fall, and rise no faster than power, or water, can flow. What a flipped
digit does to a gauge in 8N1 cannot be seen by anyone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p1_exporter.telegram.readings import Labels
    from p1_exporter.telegram.samples import Sample

# Devices on the M-Bus are read every five minutes to every hour, so that their registers rise in steps.
_MBUS_SECONDS: Final = 3600.0
# A gas meter G65, the largest behind a P1 port, passes 100 cubic metres an hour; water meters pass less.
_CUBIC_METERS_PER_SECOND: Final = 100 / 3600
# The registers of one telegram may be read a telegram apart: an interval of the slowest meters.
_SLACK_SECONDS: Final = 10.0

Registers = dict[tuple[str, "Labels"], float]


def registers(samples: Iterable[Sample]) -> Registers:
    """Return the values among `samples` that can only rise, in base units."""
    return {
        (sample.name, sample.labels): sample.value
        for sample in samples
        if sample.name.endswith(("_joules_total", "_varh_total", "_cubic_meters_total"))
    }


# Time and value of registers.
_Known = dict[tuple[str, "Labels"], tuple[float, float]]


class Plausibility:
    """Judges the telegrams of one meter that prints no checksum.

    Args of the constructor: `max_power`, the most that the connection can carry, in watts.
    """

    def __init__(self, max_power: float) -> None:
        self._max_power = max_power
        self._accepted: _Known = {}
        """The newest accepted value of each register: one that is missing in a telegram is not forgotten."""
        self._candidate: _Known = {}
        """The last telegram, if it was not accepted."""

    def accepts(self, values: Registers, now: float) -> bool:
        """Whether a telegram with these registers, received at `now` (seconds of a monotonic clock), is accepted.

        One that contradicts what was accepted waits until a second agrees with it; so does the first of all.
        """
        known = {register: (now, value) for register, value in values.items()}
        if self._accepted and self._follows(values, self._accepted, now):
            self._accepted.update(known)
        elif self._candidate and self._follows(values, self._candidate, now):
            self._accepted = known
        else:
            self._candidate = known
            return False
        self._candidate = {}
        return True

    def _follows(self, values: Registers, known: _Known, now: float) -> bool:
        for register, value in values.items():
            since, before = known.get(register, (now, value))
            if not 0 <= value - before <= self._most(*register, now - since):
                return False
        return True

    def _most(self, name: str, labels: Labels, elapsed: float) -> float:
        """Return how far a register may rise in `elapsed` seconds, in its unit."""
        seconds = elapsed + _SLACK_SECONDS
        if name.endswith("_cubic_meters_total"):
            return _CUBIC_METERS_PER_SECOND * (seconds + _MBUS_SECONDS)
        if name.endswith("_varh_total"):
            return self._max_power / 3600 * seconds
        if any(label == "channel" for label, _ in labels):
            return self._max_power * (seconds + _MBUS_SECONDS)
        return self._max_power * seconds
