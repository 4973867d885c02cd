"""Receivers at bit level: what a UART makes of the edges on its RX pin.

Modelled: the clock that oversamples the line (start edges are found at its ticks), the start bit checked in its
middle, one sample in the middle of each bit, the stop bit, breaks, and what comes after a bad stop bit. That differs
between UARTs:

- `Uart`, the PL011: a character whose stop bit is low is in error, a break if all of it is; then mark is awaited, and a
  falling edge. The adapters FT232, CP210x, PL2303 and CH341 are assumed to do the same: their makers do not say.
- `Uart16550`: after a framing error the low stop bit is taken for the next start bit.
- `MiniUart` of the BCM2835: a clock of 8 ticks a bit, no stop bit. Half a bit after the last bit of data it looks for a
  start bit, so that a line that stays low is an endless row of 00, more than eight bits and a stop bit could carry.
- `SoftwareUart`: a microcontroller's interrupt routine, late when other work holds it up.

Not modelled: majority votes over several samples, metastability, and the glitch filters of some UARTs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

if TYPE_CHECKING:
    import random

CharacterError = Literal["framing", "parity", "break"]

_SEVEN_BITS: Final = bytes(byte & 0x7F for byte in range(256))


class Characters(NamedTuple):
    """What a receiver gave, in order.

    Attributes:
        times: when each character was complete, in seconds.
        data: the characters.
        errors: place in `data` of those in error, and what was wrong with them.
    """

    times: list[float]
    data: bytearray
    errors: list[tuple[int, CharacterError]]


def as_even_parity(characters: Characters) -> Characters:
    """Return what a UART set to 7E1 makes of the same samples: the eighth is a parity bit, and is checked."""
    errors = dict(characters.errors)
    for place, byte in enumerate(characters.data):
        if byte.bit_count() & 1 and errors.get(place) != "break":
            errors[place] = "parity"
    return Characters(characters.times, characters.data.translate(_SEVEN_BITS), sorted(errors.items()))


class Line:
    """The level of RX over time, known as far as its edges are; high, as in mark, before the first."""

    def __init__(self) -> None:
        self._edges = [math.inf, math.inf]
        """Those of interest, and two that never come."""
        self._passed = 0
        """How many of them are before the time that was asked for last."""
        self._low = 0
        """Whether the line is low before the first of them: the parity of the places of rising edges."""

    @property
    def at_rest(self) -> bool:
        """Whether the line is high for all that is known."""
        return not self._low and len(self._edges) == 2  # noqa: PLR2004 - those that never come

    def extend(self, edges: list[float]) -> None:
        """Forget what is passed; `edges` are those that come next."""
        self._low ^= self._passed & 1
        self._edges[:] = [*self._edges[self._passed : -2], *edges, math.inf, math.inf]
        self._passed = 0

    def is_high(self, time: float) -> bool:
        """Return the level at `time`, which never falls."""
        edges, passed = self._edges, self._passed
        while edges[passed] <= time:
            passed += 1
        self._passed = passed
        return not (passed ^ self._low) & 1

    def next_fall(self) -> float:
        """Return when the line falls next, after the time that was asked for last."""
        return self._edges[self._passed + ((self._passed ^ self._low) & 1)]


class Receiver:
    """Takes edges as they come; a character that is not complete waits for more.

    Args of the constructor: `baudrate`, by the receiver's own clock, with its error.
    """

    ticks_a_bit: ClassVar = 16
    data_bits: ClassVar = 8
    """Bits sampled, a parity bit included."""
    bits_after_data: ClassVar = 1.0
    """From the last sample of data to that of the stop bit, or to the search for the next start bit."""

    def __init__(self, baudrate: float) -> None:
        self.tune(baudrate)
        self._line = Line()
        self._start: float | None = None
        """When a character began that no falling edge announced."""

    def tune(self, baudrate: float) -> None:
        """Let the clock run at another speed from now on."""
        self.baudrate = baudrate
        self._bit = 1 / baudrate
        self._tick = self._bit / self.ticks_a_bit
        self._duration = (self.data_bits + 0.5 + self.bits_after_data) * self._bit
        """From a start edge to the end of a character, in seconds."""

    @property
    def at_rest(self) -> bool:
        """Whether the line is in mark and no character is being received."""
        return self._line.at_rest and self._start is None

    def receive(self, edges: list[float], until: float) -> Characters:
        """Return the characters that are complete by `until`; `edges` are all those before it that are new."""
        line, characters = self._line, Characters([], bytearray(), [])
        line.extend(edges)
        while (began := self._begin(until)) is not None:
            time = began
            value = 0
            for bit in range(self.data_bits):
                time += self._bit
                if line.is_high(time):
                    value |= 1 << bit
            self._end(time, value, characters)
        line.extend([])
        return characters

    def _begin(self, until: float) -> float | None:
        """Find a start bit whose character is complete by `until`; return the time of its middle."""
        line = self._line
        latest = until - self._duration - self._tick
        while (start := line.next_fall() if self._start is None else self._start) <= latest:
            ticks = math.ceil(start / self._tick) if self._start is None else start / self._tick
            self._start = None
            middle = ticks * self._tick + self._bit / 2
            if not line.is_high(middle):
                return middle
        return None

    def _end(self, time: float, value: int, characters: Characters) -> None:
        """Take in the character whose last bit of data was sampled at `time`."""
        raise NotImplementedError


class Uart(Receiver):
    """The PL011 of a Raspberry Pi."""

    resynchronizes: ClassVar = False
    """Whether the low stop bit of a framing error is taken for the next start bit."""

    def _end(self, time: float, value: int, characters: Characters) -> None:
        time += self._bit
        if not self._line.is_high(time):
            characters.errors.append((len(characters.data), "framing" if value else "break"))
            if value and self.resynchronizes:
                self._start = time - self._bit / 2
        characters.times.append(time)
        characters.data.append(value)


class Uart16550(Uart):
    """The 16550 of a PC and its many descendants."""

    resynchronizes = True


class MiniUart(Receiver):
    """The second UART of a Raspberry Pi, which knows neither stop bits nor breaks."""

    ticks_a_bit = 8
    bits_after_data = 0.5

    def _end(self, time: float, value: int, characters: Characters) -> None:
        characters.times.append(time)
        characters.data.append(value)
        time += self._bit / 2
        if not self._line.is_high(time):
            self._start = time


class MiniUart7(MiniUart):
    """The same set to 7E1: it knows no parity either, and takes the eighth bit for the stop bit, or a start bit."""

    data_bits = 7


class SoftwareUart(Receiver):
    """A microcontroller that times bits in an interrupt routine, and passes them on over a perfect line.

    Other work delays the routine in a share `late` of all cases, mostly by less than a bit, at times by characters. A
    falling edge while it runs makes it run again at its end. It gives up where the line is high by the time that it
    gets to look.
    """

    _PROMPT: ClassVar = 0.1
    """Bits that it takes to get to the routine when nothing holds it up, at most."""
    _DELAY: ClassVar = 0.6
    _LONG_DELAY: ClassVar = 10.0
    """Bits that it is late on average (exponentially distributed)."""
    _LONG_SHARE: ClassVar = 0.15
    _END: ClassVar = 0.75
    """Bits from the last sample to the end of the routine."""

    def __init__(self, baudrate: float, late: float, rng: random.Random) -> None:
        super().__init__(baudrate)
        self._late = late
        self._rng = rng
        self._delay = self._draw()

    def _begin(self, until: float) -> float | None:
        line = self._line
        while (start := line.next_fall() if self._start is None else self._start) < until:
            looks = start + self._delay
            if looks + self._duration > until:
                break
            self._start = None
            self._delay = self._draw()
            if not line.is_high(looks):
                return looks + self._bit / 2
        return None

    def _end(self, time: float, value: int, characters: Characters) -> None:
        characters.times.append(time)
        characters.data.append(value)
        time += self._END * self._bit
        if not self._line.is_high(time):
            self._start = time

    def _draw(self) -> float:
        """Return how long it takes to get to the routine next time, in seconds."""
        rng = self._rng
        if rng.random() >= self._late:
            return self._bit * rng.random() * self._PROMPT
        mean = self._LONG_DELAY if rng.random() < self._LONG_SHARE else self._DELAY
        return self._bit * rng.expovariate(1 / mean)
