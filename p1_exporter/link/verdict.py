"""Which faults to name: diagnoses come and go with every telegram, names must not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p1_exporter.link.diagnosis import Diagnosis

# A look that comes late tells of the past only so much.
_LONGEST_STEP: Final = 5.0


class Verdict:
    """Leaky buckets, one for each fault.

    What is found flows in, time lets it leak. A fault is named from when its bucket is full until it is empty again.
    """

    def __init__(self) -> None:
        self._levels: dict[str, float] = {}
        self._newest: dict[str, Diagnosis] = {}
        self._named: set[str] = set()
        self._last: float | None = None

    def update(self, now: float, diagnoses: Sequence[Diagnosis], seconds: float) -> tuple[Diagnosis, ...]:
        """Take the diagnoses at the time `now` into account; return the faults to name, likeliest first.

        `seconds` is how long something must be found to be named, or missing to be so no longer.
        """
        step = min(now - self._last, _LONGEST_STEP) / seconds if self._last is not None else 0.0
        self._last = now
        self._newest.update((diagnosis.fault, diagnosis) for diagnosis in diagnoses)
        found = {diagnosis.fault for diagnosis in diagnoses}
        for fault in list(self._newest):
            level = self._levels.get(fault, 0.0) + (step if fault in found else -step)
            self._levels[fault] = min(max(level, 0.0), 1.0)
            if self._levels[fault] >= 1:
                self._named.add(fault)
            elif self._levels[fault] <= 0:
                self._named.discard(fault)
                if fault not in found:
                    del self._levels[fault], self._newest[fault]
        named = (self._newest[fault] for fault in self._named)
        return tuple(sorted(named, key=lambda diagnosis: -diagnosis.confidence))
