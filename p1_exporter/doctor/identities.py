"""Where serial numbers, EANs and messages stand in the text of telegrams, and what was learnt of them.

Here an identity is found by what stands around it: the code of its line, or the slash of the header. How it is found
where that is damaged, see `traces`.
"""

from __future__ import annotations

import re
from collections import Counter
from operator import eq
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.doctor.stand_in import DAMAGED_ZEROS
from p1_exporter.telegram.obis import Kind, find

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST: Final = 2100
"""Characters of a message with its line ends: 1024 characters, in hexadecimal digits (DSMR 5.0.2 P1, 6.2)."""

CODE: Final = re.compile(
    rb"([0-9]-[0-9]{1,3}:[0-9A-Za-z]{1,3}\.[0-9A-Za-z]{1,3}(?:\.[0-9]{1,3})?)(?:[*.][0-9]{1,3})? *(?:\r?\n)?\("
)
_GROUP_END: Final = re.compile(rb"\)|[\r\n\0]+(?=[!/]|[0-9]-[0-9]{1,3}:)|[0-9]-[0-9]{1,3}:[0-9.]{3,10}\(")
# Also the header of the next telegram, which an intact message may contain.
_CUT_GROUP_END: Final = re.compile(_GROUP_END.pattern + rb"|/[A-Za-z]{3}[0-9]")
_HEADER: Final = re.compile(rb"/[A-Za-z]{3}[^\r\n\0()]([^\r\n\0()]{1,80})")
# Models and versions have up to four digits (M550T-1011), serial numbers have more.
_HEADER_NUMBER: Final = re.compile(rb"[0-9]{5,}")
LONG_NUMBER: Final = re.compile(rb"[0-9A-Fa-f]{8,}")
# In no value of a meter: time stamps have 12 digits, and numbers a point.
_LONGER_NUMBER: Final = re.compile(rb"[0-9A-Fa-f]{14,}")
_TIME: Final = re.compile(
    rb"[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){2}"
)
# In damaged text: as part of an identity, unlike a number with unit or fraction, or a time stamp.
_STRAY_NUMBER: Final = re.compile(rb"(?<![0-9A-Fa-f])" + LONG_NUMBER.pattern + rb"(?![0-9A-Fa-f*.]|[SWsw]\))")
# The end of a header that cannot be read.
_HEADER_END: Final = re.compile(rb"(?<![0-9])[0-9]{5,32}(?=[^()\r\n]{0,3}\r\n\r\n)")

_BEFORE: Final = 96
_KNOWN_START: Final = re.compile(rb"(?:" + CODE.pattern + rb"|" + _HEADER.pattern + rb"?)\Z")

_PERSONAL: Final = {Kind.IDENTITY, Kind.MESSAGE}
_FEWEST_DIFFERENT: Final = 3
_FEWEST: Final = 6
_MOST_REFERENCES: Final = 8
# Around a character, within which it is judged whether it is in step with what was sent.
_NEIGHBOURS: Final = 4
_SAMPLE: Final = 4


class Place(NamedTuple):
    """An identity in a text, from `start` up to `stop`."""

    start: int
    stop: int
    prefix: bytes
    """What stands before it: the code of the line with its parenthesis, or the header up to the number."""
    closed: bool
    """Whether it ends where the meter ended it."""


def places(text: bytes, start: int, stop: int, *, intact: bool) -> Iterator[Place]:
    """Return the identities in the object lines that begin in `text` from `start` on, none of which passes `stop`.

    Args:
        text: in which they may be.
        start: where to begin.
        stop: where to end.
        intact: whether the text is as it was sent.
    """
    group_end = _GROUP_END if intact else _CUT_GROUP_END
    position = start
    while found := CODE.search(text, position, stop):
        position = found.end()
        for first, last, closed in _groups(text, found.end(), stop, group_end):
            position = last
            if is_personal(found[1], text[first:last]):
                yield Place(first, last, found[1] + b"(", closed)


def _groups(
    text: bytes, start: int, stop: int, group_end: re.Pattern[bytes]
) -> Iterator[tuple[int, int, bool]]:
    """Return the groups of an object line: from `start`, which is after a parenthesis, on."""
    stop = min(stop, start + LONGEST)
    while True:
        end = group_end.search(text, start, stop)
        closed = end is not None and end[0] == b")"
        last = end.start() if end else stop
        yield start, last, closed
        if not closed or text[last + 1 : last + 2] != b"(" or last + 2 >= stop:
            return
        start = last + 2


def is_personal(code: bytes, content: bytes) -> bool:
    """Whether the values of `code` are identities or messages, or `content` looks as if it were."""
    name = code.decode()
    kinds = {entry.kind for entry in find(name).entries}
    if kinds & _PERSONAL or ":96.13." in name:
        return True
    # What operators put into the version, and codes that nobody knows.
    return kinds <= {Kind.VERSION} and _LONGER_NUMBER.search(content) is not None


def header_places(text: bytes, start: int, stop: int) -> Iterator[Place]:
    """Return the serial numbers in the headers that begin in `text` from `start` up to `stop`."""
    for header in _HEADER.finditer(text, start, stop):
        for number in _HEADER_NUMBER.finditer(text, header.start(1), header.end(1)):
            yield Place(number.start(), number.end(), text[header.start() : number.start()], closed=True)


