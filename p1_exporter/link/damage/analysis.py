"""What happened on the wire to a telegram that was rejected: bits flipped, which way; bytes lost; foreign bytes.

A telegram is compared with what is known of the meter's telegrams: from those that were accepted, or, where none ever
was, from what several rejected ones agree upon. Where nothing is known yet, its checksum still tells where a single
flipped bit is. Bounded in memory, and in time whatever arrives.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from p1_exporter.link.damage import costs
from p1_exporter.link.damage.comparison import compare
from p1_exporter.link.damage.consensus import Consensus
from p1_exporter.link.damage.lone_flip import lone_flip
from p1_exporter.link.damage.template import template_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p1_exporter.link.damage.comparison import Comparison


Direction = Literal["0_to_1", "1_to_0"]

_KEPT: Final = 3
"""Accepted telegrams: three tell which digits change from one to the next."""
_LONGEST: Final = 11_520
"""Bytes of a telegram that are looked at."""
_HALF: Final = 0.5
"""Effort where the same telegram is compared with others first."""
_LINE_ENDS: Final = b"\r\n\0"
_NOT_NULL: Final = re.compile(rb"[^\0]")


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
    """Bytes missing, also those at the beginning and the end of the telegram, but for its last line end."""
    inserted: tuple[Run, ...]
    """Bytes that were not sent, or are beyond recognition."""
    shifted: int
    """Characters that arrived as (x >> 1) | 80h, or, of seven bits, with the parity bit on top: what the late start bit
    of a software UART makes of them. Their bits are no flips."""
    compared: int
    """Characters that arrived and never change."""
    changed: int
    """Characters that arrived and are part of values: of those it is only known what they may be."""
    tail_lost: bool
    """Whether the end of the telegram is missing, and nothing else."""
    head_lost: bool
    """Whether its beginning is missing, and nothing else."""
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
        self._verified = False
        """Whether it is known that the meter's checksums verify, although no telegram was accepted."""

    def learn(self, telegram: bytes) -> None:
        """Remember a telegram that was accepted."""
        self._accepted.append(telegram)

    def analyse(self, rejected: bytes) -> Damage | None:
        """Return what happened to a telegram that was rejected; None where nothing can be said.

        Raises nothing, whatever the bytes.
        """
        rejected = rejected[:_LONGEST]
        if self._accepted:
            comparison = self._beside_accepted(rejected)
            return _damage(comparison, trusted=True) if comparison.alike else None
        self._consensus.add(rejected)
        template = self._consensus.template()
        if template is None:
            flip = lone_flip(rejected)
            return _single(rejected, *flip) if flip else None
        comparison = compare(rejected, template, _HALF)
        if not comparison.alike:
            return None
        damage = _damage(comparison, trusted=self._verified)
        # That it verifies as soon as what is agreed upon is put in is no chance.
        self._verified = self._verified or (damage.confirmed and bool(damage.flips))
        return damage

    def _beside_accepted(self, rejected: bytes) -> Comparison:
        newest, *older = reversed(self._accepted)
        best = compare(rejected, template_of(newest, older))
        # Some meters have lines that come and go: of telegrams that differ in size, the one that fits better.
        other = next((telegram for telegram in older if len(telegram) != len(newest)), None)
        if other and best.amiss:
            best = min(best, compare(rejected, template_of(other), _HALF), key=lambda each: each.amiss)
        return best


def _damage(comparison: Comparison, *, trusted: bool) -> Damage:
    comparison, explanation = comparison.explained(trusted=trusted)
    received, template = comparison.received, comparison.template
    flips: list[Flip] = []
    shifted = compared = changed = 0
    for block in comparison.alignment.blocks:
        came = received[block.received : block.received_end]
        sent = explanation.sent[block.known : block.known_end]
        constant = template.constant(block.known % len(template.text), block.size)
        compared += constant
        changed += block.size - constant
        for place in _differing(sent, came):
            if costs.shifted(sent[place], came[place]):
                shifted += 1
            else:
                offset = block.received + place
                flips += (Flip(offset, bit, way) for bit, way in _flipped(sent[place], came[place]))
    # The framer ends a telegram at the first character of its line end, if the next one is damaged.
    end = len(explanation.sent.rstrip(_LINE_ENDS))
    gaps = [gap for gap in comparison.gaps if gap.foreign or gap.known < end]
    lost = tuple(Run(gap.received, gap.lost) for gap in gaps if gap.lost)
    return Damage(
        tuple(flips),
        lost,
        tuple(Run(gap.received, gap.foreign) for gap in gaps if gap.foreign),
        shifted,
        compared,
        changed,
        tail_lost=len(gaps) == 1 and bool(lost) and lost[0].offset == len(received),
        head_lost=len(gaps) == 1 and bool(lost) and lost[0].offset == 0,
        confirmed=explanation.confirmed,
    )


def _differing(a: bytes, b: bytes) -> Iterator[int]:
    """Yield the places where two texts of the same size differ."""
    difference = int.from_bytes(a, "big") ^ int.from_bytes(b, "big")
    return (found.start() for found in _NOT_NULL.finditer(difference.to_bytes(len(a), "big")))


@lru_cache(maxsize=1024)
def _flipped(sent: int, came: int) -> tuple[tuple[int, Direction], ...]:
    """Return which bits of a character were flipped, and which way."""
    return tuple(
        (bit, "0_to_1" if came >> bit & 1 else "1_to_0") for bit in range(8) if (sent ^ came) >> bit & 1
    )


def _single(received: bytes, offset: int, bit: int) -> Damage:
    """Return the damage of one bit flipped in a telegram that is whole."""
    came = received[offset]
    return Damage(
        tuple(Flip(offset, *flip) for flip in _flipped(came ^ 1 << bit, came)),
        lost=(),
        inserted=(),
        shifted=0,
        compared=len(received),
        changed=0,
        tail_lost=False,
        head_lost=False,
        confirmed=True,
    )
