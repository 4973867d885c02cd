"""What a meter puts on its wire, and when: runs of characters and the pauses between them."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.simulator.models import BITS_A_CHARACTER, Model, wire_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[bytes], bytes]
    Timing = Callable[[float, bytes], tuple[float, bytes]]

RUN: Final = 128
"""Characters in a run, at most."""
PAUSE: Final = 0.1
"""Seconds that a pause lasts, at most."""


class Run(NamedTuple):
    """Characters that are sent without a pause from `begin` to `end` (seconds), or a pause, without any."""

    begin: float
    end: float
    data: bytes


class Transmission:
    """The runs and pauses of a meter whose clock shows `start` (epoch seconds) at `now`.

    Args of the constructor: `change` is made to each telegram before it is encrypted or gets parity; `timing` gives
    when the telegram really begins that is due at a time, and which of its bytes are sent.

    Raises:
        UserError: as `wire_bytes`.
    """

    def __init__(  # noqa: PLR0913 - what and when, and for both what may be wrong with it
        self,
        model: Model,
        seed: int,
        start: float,
        now: float,
        *,
        change: Change | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.model = model
        self._household = model.household(seed)
        self._epoch = start - now
        self._change = change
        self._timing = timing
        self._now = now
        self._character = 1 / model.characters_a_second
        self._prepare(math.ceil(start / model.interval) * model.interval)

    @property
    def now(self) -> float:
        """Until when runs and pauses were taken."""
        return self._now

    def next(self) -> Run:
        """Take the next run or pause."""
        now = self._now
        if now < self._begin:
            end, data = min(now + PAUSE, self._begin), b""
        else:
            data = self._telegram[self._sent : self._sent + RUN]
            self._sent += len(data)
            end = self._begin + self._sent * self._character
            if self._sent == len(self._telegram):
                self._prepare(self._when + self.model.interval)
        self._now = max(now, end)
        return Run(now, self._now, data)

    def skip_to(self, now: float) -> None:
        """Let pass what is sent before `now`; the first telegram after it is the next one."""
        self._now = now
        self._prepare(math.ceil((now + self._epoch) / self.model.interval) * self.model.interval)

    def _prepare(self, when: int) -> None:
        """Make ready the telegram that is due when the meter's clock shows `when`."""
        self._when = when
        self._begin = when - self._epoch
        self._telegram = wire_bytes(self.model, self._household, when, self._change)
        if self._timing is not None:
            self._begin, self._telegram = self._timing(self._begin, self._telegram)
        self._sent = 0


def edges(run: Run, bit: float) -> list[float]:
    """Return when the wire changes in a run of characters, first from mark to space; a `bit` takes so many seconds."""
    found: list[float] = []
    begin = run.begin
    character = BITS_A_CHARACTER * bit
    for byte in run.data:
        found += [begin + changes * bit for changes in _changes(byte)]
        begin += character
    return found


@cache
def _changes(byte: int) -> tuple[int, ...]:
    """Return at which bits of its frame, counted from the beginning of the start bit, a character changes the wire."""
    levels = [1, 0, *(byte >> bit & 1 for bit in range(8)), 1]
    return tuple(bit for bit in range(BITS_A_CHARACTER) if levels[bit] != levels[bit + 1])
