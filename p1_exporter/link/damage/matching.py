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

from p1_exporter.link.damage import chain, pairing
from p1_exporter.link.damage.chain import Block, best_chain, joined
from p1_exporter.link.damage.costs import ANY_CHARACTER, FOREIGN, GAP, LOST, REPLACED, costs, gap_cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from p1_exporter.link.damage.template import Template

_PAIRED: Final = tuple(cost - LOST - FOREIGN for cost in range(256))
"""By what a character that costs so much is dearer than a lost and a foreign one."""
_WORDS: Final = (8, 4)
_SHORT: Final = 4
_SHORT_REGION: Final = 600
"""Bytes in which words of the size `_SHORT` are often unique."""
_LONG_REGION: Final = 2048
_STRIDE: Final = 4
_FEW_FLIPS: Final = 20
"""What may be explained by flips without looking for more."""
_OVERTIME: Final = 1.5
_NEAR: Final = 8
_FAR: Final = 24
"""How far ways go astray in short regions, see `pairing`: farther only where what is found nearby costs much."""
_MUCH: Final = 80
_MOST_PAIRS: Final = 3600
"""Steps in a short region."""
_A_BRIDGE: Final = 40
"""Steps, and some for each character."""
_CHUNK: Final = 64

_STRIP: Final = bytes(byte & 0x7F for byte in range(256))


class _Region(NamedTuple):
    """A part of the text received, and the part of the known text that it stands for."""

    received: int
    received_end: int
    known: int
    known_end: int

    @property
    def ends(self) -> tuple[Block, Block]:
        return Block(self.received, self.known, 0), Block(self.received_end, self.known_end, 0)

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
        self._steps = 0

    def best(self, region: _Region, words: Sequence[int] = _WORDS) -> _Match:
        """Return the best match of a region, by words of these sizes, one size inside the other."""
        if self._steps > _OVERTIME * self._most_steps:
            size = min(region.sizes)
            return _Match(float(size * ANY_CHARACTER), _two_ends(region, size, 0))
        bridge = self._bridge(region)
        if bridge.cost <= _FEW_FLIPS + gap_cost(*region.sizes):
            return bridge
        if pairing.steps(*region.sizes, _NEAR) <= _MOST_PAIRS:
            for astray in (_NEAR, _FAR):
                if self._steps < self._most_steps and bridge.cost > _MUCH * (astray == _FAR):
                    bridge = min(bridge, self._every_way(region, astray), key=lambda each: each.cost)
            return bridge
        for number, word in enumerate(words):
            if self._steps < self._most_steps and (word > _SHORT or max(region.sizes) <= _SHORT_REGION):
                pieces = list(self._same_words(region, word))
                self._steps += chain.steps(len(pieces))
                chosen = best_chain(pieces, *region.ends)
                if chosen:
                    linked = self._linked(region, chosen, words[number + 1 :])
                    return min(bridge, linked, key=lambda each: each.cost)
        return bridge

    def _linked(self, region: _Region, pieces: Sequence[Block], words: Sequence[int]) -> _Match:
        """Return the match that has these pieces in it."""
        cost, blocks = 0.0, []
        at, end = region.ends
        for piece in (*self._merged(pieces), end):
            between = _Region(at.received_end, piece.received, at.known_end, piece.known)
            if any(between.sizes):
                filled = self.best(between, words)
                cost += filled.cost
                blocks += filled.blocks
            cost += sum(self._costs(piece))
            blocks.append(piece)
            at = piece
        return _Match(cost, blocks)

    def _merged(self, pieces: Sequence[Block]) -> Iterator[Block]:
        """Join pieces between which as many bytes were sent as came, if flips are all that happened there."""
        merged = pieces[0]
        for piece in pieces[1:]:
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
        came, sent = region.sizes
        places: dict[bytes, int] = {}
        # Of long texts every fourth word will do.
        stride = 1 if sent <= _LONG_REGION else _STRIDE
        self._steps += (came + sent // stride) // 4
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

    def _bridge(self, region: _Region) -> _Match:
        """Return the best match of a region in which bytes were lost once and put in once at most."""
        came, sent = region.sizes
        size = min(came, sent)
        self._steps += _A_BRIDGE + size // 4
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
        self._steps += size // 4
        return min(bridge, _replaced(region, first, last), key=lambda each: each.cost)

    def _every_way(self, region: _Region, astray: int) -> _Match:
        """Return the best match of a short region."""
        _, sent = region.sizes
        self._steps += pairing.steps(*region.sizes, astray)
        text = self._received[region.received : region.received_end]
        rows = [costs(bytes([character]) * sent, self._template, region.known) for character in text]
        cost, pairs = pairing.pair(rows, sent, astray)
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


def _two_ends(region: _Region, head: int, tail: int) -> list[Block]:
    """Return the blocks of the first and the last characters of a region."""
    return [
        Block(region.received, region.known, head),
        Block(region.received_end - tail, region.known_end - tail, tail),
    ]


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
