"""The cheapest way to line up two short texts, whatever happened in them.

That is Gotoh's algorithm: an edit distance in which a gap costs most where it begins. Only ways are weighed that stay
near the straight one, so that it takes time in proportion to the size, and to how far they may go astray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage.costs import FOREIGN, GAP, LOST, REPLACED

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEVER: Final = 1e9
# The last step of a way: a pair of characters, a foreign one, or one lost. Foreign ones come before lost ones.
_PAIR, _FOREIGN, _LOST = 0, 1, 2


class Pairs(NamedTuple):
    """What belongs together."""

    cost: float
    pairs: list[tuple[int, int]]
    """Numbers of characters in both texts, in order."""


def steps(came: int, sent: int, astray: int) -> int:
    """Return how many steps `pair` takes for texts of these sizes."""
    return (came + 1) * (min(abs(came - sent) + 2 * astray, sent) + 1)


def pair(costs: Sequence[bytes], sent: int, astray: int) -> Pairs:
    """Return the cheapest way.

    Args:
        costs: For each character that came, what it costs that it stands for each of those sent.
        sent: How many were sent.
        astray: How many more characters may be lost or foreign on a way than the sizes of the texts demand.
    """
    surplus = sent - len(costs)
    rows = [_Row(sent, 0, max(surplus, 0) + astray)]
    rows[0].costs[_PAIR][0] = 0.0
    rows[0].lose()
    for number, each in enumerate(costs, 1):
        row = _Row(sent, number + min(surplus, 0) - astray, number + max(surplus, 0) + astray)
        row.take(rows[-1], each)
        row.lose()
        rows.append(row)
    ends = [cost[sent] for cost in rows[-1].costs]
    return Pairs(min(ends), _way(rows, sent, ends.index(min(ends))))


class _Row:
    """The cheapest ways to the places from `first` to `last` in the text sent, after some of the characters came."""

    __slots__ = ("costs", "first", "last", "steps")

    def __init__(self, sent: int, first: int, last: int) -> None:
        self.first, self.last = max(first, 0), min(last, sent)
        self.costs = tuple([_NEVER] * (sent + 1) for _ in range(3))
        """By their last step."""
        self.steps = tuple(bytearray(sent + 1) for _ in range(3))
        """What the step before that was."""

    def take(self, before: _Row, costs: bytes) -> None:
        """Weigh the ways on which one more character came, with what it costs as each of those sent."""
        old_pairs, old_foreign, old_lost = before.costs
        pairs, foreign, _ = self.costs
        pairs_steps, foreign_steps, _ = self.steps
        for place in range(self.first, self.last + 1):
            a, b = old_pairs[place] + GAP, old_foreign[place]
            foreign[place], foreign_steps[place] = (a + FOREIGN, _PAIR) if a < b else (b + FOREIGN, _FOREIGN)
            if place:
                a, b, c = old_pairs[place - 1], old_foreign[place - 1], old_lost[place - 1]
                cheapest, step = (a, _PAIR) if a <= b else (b, _FOREIGN)
                if c < cheapest:
                    cheapest, step = c, _LOST
                pairs[place], pairs_steps[place] = cheapest + costs[place - 1], step

    def lose(self) -> None:
        """Weigh the ways that go on with characters lost."""
        pairs, foreign, lost = self.costs
        steps = self.steps[_LOST]
        cheapest = _NEVER
        for place in range(self.first + 1, self.last + 1):
            step = _LOST
            if pairs[place - 1] + GAP < cheapest:
                cheapest, step = pairs[place - 1] + GAP, _PAIR
            if foreign[place - 1] + GAP + REPLACED < cheapest:
                cheapest, step = foreign[place - 1] + GAP + REPLACED, _FOREIGN
            cheapest += LOST
            lost[place], steps[place] = cheapest, step


def _way(rows: Sequence[_Row], sent: int, step: int) -> list[tuple[int, int]]:
    """Return the pairs on the way that ends with `step`."""
    pairs = []
    came = len(rows) - 1
    while came or sent:
        before = rows[came].steps[step][sent]
        if step == _PAIR:
            pairs.append((came - 1, sent - 1))
        came -= step != _LOST
        sent -= step != _FOREIGN
        step = before
    return pairs[::-1]
