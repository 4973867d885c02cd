"""What happened on the wire to a telegram that was rejected: bits flipped, which way; bytes lost; foreign bytes.

A telegram is compared with what is known of the meter's telegrams: from those that were accepted, or, where none ever
was, from what several rejected ones agree upon. Where nothing is known yet, its checksum still tells where a single
flipped bit is. Bounded in memory, and in time whatever arrives.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from p1_exporter.link.alignment import align
from p1_exporter.link.consensus import Consensus
from p1_exporter.link.costs import SHIFTED
from p1_exporter.link.explanation import explain
from p1_exporter.link.lone_flip import lone_flip
from p1_exporter.link.template import template_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p1_exporter.link.alignment import Alignment, Gap
    from p1_exporter.link.explanation import Explanation
    from p1_exporter.link.template import Template

_KEPT: Final = 3
"""Accepted telegrams: three tell which digits change from one to the next."""
_LONGEST: Final = 11_520
"""Bytes of a text that are looked at."""
_BURST: Final = 5
_PRICE: Final = 10
_AGAIN: Final = 0.3
"""Effort for another alignment of the same telegram."""
_LINE_ENDS: Final = b"\r\n\0"
_NOT_NULL: Final = re.compile(rb"[^\0]")
_WHOLE_LINES: Final = re.compile(rb"(?:[0-9]{1,3}-[0-9]{1,3}:[0-9A-Za-z.*]{3,15}(?:\([ -'*-~]*\))+\r\n)+")

Direction = Literal["0_to_1", "1_to_0"]


class Flip(NamedTuple):
    """A bit that did not arrive as it was sent."""

    offset: int
    """Place of its character in the data received."""
    bit: int
    """0 is the least significant, and the first on the wire."""
    direction: Direction
    """As sent by the meter, and as received."""


class Run(NamedTuple):
    """Some bytes in a row."""

    offset: int
    """Place in the data received; what is missing is missing before it."""
    size: int


@dataclass(frozen=True, slots=True)
class Damage:
    """What happened to one telegram; immutable."""

    flips: tuple[Flip, ...]
    """In order of place."""
    lost: tuple[Run, ...]
    """Bytes missing, those at the beginning and the end of the telegram included; not of the last line end."""
    inserted: tuple[Run, ...]
    """Bytes that were not sent, or beyond recognition."""
    shifted: int
    """Characters that arrived as (x >> 1) | 80h, the late start bit of a software UART; their bits are no flips."""
    compared: int
    """Characters that never change, and could be compared."""
    changed: int
    """Characters of values, of which it is known at most what they may be."""
    tail_lost: bool
    """Whether the end is missing, and nothing else."""
    head_lost: bool
    """Whether the beginning is missing, and nothing else."""
    confirmed: bool
    """Whether the checksum verifies in the text as it must have been sent."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong in the text."""
        return not (self.flips or self.lost or self.inserted or self.shifted)


class DamageAnalysis:
    """Looks into the rejected telegrams of one meter."""

    def __init__(self) -> None:
        self._accepted: deque[bytes] = deque(maxlen=_KEPT)
        self._consensus = Consensus()

    def learn(self, telegram: bytes) -> None:
        """Remember a telegram that was accepted."""
        self._accepted.append(telegram)

    def analyse(self, rejected: bytes) -> Damage | None:
        """Return what happened to a telegram that was rejected; None where nothing can be said.

        Raises nothing, whatever the bytes.
        """
        rejected = rejected[:_LONGEST]
        if self._accepted:
            return self._by_accepted(rejected)
        self._consensus.add(rejected)
        template = self._consensus.template()
        if template:
            return _Comparison.of(rejected, template, 0.5).damage(trusted=False)
        flip = lone_flip(rejected)
        return _single(rejected, *flip) if flip else None

    def _by_accepted(self, rejected: bytes) -> Damage | None:
        newest, *older = reversed(self._accepted)
        best = _Comparison.of(rejected, template_of(newest, older))
        # Some meters have lines that come and go: of telegrams that differ in size, the one that fits better.
        other = next((telegram for telegram in older if len(telegram) != len(newest)), None)
        if other and best.amiss:
            best = min(best, _Comparison.of(rejected, template_of(other)), key=lambda each: each.amiss)
        return best.damage(trusted=True)


