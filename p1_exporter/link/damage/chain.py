"""Pieces of a damaged text that are the same in a known one, and which of them belong together.

Costs are in nats, see `template`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage.costs import gap_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHANGED: Final = 0.3
"""Cost of a character between two pieces that are the same, if it is one of few: perhaps a digit that may change."""
_DAMAGED: Final = 3.0
"""Cost of each of many: at best there is some damage in every word."""
_FEW: Final = 16
_MOST_PIECES: Final = 128
_PREDECESSORS: Final = 16


class Block(NamedTuple):
    """Characters that stand for as many of the known text."""

    received: int
    """Place of the first one received."""
    known: int
    """Place of the first one in the known text."""
    size: int

    @property
    def received_end(self) -> int:
        """Place after the last one received."""
        return self.received + self.size

    @property
    def known_end(self) -> int:
        """Place after the last one in the known text."""
        return self.known + self.size


def steps(pieces: int) -> int:
    """Return how many steps `best_chain` takes."""
    return min(pieces, _MOST_PIECES) * _PREDECESSORS


def best_chain(pieces: list[Block], start: Block, end: Block) -> list[Block]:
    """Return the pieces, cut where they overlap, that make the cheapest way from `start` to `end`.

    Of many, only the longest are looked at.
    """
    if len(pieces) > _MOST_PIECES:
        pieces = sorted(sorted(pieces, key=lambda piece: piece.size)[-_MOST_PIECES:])
    ways: list[tuple[float, int, Block]] = []
    for piece in (*pieces, end):
        # Straight from the start, or after one of the pieces before.
        best = (_way_cost(piece.received - start.received_end, piece.known - start.known_end), -1, piece)
        for number in range(max(0, len(ways) - _PREDECESSORS), len(ways)):
            cost, _, before = ways[number]
            overlap = max(before.received_end - piece.received, before.known_end - piece.known, 0)
            if overlap >= max(piece.size, 1):
                continue
            cut = Block(piece.received + overlap, piece.known + overlap, piece.size - overlap)
            cost += _way_cost(cut.received - before.received_end, cut.known - before.known_end)
            if cost < best[0]:
                best = (cost, number, cut)
        ways.append(best)
    return _chain(ways)


def joined(blocks: Sequence[Block]) -> list[Block]:
    """Join blocks between which nothing was lost or put in; leave out empty ones."""
    found: list[Block] = []
    for block in blocks:
        last = found[-1] if found else None
        if last and block.size and (last.received_end, last.known_end) == block[:2]:
            found[-1] = last._replace(size=last.size + block.size)
        elif block.size:
            found.append(block)
    return found


def _chain(ways: Sequence[tuple[float, int, Block]]) -> list[Block]:
    """Return the pieces on the last way: each knows the number of the one before it."""
    chain: list[Block] = []
    number = ways[-1][1]
    while number >= 0:
        _, number, piece = ways[number]
        chain.append(piece)
    return chain[::-1]


def _way_cost(came: int, sent: int) -> float:
    """Return what lies between two pieces costs at least, if it is so many characters in the texts."""
    between = min(came, sent)
    few = min(between, _FEW)
    return gap_cost(came, sent) + _CHANGED * few + _DAMAGED * (between - few)
