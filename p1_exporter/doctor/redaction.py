"""The search for identities in the stream of a capture, and their replacement: one look at it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.doctor.identities import (
    CODE,
    LONG_NUMBER,
    References,
    first_header_places,
    header_places,
    places,
    stray_numbers,
)
from p1_exporter.doctor.reseal import Text, checksum_of, reseal, reseal_damaged
from p1_exporter.doctor.stand_in import Wire, as_text, shape_of, stand_in, wire_of
from p1_exporter.doctor.traces import (
    PART,
    Expected,
    Similar,
    beginnings,
    distorted,
    occurrences,
    parts,
    spellings,
)
from p1_exporter.telegram.crc import ARC
from p1_exporter.telegram.events import Noise, Telegram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from p1_exporter.doctor.identities import Place
    from p1_exporter.doctor.traces import Span
    from p1_exporter.link.port import Chunk
    from p1_exporter.telegram.events import Event

# Within shorter pauses a burst may go on, also behind a serial server.
_PAUSE: Final = 0.35


class _Block(NamedTuple):
    """A telegram that arrived as it was sent, or what arrived until the next that began."""

    start: int
    stop: int
    telegram: Telegram | None


class Redaction:
    """A stream in which identities are replaced.

    Args of the constructor: `reads` in which it came, `stream`, and the `events` that the framer makes of it.
    """

    def __init__(self, reads: Sequence[Chunk], stream: bytes, events: Sequence[Event]) -> None:
        self._reads = reads
        self._stream = stream
        self._wire = wire_of(stream)
        self._texts = {self._wire: as_text(stream, self._wire)}
        if CODE.search(inverted := as_text(stream, Wire.INVERTED)):
            self._texts[Wire.INVERTED] = inverted
        self._shapes = {wire: shape_of(text) for wire, text in self._texts.items()}
        # Characters of other alphabets have a top bit: without it they may look like a parenthesis.
        self._raw = stream if self._wire is Wire.EIGHT else self._texts[self._wire]
        self._redacted = bytearray(stream)
        self._taken = bytearray(len(stream))
        """Not 0 where a character was found to be part of an identity."""
        self._changes = {wire: bytearray(len(stream)) for wire in self._texts}
        self._references = References()
        blocks = [*_blocks(events, self._wire)]
        self._intact = [(block, block.telegram) for block in blocks if block.telegram]
        self._others = [block for block in blocks if not block.telegram]

    @property
    def wire(self) -> Wire:
        """How characters stand in the stream."""
        return self._wire

    def result(self) -> bytes:
        """Return the stream without identities."""
        self._by_name()
        self._by_similarity()
        self._by_value()
        self._by_look()
        self._by_place()
        self._reseal()
        return bytes(self._redacted)

    # Finding.

    def _by_name(self) -> None:
        """Replace what stands where identities stand."""
        certain: list[tuple[int, Place]] = []
        for block, telegram in self._intact:
            found = [
                *first_header_places(telegram.data, 0),
                *places(telegram.data, 0, block.stop - block.start, intact=True),
            ]
            self._learn(found, telegram.data, certain=telegram.checksum == "valid")
            certain += ((block.start, place) for place in found)
        uncertain: list[tuple[Wire, Place]] = []
        for wire, text in (self._wire, self._raw), *self._texts.items():
            for block in self._others:
                found = [
                    *header_places(text, block.start, block.stop),
                    *places(text, block.start, block.stop, intact=False),
                ]
                self._learn(found, text, certain=False)
                uncertain += ((wire, place) for place in found)
        for start, place in certain:
            self._replace_all([(self._wire, (start + place.start, start + place.stop))])
        for wire, place in uncertain:
            arrived = self._texts[wire][place.start : place.stop]
            self._replace(place.start, self._references.sent(place, arrived), wire)

    def _learn(self, found: Iterable[Place], text: bytes, *, certain: bool) -> None:
        for place in found:
            self._references.learn(place, text[place.start : place.stop], certain=certain)

    def _by_similarity(self) -> None:
        similar = Similar(self._references.all())
        for wire, text in self._texts.items():
            for start, stop in self._damaged():
                for trace in similar.traces(text, start, stop):
                    # Of the many ways to lay digits over digits, the clearest came first.
                    taken = self._taken[trace.start : trace.start + len(trace.sent)]
                    if trace.clear or sum(taken) * 4 < len(taken) * 3:
                        self._replace(trace.start, trace.sent, wire)

    def _by_value(self) -> None:
        """Replace known identities wherever else they stand, such as in headers, and parts of them in damaged text."""
        known = {spelling for _, content in self._references.all() for spelling in spellings(content)}
        for wire, text in self._texts.items():
            for content in known:
                self._replace_all(
                    (wire, (place, place + len(content))) for place in occurrences(text, content)
                )
            for start, stop in self._damaged():
                self._replace_all((wire, (place, place + PART)) for place in parts(text, known, start, stop))

    def _by_look(self) -> None:
        values = self._values()
        for start, stop in self._damaged():
            spans = [
                (wire, span)
                for wire, text in self._texts.items()
                for span in stray_numbers(text, start, stop)
                if text[slice(*span)] not in values
            ]
            if self._wire is Wire.EIGHT:
                spans += (
                    (self._wire, span)
                    for span in distorted(self._stream, self._texts[self._wire], start, stop)
                )
            self._replace_all(spans)
        for start, stop in self._bursts():
            spans = [
                (wire, span) for wire, text in self._texts.items() for span in beginnings(text, start, stop)
            ]
            self._replace_all(spans)

    def _values(self) -> bytes:
        """Return the numbers in intact telegrams that are no identities."""
        text = self._texts[self._wire]
        values = {
            number[0]
            for block, _ in self._intact
            for number in LONG_NUMBER.finditer(text, block.start, block.stop)
            if not self._taken[number.start()]
        }
        return b" ".join(values)

    def _by_place(self) -> None:
        """Replace what comes where an intact telegram has identities."""
        if not self._intact:
            return
        text = self._texts[self._wire]
        start, stop, _ = self._intact[-1][0]
        expected = Expected(text[start:stop], _runs(self._taken[start:stop]))
        for burst in self._bursts():
            self._replace_all((self._wire, span) for span in [*expected.spans(text, self._taken, *burst)])

    def _damaged(self) -> Iterator[Span]:
        """Return the stretches between intact telegrams."""
        damaged = bytearray(len(self._stream))
        for block in self._others:
            damaged[block.start : block.stop] = b"\1" * (block.stop - block.start)
        yield from _runs(damaged)

    def _bursts(self) -> Iterator[Span]:
        """Return the blocks that are no intact telegrams, cut where the line paused."""
        pauses: list[int] = []
        position, last = 0, 0.0
        for read in self._reads:
            if read.time - last > _PAUSE:
                pauses.append(position)
            position, last = position + len(read.data), read.time
        cuts = iter(sorted(pauses))
        cut = next(cuts, None)
        for block in self._others:
            start = block.start
            while cut is not None and cut < block.stop:
                if cut > start:
                    yield start, cut
                    start = cut
                cut = next(cuts, None)
            yield start, block.stop

    # Replacing.

    def _replace_all(self, spans: Iterable[tuple[Wire, Span]]) -> None:
        for wire, (start, stop) in spans:
            self._replace(start, [None] * (stop - start), wire)

    def _replace(self, start: int, sent: Sequence[int | None], wire: Wire) -> None:
        """Replace what arrived from `start` on, where it was not replaced yet, of characters `sent`."""
        stop = start + len(sent)
        changed, change = stand_in(self._stream[start:stop], sent, self._shapes[wire][start:stop], wire)
        for first, last in [*_runs(bytes(not taken for taken in self._taken[start:stop]))]:
            self._redacted[start + first : start + last] = changed[first:last]
            self._changes[wire][start + first : start + last] = change[first:last]
            self._taken[start + first : start + last] = b"\1" * (last - first)

    # Sealing.

    def _part(self, start: int, stop: int, wire: Wire) -> Text:
        return Text(
            wire, self._stream[start:stop], self._redacted[start:stop], self._changes[wire][start:stop]
        )

    def _reseal(self) -> None:
        verified: Counter[str] = Counter()
        checksums = {ARC.name: ARC}
        for block, telegram in self._intact:
            checksum = checksum_of(telegram.data)
            if telegram.checksum == "valid" and checksum:
                checksums[checksum.name] = checksum
                verified[checksum.name] += 1
                part = self._part(block.start, block.stop, self._wire)
                reseal(part, checksum)
                self._redacted[block.start : block.stop] = part.after
        usual = checksums[max(verified, key=lambda name: verified[name], default=ARC.name)]
        for wire in self._texts:
            for block in self._others:
                part = self._part(block.start, block.stop, wire)
                if any(part.change):
                    reseal_damaged(part, usual)
                    self._redacted[block.start : block.stop] = part.after


def _blocks(events: Iterable[Event], wire: Wire) -> Iterator[_Block]:
    """Return the blocks of a stream, in order."""
    start = stop = 0
    for event in events:
        if isinstance(event, Noise):
            stop = event.offset + event.size
            continue
        if start < stop:
            yield _Block(start, stop, None)
        start, stop = event.offset, event.offset + event.size
        if isinstance(event, Telegram) and _is_intact(event, wire):
            yield _Block(start, stop, event)
            start = stop
    if start < stop:
        yield _Block(start, stop, None)


def _is_intact(telegram: Telegram, wire: Wire) -> bool:
    if telegram.checksum == "absent":
        # Without parity bits, nobody knows.
        return wire is Wire.SEVEN and not telegram.parity_errors
    return True


def _runs(flags: bytes | bytearray) -> list[Span]:
    """Return where `flags` are set."""
    return [run.span() for run in re.finditer(rb"\x01+", flags)]
