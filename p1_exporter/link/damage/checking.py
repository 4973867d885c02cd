"""Which of the texts that may have been sent is the one whose checksum was sent with it.

Costs are in nats, see `template`.
"""

from __future__ import annotations

import re
from functools import lru_cache, reduce
from heapq import heappop, heappush
from operator import xor
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage.costs import A_FLIP, SHIFT_COST, shifted
from p1_exporter.link.damage.syndrome import effect, single_flips

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from p1_exporter.telegram.crc import Checksum

_MOST_SETS: Final = 150
_ANOTHER_FLIP: Final = 5
_FLIPS_COST: Final = bytes(
    A_FLIP + _ANOTHER_FLIP * (flips.bit_count() - 1) if flips else 0 for flips in range(256)
)
"""Where bits are in question one by one; in `costs` it is whole characters."""


class Alternative(NamedTuple):
    """Another text that may have been sent at a place."""

    cost: float
    """Added to that of the likeliest."""
    place: int
    text: bytes


class Solution(NamedTuple):
    """A text whose checksum verifies."""

    cost: float
    changes: tuple[Alternative, ...]
    """What differs in it from the likeliest text."""
    digits: bytes
    """Of its checksum."""


class Sealed(NamedTuple):
    """What may have been sent, and what arrived of its checksum."""

    checksum: Checksum
    text: bytes
    """The likeliest, up to and including the exclamation mark."""
    digits: bytes
    """The four characters that arrived after it."""
    capitals: bool
    """How the meter prints hexadecimal digits."""

    def changed(self, changes: Sequence[Alternative]) -> bytes:
        """Return the text with changes."""
        text = bytearray(self.text)
        for change in changes:
            text[change.place : change.place + len(change.text)] = change.text
        return bytes(text)

    def printed(self, value: int) -> bytes:
        """Return a checksum as the meter prints it."""
        return (b"%04X" if self.capitals else b"%04x") % value


def solve(
    sealed: Sealed,
    alternatives: Sequence[Alternative],
    flip_cost: Callable[[bytes, int, int], float | None],
    credible: float,
) -> Solution | None:
    """Return the cheapest text whose checksum verifies, if one is found that costs no more than `credible`.

    Args:
        sealed: The likeliest text, and the checksum.
        alternatives: What else may have been sent, the cheapest first; any number of them together.
        flip_cost: What it costs that a bit (0 = least significant) at a place of a text was sent the other way,
            although nothing tells so; None if it cannot be.
        credible: Dearer texts are no better than chance: one in 65,536 has the right checksum.
    """
    computed = sealed.checksum.of(sealed.text)
    effects = [_effect(sealed, alternative) for alternative in alternatives]
    best: Solution | None = None
    bound = credible
    for chosen in _cheapest_sets([alternative.cost for alternative in alternatives]):
        changes = tuple(alternatives[number] for number in chosen)
        base = Solution(sum(change.cost for change in changes), changes, b"")
        if base.cost >= bound:
            break
        if len({change.place for change in changes}) == len(changes):
            value = reduce(xor, (effects[number] for number in chosen), computed)
            for solution in _solutions(sealed, value, base, flip_cost, bound):
                if solution.cost < bound:
                    best, bound = solution, solution.cost
    return best


def _solutions(
    sealed: Sealed,
    value: int,
    base: Solution,
    flip_cost: Callable[[bytes, int, int], float | None],
    bound: float,
) -> Iterator[Solution]:
    """Yield what explains that these digits arrived after a text with the checksum `value`, where it costs less.

    Either the digits were damaged, or one more bit was flipped in the text (and one in the digits, perhaps).
    """
    digits = sealed.printed(value)
    yield base._replace(cost=base.cost + text_cost(digits, sealed.digits), digits=digits)
    for printed in _readings(sealed.digits, sealed.capitals):
        least = base.cost + text_cost(printed, sealed.digits)
        if least + A_FLIP > bound:
            continue
        for place, bit in single_flips(sealed.checksum, value ^ int(printed, 16), len(sealed.text)):
            text = sealed.changed(base.changes)
            cost = flip_cost(text, place, bit)
            if cost is not None:
                flip = Alternative(cost, place, bytes([text[place] ^ 1 << bit]))
                yield Solution(least + cost, (*base.changes, flip), printed)


def character_cost(sent: int, came: int) -> int:
    """Return what it costs that `came` arrived where `sent` was sent."""
    return SHIFT_COST if shifted(sent, came) else _FLIPS_COST[sent ^ came]


def text_cost(sent: bytes, came: bytes) -> int:
    """Return the same for as many characters."""
    return sum(map(character_cost, sent, came))


def _effect(sealed: Sealed, alternative: Alternative) -> int:
    """Return by what an alternative changes the checksum."""
    end = alternative.place + len(alternative.text)
    flipped = bytes(
        a ^ b for a, b in zip(alternative.text, sealed.text[alternative.place : end], strict=True)
    )
    return effect(sealed.checksum, flipped + bytes(len(sealed.text) - end))


@lru_cache(maxsize=4)
def _readings(came: bytes, capitals: bool) -> tuple[bytes, ...]:  # noqa: FBT001 - positional for the cache
    """Return the checksums of which these digits may have come, with one bit flipped at most."""
    form = re.compile(rb"[0-9A-F]{4}" if capitals else rb"[0-9a-f]{4}")
    number = int.from_bytes(came, "big")
    others = ((number ^ 1 << bit).to_bytes(len(came), "big") for bit in range(8 * len(came)))
    return tuple(digits for digits in (came, *others) if form.fullmatch(digits))


def _cheapest_sets(costs: Sequence[float]) -> Iterator[tuple[int, ...]]:
    """Yield sets of the numbers of `costs`, which rise, in the order of their sums: the empty one first; not all."""
    yield ()
    heap: list[tuple[float, tuple[int, ...]]] = [(costs[0], (0,))] if costs else []
    for _ in range(_MOST_SETS):
        if not heap:
            return
        cost, chosen = heappop(heap)
        yield chosen
        last = chosen[-1]
        if last + 1 < len(costs):
            # The next one as well, or instead of the last one.
            heappush(heap, (cost + costs[last + 1], (*chosen, last + 1)))
            heappush(heap, (cost + costs[last + 1] - costs[last], (*chosen[:-1], last + 1)))
