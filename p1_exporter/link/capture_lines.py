"""The lines of a link capture, one at a time: what a line of a file must be, and what is said if it is not."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Final, NoReturn

from p1_exporter.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE: Final = 2 * 1024 * 1024
"""Bytes: a read of `READ_LIMIT` bytes that are all marked needs 1.3 MB."""

_GZIP: Final = b"\x1f\x8b"


class CaptureLine:
    """One line of a capture.

    Args of the constructor: `file`, its name; `number` of the line in it, from 1; `text`, with its line end.
    """

    def __init__(self, file: str, number: int, text: bytes) -> None:
        self.file = file
        self.number = number
        self._text = text

    @property
    def whole(self) -> bool:
        """Whether the line has its end: only the last line of a file can be without."""
        return self._text.endswith(b"\n")

    def facts(self) -> dict[str, object] | None:
        """Return the JSON object in the line, None if it is none."""
        try:
            # A byte order mark is what some editors put in front of a file.
            facts = json.loads(self._text.decode("utf-8-sig"), parse_constant=_no_number)
        except (ValueError, RecursionError):
            return None
        return facts if isinstance(facts, dict) else None

    def header(self) -> dict[str, object]:
        """Return the JSON object in the first line of a file.

        Raises:
            UserError: it is none, and what the file may be instead.
        """
        facts = self.facts()
        if facts is not None:
            return facts
        if self._text.startswith(_GZIP):
            raise UserError(
                f"{self.file}: is compressed. Unpack it (gunzip) and give the file that comes out of it."
            )
        if self._text.startswith(b"{"):
            self.wrong("is damaged or cut off")
        raise UserError(
            f"{self.file}: line 1 is no JSON, so that this is no link capture. If it is a plain recording of a "
            f"meter's bytes, p1-exporter decode {self.file} shows what is in it."
        )

    def required(self, facts: dict[str, object], key: str) -> object:
        """Return what the line has under `key`.

        Raises:
            UserError: nothing.
        """
        if key not in facts:
            self.wrong(f"{key} is missing")
        return facts[key]

    def integer(self, value: object, name: str, bounds: range) -> int:
        """Return `value`, if it is a whole number in `bounds`.

        Raises:
            UserError: it is not.
        """
        # True and 1.0 are equal to 1, and neither is what a driver counts.
        if type(value) is not int or value not in bounds:
            self.wrong(f"{name} must be a whole number from {bounds[0]} to {bounds[-1]}")
        return value

    def wrong(self, what: str) -> NoReturn:
        """Say what is wrong with the line.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"{self.file}: line {self.number}: {what}. "
            "Record the capture anew with p1-exporter doctor --record, or correct the line."
        )


def file_name(file: IO[bytes]) -> str:
    """Return what to call `file` in a message."""
    return str(getattr(file, "name", "capture"))


def capture_lines(file: IO[bytes]) -> Iterator[CaptureLine]:
    """Return the lines of `file` that are not blank, one at a time.

    Raises:
        UserError: the file cannot be read, or is no text of reasonable lines.
    """
    name = file_name(file)
    number = 0
    while text := _read_line(file, name):
        number += 1
        line = CaptureLine(name, number, text)
        # Of the first line there is more to say than that it is long.
        if len(text) > MAX_LINE and number > 1:
            line.wrong(f"is longer than {MAX_LINE} bytes")
        if text.strip():
            yield line


def _read_line(file: IO[bytes], name: str) -> bytes:
    try:
        return file.readline(MAX_LINE + 1)
    except OSError as error:
        raise UserError(
            f"{name}: cannot be read: {error.strerror or error}. Give the path of a link capture."
        ) from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
