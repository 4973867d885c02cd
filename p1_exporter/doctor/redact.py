"""Captures without what identifies a meter or its owner, for bug reports.

Serial numbers, EANs and messages give way to zeros, in headers and lines, in all reads of a capture. Everything else
stays: lengths, times, marks, counters, the boundaries of reads, parity bits as right or wrong as they were, and the
damage, also that of the identities themselves (see `stand_in`). A printed checksum changes by what the identities
changed: with the old one a serial number could be guessed. So what verified verifies, what did not does not, and a
flipped bit is found at the same place as before.

Damage is what makes this hard. Identities are looked for

- in the text as it is, with or without parity bits, and in inverted text, by the code of the line and in headers;
- in what was not accepted, by similarity to the identities that were read elsewhere, by codes that went through a
  fault of the wire, by the place in the telegram if nothing else can be recognised, and by their look.

What no way of reading makes sense of stays as it is. There is no text in it to anybody who does not find out how the
wire distorted it: with a wrong speed most bits of a serial number were never sampled, and under late edges many are
lost, but from the worst of captures, where not one telegram could be read, traces may be recovered by somebody who
takes great pains. To keep such bytes is the price for a capture that still shows what is wrong.

A meter that prints its checksum without leading zeros leaves no room for more digits than it printed. There the last
zeros of an identity are varied until the checksum fits.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.doctor.identities import (
    CODE,
    STRAY_NUMBER,
    References,
    first_header_places,
    header_places,
    places,
    stray_numbers,
)
from p1_exporter.doctor.reseal import Text, checksum_of, reseal, reseal_damaged, unseal
from p1_exporter.doctor.stand_in import Wire, as_text, stand_in, wire_of
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
from p1_exporter.errors import UserError
from p1_exporter.link.port import Chunk
from p1_exporter.telegram.cipher import is_embedded
from p1_exporter.telegram.crc import ARC
from p1_exporter.telegram.events import Noise, Rejection, Telegram
from p1_exporter.telegram.framer import Framer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from p1_exporter.doctor.identities import Place
    from p1_exporter.doctor.traces import Span
    from p1_exporter.link.capture import CaptureEvent
    from p1_exporter.telegram.events import Event

# After so many seconds without a byte, a telegram that has begun is given up.
_SILENCE: Final = 5.0
# Within shorter pauses a burst may go on, also behind a serial server.
_PAUSE: Final = 0.35
_MOST_ACCIDENTS: Final = 8
_MOST_LOOKS: Final = 8

# The header of an encrypted frame without its top bits, which is all that is left of it in inverted characters.
_SEVEN_BIT_FRAME: Final = re.compile(rb"\x5b\x08.{8}\x02..[\x20\x30]", re.DOTALL)


def redact(events: Iterable[CaptureEvent]) -> list[CaptureEvent]:
    """Return the events of a capture without serial numbers, EANs and messages.

    The whole capture is held in memory, about ten times.

    Raises:
        UserError: the meter encrypts.
    """
    captured = list(events)
    reads = [event for event in captured if isinstance(event, Chunk)]
    stream = b"".join(read.data for read in reads)
    framed = _framed(reads, stream)
    _refuse(framed, stream)
    redacted, before = stream, b""
    for _ in range(_MOST_LOOKS):
        # What one look replaced may show the next one what it missed.
        if redacted == before:
            break
        before, redacted = redacted, _Redaction(reads, redacted, framed).result()
    position = 0
    result: list[CaptureEvent] = []
    for event in captured:
        if isinstance(event, Chunk):
            start, position = position, position + len(event.data)
            result.append(Chunk(event.time, redacted[start:position], event.marks))
        else:
            result.append(event)
    return result


def refuse_encrypted(events: Iterable[CaptureEvent]) -> None:
    """Refuse a capture of a meter that encrypts: the name of the meter stands in every frame in the clear.

    Raises:
        UserError: there are encrypted frames in the capture.
    """
    reads = [event for event in events if isinstance(event, Chunk)]
    stream = b"".join(read.data for read in reads)
    _refuse(_framed(reads, stream), stream)


def _refuse(events: Sequence[Event], stream: bytes) -> None:
    encrypted = any(
        event.reason == "decrypt" or event.data.startswith(b"\xdb\x08") or is_embedded(event.data)
        for event in events
        if isinstance(event, Rejection)
    )
    if encrypted or any(_SEVEN_BIT_FRAME.search(as_text(stream, wire)) for wire in Wire):
        raise UserError(
            "the capture is that of a meter that encrypts: each frame names the meter, and the rest of it says nothing "
            "about the line to anybody else. Report what p1-exporter doctor says of it instead."
        )


def _framed(reads: Sequence[Chunk], stream: bytes) -> list[Event]:
    """Return what the framer makes of `stream`, which came in `reads`."""
    framer = Framer()
    events: list[Event] = []
    position, last = 0, 0.0
    for read in reads:
        if framer.pending_bytes and read.time - last >= _SILENCE:
            events += framer.silence()
        start, position, last = position, position + len(read.data), read.time
        events += framer.receive(stream[start:position])
    return events + framer.silence()


class _Block(NamedTuple):
    """A telegram that arrived as it was sent, or what arrived until the next that began."""

    start: int
    stop: int
    telegram: Telegram | None


class _Redaction:
    """A stream in which identities are replaced."""

    def __init__(self, reads: Sequence[Chunk], stream: bytes, events: Sequence[Event]) -> None:
        self._reads = reads
        self._stream = stream
        self._wire = wire_of(stream)
        self._texts = {self._wire: as_text(stream, self._wire)}
        if CODE.search(inverted := as_text(stream, Wire.INVERTED)):
            self._texts[Wire.INVERTED] = inverted
        # Characters of other alphabets have a top bit: without it they may look like a parenthesis.
        self._raw = stream if self._wire is Wire.EIGHT else self._texts[self._wire]
        self._redacted = bytearray(stream)
        self._taken = bytearray(len(stream))
        """Not 0 where a character was found to be part of an identity."""
        self._changes = {wire: bytearray(len(stream)) for wire in self._texts}
        self._references = References()
        self._events = events
        blocks = [*_blocks(events, self._wire)]
        self._intact = [(block, block.telegram) for block in blocks if block.telegram]
        self._others = [block for block in blocks if not block.telegram]

    def result(self) -> bytes:
        """Return the stream without identities."""
        self._by_name()
        self._by_similarity()
        self._by_value()
        self._by_look()
        self._by_place()
        self._reseal()
        self._keep_rejected()
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
                    if sum(taken) * 4 < len(taken) * 3:
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

    def _values(self) -> set[bytes]:
        """Return the numbers in intact telegrams that are no identities."""
        text = self._texts[self._wire]
        return {
            number[0]
            for block, _ in self._intact
            for number in STRAY_NUMBER.finditer(text, block.start, block.stop)
            if not self._taken[number.start()]
        }

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
        changed, change = stand_in(self._stream[start:stop], sent, wire)
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

    def _keep_rejected(self) -> None:
        """Reject anew what verifies by accident, once in 65,536 rejected telegrams."""
        verified = {
            event.offset
            for event in self._events
            if isinstance(event, Telegram) and event.checksum == "valid"
        }
        for _ in range(_MOST_ACCIDENTS):
            events = _framed(self._reads, bytes(self._redacted))
            accidents = [
                event
                for event in events
                if isinstance(event, Telegram) and event.checksum == "valid" and event.offset not in verified
            ]
            for event in accidents:
                span = slice(event.offset, event.offset + event.size)
                self._redacted[span] = unseal(self._wire, self._redacted[span])
            if not accidents:
                return


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
