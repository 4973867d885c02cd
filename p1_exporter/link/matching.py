"""The cheapest way to line up a damaged text with a known one: what stands for what, what was lost and what came in.

Pieces that are the same in both are found by words that occur once in the known text; the best chain of such pieces
is what both texts share. Between two of them, bytes were flipped, lost or put in: the cheapest of what one loss and
one insertion can explain is taken, unless shorter words show more. All of it takes time in proportion to the bytes.

Costs are in nats, see `template`.
"""

from __future__ import annotations

from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.costs import ANY_CHARACTER, FOREIGN, GAP, LOST, REPLACED, costs, gap_cost
from p1_exporter.link.pairing import pair, steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from p1_exporter.link.template import Template

_PAIRED: Final = tuple(cost - LOST - FOREIGN for cost in range(256))
"""By what a character that costs so much is dearer than a lost and a foreign one."""
_CHANGED: Final = 0.3
"""Cost of a character between two pieces that are the same, if it is one of few: perhaps a digit that may change."""
_DAMAGED: Final = 3.0
"""Cost of each of many: at best there is some damage in every word."""
_FEW: Final = 16

_WORDS: Final = (8, 4)
_SHORT: Final = 4
_SHORT_REGION: Final = 600
"""Bytes in which words of the size `_SHORT` are often unique."""
_FEW_FLIPS: Final = 20
_LONG_REGION: Final = 2048
_STRIDE: Final = 4
_OVERTIME: Final = 1.5
_NEAR: Final = 8
_FAR: Final = 24
"""How far ways go astray in short regions, see `pairing`: farther only where what is found nearby costs much."""
_MUCH: Final = 80
_MOST_PAIRS: Final = 3600
_A_BRIDGE: Final = 40
"""Steps."""
_MOST_PIECES: Final = 128
_PREDECESSORS: Final = 16
_CHUNK: Final = 64

_STRIP: Final = bytes(byte & 0x7F for byte in range(256))


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


class _Region(NamedTuple):
    """A part of the text received, and the part of the known text that it stands for."""

    received: int
    received_end: int
    known: int
    known_end: int

    @property
    def sizes(self) -> tuple[int, int]:
        return self.received_end - self.received, self.known_end - self.known


class _Match(NamedTuple):
    cost: float
    blocks: list[Block]


def match(received: bytes, template: Template, most_steps: int) -> list[Block]:
    """Return the blocks of the cheapest match, in order; what lies between two of them was lost or put in."""
    search = _Search(received, template, most_steps)
    return joined(search.best(_Region(0, len(received), 0, len(template.text))).blocks)


