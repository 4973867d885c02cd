"""Identities in damaged text, where what stands around them cannot be relied on.

There are four ways to find one, each for what the ones before it miss: by what it is (`Similar`: much of a known
identity and its line is there), by what stands around it once a fault of the wire is allowed for (`distorted`), by
where it comes in a telegram (`Expected`), and where nothing at all was learnt, by what it looks like (`beginnings`, and
`identities.stray_numbers`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.doctor.identities import CODE, LONGEST, in_step, is_informative, matches, mostly_zeros
from p1_exporter.link.distortion import DISTORTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Span = tuple[int, int]
"""From a place in a text up to another."""


class Trace(NamedTuple):
    """Part of a text that is an identity, and what the meter sent there: None where that is not certain."""

    start: int
    sent: list[int | None]
    clear: bool
    """Whether the line around it leaves no doubt that it is laid over the text rightly."""


# Pieces of text that are looked for as a whole.
_PIECE: Final = 64
_SEED: Final = 4
_SEEDS_PER_TEXT: Final = 4
PART: Final = 8
"""Characters of an identity that are not found by accident."""

_FEWEST_MATCHES: Final = 8
_FEWEST_MATCHES_INSIDE: Final = 3
# Of numbers that have nothing to do with each other, a fifth of the digits are the same.
_SHARE: Final = 0.4
# Hexadecimal text is as much as half the same as itself two digits on.
_CLEAR_SHARE: Final = 0.8
_LONGEST_CUT: Final = 24
_CUT: Final = re.compile(CODE.pattern + rb"|[()\n]|/[A-Za-z]{3}[^\r\n]")


class _Piece(NamedTuple):
    """Text with part of an identity in it, from `start` up to `stop`."""

    text: bytes
    start: int
    stop: int


class Similar:
    """Finds what is similar to known identities.

    Args of the constructor: `known`, the identities, each with what stands before it in its line.
    """

    def __init__(self, known: Iterable[tuple[bytes, bytes]]) -> None:
        self._pieces = [piece for prefix, content in known for piece in _pieces(prefix, content)]
        self._seeds: dict[bytes, list[tuple[int, int]]] = {}
        for number, piece in enumerate(self._pieces):
            for place in range(len(piece.text) - _SEED + 1):
                seeds = self._seeds.setdefault(piece.text[place : place + _SEED], [])
                if len(seeds) < _SEEDS_PER_TEXT:
                    seeds.append((number, place))

    def traces(self, text: bytes, start: int, stop: int) -> Iterator[Trace]:
        """Return the traces of known identities in `text` from `start` up to `stop`, the clearest first."""
        candidates = set()
        for place in range(start, stop - _SEED + 1):
            for number, seed in self._seeds.get(text[place : place + _SEED], ()):
                candidates.add((number, place - seed))
        found = [hit for candidate in candidates for hit in self._hits(text, start, stop, *candidate)]
        for _, trace in sorted(found, key=lambda hit: (-hit[0], hit[1].start)):
            yield trace

    def _hits(self, text: bytes, start: int, stop: int, number: int, at: int) -> Iterator[tuple[int, Trace]]:
        """Return how much of a piece is in `text`, and its traces, if that is enough: the piece would begin at `at`."""
        piece = self._pieces[number]
        first, last = max(at, start), min(at + len(piece.text), stop)
        here, sent = text[first:last], piece.text[first - at : last - at]
        same = matches(here, sent)
        if same < max(_FEWEST_MATCHES, _SHARE * len(here)):
            return
        clear = same >= _CLEAR_SHARE * len(here)
        known = in_step(sent, here)
        for begin, end in _uncut(text, max(at + piece.start, first), min(at + piece.stop, last)):
            same_part = matches(text[begin:end], piece.text[begin - at : end - at])
            if same_part >= max(_FEWEST_MATCHES_INSIDE, _SHARE * (end - begin)):
                yield same, Trace(begin, known[begin - first : end - first], clear)


def _uncut(text: bytes, start: int, stop: int) -> Iterator[Span]:
    """Return the parts of `text` from `start` up to `stop` that may belong to one value.

    Where characters were lost or a telegram was cut, it is more than one.
    """
    for cut in _CUT.finditer(text, max(0, start - _LONGEST_CUT), stop):
        if start < cut.start():
            yield start, cut.start()
        start = max(start, cut.end())
    if start < stop:
        yield start, stop


def _pieces(prefix: bytes, content: bytes) -> Iterator[_Piece]:
    """Cut a line with an identity into pieces."""
    end = b"\r\n" if prefix.startswith(b"/") else b")\r\n"
    if len(content) <= _PIECE:
        yield _Piece(prefix + content + end, len(prefix), len(prefix) + len(content))
        return
    for place in range(0, len(content), _PIECE):
        piece = content[place : place + _PIECE]
        if is_informative(piece):
            yield _Piece(piece, 0, len(piece))


def occurrences(text: bytes, content: bytes) -> Iterator[int]:
    """Return where `content` stands in `text`, as it is."""
    place = text.find(content)
    while place >= 0:
        yield place
        place = text.find(content, place + 1)


def parts(text: bytes, contents: Iterable[bytes], start: int, stop: int) -> Iterator[int]:
    """Return where in `text`, from `start` up to `stop`, a part of `PART` characters of one of `contents` stands."""
    known = {content[at : at + PART] for content in contents for at in range(len(content) - PART + 1)}
    known = {part for part in known if is_informative(part)}
    return (place for place in range(start, stop - PART + 1) if text[place : place + PART] in known)


def spellings(content: bytes) -> set[bytes]:
    """Return how an identity may be written elsewhere: as text, and in hexadecimal digits."""
    found = {content, content.hex().encode(), content.hex().upper().encode()}
    if re.fullmatch(rb"(?:[2-7][0-9A-Fa-f])+", content):
        found.add(bytes.fromhex(content.decode()).strip())
    return {spelling for spelling in found if len(spelling) >= _FEWEST_MATCHES and is_informative(spelling)}


# What identities and messages are called, as far as the codes of all countries have it in common.
_NAMES: Final = (b":96.1.", b":96.13.", b":42.0.")
_DIGITS: Final = b"0123456789"
_HEADER_SIZE: Final = 48
_HEADER_START: Final = re.compile(rb"/[A-Za-z]{3}[^\r\n]*\Z")
_FAULTS: Final = ("fall_late", "rise_late", "start_late", "sampled_early")


def _arrives_as(characters: bytes, fault: str) -> bytes:
    """Return a pattern for one of `characters`, as it was sent or as a `fault` of the wire makes it arrive."""
    arrived = {arrived for sent in characters for arrived in (sent, *DISTORTIONS[fault](sent))}
    return b"[" + b"".join(rb"\x%02x" % byte for byte in sorted(arrived)) + b"]"


def _all_arrive_as(text: bytes, fault: str) -> bytes:
    return b"".join(_arrives_as(bytes([character]), fault) for character in text)


class _Distorted(NamedTuple):
    """What to look for in text that went through a fault of the wire."""

    line: re.Pattern[bytes]
    """The code of an identity, up to its parenthesis."""
    next_line: re.Pattern[bytes]
    header_end: re.Pattern[bytes]
    """The number at the end of a header, which a blank line follows."""


@cache
def _distorted(fault: str) -> _Distorted:
    digit, dash, colon, group, mark = (
        _arrives_as(characters, fault) for characters in (_DIGITS, b"-", b":", b"(", b"!")
    )
    names = b"|".join(_all_arrive_as(name, fault) for name in _NAMES)
    end = _all_arrive_as(b"\r\n", fault)
    return _Distorted(
        re.compile(digit + dash + digit + b"(?:" + names + b")" + digit + b"{1,3}" + group),
        re.compile(end + b"(?:" + mark + b"|" + digit + dash + digit + colon + b")"),
        re.compile(b"(" + digit + b"{5,32})(?=.{0,3}" + end + end + b")", re.DOTALL),
    )


def distorted(wire: bytes, text: bytes, start: int, stop: int) -> Iterator[Span]:
    """Return identities in text of which no character need be as sent, if all went through one fault of the wire.

    Args:
        wire: the bytes as they arrived.
        text: the characters in them.
        start: where to begin.
        stop: where to end.
    """
    for span in _distorted_spans(wire, text, start, stop):
        if not mostly_zeros(text[slice(*span)]):
            yield span


def _distorted_spans(wire: bytes, text: bytes, start: int, stop: int) -> Iterator[Span]:
    for fault in _FAULTS:
        looked_for = _distorted(fault)
        for line in looked_for.line.finditer(wire, start, stop):
            # A line that can be read has been judged by its code.
            if not CODE.match(text, line.start()):
                last = min(stop, line.end() + LONGEST)
                end = looked_for.next_line.search(wire, line.end(), last)
                yield line.end(), end.start() if end else last
        for number in looked_for.header_end.finditer(wire, start, stop):
            before = text[max(start, number.start() - _HEADER_SIZE) : number.start()]
            if not _HEADER_START.search(before):
                yield number.span(1)


_CUT_END: Final = re.compile(rb"[0-9A-Za-z]{4,}(?=\))")
_FEWEST_DIGITS: Final = 2
_DAMAGED_HEADER: Final = re.compile(rb"(?!/[A-Za-z]{3})[^()]{1,%d}" % _HEADER_SIZE)
_HEADER_NUMBER: Final = re.compile(rb"[0-9]{5,}+(?![.*])")


def beginnings(text: bytes, start: int, stop: int) -> Iterator[Span]:
    """Return identities at the beginning of a burst, from `start` on, of which the beginning was not received.

    It is the rest of a value, up to its parenthesis, or the rest of a header.
    """
    if header := _DAMAGED_HEADER.match(text, start, stop):
        yield from (number.span() for number in _HEADER_NUMBER.finditer(text, start, header.end()))
    rest = _CUT_END.match(text, start, stop)
    if rest and sum(map(rest[0].count, _DIGITS)) >= _FEWEST_DIGITS and not mostly_zeros(rest[0]):
        yield rest.span()


_KNOWN: Final = 5
_UNKNOWN: Final = 8
_SLACK: Final = 4


class Expected:
    """Finds identities by their place in a telegram, where nothing of them can be recognised.

    Args of the constructor: `telegram`, a good one of the same meter; `identities`, where they stand in it.
    """

    def __init__(self, telegram: bytes, identities: Sequence[Span]) -> None:
        self._size = len(telegram)
        self._identities = identities
        self._known: set[bytes] = set()
        position = 0
        for start, stop in (*identities, (len(telegram), len(telegram))):
            self._known |= {telegram[at : at + _KNOWN] for at in range(position, start - _KNOWN + 1)}
            position = stop

    def spans(self, text: bytes, taken: bytes | bytearray, start: int, stop: int) -> Iterator[Span]:
        """Return what of `text` is not recognised where identities should be, in a telegram from `start` to `stop`.

        It may have lost characters, or have foreign ones, in any place. `taken` is not 0 where in `text` an identity
        was found already.
        """
        lost = self._size - (stop - start)
        if not -self._size < 2 * lost < self._size:
            return
        for first, last in self._identities:
            begin = max(start, start + first - max(lost, 0) - _SLACK)
            end = min(stop, start + last + max(-lost, 0) + _SLACK)
            if begin < end:
                yield from self._unknown(text, taken, begin, end)

    def _unknown(self, text: bytes, taken: bytes | bytearray, start: int, stop: int) -> Iterator[Span]:
        """Return the stretches in which nothing is as in the good telegram, nor taken."""
        known = bytearray(taken[start:stop])
        for place in range(max(0, start - _KNOWN + 1), stop):
            if text[place : place + _KNOWN] in self._known:
                first, last = max(place, start) - start, min(place + _KNOWN, stop) - start
                known[first:last] = b"\1" * (last - first)
        for stretch in re.finditer(rb"\0{%d,}" % _UNKNOWN, known):
            if not mostly_zeros(text[start + stretch.start() : start + stretch.end()]):
                yield start + stretch.start(), start + stretch.end()