class _Comparison(NamedTuple):
    """A rejected telegram beside a known one."""

    received: bytes
    template: Template
    alignment: Alignment

    @classmethod
    def of(cls, received: bytes, template: Template, effort: float = 1.0) -> _Comparison:
        return cls(received, template, align(received, template, effort))

    @property
    def gaps(self) -> list[Gap]:
        return list(self.alignment.gaps(len(self.received)))

    @property
    def amiss(self) -> int:
        """Bytes lost or foreign."""
        return sum(gap.foreign + gap.lost for gap in self.gaps)

    def damage(self, *, trusted: bool) -> Damage | None:
        """Return what happened, None if what was received is something else altogether."""
        if not self.alignment.alike(self.received, self.template):
            return None
        comparison = self._with_new_lines()
        explanation = comparison._explained(trusted=trusted)
        if not explanation.confirmed:
            # Lines that are missing were lost, unless the checksum speaks for it that they were not sent.
            shorter = comparison._without_missing_lines()
            other = shorter and shorter._explained(trusted=trusted)
            if shorter and other and other.confirmed:
                comparison, explanation = shorter, other
        return comparison._damage(explanation)

    def _explained(self, *, trusted: bool) -> Explanation:
        return explain(self.received, self.template, self.alignment, trusted=trusted)

    def _with_new_lines(self) -> _Comparison:
        """Return the same with whole lines that are new as part of what is known: they are not foreign."""
        text = self.template.text
        for gap in reversed(self.gaps):
            new = self.received[gap.received : gap.received + gap.foreign]
            if not gap.lost and gap.known <= len(text) and _WHOLE_LINES.fullmatch(new):
                text = text[: gap.known] + new + text[gap.known :]
        return self._with(text) if text != self.template.text else self

    def _without_missing_lines(self) -> _Comparison | None:
        """Return the same without the whole lines that are missing, None if none are."""
        text = self.template.text
        for gap in reversed(self.gaps):
            end = gap.known + gap.lost
            if not gap.foreign and end <= len(text) and _WHOLE_LINES.fullmatch(text[gap.known : end]):
                text = text[: gap.known] + text[end:]
        return self._with(text) if text != self.template.text else None

    def _with(self, text: bytes) -> _Comparison:
        return _Comparison.of(
            self.received, replace(template_of(text), checksum=self.template.checksum), _AGAIN
        )

    def _damage(self, explanation: Explanation) -> Damage:
        size = len(self.template.text)
        flips: list[Flip] = []
        shifted = compared = changed = 0
        for block in self.alignment.blocks:
            came = self.received[block.received : block.received_end]
            sent = explanation.sent[block.known : block.known_end]
            constant = self.template.constant(block.known % size, block.size)
            compared += constant
            changed += block.size - constant
            for place in _differing(sent, came):
                if came[place] == SHIFTED[sent[place]]:
                    shifted += 1
                else:
                    flips += (
                        Flip(block.received + place, bit, way)
                        for bit, way in _flips(sent[place], came[place])
                    )
        # The framer ends a telegram at the first character of its line end, if the next one is damaged.
        end = explanation.sent[len(explanation.sent.rstrip(_LINE_ENDS)) :]
        gaps = [gap for gap in self.gaps if gap.foreign or gap.known < len(explanation.sent) - len(end)]
        lost = tuple(Run(gap.received, gap.lost) for gap in gaps if gap.lost)
        return Damage(
            tuple(flips),
            lost,
            tuple(Run(gap.received, gap.foreign) for gap in gaps if gap.foreign),
            shifted,
            compared,
            changed,
            tail_lost=len(lost) == 1 and lost[0].offset == len(self.received),
            head_lost=len(lost) == 1 and lost[0].offset == 0,
            confirmed=explanation.confirmed,
        )


def _differing(a: bytes, b: bytes) -> Iterator[int]:
    """Yield the places where two texts of the same size differ."""
    difference = int.from_bytes(a, "big") ^ int.from_bytes(b, "big")
    return (found.start() for found in _NOT_NULL.finditer(difference.to_bytes(len(a), "big")))


@lru_cache(maxsize=1024)
def _flips(sent: int, came: int) -> tuple[tuple[int, Direction], ...]:
    """Return which bits of a character were flipped, and which way."""
    return tuple(
        (bit, "0_to_1" if came >> bit & 1 else "1_to_0") for bit in range(8) if (sent ^ came) >> bit & 1
    )


def _single(received: bytes, offset: int, bit: int) -> Damage:
    """Return the damage of one bit flipped in a telegram that is whole."""
    came = received[offset]
    return Damage(
        tuple(Flip(offset, *flip) for flip in _flips(came ^ 1 << bit, came)),
        lost=(),
        inserted=(),
        shifted=0,
        compared=len(received),
        changed=0,
        tail_lost=False,
        head_lost=False,
        confirmed=True,
    )


class Ration:
    """How many rejected telegrams are looked into: each while few are rejected, one in ten while all are.

    It counts telegrams. The first `_BURST` rejected ones are looked into, after a good while as well as at the
    beginning; but at the beginning they are an advance, which the telegrams that follow pay back.
    """

    def __init__(self) -> None:
        self._credit = _BURST * _PRICE
        self._advance = _BURST * _PRICE

    def passed(self) -> None:
        """A telegram was accepted."""
        if self._advance:
            self._advance -= 1
        else:
            self._credit = min(self._credit + 1, _BURST * _PRICE)

    def take(self) -> bool:
        """A telegram was rejected: return whether it is to be looked into."""
        self.passed()
        if self._credit < _PRICE:
            return False
        self._credit -= _PRICE
        return True
