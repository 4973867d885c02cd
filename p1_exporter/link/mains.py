"""Whether errors, or arrivals, keep step with the mains: hum does its damage at the same place of each period."""

from __future__ import annotations

import cmath
import math
from collections import defaultdict
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p1_exporter.link.port import Chunk

# All meters with a P1 port are in countries with 50 Hz; rectified, that is 100 Hz.
_PERIODS: Final = (0.02, 0.01)
# In fewer periods, or with fewer errors, anything may look regular.
_FEWEST_PERIODS: Final = 3
_FEWEST: Final = 8
# A read that follows another one sooner begins where the one before left off, not where something arrived: readers
# gather for up to 10 ms, or for 50 ms as this program does.
_APART: Final = 0.012
_APART_HERE: Final = 0.052
_GATHERED_HERE: Final = 0.049
# Meters send once a second, which is in step with the mains: it takes more arrivals than theirs.
_FEWEST_IN_A_SECOND: Final = 8
_FEWEST_ARRIVALS: Final = 16
# What comes within so many seconds of the same place of the period came at the same place.
_NEAR: Final = 0.001


def in_step(telegrams: Sequence[Sequence[int]], capacity: float) -> float:
    """Return how much errors keep step with the mains, from 0 to 1 (the mean resultant length of their phases).

    Args:
        telegrams: places of the errors of each telegram, in characters from its beginning.
        capacity: characters a second.
    """
    return max(
        _in_step([[place / capacity for place in places] for places in telegrams], each) for each in _PERIODS
    )


def _in_step(telegrams: Sequence[Sequence[float]], period: float) -> float:
    # From telegram to telegram the mains drift: only within one are phases compared.
    fitting = [
        times for times in telegrams if len({round(time / period) for time in times}) >= _FEWEST_PERIODS
    ]
    number = sum(len(times) for times in fitting)
    if number < _FEWEST:
        return 0.0
    return sum(_resultant(times, period) for times in fitting) / number


def arrivals_in_step(chunks: Sequence[Chunk]) -> float:
    """Return how often what arrives after a pause does so at the same place of the mains period.

    That is the share of pairs that do, 0 where too little arrives; a tenth of them do by chance. Only arrivals in the
    same second are compared, as the mains drift, and so does the clock of whoever reads.
    """
    pauses = [later.time - earlier.time for earlier, later in pairwise(chunks)]
    apart = _APART_HERE if pauses and min(pauses) > _GATHERED_HERE else _APART
    seconds = defaultdict(list)
    for pause, chunk in zip(pauses, chunks[1:], strict=True):
        if pause > apart:
            seconds[int(chunk.time)].append(chunk.time)
    busy = [times for times in seconds.values() if len(times) >= _FEWEST_IN_A_SECOND]
    if sum(map(len, busy)) < _FEWEST_ARRIVALS:
        return 0.0
    distances = [later - earlier for times in busy for earlier, later in combinations(times, 2)]
    return sum(abs(math.remainder(each, _PERIODS[0])) < _NEAR for each in distances) / len(distances)


def _resultant(times: Sequence[float], period: float) -> float:
    return abs(sum(cmath.exp(2j * cmath.pi * time / period) for time in times))
