"""What the meter sent, where a telegram arrived damaged: the likeliest text that explains what came.

Where a character never changes, it is known. Where a digit may change, another one may be a new value or a flip; which
is likelier depends on the field, and then the checksum tells. Costs are in nats, see `template`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import ne
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage.checking import Alternative, Sealed, Solution, character_cost, solve, text_cost
from p1_exporter.link.damage.costs import allowed, differences
from p1_exporter.link.damage.template import CHECKSUM_DIGITS, IS_DIGIT

if TYPE_CHECKING:
    from p1_exporter.link.damage.alignment import Alignment
    from p1_exporter.link.damage.chain import Block
    from p1_exporter.link.damage.template import Field, Template

_DIGITS: Final = b"0123456789"
_MOST_DIFFERING: Final = 250
"""Characters in fields that are weighed; beyond that, what arrived is taken for new values."""
_NO_FLIPS: Final = 4.0
"""Added to the cost of a flip, where what is lost or foreign explains it all, and no flip is sure."""
_OLD: Final = 5
"""One in so many steady fields has changed: more than a few flips can do."""
_MOST_ALTERNATIVES: Final = 24
_CREDIBLE: Final = 30.0
"""The most that a text may cost that the checksum speaks for."""
_CREDIBLE_UNSURE: Final = 10.0
"""The same, where digits were lost, or no telegram was ever accepted."""


class Explanation(NamedTuple):
    """What was sent."""

    sent: bytes
    """One telegram or more, as in the alignment."""
    confirmed: bool
    """Whether the checksum, as it arrived or repaired, verifies."""


def explain(received: bytes, template: Template, alignment: Alignment, *, trusted: bool) -> Explanation:
    """Return the likeliest explanation.

    Args:
        received: The damaged telegram.
        template: What is known.
        alignment: Of these two.
        trusted: Whether telegrams were accepted, so that it is sure that their checksums verify.
    """
    guess = _Guess(received, template, alignment)
    solution = guess.checked(trusted=trusted)
    if solution is None:
        return Explanation(bytes(guess.sent), confirmed=False)
    for change in solution.changes:
        guess.sent[change.place : change.place + len(change.text)] = change.text
    guess.sent[template.check : template.check + CHECKSUM_DIGITS] = solution.digits
    return Explanation(bytes(guess.sent), confirmed=True)


class _Guess:
    """The likeliest text without regard to the checksum, and what else it may have been."""

    def __init__(self, received: bytes, template: Template, alignment: Alignment) -> None:
        self._received, self._template, self._blocks = received, template, alignment.blocks
        self._telegrams = alignment.known // len(template.text)
        self.sent = bytearray(template.text * self._telegrams)
        self._alternatives: list[Alternative] = []
        damaged = self._put_in()
        only_gaps = not damaged and any(alignment.gaps(len(received)))
        self._doubt = _NO_FLIPS if only_gaps else 0.0
        """Added to the cost of each flip that nothing but a value tells of."""
        self._weigh_all()

    def _put_in(self) -> int:
        """Put in what arrived where it may have been sent; return how many characters may not."""
        damaged = 0
        for block in self._blocks:
            place = block.known % len(self._template.text)
            came = self._received[block.received : block.received_end]
            flips = differences(came, self._template, place)
            damaged += len(came) - flips.count(0)
            self.sent[block.known : block.known_end] = _as_sent(came, flips, self._template, place)
        return damaged

    def _weigh_all(self) -> None:
        """Choose the likeliest values of the fields that arrived whole."""
        differing: list[tuple[Field, bytes, int]] = []
        steady = 0
        for block in self._blocks:
            telegram = block.known - block.known % len(self._template.text)
            for field in self._template.fields_within(block.known - telegram, block.known_end - telegram):
                start = telegram + field.start - block.known + block.received
                came = self._received[start : start + field.end - field.start]
                steady += field.steady
                if came != self._template.text[field.start : field.end]:
                    differing.append((field, came, telegram))
        # Where much has changed that did not change before, what is known is old.
        old = _OLD * sum(field.steady for field, _, _ in differing) > steady
        left = _MOST_DIFFERING
        for field, came, telegram in differing:
            left -= _differing(came, self._template.text[field.start : field.end])
            if left > 0:
                self._weigh(field._replace(steady=False) if old else field, came, telegram)

    def _weigh(self, field: Field, came: bytes, telegram: int) -> None:
        """Choose the likeliest value of a field in which something differs."""
        known = self._template.text[field.start : field.end]
        (least, value), *others = _values(field, known, came, self._doubt)
        start = telegram + field.start
        self.sent[start : start + len(came)] = value
        self._alternatives += (Alternative(cost - least, start, other) for cost, other in others)

    def checked(self, *, trusted: bool) -> Solution | None:
        """Return the likeliest text whose checksum verifies, if the checksum arrived and such a text is credible."""
        check, checksum = self._template.check, self._template.checksum
        block = self._block_at(check) if check >= 0 else None
        if not (checksum and block) or self._telegrams > 1 or check + CHECKSUM_DIGITS > block.known_end:
            return None
        at = check - block.known + block.received
        known_digits = self._template.text[check : check + CHECKSUM_DIGITS]
        sealed = Sealed(
            checksum,
            bytes(self.sent[:check]),
            self._received[at : at + CHECKSUM_DIGITS],
            capitals=not known_digits.translate(None, _DIGITS).islower(),
        )
        sure = trusted and not self._digits_lost()
        alternatives = sorted(self._alternatives)[:_MOST_ALTERNATIVES]
        return solve(
            sealed,
            alternatives,
            self._flip_cost if trusted else _never,
            _CREDIBLE if sure else _CREDIBLE_UNSURE,
        )

    def _block_at(self, place: int) -> Block | None:
        """Return the block in which `place` is that of a character which arrived."""
        return next((block for block in self._blocks if block.known <= place < block.known_end), None)

    def _digits_lost(self) -> bool:
        """Whether digits are missing that may have changed."""
        arrived = bytearray(len(self._template.text))
        for block in self._blocks:
            arrived[block.known : block.known_end] = b"\xff" * block.size
        return bool(_number(self._template.digits) & ~_number(bytes(arrived)))

    def _flip_cost(self, text: bytes, place: int, bit: int) -> float | None:
        """Return what it adds if one more bit was flipped: nobody sees that only where a digit came of a digit."""
        block = self._block_at(place)
        digit = text[place] ^ 1 << bit
        if block is None or not self._template.digits[place] or digit not in _DIGITS:
            return None
        came = self._received[block.received : block.received_end]
        field = self._template.field_at(place)
        if field is None or field.start < block.known or field.end > block.known_end:
            arrived = came[place - block.known]
            return character_cost(digit, arrived) - character_cost(text[place], arrived)
        known = self._template.text[field.start : field.end]
        arrived_value = came[field.start - block.known : field.end - block.known]
        before = text[field.start : field.end]
        after = text[field.start : place] + bytes([digit]) + text[place + 1 : field.end]
        cost = _value_cost(field, known, after, arrived_value)
        return cost - _value_cost(field, known, before, arrived_value)


def _never(_text: bytes, _place: int, _bit: int) -> float | None:
    return None


def _as_sent(came: bytes, flips: bytes, template: Template, place: int) -> bytes:
    """Return what was sent where characters arrived for those of the known text from `place` on, fields aside."""
    mask = allowed(came, template, place)
    known = template.text[place : place + len(came)]
    sent = _number(came) & mask | _number(known) & ~mask
    repaired = bytearray(sent.to_bytes(len(came), "big"))
    # Characters that are no digits, at places where any digit may have been sent.
    damaged = _number(flips) & _number(template.digits[place : place + len(came)])
    for found in re.finditer(rb"[^\0]", damaged.to_bytes(len(came), "big")):
        at = found.start()
        repaired[at] = _nearest_digits(came[at], known[at])[0]
    return bytes(repaired)


@lru_cache(maxsize=1024)
def _nearest_digits(came: int, known: int) -> bytes:
    """Return the digits of which it is likeliest that `came` arrived, that which was sent before first."""
    least = min(character_cost(digit, came) for digit in _DIGITS)
    nearest = [digit for digit in _DIGITS if character_cost(digit, came) == least]
    nearest.sort(key=lambda digit: abs(digit - known))
    return bytes(nearest)


def _values(field: Field, known: bytes, came: bytes, doubt: float) -> list[tuple[float, bytes]]:
    """Return the values that may have been sent in a field, with their costs, the likeliest first.

    It is the value before, and all that differs was flipped; or its last digits changed; or all but one.
    """
    changed = bytearray(known)
    unclear: list[tuple[int, int]] = []
    for place, (old, new) in enumerate(zip(known, came, strict=True)):
        if IS_DIGIT[old]:
            nearest = _nearest_digits(new, old)
            changed[place] = nearest[0]
            unclear += ((place, digit) for digit in nearest[1:])
        elif old in b"SW" and new in b"SW":
            changed[place] = new
    values = {known[:cut] + bytes(changed[cut:]) for cut in range(len(known) + 1)}
    unclear += ((place, old) for place, old in enumerate(known) if old != changed[place])
    for place, character in unclear:
        values.add(bytes([*changed[:place], character, *changed[place + 1 :]]))
    return sorted(
        (_value_cost(field, known, value, came) + doubt * _differing(value, came), value) for value in values
    )


def _differing(a: bytes, b: bytes) -> int:
    return sum(map(ne, a, b))


def _value_cost(field: Field, known: bytes, sent: bytes, came: bytes) -> float:
    return field.change_cost(known, sent) + text_cost(sent, came)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
