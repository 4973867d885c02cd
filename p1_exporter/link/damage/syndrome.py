"""Where a single flipped bit is, from what it does to a checksum.

A CRC is linear: what flips do to it depends on their places only, not on the text. The syndrome, the checksum of what
was received XOR the one that was sent, is therefore the sum of one word for each flip, and the words of all places up
to 32,767 bits before the end differ.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p1_exporter.telegram.crc import Checksum

_PERIOD: Final = 32767
_LAST_BIT: Final = b"\x80"
"""Characters are sent least significant bit first."""


def effect(checksum: Checksum, flipped: bytes) -> int:
    """Return the syndrome of the bits that are set in `flipped`, which reaches to the end of the text."""
    return checksum.advance(0, flipped)


def single_flips(checksum: Checksum, syndrome: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield offset and bit (0 = least significant) of each bit of a text of `size` bytes that has this syndrome.

    There is one at most in 4,095 bytes, and one in eighteen syndromes or so has one in a usual telegram.
    """
    # In each step of the register an even number of bits changes: the words of single bits are all odd ones.
    if not syndrome.bit_count() & 1:
        return
    for distance in range(_distances(checksum)[syndrome >> 1], 8 * size, _PERIOD):
        yield size - 1 - distance // 8, 7 - distance % 8


@lru_cache(maxsize=2)
def _distances(checksum: Checksum) -> array[int]:
    """Return how many bits before the end of a text the bit is that has a syndrome, by the syndrome's upper 15 bits.

    The lowest bit follows from the others by parity. 64 KiB, made when a telegram is rejected for the first time.
    """
    distances = array("H", bytes(2 * (_PERIOD + 1)))
    word = polynomial = effect(checksum, _LAST_BIT)
    for distance in range(_PERIOD):
        distances[word >> 1] = distance
        word = word >> 1 ^ (polynomial if word & 1 else 0)
    return distances
