"""The cheapest way to line up two short texts: every way is weighed, so that it takes time with the product of sizes.

That is Gotoh's algorithm: an edit distance in which a gap costs most where it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.link.costs import FOREIGN, GAP, LOST, REPLACED

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEVER: Final = 1e9
# The last step of a way: a pair of characters, a foreign one, or one lost. Foreign ones come before lost ones.
_PAIR, _FOREIGN, _LOST = 0, 1, 2


class _Row:
    """The cheapest ways to each place in the text sent, after some of the characters that came."""

    __slots__ = ("costs", "lasts")

    def __init__(self, sent: int) -> None:
        self.costs = tuple([_NEVER] * (sent + 1) for _ in range(3))
        """By their last step."""
        self.lasts = tuple(bytearray(sent + 1) for _ in range(3))
        """What the step before that was."""

    def lose(self) -> None:
        """Weigh the ways that go on with characters lost."""
        pairs, foreign, lost = self.costs
        last = self.lasts[_LOST]
        cheapest = _NEVER
        for place in range(1, len(lost)):
            step = _LOST
            if pairs[place - 1] + GAP < cheapest:
                cheapest, step = pairs[place - 1] + GAP, _PAIR
            if foreign[place - 1] + GAP + REPLACED < cheapest:
                cheapest, step = foreign[place - 1] + GAP + REPLACED, _FOREIGN
            cheapest += LOST
            lost[place], last[place] = cheapest, step

    def take(self, before: _Row, costs: bytes) -> None:
        """Weigh the ways on which one more character came, with what it costs as each of those sent."""
        pairs, foreign, _ = self.costs
        pairs_last, foreign_last, _ = self.lasts
        place = 0
        for a, b, c in zip(*before.costs, strict=True):
            # As a foreign character, and as the next of those sent.
            if a + GAP < b:
                foreign[place], foreign_last[place] = a + GAP + FOREIGN, _PAIR
            else:
                foreign[place], foreign_last[place] = b + FOREIGN, _FOREIGN
            if place < len(costs):
                cheapest, step = (a, _PAIR) if a <= b else (b, _FOREIGN)
                if c < cheapest:
                    cheapest, step = c, _LOST
                place += 1
                pairs[place], pairs_last[place] = cheapest + costs[place - 1], step


def pair(costs: Sequence[bytes], sent: int) -> tuple[float, list[tuple[int, int]]]:
    """Return what the cheapest way costs, and which characters it pairs: their numbers in both texts, in order.

    Args:
        costs: For each character that came, what it costs that it stands for each of those sent.
        sent: How many were sent.
    """
    rows = [_Row(sent)]
    rows[0].costs[_PAIR][0] = 0.0
    rows[0].lose()
    for each in costs:
        row = _Row(sent)
        row.take(rows[-1], each)
        row.lose()
        rows.append(row)
    ends = [cost[sent] for cost in rows[-1].costs]
    pairs = []
    step, came = ends.index(min(ends)), len(costs)
    while came or sent:
        before = rows[came].lasts[step][sent]
        if step == _PAIR:
            pairs.append((came - 1, sent - 1))
        came -= step != _LOST
        sent -= step != _FOREIGN
        step = before
    return min(ends), pairs[::-1]
