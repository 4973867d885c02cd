"""A rejected telegram beside what is known of the meter's telegrams: characters that stand for each other, and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage.chain import Block, joined
from p1_exporter.link.damage.costs import differences
from p1_exporter.link.damage.matching import match

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from p1_exporter.link.damage.template import Template

_MOST_WORK: Final = 24_000
"""Bytes of both texts that are compared with each other at most: two of the longest telegrams."""
_MOST_STEPS: Final = 6000
"""Of about a microsecond, in the search in short texts. In long ones there is other work to be done."""
_ALIKE: Final = 0.5
"""Share of the characters which never change that are right or have one bit flipped; of random ones few are."""
_SHARE: Final = 0.2
"""Share of such characters in all that was received."""
_SHORTEST: Final = 64
"""Bytes of a known text of which several may arrive as one."""
_LONGEST_LINE: Final = 1024
_LF: Final = ord("\n")

_WRONG: Final = bytes(flips.bit_count() > 1 for flips in range(256))


class Gap(NamedTuple):
    """Where bytes are missing, or foreign ones came in, or both."""

    received: int
    """Place of the first foreign byte; missing ones are missing before it."""
    known: int
    """Place in the known text of the first one missing."""
    foreign: int
    lost: int


class Alignment(NamedTuple):
    """What of a text received stands for what of the known text."""

    blocks: Sequence[Block]
    """In order. Places beyond the known text's size are in the next telegram; no block is in two."""
    known: int
    """The size of the known text, times the telegrams that the text received is made of."""

    def gaps(self, received: int) -> Iterator[Gap]:
        """Yield the gaps before, between and after the blocks in a text of the size `received`."""
        at = Block(0, 0, 0)
        for block in (*self.blocks, Block(received, self.known, 0)):
            foreign, lost = block.received - at.received_end, block.known - at.known_end
            if foreign or lost:
                yield Gap(at.received_end, at.known_end, foreign, lost)
            at = block

    def alike(self, received: bytes, template: Template) -> bool:
        """Whether what was received is the known text, however damaged."""
        size = len(template.text)
        recognized = constant = 0
        for block in self.blocks:
            place = block.known % size
            came = received[block.received : block.received_end]
            never_changing = template.constant(place, block.size)
            constant += never_changing
            wrong = sum(differences(came, template, place).translate(_WRONG))
            recognized += max(never_changing - wrong, 0)
        return recognized > max(_ALIKE * constant, _SHARE * len(received))


def align(received: bytes, template: Template, effort: float = 1.0, work: int = _MOST_WORK) -> Alignment:
    """Return the likeliest alignment.

    Where the end of a telegram and the beginning of the next are damaged, several arrive as one: a long run of foreign
    bytes is compared with the telegram that would have followed, as long as that takes no more than `work` bytes.
    The `effort` is a share of the time that an alignment may take.
    """
    size = len(template.text)
    most_steps = int(effort * (_MOST_STEPS - (len(received) + size) // 10))
    first = Alignment(
        list(_at_line_starts(match(received, template, most_steps), received, template.text)), size
    )
    work -= len(received) + size
    blocks: list[Block] = []
    before = 0
    at = Block(0, 0, 0)
    for block in (*first.blocks, Block(len(received), size, 0)):
        run = received[at.received_end : block.received]
        if 2 * len(run) > size >= _SHORTEST and len(run) + size <= work:
            work -= len(run) + size
            rotated = template.rotated(at.known_end)
            more = align(run, rotated, effort / 2, work)
            if more.alike(run, rotated):
                place = (at.received_end, at.known_end + before)
                blocks += (
                    Block(each.received + place[0], each.known + place[1], each.size) for each in more.blocks
                )
                before += more.known
        blocks.append(block._replace(known=block.known + before))
        at = block
    return Alignment([part for block in joined(blocks) for part in _by_telegram(block, size)], size + before)


def _by_telegram(block: Block, size: int) -> Iterator[Block]:
    """Cut a block where a telegram of that size ends and the next begins."""
    while block.size:
        part = min(block.size, size - block.known % size)
        yield block._replace(size=part)
        block = Block(block.received + part, block.known + part, block.size - part)


def _at_line_starts(blocks: Sequence[Block], received: bytes, known: bytes) -> Iterator[Block]:
    """Yield the blocks, with gaps moved to the start of a line where they may as well be.

    Many lines begin and end in the same way, so that it is not clear which characters belong to the new one.
    """
    moved = 0
    for number, block in enumerate(blocks):
        start = Block(block.received + moved, block.known + moved, block.size - moved)
        moved = 0
        if number + 1 < len(blocks):
            following = blocks[number + 1]
            foreign, lost = following.received - block.received_end, following.known - block.known_end
            if foreign and not lost:
                moved = _way_to_line_start(received, block.received_end, foreign, start.size, following.size)
            elif lost and not foreign:
                moved = _way_to_line_start(known, block.known_end, lost, start.size, following.size)
        yield start._replace(size=start.size + moved)


def _way_to_line_start(text: bytes, place: int, run: int, before: int, after: int) -> int:
    """Return by how much a run of bytes at `place` can be moved to the start of a line, 0 if it cannot.

    The characters that it passes must be the same at its other end. `before` and `after` are how many there are.
    """
    for way in range(min(before, _LONGEST_LINE)):
        if text[place - way - 1] == _LF:
            return -way
        if text[place - way - 1] != text[place + run - way - 1]:
            break
    for way in range(min(after, _LONGEST_LINE)):
        if text[place + way] != text[place + run + way]:
            break
        if text[place + way] == _LF:
            return way + 1
    return 0
