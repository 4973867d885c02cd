"""What a telegram looks like, for the decisions that no checksum makes: pure functions over undecided text.

Every `index` is a place in `text`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE_ENDS: Final = b"\r\n\0"
"""What may follow a checksum."""

_LF: Final = ord("\n")

# A telegram without checksum, line by line: nothing in a message looks like this from its first slash on.
# Possessive throughout: a line end fits in three places, and trying them all would take for ever.
_WELL_FORMED: Final = re.compile(
    rb"/[A-Za-z]{3}[^()\r\n]*+[\r\n]++(?:\d[\d:.*-]*+(?:\r?\n)?+(?:\([^()]*+\)(?:\r?\n)?+)++[\r\n]*+)*+"
)
_HEADER_LINE: Final = re.compile(rb"/[A-Za-z]{3}[^()\r\n]*[\r\n]")


def line_end(text: bytearray, index: int) -> tuple[int, bool]:
    """Return where the line end that begins at `index` ends (there, if there is none), and whether that is certain.

    A line end is CR, LF and NUL, each at most once; nothing belongs to it after LF.
    """
    start = index
    while index < len(text):
        character = text[index]
        if character not in LINE_ENDS or character in text[start:index]:
            return index, True
        index += 1
        if character == _LF:
            return index, True
    return index, False


def at_line_start(text: bytearray, index: int) -> bool:
    """Whether a line begins at `index`."""
    return index == 0 or text[index - 1] in b"\r\n"


def follows_whole_line(text: bytearray, index: int) -> bool:
    """Whether `index` begins a line, after an object line that is whole or after the header: there a telegram ends.

    An exclamation mark elsewhere may be part of a header or a message.
    """
    before = text[:index]
    lines = before.rstrip(LINE_ENDS)
    if len(lines) == len(before):
        return False
    return lines.endswith(b")") or not (b"\r" in lines or b"\n" in lines)


def last_header(text: bytearray, starts: Sequence[int]) -> int:
    """Return the number of the last of `starts` that is followed by the rest of a header line, 0 if none is."""
    for number in range(len(starts) - 1, -1, -1):
        if _HEADER_LINE.match(text, starts[number]):
            return number
    return 0


def start_without_checksum(text: bytearray, starts: Sequence[int], index: int) -> int:
    """Return from which of `starts` a telegram reaches to `index`, where it ends without a checksum.

    That is the earliest from which every line is whole; where none is, the last that looks like a header.
    """
    if len(starts) > 1:
        for number, start in enumerate(starts):
            if _WELL_FORMED.fullmatch(text, start, index):
                return number
    return last_header(text, starts)