def first_header_places(text: bytes, start: int) -> Iterator[Place]:
    """Return the serial numbers in the header of the telegram that begins in `text` at `start`."""
    header = _HEADER.match(text, start)
    return header_places(text, start, header.end() if header else start)


def stray_numbers(text: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Return where in damaged `text` there are digits as identities have them, of which nothing tells what they are."""
    for pattern in _STRAY_NUMBER, _HEADER_END:
        for number in pattern.finditer(text, start, stop):
            before = text[max(start, number.start() - _BEFORE) : number.start()]
            known = _KNOWN_START.search(before)
            is_value = _TIME.fullmatch(number[0]) or (known and _is_read(known, number[0]))
            if is_informative(number[0]) and not is_value:
                yield number.span()


def _is_read(start: re.Match[bytes], content: bytes) -> bool:
    """Whether the beginning of a line or header tells what `content` is, and that it is nothing to hide."""
    code: bytes | None = start[1]
    return code is None or not is_personal(code, content)


def is_informative(content: bytes) -> bool:
    """Whether `content` is something to hide: not empty, masked, all zeros or a stand-in."""
    return len(content) >= _FEWEST and len(set(content)) >= _FEWEST_DIFFERENT and not mostly_zeros(content)


def mostly_zeros(text: bytes) -> bool:
    """Whether `text` is a stand-in, damaged or not: hardly an identity has so many zeros."""
    zeros = text.count(b"0")
    others = len(text) - zeros - sum(map(text.count, DAMAGED_ZEROS))
    return zeros * 2 >= len(text) and others * 10 <= len(text)


class References:
    """What the meter is known to have sent as its identities."""

    def __init__(self) -> None:
        self._seen: dict[bytes, Counter[bytes]] = {}
        self._certain: set[tuple[bytes, bytes]] = set()
        self._contents: dict[bytes, list[bytes]] = {}

    def learn(self, place: Place, content: bytes, *, certain: bool) -> None:
        """Take note of the `content` of a place; `certain` if a checksum vouches for it."""
        # What swallowed the line after it, or is a time, is no identity: a code or parenthesis arrived damaged.
        is_plausible = certain or not content or (content.isalnum() and not _TIME.match(content))
        if not (place.closed and is_plausible):
            return
        self._contents.pop(place.prefix, None)
        self._seen.setdefault(place.prefix, Counter())[content] += 1
        if certain:
            self._certain.add((place.prefix, content))

    def contents(self, prefix: bytes) -> list[bytes]:
        """Return what stands after `prefix`: what was received for certain, else what most copies agree on."""
        if prefix not in self._contents:
            self._contents[prefix] = self._judged(prefix)
        return self._contents[prefix]

    def _judged(self, prefix: bytes) -> list[bytes]:
        seen = self._seen.get(prefix, Counter())
        certain = [content for content in seen if (prefix, content) in self._certain]
        if certain or not seen:
            return certain[:_MOST_REFERENCES]
        size = Counter(map(len, seen.elements())).most_common(1)[0][0]
        copies = [content for content in seen.elements() if len(content) == size]
        return [bytes(Counter(column).most_common(1)[0][0] for column in zip(*copies, strict=True))]

    def all(self) -> Iterator[tuple[bytes, bytes]]:
        """Return all identities worth looking for, each with its prefix."""
        for prefix in self._seen:
            for content in self.contents(prefix):
                if is_informative(content):
                    yield prefix, content

    def sent(self, place: Place, arrived: bytes) -> list[int | None]:
        """Return what the meter sent at `place`, where `arrived` arrived; None where that is not certain.

        It may be shorter than `arrived`, if that goes on after the end of the identity.
        """
        contents = self.contents(place.prefix)
        if not place.closed and b"" in contents and len(arrived) < _SAMPLE:
            return []
        candidates = [content for content in contents if _fits(content, arrived, closed=place.closed)]
        best = max(candidates, key=lambda content: matches(content, arrived), default=b"")
        if matches(best, arrived) * 2 < min(len(best), len(arrived)) or not best:
            return [None] * len(arrived)
        return in_step(best[: len(arrived)], arrived[: len(best)])


def _fits(content: bytes, arrived: bytes, *, closed: bool) -> bool:
    """Whether `arrived` has the length of `content`, or may have if it was cut off or its end was overlooked."""
    size = len(content)
    if closed or size >= len(arrived):
        return size == len(arrived) or not closed
    return size >= _SAMPLE and matches(content[-_SAMPLE:], arrived[size - _SAMPLE : size]) * 2 >= _SAMPLE


def matches(one: bytes, other: bytes) -> int:
    """Return how many characters are the same at the same place."""
    return sum(map(eq, one, other))


def in_step(sent: bytes, arrived: bytes) -> list[int | None]:
    """Return the characters `sent`, as many as arrived; None where the neighbours show that characters were lost."""
    same = [*map(eq, sent, arrived)]
    result: list[int | None] = []
    for place, character in enumerate(sent):
        near: Sequence[bool] = same[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1]
        result.append(character if sum(near) * 2 >= len(near) else None)
    return result
