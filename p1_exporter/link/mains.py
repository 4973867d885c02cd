"""Whether errors keep step with the mains: hum on a line does its damage at the same place of each period."""

from __future__ import annotations

import cmath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# All meters with a P1 port are in countries with 50 Hz; rectified, that is 100 Hz.
_PERIODS: Final = (0.02, 0.01)
# In fewer periods, or with fewer errors, anything may look regular.
_FEWEST_PERIODS: Final = 3
_FEWEST: Final = 8


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
    total = sum(abs(sum(cmath.exp(2j * cmath.pi * time / period) for time in times)) for times in fitting)
    return total / number
