"""Characters in place of those of an identity, damaged in the same way.

Every character of an identity becomes ``0``, the same in every telegram, so that comparing telegrams finds as much as
before. A character that arrived damaged becomes a damaged ``0``: the parity bit is as right or wrong as it was, a top
bit that was set stays set, a late start bit stays one, and where bits rose or fell, one bit of ``0`` does the same. It
has the same neighbour in time, by which late edges are told from noise, and is always the same one: the place of a
flip in the character itself, over many telegrams, would spell out the character that was sent.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from p1_exporter.telegram.parity import parity_errors, without_parity

if TYPE_CHECKING:
    from collections.abc import Sequence


class Wire(Enum):
    """How characters stand in the bytes of a capture."""

    EIGHT = auto()
    """Eight data bits."""
    SEVEN = auto()
    """Seven data bits and even parity, read as eight."""
    INVERTED = auto()
    """Ones for zeros: the receiver takes the first 1 of a character for its start bit, so that bits move by one."""


_INVERTED_TEXT: Final = bytes((~byte >> 1) & 0x7F for byte in range(256))

_ZERO: Final = ord("0")
_RISEN_BEFORE_ONE: Final = 0x38
_RISEN: Final = 0x32
_FALLEN_AFTER_ZERO: Final = 0x20
_FALLEN: Final = 0x10
_LATE_ZERO: Final = 0x98  # 30h as a receiver reads it that begins a bit too late: (30h >> 1) | 80h
_LATE_DIGITS: Final = range(0x98, 0xA0)
_TOP: Final = 0x80

DAMAGED_ZEROS: Final = tuple(
    bytes([character])
    for character in (_RISEN_BEFORE_ONE, _RISEN, _FALLEN_AFTER_ZERO, _FALLEN, _LATE_ZERO & 0x7F)
)
"""What a stand-in may be damaged to, without top bits."""

# What gives a telegram its shape, and what an idle or broken line makes; there is nothing in them to hide.
_KEPT: Final = b"\0\r\n!()/\x7f"

# In a message, what the framer takes for the start of a telegram, or looks at to see whether it ends.
_START: Final = re.compile(rb"/[A-Za-z]{3}")
_ENDING: Final = re.compile(rb"![^\r\n\0]{0,4}(?=[\r\n\0])")
# With an even and an odd number of ones: with parity bits, only one of them is a letter to a framer.
_LETTER: Final = ord("A")
_ODD_LETTER: Final = ord("C")
_NO_HEX_DIGIT: Final = ord("X")
_HEX_DIGITS: Final = b"0123456789ABCDEFabcdef"


def as_text(data: bytes | bytearray, wire: Wire) -> bytes:
    """Return the 7-bit characters that stand in `data`, one for each byte."""
    return bytes(data).translate(_INVERTED_TEXT) if wire is Wire.INVERTED else without_parity(data)


def put(wire: Wire, arrived: int, character: int) -> int:
    """Return the byte that holds the 7-bit `character` in place of `arrived`, with that one's other bit as it was."""
    if wire is Wire.INVERTED:
        return arrived & 1 | (~character & 0x7F) << 1
    if wire is Wire.EIGHT:
        return arrived & _TOP | character
    parity_error = arrived.bit_count() & 1
    return character | (character.bit_count() & 1 ^ parity_error) << 7


def stand_in(data: bytes, sent: Sequence[int | None], shape: bytes, wire: Wire) -> tuple[bytes, bytes]:
    """Return what stands in for `data`, which is part of an identity.

    Args:
        data: as it arrived.
        sent: for each byte of it the 7-bit character that the meter sent; None where that is not known.
        shape: of it, see `shape_of`.
        wire: how to read `data`.

    Returns:
        The bytes that stand in for it, and the change of the characters as sent: XORed, 7 bits for each byte. It
        changes a checksum as sent; damage is no part of it.
    """
    text = as_text(data, wire)
    changed = bytearray()
    change = bytearray()
    for arrived, character, undamaged, known in zip(data, text, shape, sent, strict=True):
        is_late = wire is Wire.EIGHT and arrived in _LATE_DIGITS
        is_kept = character in _KEPT
        if known is None or known == character or (undamaged != _ZERO and not is_kept):
            is_late = is_late and undamaged == _ZERO
            changed.append(_LATE_ZERO if is_late else put(wire, arrived, undamaged))
            change.append(character ^ (_LATE_ZERO & 0x7F if is_late else undamaged))
        elif is_kept:
            changed.append(arrived)
            change.append(known ^ _ZERO)
        else:
            late = is_late and known in _sent_late(arrived)
            changed.append(_LATE_ZERO if late else put(wire, arrived, _damaged_zero(known, character)))
            change.append(known ^ _ZERO)
    return bytes(changed), bytes(change)


def _sent_late(arrived: int) -> tuple[int, int]:
    """Return the characters that arrive as `arrived` if the receiver begins a bit too late."""
    return arrived << 1 & 0x7E, arrived << 1 & 0x7E | 1


def _damaged_zero(sent: int, arrived: int) -> int:
    """Return ``0`` with the kind of damage that `sent` has in `arrived`."""
    risen, fallen = arrived & ~sent, sent & ~arrived
    if risen:
        return _RISEN_BEFORE_ONE if risen & sent >> 1 else _RISEN
    # The start bit, before the first, is a zero.
    return _FALLEN_AFTER_ZERO if fallen & ~(sent << 1) else _FALLEN


def shape_of(text: bytes) -> bytes:
    """Return what stands in for undamaged characters of `text`: ``0``, but for all that a framer looks at.

    It must be all the text, as what a framer looks at may go beyond an identity.
    """
    shape = bytearray(character if character in _KEPT else _ZERO for character in text)
    for ending in _ENDING.finditer(text):
        for place in range(*ending.span()):
            if text[place] not in _KEPT + _HEX_DIGITS:
                shape[place] = _NO_HEX_DIGIT
    for start in _START.finditer(text):
        for place in range(start.start() + 1, start.end()):
            shape[place] = _ODD_LETTER if text[place].bit_count() & 1 else _LETTER
    return bytes(shape)


def wire_of(stream: bytes) -> Wire:
    """Return how characters stand in `stream`, if it is not inverted: with parity bits that are right, or without."""
    # What an idle or broken line makes has an even number of ones.
    heard = stream.translate(None, b"\0\xff")
    high = len(heard.translate(None, bytes(range(_TOP))))
    is_parity = parity_errors(heard) * 4 < len(heard) < high * 8
    return Wire.SEVEN if is_parity else Wire.EIGHT
