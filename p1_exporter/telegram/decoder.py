"""One telegram into readings: OBIS codes, values, units, times.

One bad field never costs the rest: what cannot be read is listed beside what can. Most lines of consecutive
telegrams are the same, so the decoder keeps the last telegram's lines and parses only the others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from p1_exporter.telegram.readings import Line, Malformed, read_line, read_simple_line

if TYPE_CHECKING:
    from datetime import tzinfo

_IDENTIFIER: Final = (
    rb"([0-9]{1,3}-[0-9]{1,3}:[0-9A-Za-z]{1,3}\.[0-9A-Za-z]{1,3}(?:\.[0-9]{1,3})?)(?:[*.][0-9]{1,3})?"
)
# A group holds anything but parentheses, or a pair of them: ((ER11)).
_GROUP: Final = rb"\(((?:[^()]|\([^()]*\))*)\)"
# Between and after groups some meters leave a stray "* ".
_OBJECT: Final = re.compile(
    _IDENTIFIER + rb"[ ]*(" + _GROUP + rb"(?:[* ]*" + _GROUP + rb")*)[* ]*", re.DOTALL
)
_GROUPS: Final = re.compile(_GROUP, re.DOTALL)
_OBJECT_START: Final = re.compile(rb"[0-9]{1,3}-[0-9]{1,3}:[0-9A-Za-z]{1,3}\.")
_MOST_SEEN: Final = 256
_ENDING: Final = re.compile(rb"![0-9A-Fa-f]{0,4}[\r\n\0]*\Z")


class Decoded:
    """A decoded telegram; immutable."""

    __slots__ = ("header", "lines", "malformed")

    def __init__(self, header: str, lines: tuple[Line, ...], malformed: tuple[Malformed, ...]) -> None:
        self.header = header
        """The first line, without its slash."""
        self.lines = lines
        """One for each line with an OBIS code, in order."""
        self.malformed = malformed
        """What could not be read, in order."""


class Decoder:
    """Decodes the telegrams of one meter.

    Args of the constructor: `zone`, the time zone of the meter's clock.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._seen: dict[bytes, Line] = {}
        self._damaged = False
        """Whether something in a line of `_seen` could not be read."""

    def decode(self, telegram: bytes) -> Decoded:
        """Return what `telegram` holds; it begins at its slash, and may be cut off anywhere.

        Raises nothing, whatever the bytes.
        """
        # Nearly every telegram is a header, a blank line, object lines that are whole, and an ending.
        body = telegram[: max(telegram.rfind(b"\r\n!"), 0)]
        header, *texts = body.split(b"\r\n")
        usual = len(texts) > 1 and not texts[0] and _ENDING.fullmatch(telegram, len(body) + 2)
        if not usual or _has_line_end(header):
            return self._decode_slowly(_joined_lines(telegram))
        del texts[0]
        seen = self._seen.get
        lines = [seen(text) or self._parse(text) for text in texts]
        self._forget(texts)
        if not all(lines) or self._damaged:
            return self._decode_slowly(_joined_lines(telegram))
        return Decoded(_name(header), tuple(lines), ())  # type: ignore[arg-type]  # none is None: see above

    def _forget(self, texts: list[bytes]) -> None:
        """Keep of the lines seen those of the newest telegram, `texts`, when they have become many."""
        if len(self._seen) > _MOST_SEEN:
            self._seen = {text: self._seen[text] for text in texts if text in self._seen}
            self._damaged = any(line.malformed for line in self._seen.values())

    def _decode_slowly(self, texts: list[bytes]) -> Decoded:
        lines: list[Line] = []
        malformed: list[Malformed] = []
        self._forget(texts)
        for text in texts[1:]:
            line = self._seen.get(text) or self._parse(text)
            if line:
                lines.append(line)
                malformed += line.malformed
            else:
                malformed.append(Malformed(text.decode("latin-1"), _why(text)))
        return Decoded(_name(texts[0]), tuple(lines), tuple(malformed))

    def _parse(self, text: bytes) -> Line | None:
        """Return the object line `text`, None if it is none."""
        line = read_simple_line(text, self._zone)
        if line is None:
            # Where other line ends than CR LF are in use, the line is several.
            found = None if _has_line_end(text) else _OBJECT.fullmatch(text)
            if found is None:
                return None
            line = read_line(text, found[1].decode(), _GROUPS.findall(found[2]), self._zone)
            self._damaged = self._damaged or bool(line.malformed)
        self._seen[text] = line
        return line


def _has_line_end(text: bytes) -> bool:
    return b"\n" in text or b"\r" in text


def _name(header: bytes) -> str:
    return header[1:].decode("latin-1").rstrip()


def _why(text: bytes) -> str:
    if not _OBJECT_START.match(text):
        return "it does not begin with an OBIS code"
    if text.count(b"(") != text.count(b")"):
        return "a parenthesis is missing"
    return "no code followed by values in parentheses"


def _joined_lines(telegram: bytes) -> list[bytes]:
    """Split a telegram into its header and its object lines, each with the lines that continue it."""
    body = _ENDING.sub(b"", telegram)
    lines = [line for line in body.replace(b"\r\n", b"\n").split(b"\n") if line]
    if b"\r" in body.replace(b"\r\n", b""):
        lines = [part for line in lines for part in line.split(b"\r") if part]
    if all(line[-1] == _CLOSE and line[0] != _OPEN for line in lines[1:]):
        return lines or [b""]
    return _joined(lines)


def _joined(lines: list[bytes]) -> list[bytes]:
    """Join the lines that continue others.

    A line continues the one before if it begins with a group (the gas of DSMR 3.0), or if a group is still open and
    the line is no object itself: a damaged line must not swallow its neighbour.
    """
    joined = lines[:1]
    for line in lines[1:]:
        before = joined[-1]
        unfinished = len(joined) > 1 and before.count(b"(") > before.count(b")")
        if len(joined) > 1 and (line[0] == _OPEN or (unfinished and not _OBJECT_START.match(line))):
            joined[-1] = before + line
        else:
            joined.append(line)
    return joined


_OPEN: Final = ord("(")
_CLOSE: Final = ord(")")
