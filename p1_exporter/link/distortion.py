"""What a fault of the wire makes of P1 text: tells how characters arrive, so that one can look for them.

A UART aligns itself with the falling edge of each start bit. From there, whatever moves edges or samples changes
characters by a rule, and each rule below is that of one fault (measured: a transistor inverter on a long cable, an
inverted line and a software UART give exactly these characters). Bits are numbered as they are sent, bit 0 first;
before it comes the start bit (0), after bit 7 the stop bit (1).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DIGITS: Final = b"0123456789"

# The beginning of an object line, such as 1-0:1.8.1: the one pattern that all telegrams repeat.
_LINE_START: Final = (b"\n", _DIGITS, b"-", _DIGITS, b":", _DIGITS)

_COMMON: Final = b"0123456789.:-()*\r\n"
_TOP_BIT_SET: Final = {x | 0x80 for x in _COMMON}
SHORT_ZEROS: Final = bytes({x | x >> 1 | 0x80 for x in _COMMON} - _TOP_BIT_SET)
"""What the commonest characters become when each 0 before a 1 arrives as 1, and nothing else makes of them."""
LATE_STARTS: Final = bytes({x >> 1 | 0x80 for x in _COMMON} - _TOP_BIT_SET)
"""What they become when the start bit comes late, likewise."""

LETTERS_WITH_TOP_BIT: Final = bytes(x | 0x80 for x in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
"""What letters become when their last bit is sampled too early: of the common characters, only they have a 1 before."""

LINE_LENGTH: Final = 28
"""Characters of a usual object line, so that hits can be given as a share of what there should be."""


def _as_sent(x: int) -> tuple[int, ...]:
    return (x,)


def _top_bit_lost(x: int) -> tuple[int, ...]:
    """Seven data bits with parity, or a sample of the last bit that hits its neighbour."""
    return (x | 0x80, x & 0x7F)


def _inverted(x: int) -> tuple[int, ...]:
    """Ones for zeros: the receiver takes the first 1 of a character for its start bit, so that bits move by one."""
    return (~(x << 1) & 0xFE, ~(x << 1) & 0xFE | 1)


def _fall_late(x: int) -> tuple[int, ...]:
    """A 0 that is followed by a 1 arrives as 1 (the stop bit follows bit 7)."""
    return _between(x, x | x >> 1 | 0x80)


def _rise_late(x: int) -> tuple[int, ...]:
    """A 1 that follows a 0 arrives as 0 (the start bit comes before bit 0)."""
    return _between(x & x << 1, x)


def _start_late(x: int) -> tuple[int, ...]:
    """The receiver begins a bit too late, as a software UART does that was busy."""
    return (x >> 1 | 0x80,)


def _sampled_early(x: int) -> tuple[int, ...]:
    """The last bits are sampled in the ones before them, as with a clock that is far too fast."""
    last = {x & 0x80, x << 1 & 0x80}
    last_but_one = {x & 0x40, x << 1 & 0x40}
    return tuple(sorted(x & 0x3F | top | below for top in last for below in last_but_one))


def _between(low: int, high: int) -> tuple[int, ...]:
    """All characters that have the ones of `low` and no others than those of `high`."""
    free = high & ~low
    return tuple(x for x in range(256) if x & ~free == low)


DISTORTIONS: Final[dict[str, Callable[[int], tuple[int, ...]]]] = {
    "as_sent": _as_sent,
    "top_bit": _top_bit_lost,
    "inverted": _inverted,
    "fall_late": _fall_late,
    "rise_late": _rise_late,
    "start_late": _start_late,
    "sampled_early": _sampled_early,
}
"""Characters that a sent one may arrive as, by the name of the distortion."""


def _class(characters: Iterable[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % character for character in sorted(set(characters))) + b"]"


@cache
def _pattern(name: str) -> re.Pattern[bytes]:
    distortion = DISTORTIONS[name]
    classes = (_class(arrived for sent in sents for arrived in distortion(sent)) for sents in _LINE_START)
    return re.compile(b"".join(classes))


def text_share(data: bytes, distortion: str) -> float:
    """Return how much of `data` reads as P1 text that went through a distortion, about 0 to 1.

    It is the number of object lines found, as a share of those that so many bytes of a telegram would have.
    """
    if not data:
        return 0.0
    found = sum(1 for _ in _pattern(distortion).finditer(data))
    return min(1.0, found * LINE_LENGTH / len(data))
