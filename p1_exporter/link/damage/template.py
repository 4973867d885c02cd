"""What is known of the telegrams of one meter: which characters are always the same, and which change, and how.

All costs are in nats: the negative logarithm of how likely something is, so that costs of what happened independently
add up, and the cheapest explanation is the likeliest. They need not be exact.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from p1_exporter.telegram.crc import CHECKSUMS
from p1_exporter.telegram.obis import Kind, find

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from p1_exporter.telegram.crc import Checksum

FieldKind = Literal["counter", "reading", "gauge", "rare", "stamp"]

CHECKSUM_DIGITS: Final = 4
_ANYTHING: Final = 0xFF
"""In a mask: this place counts."""

# The lines of an object: its code, and the groups up to the next code.
_OBJECT: Final = re.compile(
    rb"^([0-9]{1,3}-[0-9]{1,3}:[0-9A-Za-z]{1,3}\.[0-9A-Za-z]{1,3}(?:\.[0-9]{1,3})?)"
    rb"(?:[*.][0-9]{1,3})?\(([^\r\n]*(?:\r?\n\([^\r\n]*)*)",
    re.MULTILINE,
)
_VALUE: Final = re.compile(rb"\(([0-9]{12}[SW]?|-?[0-9]{1,10}(?:\.[0-9]{1,4})?)(?=[*) ])")
_STAMP_DIGITS: Final = 12
_ENDING: Final = re.compile(rb"^!([0-9A-Fa-f]{4})(?=[\r\n\0]|\Z)", re.MULTILINE)

# Of these kinds no digit changes from one telegram to the next, or nothing tells which do.
_CONSTANT: Final = {Kind.IDENTITY, Kind.VERSION, Kind.DEVICE, Kind.MESSAGE, Kind.TEXT}
_RARE: Final = {Kind.PEAKS, Kind.FAILURES, Kind.PROFILE, Kind.ENUM}
_COUNTERS: Final = {Kind.COUNTER, Kind.HOURLY}

# The cost of a change at all: of a field that was the same in the telegrams known, and of one that was not.
_CHANGE: Final[dict[FieldKind, tuple[float, float]]] = {
    "counter": (4.0, 0.5),
    "reading": (7.5, 3.0),  # of another device, once in some minutes or an hour
    "gauge": (5.0, 0.7),
    "stamp": (4.0, 0.5),
    "rare": (9.0, 5.0),
}
_A_DIGIT: Final = log(10)
_BACKWARDS: Final = 15.0
"""Added for a register that falls or a clock that goes back: neither happens."""
_SUDDEN: Final = 3.0
"""How much faster the cost grows with the rise of a register that did not rise before."""
_FROM_NOTHING: Final = 4.0
"""Added where a value is not zero any more, which it was for some time."""
_SEASON: Final = 9.0
"""Added where summer time becomes winter time, or the reverse."""
_LOST_ZERO: Final = 1.6
_IMPOSSIBLE: Final = 25.0
"""Added for a time that does not exist."""


class Field(NamedTuple):
    """A value that may change."""

    start: int
    """Place of its first character."""
    end: int
    kind: FieldKind
    steady: bool
    """Whether it was the same in all telegrams known."""

    def change_cost(self, old: bytes, new: bytes) -> float:
        """Return what it costs that the meter sends `new` (of the same form) where it sent `old` before."""
        if old == new:
            return 0.0
        before, after = _digits(old), _digits(new)
        cost = _CHANGE[self.kind][not self.steady]
        if self.steady and not before.strip(b"0"):
            cost += _FROM_NOTHING
        if self.kind == "stamp":
            season = _SEASON if old[_STAMP_DIGITS:] != new[_STAMP_DIGITS:] else 0.0
            return cost + season + _time_cost(before, after)
        rise = int(after) - int(before)
        if self.kind in ("counter", "reading"):
            return cost + (_BACKWARDS if rise < 0 else log(rise + 1) * (_SUDDEN if self.steady else 1))
        if self.kind == "gauge" and rise:
            # Where a digit changes, those below it change as well: each is one of ten.
            highest = next(place for place, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)
            return cost + _A_DIGIT * (len(after) - highest)
        return cost + log(abs(rise) + 1)


@dataclass(frozen=True, slots=True)
class Template:
    """The text that is expected, and where it may differ. Masks hold FF at the places that they are about."""

    text: bytes
    fields: tuple[Field, ...]
    """In order of place."""
    digits: bytes
    """Mask of the places where a digit may be any digit."""
    hex_digits: bytes
    """Mask of the digits of the checksum."""
    unknown: bytes
    """Mask of the places of which nothing is known."""
    checksum: Checksum | None
    """The one that verifies in this text."""
    check: int
    """Place of the four digits of the checksum, -1 if there are none."""

    def fields_within(self, start: int, end: int) -> Iterator[Field]:
        """Yield the fields that lie in that part of the text."""
        for field in self.fields[bisect_left(self.fields, (start,)) :]:
            if field.end > end:
                return
            yield field

    def constant(self, start: int, size: int) -> int:
        """Return how many of so many characters from `start` on never change."""
        part = slice(start, start + size)
        varying = _number(self.digits[part]) | _number(self.hex_digits[part]) | _number(self.unknown[part])
        return size - varying.bit_count() // 8

    def field_at(self, place: int) -> Field | None:
        """Return the field that the place is in."""
        number = bisect_right(self.fields, (place, len(self.text))) - 1
        field = self.fields[number] if number >= 0 else None
        return field if field and field.start <= place < field.end else None

    def rotated(self, start: int) -> Template:
        """Return what follows from the place `start` on, with the next telegram up to there."""
        text, digits, hexes, unknown = (
            part[start:] + part[:start] for part in (self.text, self.digits, self.hex_digits, self.unknown)
        )
        return Template(text, (), digits, hexes, unknown, None, -1)


def template_of(text: bytes, others: Sequence[bytes] = (), unknown: bytes = b"") -> Template:
    """Return what `text` and `others` tell.

    Args:
        text: A telegram, or what it must have been.
        others: More telegrams of the same meter; only those of the same size tell anything.
        unknown: Mask of the places where nothing is known of `text`.
    """
    alike = [other for other in others if len(other) == len(text)]
    found = tuple(_fields(text, alike))
    digits = bytearray(len(text))
    for field in found:
        digits[field.start : field.end] = _mask_of_digits(text[field.start : field.end])
    ending = None
    for ending in _ENDING.finditer(text):  # noqa: B007 - the last one counts
        pass
    hexes = bytearray(len(text))
    if ending:
        hexes[ending.start(1) : ending.end(1)] = bytes([_ANYTHING]) * CHECKSUM_DIGITS
    checked = ending and [
        each for each in CHECKSUMS if each.of(text[: ending.start(1)]) == int(ending[1], 16)
    ]
    return Template(
        text,
        found,
        bytes(digits),
        bytes(hexes),
        _changing(text, alike, bytes(digits), bytes(hexes), unknown or bytes(len(text))),
        checked[0] if checked else None,
        ending.start(1) if ending else -1,
    )


def _fields(text: bytes, others: Sequence[bytes]) -> Iterator[Field]:
    for line in _OBJECT.finditer(text):
        kinds = _kinds(line[1])
        if kinds & _CONSTANT:
            continue
        stamped = False
        for value in _VALUE.finditer(text, line.start(2) - 1, line.end()):
            start, end = value.span(1)
            kind = _kind(kinds, value[1], text[end : end + 1], stamped=stamped)
            stamped = stamped or kind == "stamp"
            same = all(other[start:end] == value[1] for other in others)
            yield Field(start, end, kind, steady=same and (bool(others) or kind == "rare"))


@lru_cache(maxsize=256)
def _kinds(code: bytes) -> set[Kind]:
    return {entry.kind for entry in find(code.decode("ascii")).entries}


def _kind(kinds: set[Kind], value: bytes, following: bytes, *, stamped: bool) -> FieldKind:
    """Return what a value is in an object of these kinds; `stamped` if it comes with a time."""
    if kinds & _RARE:
        return "rare"
    if len(value.rstrip(b"SW")) == _STAMP_DIGITS and b"." not in value:
        return "stamp"
    if b"." not in value and following != b"*":
        # Counts of events, states and the like.
        return "rare"
    if kinds & _COUNTERS:
        return "reading" if stamped else "counter"
    return "gauge"


def _changing(text: bytes, others: Sequence[bytes], digits: bytes, hexes: bytes, unknown: bytes) -> bytes:
    """Return the mask `unknown`, with the places added that differ in `others` although nothing says that they may."""
    if not others:
        return unknown
    known = _number(text)
    differing = 0
    for other in others:
        differing |= known ^ _number(other)
    places = differing.to_bytes(len(text), "big").translate(NONZERO)
    mask = _number(places) & ~(_number(digits) | _number(hexes)) | _number(unknown)
    return mask.to_bytes(len(text), "big")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _mask_of_digits(value: bytes) -> bytes:
    return value.translate(IS_DIGIT)


def _digits(value: bytes) -> bytes:
    """Return `value` without what is no digit: sign, point, S or W."""
    return value.translate(None, b"-.SW")


def _time_cost(before: bytes, after: bytes) -> float:
    """Return what it costs that a clock (YYMMDDhhmmss) goes from one time to the other."""
    if before == after:
        return 0.0
    if not _is_time(after):
        return _IMPOSSIBLE
    # What is read every hour or every five minutes goes on in such steps, and keeps its zeros at the end.
    zeros, kept = _trailing_zeros(before), _trailing_zeros(after)
    steps = (int(after) - int(before)) / 10 ** min(zeros, kept)
    return _BACKWARDS if steps < 0 else log(steps + 1) + _LOST_ZERO * max(zeros - kept, 0)


def _trailing_zeros(digits: bytes) -> int:
    return len(digits) - len(digits.rstrip(b"0"))


def _is_time(digits: bytes) -> bool:
    """Whether twelve digits are a time, or say that there is none (63 25 25...)."""
    _, month, day, hour, minute, second = (int(digits[place : place + 2]) for place in range(0, 12, 2))
    usual = 0 < month <= 12 and 0 < day <= 31 and hour < 24 and minute < 60 and second < 60  # noqa: PLR2004 - a calendar
    return usual or digits == b"632525252525"


IS_DIGIT: Final = bytes(_ANYTHING if byte in b"0123456789" else 0 for byte in range(256))
"""Makes a mask of the digits in a text."""
IS_HEX: Final = bytes(_ANYTHING if byte in b"0123456789ABCDEFabcdef" else 0 for byte in range(256))
NONZERO: Final = bytes([0] + [_ANYTHING] * 255)
