"""CPU time of pieces of work that take turns, so that a busy machine is unfair to none of them.

What else a machine does takes caches and half of a core away for a while, and then it does not: short turns let all
works have their share of that.
"""

from __future__ import annotations

import gc
import time
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Work = Callable[[], Iterator[None]]
    """What is done turn by turn: it yields after each."""

_FINISHED: Final = object()


class CannotMeasureError(Exception):
    """Something is missing, or does not work, without which there is no figure."""


class Figure(NamedTuple):
    """What several rounds gave, smallest, middle and largest."""

    least: float
    median: float
    most: float

    def shown(self, factor: float = 1.0, digits: int = 1) -> str:
        """Return the median and the range, multiplied by `factor`."""
        least, middle, most = (f"{value * factor:.{digits}f}" for value in self)
        return f"{middle} ({least}-{most})"


def figure(values: Iterable[float]) -> Figure:
    """Return the figure of what the rounds gave."""
    values = sorted(values)
    return Figure(values[0], median(values), values[-1])


def rounds(works: Mapping[str, Work], count: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Return the CPU seconds of each work in each of `count` rounds; in a round they take turns until all are done.

    After the `warm_up`, a round that is not counted, the caches and lazy imports of all works are warm. What lives by
    then is kept out of garbage collection, so that no work pays for what another one, or the benchmark, holds.
    """
    if warm_up:
        _round(works)
    gc.collect()
    gc.freeze()
    taken = [_round(works) for _ in range(count)]
    gc.unfreeze()
    return {name: [seconds[name] for seconds in taken] for name in works}


def _round(works: Mapping[str, Work]) -> dict[str, float]:
    """Return the CPU seconds of each work, its own garbage collection included."""
    seconds = dict.fromkeys(works, 0.0)
    unfinished = {name: work() for name, work in works.items()}
    while unfinished:
        for name, turns in list(unfinished.items()):
            gc.collect()
            began = time.process_time()
            finished = next(turns, _FINISHED) is _FINISHED
            seconds[name] += time.process_time() - began
            if finished:
                del unfinished[name]
    return seconds


def ratio(many: Iterable[float], few: Iterable[float]) -> Figure:
    """Return how many times as much the first took, round by round."""
    return figure(one / other for one, other in zip(many, few, strict=True))
