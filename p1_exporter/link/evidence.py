"""The evidence on a link: what arrived lately, in figures by which faults can be told apart.

Each figure is a column of the measured signatures of line faults, or follows from how a UART works. `gather` is a
pure function of a look into the history. Nothing here knows a fault by name.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.distortion import LATE_STARTS, LETTERS_WITH_TOP_BIT, SHORT_ZEROS, text_share
from p1_exporter.link.mains import arrivals_in_step, in_step
from p1_exporter.link.rhythm import Rhythm, median, rhythm
from p1_exporter.telegram.parity import SLASH, looks_seven_bit, without_parity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p1_exporter.link.counters import Counters
    from p1_exporter.link.history import Counted, Look, Outcome
    from p1_exporter.link.line import Line
    from p1_exporter.link.port import Chunk
    from p1_exporter.link.rhythm import Burst

_LOW_HALF: Final = bytes(range(128))
_ODD_ONES: Final = bytes(byte for byte in range(256) if byte.bit_count() & 1)
_TEXT: Final = bytes(range(0x20, 0x7F)) + b"\r\n"
_TOP_BIT: Final = 7
# No meter sends twice within so many seconds.
_APART: Final = 0.6
_ENOUGH_MARKED: Final = 20
_FULL_BUFFER: Final = 4095
_MOST_TENTHS: Final = 36_000
_SLASHES: Final = (b"/", SLASH)
_ENDING: Final = re.compile(rb"![0-9A-Fa-f]{0,4}[\r\n]*\Z")
# A line of a telegram, whole; also the header, and what follows an end of line by itself.
_WHOLE_LINE: Final = re.compile(
    rb"(?:[0-9]+-[0-9]+:[0-9A-Za-z.*]+ ?)?(?:\((?:[^()]|\([^()]*\))*\)[* ]*)+|/[A-Za-z]{3}.*|![0-9A-Fa-f]{0,4}|",
    re.DOTALL,
)


class Telegrams(NamedTuple):
    """What became of telegrams."""

    accepted: int
    failed: int
    truncated: int
    """Of those that failed."""
    missed: int
    """Bursts that are in no telegram at all."""
    accidents: int
    """How often something went wrong: what one disturbance leaves may look like several telegrams."""

    @property
    def expected(self) -> int:
        """How many there should have been."""
        return self.accepted + self.failed + self.missed

    @property
    def intact(self) -> float:
        """Share of the expected telegrams that were accepted; 0 of none."""
        return self.accepted / self.expected if self.expected else 0.0


class Uart(NamedTuple):
    """What the UART and its driver marked or counted."""

    framing: float
    """Characters with a framing error, as a share of all."""
    parity: float
    breaks: int
    overruns: int
    buffer_overruns: int
    taken: float
    """Share of the characters received that nobody here has read: another program has."""
    tells_breaks: bool
    tells_received: bool
    tells_losses: bool
    """Whether it counts what it had to drop, in the UART and in the kernel."""


class Characters(NamedTuple):
    """What kind of characters arrived, as shares of all, or of those that are not NUL."""

    nul: float
    high: float
    """With the top bit set."""
    high_of_rest: float
    even_of_rest: float
    """With an even number of ones."""
    printable: float
    seven_bit: bool
    """Whether the top bit carried parity; it is left out of what is said of characters."""
    even_of_marked: float
    """Of those with a framing error, the share with an even number of ones; 0 of fewer than 20."""
    high_of_short_zeros: float
    """Of those with the top bit set, the ones that digits and line ends become when zeros arrive too short."""
    high_of_late_starts: float
    """The same, when the receiver begins too late."""
    high_of_letters: float
    """The same, when the last bit is sampled too early."""


class Lines(NamedTuple):
    """The lines of rejected telegrams."""

    number: int
    whole: float
    """Share of those with nothing wrong in their grammar."""


class Text(NamedTuple):
    """How much reads as P1 text, 0 to 1: as it is, or as text that went through a distortion (see there)."""

    as_sent: float
    top_bit: float
    inverted: float
    fall_late: float
    rise_late: float
    start_late: float
    sampled_early: float


class Bursts(NamedTuple):
    """The rhythm."""

    main: int
    """Bursts that may be telegrams, or what is left of them."""
    size: float
    """Characters of the median one."""
    seconds: float
    period: float
    """Seconds from one to the next; 0 where there is no rhythm."""
    regularity: float
    """Share of the intervals that last as long as most."""
    whole_beginnings: float
    """Share of the bursts that begin with the slash of a telegram."""
    whole_endings: float
    """Share of those that end as a telegram does."""
    idle: float
    """Share of the time in which nothing arrived."""
    nul_variation: float
    """How much the number of NULs differs from tenth to tenth of a second: standard deviation by mean; 0 of none."""
    stray: int
    """Short bursts between them."""
    stray_nul: float
    """Of the characters in these, the share of NUL."""
    stray_ff: float
    mains: float
    """How often what arrives does so at the same place of the mains period: 0.1 by chance, 1 in step with it."""


class Harm(NamedTuple):
    """What had happened to those of the rejected telegrams that were looked into."""

    examined: int
    clean: int
    """In whose text nothing was wrong."""
    up: int
    """Bits sent as 0 that arrived as 1."""
    down: int
    up_at_top: int
    """Of the bits up, those that are the last of their character."""
    up_at_top_after_one: int
    """Of these, those that follow a 1: the bit before, sampled twice."""
    up_before_one: int
    """Of the bits up, those that were followed by a 1 (the stop bit is one)."""
    down_after_zero: int
    """Of the bits down, those that followed a 0 (the start bit is one)."""
    garbled: int
    """Characters with bits flipped both ways: read from the wrong bit on, most likely; not counted above."""
    mains: float
    """How much the flips of a telegram keep step with the mains frequency, 0 to 1; 0 where there are too few."""
    shifted: int
    """Characters that arrived with a late start bit."""
    lost: int
    """Characters missing."""
    gaps: int
    """Runs of missing characters."""
    longest_gap: int
    foreign: int
    tails: int
    """Telegrams whose end is missing and whose beginning is whole."""
    heads: int

    @property
    def flips(self) -> int:
        """Bits flipped, and characters that are garbled."""
        return self.up + self.down + self.garbled


@dataclass(frozen=True, slots=True)
class Evidence:
    """One look at a link."""

    line: Line
    seconds: float
    """How long the look took."""
    size: int
    """Characters received."""
    silent_for: float
    """Seconds since the last one, or since the look began."""
    ends_low: bool
    """Whether the last thing that arrived was a NUL, as a line leaves that goes low and stays there."""
    telegrams: Telegrams
    uart: Uart
    characters: Characters
    lines: Lines
    text: Text
    bursts: Bursts
    harm: Harm

    @property
    def load(self) -> float:
        """Characters received, as a share of what the line can carry."""
        return self.size / self.seconds / self.line.capacity

    @property
    def break_rate(self) -> float:
        """Breaks a second."""
        return self.uart.breaks / self.seconds


def gather(look: Look, examined: Sequence[Outcome], line: Line, now: float) -> Evidence:
    """Return the evidence that a `look` at `line` holds at the time `now`; the harm is that of `examined`."""
    chunks = look.chunks
    wire = b"".join(chunk.data for chunk in chunks)
    received = _characters(wire, _marked(chunks))
    # Seven bits and parity, as old meters send, are read as eight bits; the parity bit says nothing of the text.
    found = rhythm(chunks, line.capacity, network=line.network)
    seven_bit = looks_seven_bit(wire)
    # Of telegrams that arrived well and others that did not, each is read as what it looks like.
    text = _text(wire) if seven_bit else b"".join(_text(burst.data) for burst in found.main)
    seconds = max(now - look.began, 0.001)
    last = look.began if look.last_byte is None else look.last_byte
    return Evidence(
        line=line,
        seconds=seconds,
        size=len(wire),
        silent_for=now - last,
        ends_low=look.ended_low,
        telegrams=_telegrams(look.outcomes, found),
        uart=_uart(chunks, len(wire), look.counts, line),
        characters=_seven_bit(text, received) if seven_bit else received,
        lines=_lines(look.outcomes),
        text=Text(*(text_share(text, name) for name in Text._fields)),
        bursts=_bursts(found, chunks, seconds),
        harm=_harm(examined, line.capacity),
    )


def _telegrams(outcomes: Sequence[Outcome], found: Rhythm) -> Telegrams:
    accepted = sum(outcome.reason is None for outcome in outcomes)
    truncated = sum(outcome.reason == "truncated" for outcome in outcomes)
    # The first burst may have begun before, the last one may not have ended yet.
    missed = max(0, len(found.main) - 2 - len(outcomes))
    times = [outcome.began for outcome in outcomes if outcome.reason is not None]
    apart = sum(later - earlier > _APART for earlier, later in pairwise(times))
    return Telegrams(accepted, len(outcomes) - accepted, truncated, missed, apart + bool(times))


def _uart(chunks: Sequence[Chunk], size: int, counts: Sequence[Counted], line: Line) -> Uart:
    marks = [kind for chunk in chunks for _, kind in chunk.marks]
    newest = counts[-1].counters if counts else None

    def counted(name: str) -> int:
        return _difference(counts, name)

    return Uart(
        framing=min(1.0, max(marks.count("framing"), counted("framing")) / max(size, 1)),
        parity=min(1.0, max(marks.count("parity"), counted("parity")) / max(size, 1)),
        breaks=max(marks.count("break"), counted("break_")),
        overruns=counted("overrun"),
        buffer_overruns=counted("buffer_overrun"),
        taken=_taken(chunks, counts),
        tells_breaks=line.marks != "nothing" or bool(newest and newest.break_ is not None),
        tells_received=bool(newest and newest.rx is not None),
        tells_losses=bool(newest and None not in {newest.overrun, newest.buffer_overrun}),
    )


def _difference(counts: Sequence[Counted], name: str) -> int:
    """Return by how much a counter rose, 0 where there is none."""
    values = [value for count in counts if (value := _value(count.counters, name)) is not None]
    return max(0, values[-1] - values[0]) if values else 0


def _value(counters: Counters, name: str) -> int | None:
    value: int | None = getattr(counters, name)
    return value


def _taken(chunks: Sequence[Chunk], counts: Sequence[Counted]) -> float:
    """Return the share of the received characters that somebody else has read."""
    known = [
        (rx, rx - (count.counters.buffer_overrun or 0) - count.read)
        for count in counts
        if (rx := count.counters.rx)
    ]
    if not known:
        return 0.0
    # What waits in the kernel's buffer was received and not read either, but not for ever.
    rx, late = min(known[len(known) // 2 :], key=lambda count: count[1])
    received, unread = rx - known[0][0], late - known[0][1]
    # Of a reader that is so slow that it always finds the buffer full, nothing can be said.
    slow = any(len(chunk.data) >= _FULL_BUFFER for chunk in chunks)
    return max(0, unread) / received if received > 0 and not slow else 0.0


def _characters(data: bytes, marked: bytes) -> Characters:
    size = max(len(data), 1)
    nul = data.count(0)
    rest = max(len(data) - nul, 1)
    high = len(data.translate(None, _LOW_HALF))
    odd = _count(data, _ODD_ONES)
    return Characters(
        nul=nul / size,
        high=high / size,
        high_of_rest=high / rest,
        even_of_rest=max(0.0, 1 - odd / rest),
        printable=_count(data, _TEXT) / size,
        seven_bit=False,
        even_of_marked=_even(marked) if len(marked) >= _ENOUGH_MARKED else 0.0,
        high_of_short_zeros=_count(data, SHORT_ZEROS) / max(high, 1),
        high_of_late_starts=_count(data, LATE_STARTS) / max(high, 1),
        high_of_letters=_count(data, LETTERS_WITH_TOP_BIT) / max(high, 1),
    )


def _nul_variation(chunks: Sequence[Chunk]) -> float:
    if not chunks:
        return 0.0
    first = chunks[0].time
    counts = [0] * (min(int((chunks[-1].time - first) * 10), _MOST_TENTHS) + 1)
    for chunk in chunks:
        counts[min(int((chunk.time - first) * 10), _MOST_TENTHS)] += chunk.data.count(0)
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    return math.sqrt(variance) / mean if mean else 0.0


def _text(data: bytes) -> bytes:
    return without_parity(data) if looks_seven_bit(data) else data


def _seven_bit(data: bytes, received: Characters) -> Characters:
    """Return the figures of the characters without their parity bits; what is said of ones is of those on the wire."""
    return _characters(data, b"")._replace(
        seven_bit=True, even_of_rest=received.even_of_rest, even_of_marked=received.even_of_marked
    )


def _share(bursts: Sequence[Burst], holds: Callable[[Burst], bool]) -> float:
    return sum(map(holds, bursts)) / max(len(bursts), 1)


def _lines(outcomes: Sequence[Outcome]) -> Lines:
    lines = [line for outcome in outcomes for line in re.split(rb"[\r\n]+", outcome.data)]
    whole = sum(_WHOLE_LINE.fullmatch(line) is not None for line in lines)
    return Lines(len(lines), whole / max(len(lines), 1))


def _count(data: bytes, characters: bytes) -> int:
    return len(data) - len(data.translate(None, characters))


def _even(data: bytes) -> float:
    return len(data.translate(None, _ODD_ONES)) / len(data)


def _marked(chunks: Sequence[Chunk]) -> bytes:
    """Return the characters with a framing error."""
    return bytes(chunk.data[offset] for chunk in chunks for offset, kind in chunk.marks if kind == "framing")


def _bursts(found: Rhythm, chunks: Sequence[Chunk], seconds: float) -> Bursts:
    stray = b"".join(chunk.data for burst in found.stray for chunk in burst.chunks)
    return Bursts(
        main=len(found.main),
        size=median(burst.size for burst in found.main),
        seconds=median(burst.seconds for burst in found.main),
        period=found.period,
        regularity=found.regularity,
        whole_beginnings=_share(found.main, lambda burst: burst.data[:1] in _SLASHES),
        whole_endings=_share(
            found.main, lambda burst: bool(_ENDING.search(without_parity(burst.data[-12:])))
        ),
        idle=max(0.0, 1 - found.busy / seconds),
        nul_variation=_nul_variation(chunks),
        stray=len(found.stray),
        stray_nul=stray.count(0) / max(len(stray), 1),
        stray_ff=stray.count(0xFF) / max(len(stray), 1),
        mains=arrivals_in_step(chunks),
    )


def _harm(outcomes: Sequence[Outcome], capacity: float) -> Harm:
    examined = [(outcome.damage, outcome.data) for outcome in outcomes if outcome.damage is not None]
    ups: list[tuple[int, int]] = []
    downs: list[tuple[int, int]] = []
    garbled = 0
    for damage, data in examined:
        for offset, flips in groupby(damage.flips, key=lambda flip: flip.offset):
            bits = list(flips)
            sent = data[offset]
            for flip in bits:
                sent ^= 1 << flip.bit
            up = [(sent, flip.bit) for flip in bits if flip.direction == "0_to_1"]
            down = [(sent, flip.bit) for flip in bits if flip.direction == "1_to_0"]
            if up and down:
                garbled += 1
            else:
                ups += up
                downs += down
    lost = [run.size for damage, _ in examined for run in damage.lost]
    return Harm(
        examined=len(examined),
        clean=sum(damage.clean for damage, _ in examined),
        up=len(ups),
        down=len(downs),
        up_at_top=sum(bit == _TOP_BIT for _, bit in ups),
        up_at_top_after_one=sum(bit == _TOP_BIT and sent >> (_TOP_BIT - 1) & 1 for sent, bit in ups),
        # With the start bit before and the stop bit after them, the bits of a character are one number.
        up_before_one=sum((sent | 0x100) >> bit + 1 & 1 for sent, bit in ups),
        down_after_zero=sum(not sent << 1 >> bit & 1 for sent, bit in downs),
        garbled=garbled,
        mains=in_step([[flip.offset for flip in damage.flips] for damage, _ in examined], capacity),
        shifted=sum(damage.shifted for damage, _ in examined),
        lost=sum(lost),
        gaps=len(lost),
        longest_gap=max(lost, default=0),
        foreign=sum(run.size for damage, _ in examined for run in damage.inserted),
        tails=sum(damage.tail_lost for damage, _ in examined),
        heads=sum(damage.head_lost for damage, _ in examined),
    )
