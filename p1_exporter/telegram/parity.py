"""Seven data bits and even parity, read as eight data bits.

DSMR 2.2 and 3.0 meters send 7E1 (dsmr-info; the specifications are silent). Reading them as 8N1 leaves the parity
bit on top of each character, where software can check and remove it on every UART, also those without parity.
"""

from __future__ import annotations

from typing import Final

_STRIP: Final = bytes(byte & 0x7F for byte in range(256))
_ODD: Final = bytes(byte.bit_count() & 1 for byte in range(256))
_HIGH: Final = bytes(byte >> 7 for byte in range(256))
# Of the characters of P1 text, four in ten have an odd number of ones.
_MOSTLY_EVEN: Final = 0.9
_OFTEN_HIGH: Final = 0.2

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def with_parity(data: bytes) -> bytes:
    """Return 7-bit characters with even parity in their top bit, as an 8N1 reader receives them."""
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in data)


def without_parity(data: bytes | bytearray) -> bytes:
    """Return the characters of `data` without their top bit."""
    return bytes(data).translate(_STRIP)


def parity_errors(data: bytes | bytearray) -> int:
    """Count the characters of `data` whose eight bits hold an odd number of ones."""
    return sum(bytes(data).translate(_ODD))


def looks_seven_bit(data: bytes | bytearray) -> bool:
    """Tell whether these characters carry even parity in their top bit, but for a few that may be damaged."""
    characters = len(data) - data.count(0)
    even = characters - parity_errors(data)
    high = sum(bytes(data).translate(_HIGH))
    return even > _MOSTLY_EVEN * characters and high > _OFTEN_HIGH * characters


# How a telegram of such a meter begins: the slash (its parity bit is set) and three letters.
SLASH: Final = with_parity(b"/")
LETTERS: Final = with_parity(_LETTERS)
