"""A single flipped bit in a telegram of which nothing is known but its checksum."""

from __future__ import annotations

import re
from typing import Final

from p1_exporter.link.damage.syndrome import single_flips
from p1_exporter.telegram.crc import ARC

_LINE_END: Final = b"\r\n"
_ENDING: Final = re.compile(rb"(.)(.{4})(.{0,2})\Z", re.DOTALL)
_DIGITS: Final = re.compile(rb"[0-9A-Fa-f]{4}")
# What telegrams look like: with all characters in place, a flip elsewhere would most often be seen.
_WELL_FORMED: Final = re.compile(
    rb"/[A-Za-z]{3}[ -~]*\r\n(?:\r\n)?"
    rb"(?:[0-9]{1,3}-[0-9]{1,3}:[0-9A-Za-z.*]{3,15} ?(?:(?:\r\n)?\([ -'*-~]*\)[* ]*)+\r\n)*!"
)


def lone_flip(received: bytes) -> tuple[int, int] | None:
    """Return offset and bit (0 = least significant) of the one bit that was flipped in a whole telegram.

    None if it takes more than one, or none, to make a telegram of it whose checksum verifies.
    """
    ending = _ENDING.search(received)
    if ending is None:
        return None
    text, digits, end = received[: ending.start(2)], ending[2], ending[3]
    places = _text_flips(text, digits)
    places += _flips(digits, b"%04X" % ARC.of(text), len(text))
    places += _flips(end, _LINE_END[: len(end)], len(text) + len(digits))
    sound = [(offset, bit) for offset, bit in places if _verifies(flipped(received, offset, bit), len(text))]
    return sound[0] if len(sound) == 1 else None


def _text_flips(text: bytes, digits: bytes) -> list[tuple[int, int]]:
    if not _DIGITS.fullmatch(digits):
        return []
    return list(single_flips(ARC, ARC.of(text) ^ int(digits, 16), len(text)))


def _flips(came: bytes, sent: bytes, offset: int) -> list[tuple[int, int]]:
    return [
        (offset + place, bit)
        for place, (a, b) in enumerate(zip(came, sent, strict=True))
        for bit in range(8)
        if (a ^ b) >> bit & 1
    ]


def flipped(data: bytes, offset: int, bit: int) -> bytes:
    """Return `data` with one bit the other way."""
    return data[:offset] + bytes([data[offset] ^ 1 << bit]) + data[offset + 1 :]


def _verifies(telegram: bytes, size: int) -> bool:
    """Whether the first `size` bytes are well-formed, and followed by their checksum and a line end."""
    text = telegram[:size]
    end = telegram[size + 4 :]
    return (
        _LINE_END.startswith(end)
        and telegram[size : size + 4].upper() == b"%04X" % ARC.of(text)
        and _WELL_FORMED.fullmatch(text) is not None
    )
