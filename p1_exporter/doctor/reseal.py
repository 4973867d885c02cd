"""Checksums for telegrams in which something was replaced: as right or as wrong as they were.

A CRC is linear: what it changes by follows from what the text changed by, whatever else stands in the telegram and
however it arrived. So a checksum that did not verify is off by the same as before, and tells as much about the damage.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.doctor.stand_in import as_text, put
from p1_exporter.telegram.crc import ARC, CHECKSUMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from p1_exporter.doctor.stand_in import Wire
    from p1_exporter.telegram.crc import Checksum

_ENDING: Final = re.compile(rb"!([0-9A-Fa-f]{1,4})[\r\n\0]*\Z")
# Four digits whatever follows, fewer at the end of a line; and a line of the length of an ending whose mark is damaged
# or lost.
_DAMAGED_ENDING: Final = re.compile(
    rb"(!|(?<=[\r\n])[^!\r\n]?(?=[0-9A-Fa-f]{4}[\r\n]))"
    rb"([0-9A-Fa-f]{4}|[^\r\n\0!/()]{1,4}(?=([\r\n\0])|\Z))"
)
_DIGITS: Final = 4
_BITS: Final = 4
_MOST_VARIED: Final = 4
_ZERO: Final = ord("0")


class Text(NamedTuple):
    """Part of a capture, read in one way."""

    wire: Wire
    before: bytes
    """As it was, in bytes of the wire."""
    after: bytearray
    """With what was replaced."""
    change: bytearray
    """Of the characters as sent, XORed."""

    def character(self, place: int, character: int) -> None:
        """Put another character."""
        self.after[place] = put(self.wire, self.before[place], character)


def checksum_of(text: bytes) -> Checksum | None:
    """Return the checksum that verifies in a whole telegram."""
    ending = _ENDING.search(text)
    if ending is None:
        return None
    sealed, printed = text[: ending.start() + 1], int(ending[1], 16)
    return next((checksum for checksum in CHECKSUMS if checksum.of(sealed) == printed), None)


def reseal(telegram: Text, checksum: Checksum) -> None:
    """Give a telegram whose `checksum` verified the one that verifies now."""
    ending = _ENDING.search(as_text(telegram.before, telegram.wire))
    if ending is None or not any(telegram.change):
        return
    changed = checksum.advance(0, bytes(telegram.change[: ending.start() + 1]))
    if changed >> _BITS * len(ending[1]):
        # Printed without leading zeros, and no room for another digit.
        changed = _varied(telegram, checksum, ending.start() + 1, len(ending[1]))
    _print(telegram, ending.start(1), ending[1], _nibbles(changed, len(ending[1])))


def _varied(telegram: Text, checksum: Checksum, end: int, digits: int) -> int:
    """Vary the last of the replaced characters until what the checksum changes by has so many `digits`; return it."""
    text = as_text(telegram.before, telegram.wire)
    after = as_text(bytes(telegram.after), telegram.wire)
    varied = [place for place in range(end) if telegram.change[place] and after[place] == _ZERO][
        -_MOST_VARIED:
    ]
    changed = 0
    for number in range(10 ** len(varied)):
        for place, digit in zip(varied, f"{number:0{len(varied)}}".encode(), strict=True):
            telegram.character(place, digit)
            telegram.change[place] = text[place] ^ digit
        changed = checksum.advance(0, bytes(telegram.change[:end]))
        if not changed >> _BITS * digits:
            break
    return changed


def reseal_damaged(part: Text, checksum: Checksum = ARC) -> None:
    """Change all checksums in a part of a capture that was not accepted by what they would have changed by."""
    text = as_text(part.before, part.wire)
    since = 0
    for ending in _DAMAGED_ENDING.finditer(text):
        # The checksum is over the mark too, wherever that went.
        covered = bytes(part.change[since : ending.start(2)]).ljust(ending.start() + 1 - since, b"\0")
        changed = checksum.advance(0, covered)
        since = ending.end()
        # Digits that a cut took away are the last ones, digits that a meter left out the first.
        missing = 0 if ending[3] else _DIGITS - len(ending[2])
        if part.after[slice(*ending.span(2))] == part.before[slice(*ending.span(2))]:
            # Unless it is part of a message.
            _print(part, ending.start(2), ending[2], _nibbles(changed >> _BITS * missing, len(ending[2])))


def _nibbles(number: int, count: int) -> Iterator[int]:
    """Return the last `count` hexadecimal digits of `number`."""
    return (number >> _BITS * place & 0xF for place in reversed(range(count)))


def _print(part: Text, place: int, digits: bytes, changed: Iterator[int]) -> None:
    """Change hexadecimal digits by XOR; characters that are none stay."""
    spelling: Callable[[bytes], bytes] = bytes.lower if digits != digits.upper() else bytes.upper
    for number, nibble in enumerate(changed):
        digit = digits[number : number + 1]
        if nibble and digit in b"0123456789ABCDEFabcdef":
            part.character(place + number, spelling(b"%x" % (int(digit, 16) ^ nibble))[0])


def unseal(wire: Wire, telegram: bytearray) -> bytearray:
    """Return a telegram that verifies by accident as one that does not."""
    text = as_text(telegram, wire)
    part = Text(wire, bytes(telegram), telegram.copy(), bytearray())
    if ending := _ENDING.search(text):
        _print(part, ending.start(1), ending[1], _nibbles(1, len(ending[1])))
    return part.after
