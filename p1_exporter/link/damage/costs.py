"""What it costs that one character arrived for another, and that characters were lost or came in.

Costs are in nats, see `template`. These are for lining up texts: whole characters are in question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.link.damage.template import IS_DIGIT, IS_HEX, NONZERO

if TYPE_CHECKING:
    from p1_exporter.link.damage.template import Template

A_FLIP: Final = 7
_ANOTHER_FLIP: Final = 3
"""A second one in the same character is likelier: disturbances last longer than a bit."""
ANY_CHARACTER: Final = 13
"""A character damaged beyond recognition."""
_FLIPS: Final = bytes(
    min(A_FLIP + _ANOTHER_FLIP * (flips.bit_count() - 1), ANY_CHARACTER) if flips else 0
    for flips in range(256)
)
_A_CHANGE: Final = bytes([0] + [1] * 255)
"""Another digit, where any will do: rather the same, if there is a choice."""
SHIFT_COST: Final = 6
_SHIFTED: Final = bytes(byte >> 1 | 0x80 for byte in range(256))
"""What a software UART makes of a character whose start bit it saw late: it takes bit 1 for bit 0, and so on."""
_SHIFTED_SEVEN: Final = bytes(
    came if (came ^ sent).bit_count() > 1 else sent
    for sent in range(256)
    for came in [sent >> 1 | sent.bit_count() % 2 << 6]
)
"""The same of seven bits: the parity bit is the seventh then. What one flipped bit does as well is no shift."""

GAP: Final = 12.0
LOST: Final = 0.2
"""Cost of each byte lost: they are lost in runs."""
FOREIGN: Final = 9.0
REPLACED: Final = 8.0
"""Added where bytes are lost and others put in at one place: rather, characters were damaged beyond recognition."""

_IS_ZERO: Final = bytes([0xFF] + [0] * 255)


def gap_cost(came: int, sent: int) -> float:
    """Return the cost of one loss or insertion that makes the difference between these sizes."""
    if came == sent:
        return 0.0
    return GAP + (FOREIGN * (came - sent) if came > sent else LOST * (sent - came))


def allowed(came: bytes, template: Template, known: int) -> int:
    """Return which characters, received for those from `known` on, may have been sent as they are.

    That is a mask, as a number: FF where any digit will do and one arrived, and where nothing is known.
    """
    part = slice(known, known + len(came))
    return (
        _number(came.translate(IS_DIGIT)) & _number(template.digits[part])
        | _number(came.translate(IS_HEX)) & _number(template.hex_digits[part])
        | _number(template.unknown[part])
    )


def differences(came: bytes, template: Template, known: int) -> bytes:
    """Return the bits flipped in each of the characters received for those from `known` on, 0 where it is allowed."""
    flips = _number(came) ^ _number(template.text[known : known + len(came)])
    return (flips & ~allowed(came, template, known)).to_bytes(len(came), "big")


def costs(came: bytes, template: Template, known: int) -> bytes:
    """Return what each of the characters costs that were received for those from `known` on."""
    size = len(came)
    text = template.text[known : known + size]
    changed = (_number(came) ^ _number(text)).to_bytes(size, "big")
    flips = differences(came, template, known)
    each = _number(flips.translate(_FLIPS)) | _number(changed.translate(_A_CHANGE))
    late = _number(came) ^ _number(text.translate(_SHIFTED_SEVEN if came.isascii() else _SHIFTED))
    shifted = _number(late.to_bytes(size, "big").translate(_IS_ZERO)) & _number(flips.translate(NONZERO))
    each = each & ~shifted | _number(bytes([SHIFT_COST]) * size) & shifted
    return each.to_bytes(size, "big")


def shifted(sent: int, came: int) -> bool:
    """Tell whether a character arrived as one whose start bit was seen late."""
    return came == (_SHIFTED if came & 0x80 else _SHIFTED_SEVEN)[sent]


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
