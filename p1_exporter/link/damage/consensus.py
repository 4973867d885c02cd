"""What several rejected telegrams of one meter agree upon: what is known of a meter whose telegrams all arrive damaged.

The texts are lined up with one of them. At each place the majority wins, and of the characters that arrived there only
those count that a telegram may hold.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from p1_exporter.link.damage.alignment import align
from p1_exporter.link.damage.template import template_of
from p1_exporter.telegram.crc import ARC

if TYPE_CHECKING:
    from p1_exporter.link.damage.template import Template

_MOST_TEXTS: Final = 7
_ENOUGH_TEXTS: Final = 3
_LONGEST: Final = 3072
"""Bytes of a text; real telegrams have no more than 2,400."""
_SHORTEST: Final = 64

_ABSENT: Final = 0
"""Votes that the meter sent nothing at this place."""
_NO_VOTE: Final = 0xFF
_WEAK: Final = 0x80
"""Bit 7 is always sent as 0. A character that arrived with it speaks for the one without only where none speaks."""


def _is_valid(character: int) -> bool:
    return character in b"\r\n" or 0x20 <= character < 0x7F  # noqa: PLR2004 - the printable characters of ASCII


_VOTES: Final = bytes(byte if _is_valid(byte & ~_WEAK) else _NO_VOTE for byte in range(256))
_LINE: Final = re.compile(rb"^[0-9]{1,3}-[0-9]{1,3}:[0-9A-Za-z.*]{3,15}(?:\([ -'*-~]*\))+\r\n", re.MULTILINE)
_ENOUGH_LINES: Final = 0.5
"""Share of a text that must be lines as telegrams have them."""


class _Row:
    """The votes of one text for each place of the text that all are lined up with."""

    def __init__(self, size: int) -> None:
        self.votes = bytearray(size)
        self.more: dict[int, bytes] = {}
        """What the text has before a place, and the others have not."""

    def insert(self, place: int, size: int) -> None:
        """Make room for the votes on `size` more characters at `place`."""
        new = self.more.pop(place, b"")
        self.votes[place:place] = new.translate(_VOTES) if len(new) == size else bytes(size)
        self.more = {at + size * (at > place): run for at, run in self.more.items()}


class Consensus:
    """Collects the newest few of the rejected telegrams of one meter."""

    def __init__(self) -> None:
        self._text = b""
        """The majority at each place, also where most say that there is nothing."""
        self._rows: list[_Row] = []
        self._template: Template | None = None

    def add(self, text: bytes) -> None:
        """Let another text vote, unless it is too short or too long to be a telegram."""
        if not _SHORTEST <= len(text) <= _LONGEST:
            return
        template = template_of(self._text)
        alignment = align(text, template, 0.5)
        if alignment.alike(text, template):
            row = _Row(len(self._text))
            for block in alignment.blocks:
                if block.known < len(self._text):
                    votes = text[block.received : block.received_end].translate(_VOTES)
                    row.votes[block.known : block.known_end] = votes
            for gap in alignment.gaps(len(text)):
                if gap.foreign and not gap.lost and gap.known <= len(self._text):
                    row.more[gap.known] = text[gap.received : gap.received + gap.foreign]
            self._rows = [*self._rows[1 - _MOST_TEXTS :], row]
            self._grow()
        elif len(self._rows) > 1:
            # Whatever it is, it makes older texts count for less.
            del self._rows[0]
        else:
            self._rows = [_Row(0)]
            self._rows[0].votes = bytearray(text.translate(_VOTES))
        self._count()

    def template(self) -> Template | None:
        """Return what is agreed upon; None where the texts are too few, or do not look like telegrams."""
        return self._template if len(self._rows) >= _ENOUGH_TEXTS else None

    def _grow(self) -> None:
        """Take in what more than half of the texts have, and the one that all are lined up with has not."""
        runs = [(place, len(run)) for row in self._rows for place, run in row.more.items()]
        for place, size in sorted(set(runs), reverse=True):
            if (
                2 * runs.count((place, size)) > len(self._rows)
                and len(self._rows[0].votes) + size <= _LONGEST
            ):
                for row in self._rows:
                    row.insert(place, size)

    def _count(self) -> None:
        """Count the votes."""
        text, unknown = bytearray(), bytearray()
        agreed = bytearray()
        for votes in zip(*(row.votes for row in self._rows), strict=True):
            character = votes[0] if len(set(votes)) == 1 < votes[0] < _WEAK else _winner(votes)
            text.append(character)
            if 2 * votes.count(_ABSENT) <= len(votes):
                agreed.append(character)
                unknown.append(character if character == _NO_VOTE else 0)
        self._text = bytes(text)
        lines = sum(len(line[0]) for line in _LINE.finditer(agreed))
        self._template = None
        if len(self._rows) >= _ENOUGH_TEXTS and lines > _ENOUGH_LINES * len(agreed):
            found = template_of(bytes(agreed), unknown=bytes(unknown))
            # What is agreed upon is no telegram that ever was: its values say nothing of those that follow.
            self._template = replace(found, fields=(), checksum=ARC if found.check >= 0 else None)


def _winner(votes: tuple[int, ...]) -> int:
    """Return the character for which most votes are, `_NO_VOTE` if there is none."""
    valid = [vote for vote in votes if _ABSENT < vote < _WEAK]
    valid = valid or [vote & ~_WEAK for vote in votes if _WEAK < vote < _NO_VOTE]
    return max(valid, key=valid.count, default=_NO_VOTE)
