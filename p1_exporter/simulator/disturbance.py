"""What else acts on the wire, besides the meter: noise, hum, bad contacts.

Each is a series of windows in time in which T1 is held conducting (as in a space, RX low) or not conducting (as in a
mark), whatever the meter does: that is all of a disturbing voltage that gets through the comparator which T1 is. The
series are endless iterators, so that they are the same however time is cut.

Modelled: impulses in series with the wire (ground noise) and injected into it (field), random noise by the rate and
length of its excursions beyond the margins of mark and space (S. O. Rice), hum of a mains current with its harmonics,
contacts that bounce. Not modelled: noise that moves an edge without passing the threshold, and RX's own wire.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.simulator.circuit import MARK_MARGIN, SPACE_MARGIN

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

MAINS: Final = 50.0
"""Hertz."""
_HARMONICS: Final = ((1, 1.0), (3, 1.0), (5, 0.9), (7, 0.8), (9, 0.7), (11, 0.7), (13, 0.6))
"""Order and typical strength."""
_PARTS_OF_A_CYCLE: Final = 400


class Window(NamedTuple):
    """Seconds from `on` to `off` in which T1 conducts (`space`), or does not."""

    on: float
    off: float
    space: bool


_IMPULSE_VOLT: Final = 0.35
"""Mean height of what goes beyond a margin."""


class Schedule:
    """Windows that begin in order and do not overlap, taken as time goes by.

    One without length stands for a time in which there is none: endless iterators must not search for ever.
    """

    def __init__(self, windows: Iterator[Window]) -> None:
        self._windows = windows
        self._next = next(windows, None)

    def before(self, until: float) -> list[Window]:
        """Take the windows that begin before `until`, and of one that lasts longer the part before it."""
        taken = []
        while (window := self._next) is not None and window.on < until:
            if window.off > until:
                taken.append(window._replace(off=until))
                self._next = window._replace(on=until)
            else:
                if window.off > window.on:
                    taken.append(window)
                self._next = next(self._windows, None)
        return taken

    def skip_to(self, time: float) -> None:
        """Let pass all windows that end before `time`."""
        while (window := self._next) is not None and window.off <= time:
            self._next = next(self._windows, None)

    def at(self, time: float) -> bool:
        """Whether `time`, which never falls, is within a window."""
        self.skip_to(time)
        return self._next is not None and self._next.on <= time


class Disturbance(Schedule):
    """Puts windows over the edges that T1 sees."""

    def __init__(self, windows: Iterator[Window]) -> None:
        super().__init__(windows)
        self._meter = False
        """Whether the meter makes a space."""
        self._space = False
        """Whether T1 conducts."""
        self._until = -math.inf

    @property
    def at_rest(self) -> bool:
        """Whether neither the meter nor a window makes a space."""
        return not (self._meter or self._space)

    def impose(self, edges: list[float], windows: list[Window], until: float) -> list[float]:
        """Return the edges before `until` as they are under `windows`."""
        imposed: list[float] = []
        meter, space = self._meter, self._space
        if space != meter and not (windows and windows[0].on <= self._until):
            imposed.append(self._until)
            space = meter
        done = 0
        for on, off, held in windows:
            before = bisect_left(edges, on, done)
            if before > done:
                imposed += edges[done:before]
                meter ^= bool((before - done) & 1)
                space = meter
            if space != held:
                imposed.append(on)
                space = held
            done = bisect_right(edges, off, before)
            meter ^= bool((done - before) & 1)
            if meter != held and off < until:
                imposed.append(off)
                space = meter
        if done < len(edges):
            imposed += edges[done:]
            meter ^= bool((len(edges) - done) & 1)
            space = meter
        self._meter, self._space, self._until = meter, space, until
        return imposed


def impulses(
    rng: random.Random, begin: float, rate: float, width: tuple[float, float], share_of_space: float
) -> Iterator[Window]:
    """Yield single impulses, `rate` of them a second; each lasts some time between the two widths (seconds).

    `share_of_space` is the share of those that turn T1 on; the others turn it off.
    """
    time = begin
    while True:
        time += rng.expovariate(rate)
        on, time = time, time + rng.uniform(*width)
        yield Window(on, time, rng.random() < share_of_space)


def ground_noise(rng: random.Random, begin: float, rate: float, bit: float) -> Iterator[Window]:
    """Yield impulses in series with the wire, of both signs, `rate` of them beyond the margin of mark a second.

    Their heights are distributed exponentially, so that fewer are beyond the larger margin of space.
    """
    beyond_space = math.exp(-(SPACE_MARGIN - MARK_MARGIN) / _IMPULSE_VOLT)
    share = 1 / (1 + beyond_space)
    return impulses(rng, begin, rate / share, (0.3 * bit, 1.6 * bit), share)


def field_noise(rng: random.Random, begin: float, rate: float, bit: float) -> Iterator[Window]:
    """Yield currents injected into the wire: enough to pull down a released wire, never to lift one in mark."""
    return impulses(rng, begin, rate, (0.2 * bit, 1.2 * bit), 0.0)


def random_noise(rng: random.Random, begin: float, rms: float, width: float) -> Iterator[Window]:
    """Yield the excursions of normally distributed noise of `rms` volts beyond the margins.

    A noise whose excursions last `width` seconds on average changes its sign about every `width`; how rarely it
    gets beyond a margin is Rice's exponential.
    """
    upwards, downwards = (
        math.exp(-((margin / rms) ** 2) / 2) / (2 * width) for margin in (MARK_MARGIN, SPACE_MARGIN)
    )
    both = upwards + downwards
    return impulses(rng, begin, both, (0.5 * width, 1.5 * width), upwards / both)


def hum(rng: random.Random, begin: float, volt: float, sway: float) -> Iterator[Window]:
    """Yield the times in which the hum of a ground loop is beyond the margin of mark.

    A wire that the meter has released follows the voltage between the grounds, so that hum does nothing in a space.
    The current of a neutral conductor is rich in odd harmonics. Its peak is `volt`, and sways by the share `sway`
    from one second to the next, as loads come and go.
    """
    harmonics = [
        (order, strength * rng.uniform(0.5, 1.5), rng.uniform(0, math.tau)) for order, strength in _HARMONICS
    ]
    shape = [
        sum(
            strength * math.sin(order * part * math.tau / _PARTS_OF_A_CYCLE + phase)
            for order, strength, phase in harmonics
        )
        for part in range(_PARTS_OF_A_CYCLE)
    ]
    highest = max(shape)
    part = 1 / MAINS / _PARTS_OF_A_CYCLE
    cycle = begin + rng.random() / MAINS
    while True:
        margin = highest * MARK_MARGIN / (volt * (1 + sway * rng.uniform(-1, 1)))
        beyond = [number for number, height in enumerate(shape) if height > margin]
        first = [number for number in beyond if number - 1 not in beyond]
        last = [number for number in beyond if number + 1 not in beyond]
        excursions = [(on * part, (off + 1) * part) for on, off in zip(first, last, strict=True)]
        yield Window(cycle, cycle, space=True)
        for _ in range(int(MAINS)):
            for on, off in excursions:
                yield Window(cycle + on, cycle + off, space=True)
            cycle += 1 / MAINS


def contact(
    rng: random.Random, begin: float, rate: float, lasting: tuple[float, float], bounces: int
) -> Iterator[Window]:
    """Yield the times in which a loose contact leaves the wire to its pull-up, `rate` times a second.

    It bounces up to so many times, and each time is open for some time between the two of `lasting` (seconds).
    """
    shortest, longest = map(math.log, lasting)
    time = begin
    while True:
        time += rng.expovariate(rate)
        for _ in range(rng.randint(1, bounces)):
            on, time = time, time + math.exp(rng.uniform(shortest, longest))
            yield Window(on, time, space=True)
            time += math.exp(rng.uniform(shortest, longest))


def phases(begin: float, period: float, share: float) -> Iterator[Window]:
    """Yield the first `share` of every `period` (seconds): all of the time if it is 1."""
    number = 0
    while share < 1:
        on = begin + number * period
        yield Window(on, on + share * period, space=True)
        number += 1
    yield Window(begin, math.inf, space=True)


def spells(rng: random.Random, begin: float, length: float, share: float) -> Iterator[Window]:
    """Yield times of about `length` (seconds) that make up the given share of all time."""
    time = begin
    while True:
        on, time = time, time + length * rng.uniform(0.5, 1.5)
        yield Window(on, time, space=True)
        time += length * rng.uniform(0.5, 1.5) * (1 - share) / share