class _Search:
    """One search.

    Its work is counted in steps of about a microsecond: whatever arrives, there are no more than `most_steps`, and
    then half as many at most, without looking closely.
    """

    def __init__(self, received: bytes, template: Template, most_steps: int) -> None:
        self._most_steps = most_steps
        self._received = received
        self._template = template
        # Bit 7 is always sent as 0, so that words are found without looking at it.
        self._words = received.translate(_STRIP)
        self._known_words = template.text.translate(_STRIP)
        self.steps = 0

    def best(self, region: _Region, words: Sequence[int] = _WORDS) -> _Match:
        """Return the best match of a region, by words of these sizes, one size inside the other."""
        if self.steps > _OVERTIME * self._most_steps:
            size = min(region.sizes)
            return _Match(float(size * ANY_CHARACTER), _two_ends(region, size, 0))
        bridge = self._bridge(region)
        if bridge.cost <= _FEW_FLIPS + gap_cost(*region.sizes):
            return bridge
        if steps(*region.sizes, _NEAR) <= _MOST_PAIRS:
            for astray in (_NEAR, _FAR):
                if self.steps < self._most_steps and bridge.cost > _MUCH * (astray == _FAR):
                    bridge = min(bridge, self._every_way(region, astray), key=lambda each: each.cost)
            return bridge
        for number, word in enumerate(words):
            if self.steps < self._most_steps and (word > _SHORT or max(region.sizes) <= _SHORT_REGION):
                chain = self._best_chain(list(self._same_words(region, word)), region)
                if chain:
                    linked = self._linked(region, chain, words[number + 1 :])
                    return min(bridge, linked, key=lambda each: each.cost)
        return bridge

    def _linked(self, region: _Region, chain: Sequence[Block], words: Sequence[int]) -> _Match:
        """Return the match that has the pieces of the chain in it."""
        cost, blocks = 0.0, []
        at = Block(region.received, region.known, 0)
        for piece in (*self._merged(chain), Block(region.received_end, region.known_end, 0)):
            between = _Region(at.received_end, piece.received, at.known_end, piece.known)
            if any(between.sizes):
                filled = self.best(between, words)
                cost += filled.cost
                blocks += filled.blocks
            cost += sum(self._costs(piece))
            blocks.append(piece)
            at = piece
        return _Match(cost, blocks)

    def _merged(self, chain: Sequence[Block]) -> Iterator[Block]:
        """Join pieces between which as many bytes were sent as came, if flips are all that happened there."""
        merged = chain[0]
        for piece in chain[1:]:
            between = Block(merged.received_end, merged.known_end, piece.received - merged.received_end)
            if (
                piece.known - merged.known_end == between.size
                and sum(self._costs(between)) <= _FEW_FLIPS + between.size
            ):
                merged = merged._replace(size=piece.received_end - merged.received)
            else:
                yield merged
                merged = piece
        yield merged

    def _same_words(self, region: _Region, word: int) -> Iterator[Block]:
        """Yield pieces that are the same in both texts: words that occur once in the known one, with what follows."""
        known, received = self._known_words, self._words
        places: dict[bytes, int] = {}
        # Of long texts every fourth word will do.
        stride = 1 if region.known_end - region.known <= _LONG_REGION else _STRIDE
        self.steps += (region.known_end - region.known) // (4 * stride) + (
            region.received_end - region.received
        ) // 4
        for place in range(region.known, region.known_end - word + 1, stride):
            text = known[place : place + word]
            places[text] = -1 if text in places else place
        at = region.received
        while at <= region.received_end - word:
            place = places.get(received[at : at + word], -1)
            if place < 0:
                at += 1
                continue
            longest = min(region.received_end - at, region.known_end - place)
            block = Block(at, place, word + self._same_after(at + word, place + word, longest - word))
            yield block
            at += block.size

    def _same_after(self, received: int, known: int, longest: int) -> int:
        """Return how many characters are the same from these places on."""
        same = 0
        while same < longest:
            size = min(_CHUNK, longest - same)
            a = self._words[received + same : received + same + size]
            b = self._known_words[known + same : known + same + size]
            if a != b:
                return same + size - ((_number(a) ^ _number(b)).bit_length() + 7) // 8
            same += size
        return same

    def _best_chain(self, pieces: list[Block], region: _Region) -> list[Block]:
        """Return the pieces, cut where they overlap, that make the cheapest way from end to end of the region."""
        if len(pieces) > _MOST_PIECES:
            pieces = sorted(sorted(pieces, key=lambda piece: piece.size)[-_MOST_PIECES:])
        self.steps += len(pieces) * _PREDECESSORS
        ways: list[tuple[float, int, Block]] = []
        for piece in (*pieces, Block(region.received_end, region.known_end, 0)):
            # Straight from the beginning of the region, or after one of the pieces before.
            best = (_way_cost(piece.received - region.received, piece.known - region.known), -1, piece)
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
        chain: list[Block] = []
        number = ways[-1][1]
        while number >= 0:
            _, number, piece = ways[number]
            chain.append(piece)
        return chain[::-1]

    def _bridge(self, region: _Region) -> _Match:
        """Return the best match of a region in which bytes were lost once and put in once at most."""
        came, sent = region.sizes
        size = min(came, sent)
        self.steps += _A_BRIDGE + size // 4
        first = self._costs(Block(region.received, region.known, size))
        if came == sent:
            last = first[::-1]
            head, cost = size, float(sum(first))
        else:
            last = self._costs(Block(region.received_end - size, region.known_end - size, size))[::-1]
            sums = list(map(add, accumulate(first, initial=0), [*accumulate(last, initial=0)][::-1]))
            head = sums.index(min(sums))
            cost = sums[head] + gap_cost(came, sent)
        bridge = _Match(cost, _two_ends(region, head, size - head))
        if cost <= _FEW_FLIPS + gap_cost(came, sent):
            return bridge
        self.steps += size // 4
        return min(bridge, _replaced(region, first, last), key=lambda each: each.cost)

    def _every_way(self, region: _Region, astray: int) -> _Match:
        """Return the best match of a short region."""
        _, sent = region.sizes
        self.steps += steps(*region.sizes, astray)
        text = self._received[region.received : region.received_end]
        rows = [costs(bytes([character]) * sent, self._template, region.known) for character in text]
        cost, pairs = pair(rows, sent, astray)
        return _Match(cost, [Block(region.received + a, region.known + b, 1) for a, b in pairs])

    def _costs(self, block: Block) -> bytes:
        return costs(self._received[block.received : block.received_end], self._template, block.known)


def _replaced(region: _Region, first: bytes, last: bytes) -> _Match:
    """Return the best match with bytes lost and others put in at one place, whatever they are.

    Args:
        region: What is to be matched.
        first: What the characters cost if both texts are lined up at their beginnings.
        last: The same for their ends, the last character first.
    """
    came, sent = region.sizes
    # Costs of so many characters at each end, less what they would cost as lost and foreign ones.
    heads = list(accumulate(map(_PAIRED.__getitem__, first), initial=0.0))
    tails = list(accumulate(map(_PAIRED.__getitem__, last), initial=0.0))
    head, tail = heads.index(min(heads)), tails.index(min(tails))
    if head + tail >= min(came, sent):
        return _Match(float("inf"), [])
    cost = heads[head] + tails[tail] + came * FOREIGN + sent * LOST + 2 * GAP + REPLACED
    return _Match(cost, _two_ends(region, head, tail))


def _way_cost(came: int, sent: int) -> float:
    """Return what lies between two pieces costs at least, if it is so many characters in the texts."""
    between = min(came, sent)
    few = min(between, _FEW)
    return gap_cost(came, sent) + _CHANGED * few + _DAMAGED * (between - few)


def _two_ends(region: _Region, head: int, tail: int) -> list[Block]:
    """Return the blocks of the first and the last characters of a region."""
    return [
        Block(region.received, region.known, head),
        Block(region.received_end - tail, region.known_end - tail, tail),
    ]


def joined(blocks: Sequence[Block]) -> list[Block]:
    """Join blocks between which nothing was lost or put in; leave out empty ones."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if last and block.size and (last.received_end, last.known_end) == block[:2]:
            joined[-1] = last._replace(size=last.size + block.size)
        elif block.size:
            joined.append(block)
    return joined


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
