"""Evidence is a pure function of what arrived: it stands whatever the bytes, the marks and the counters are."""

from __future__ import annotations

import dataclasses
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.counters import Counters
from p1_exporter.link.damage.analysis import Damage, Flip, Run
from p1_exporter.link.evidence import gather
from p1_exporter.link.history import History, Outcome
from p1_exporter.link.line import Line
from p1_exporter.link.port import Chunk
from p1_exporter.simulator.models import MODELS, telegram
from p1_exporter.telegram.parity import with_parity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p1_exporter.link.counters import Mark
    from p1_exporter.link.evidence import Evidence

NOON: Final = 1_781_690_400
PL011: Final = Line("amba-pl011")
DRIVERS: Final = (
    "amba-pl011",
    "bcm2835aux",
    "8250",
    "ftdi_sio",
    "cp210x",
    "pl2303",
    "ch341",
    "tcp",
    "unknown",
)
SHARES: Final = {
    "characters": None,
    "text": None,
    "uart": {"taken"},
    "lines": {"whole"},
    "bursts": {"regularity", "whole_beginnings", "whole_endings", "idle", "stray_nul", "stray_ff"},
    "harm": {"mains"},
}
"""Which figures of which group are shares; None for all."""

METER: Final = MODELS["dsmr5"]
HOUSEHOLD: Final = METER.household(1)


def sent(second: int) -> bytes:
    return telegram(METER, HOUSEHOLD, NOON + second)


def seen(
    chunks: Iterable[Chunk] = (),
    outcomes: Iterable[Outcome] = (),
    counts: Iterable[tuple[float, Counters]] = (),
    line: Line = PL011,
    now: float = 30.0,
) -> Evidence:
    """Return the evidence on a link whose port was opened at 0; what happens at the same time is told in this order."""
    past = History(0.0)
    events: list[tuple[float, Chunk | Counters]] = [*((chunk.time, chunk) for chunk in chunks), *counts]
    for time, event in sorted(events, key=lambda event: event[0]):
        if isinstance(event, Chunk):
            past.received(event)
        else:
            past.counted(time, event)
    for outcome in outcomes:
        past.decided(outcome)
    look = past.since(0.0)
    return gather(look, look.outcomes, line, now)


def healthy(seconds: int = 20) -> tuple[list[Chunk], list[Outcome]]:
    """Return what a good link gives."""
    telegrams = [sent(second) for second in range(seconds)]
    chunks = [Chunk(0.5 + second, data) for second, data in enumerate(telegrams)]
    return chunks, [Outcome(chunk.time, len(chunk.data), None) for chunk in chunks]


def examined(data: bytes, **found: object) -> Outcome:
    """Return what became of a rejected telegram with this damage."""
    harm = Damage((), (), (), 0, 400, 100, tail_lost=False, head_lost=False, confirmed=True)
    return Outcome(1.0, len(data), "crc", dataclasses.replace(harm, **found), data)  # type: ignore[arg-type] # by name


def flips(*places: tuple[int, int, str]) -> tuple[Flip, ...]:
    return tuple(Flip(offset, bit, direction) for offset, bit, direction in places)  # type: ignore[arg-type] # written so


marks = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(["framing", "parity", "break"])), max_size=6, unique=True
)
data = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.sampled_from([0, 1, 60, 200]).map(lambda cut: sent(7)[cut : cut + 401]),
    st.sampled_from([b"\0", b"\xff", b"\0" * 300, with_parity(sent(3))[:400]]),
)


def _chunk(time: float, data: bytes, found: list[Mark]) -> Chunk:
    return Chunk(time, data, tuple(sorted(mark for mark in found if mark[0] < len(data))))


chunks = st.lists(st.builds(_chunk, st.floats(0, 30), data, marks), max_size=8)


def _counted(told: list[bool], steps: list[tuple[float, list[int]]]) -> list[tuple[float, Counters]]:
    """Return counters that never fall, of a driver that has some of them."""
    sums = accumulate(
        (rises for _, rises in sorted(steps)), lambda one, other: list(map(add, one, other)), initial=[0] * 6
    )
    times = [0.0, *(time for time, _ in sorted(steps))]
    return [
        (time, Counters(*(value if known else None for known, value in zip(told, values, strict=True))))
        for time, values in zip(times, sums, strict=True)
    ]


six = len(Counters._fields)
counts = st.builds(
    _counted,
    st.lists(st.booleans(), min_size=six, max_size=six),
    st.lists(
        st.tuples(st.floats(0, 30), st.lists(st.integers(0, 5000), min_size=six, max_size=six)), max_size=6
    ),
)
outcomes = st.lists(
    st.builds(
        Outcome,
        st.floats(0, 30),
        st.integers(1, 2000),
        st.sampled_from([None, "crc", "truncated", "unbegun", "parity"]),
        st.none(),
        st.binary(max_size=60),
    ),
    max_size=8,
)
lines = st.builds(Line, st.sampled_from(DRIVERS), st.sampled_from([9600, 115_200]))


@given(chunks, outcomes, counts, lines, st.floats(30, 90))
def test_shares_are_shares_and_numbers_are_not_negative_whatever_arrives(
    found: list[Chunk],
    telegrams: list[Outcome],
    counted: list[tuple[float, Counters]],
    line: Line,
    now: float,
) -> None:
    evidence = seen(found, telegrams, counted, line, now)
    for group, names in SHARES.items():
        for name, value in getattr(evidence, group)._asdict().items():
            if names is None or name in names:
                assert 0 <= value <= 1, f"{group}.{name}"
    for group in ("telegrams", "uart", "bursts", "harm", "lines"):
        assert all(value >= 0 for value in getattr(evidence, group)), group
    assert 0 <= evidence.telegrams.intact <= 1
    assert evidence.seconds > 0
    assert evidence.silent_for >= 0
    assert evidence.load >= 0
    assert evidence.size == sum(len(chunk.data) for chunk in found)


@given(chunks, outcomes, counts, lines)
def test_the_same_look_gives_the_same_evidence(
    found: list[Chunk], telegrams: list[Outcome], counted: list[tuple[float, Counters]], line: Line
) -> None:
    assert seen(found, telegrams, counted, line) == seen(found, telegrams, counted, line)


def test_of_nothing_there_is_evidence_too() -> None:
    evidence = seen(now=0.0)
    assert evidence.size == evidence.telegrams.expected == evidence.bursts.main == 0
    assert evidence.telegrams.intact == evidence.uart.taken == evidence.load == 0
    assert seen(now=17.0).silent_for == 17.0


def test_a_good_link_looks_good() -> None:
    chunks, outcomes = healthy()
    evidence = seen(chunks, outcomes, now=20.0)
    assert evidence.telegrams.intact == evidence.characters.printable == evidence.bursts.regularity == 1
    assert evidence.bursts.whole_beginnings == evidence.bursts.whole_endings == 1
    assert evidence.bursts.period == pytest.approx(1)
    assert evidence.text.as_sent > 0.5
    assert evidence.bursts.idle > 0.9
    assert not any(evidence.harm)
    assert not any((evidence.uart.framing, evidence.uart.parity, evidence.uart.breaks, evidence.uart.taken))


def test_the_parity_bits_of_an_old_meter_say_nothing_of_its_text() -> None:
    text = [telegram(MODELS["dsmr2"], HOUSEHOLD, NOON + 10 * count) for count in range(4)]
    evidence = seen(
        [Chunk(1.0 + 10 * count, with_parity(each)) for count, each in enumerate(text)],
        line=Line("amba-pl011", 9600),
        now=40.0,
    )
    assert evidence.characters.high == 0
    assert evidence.characters.printable == evidence.characters.even_of_rest == 1
    assert evidence.bursts.whole_beginnings == evidence.bursts.whole_endings == 1
    assert evidence.text.as_sent > 0.5


@pytest.mark.parametrize("name", ["framing", "parity", "break_", "overrun", "buffer_overrun"])
def test_counters_matter_as_differences(name: str) -> None:
    counted = [
        (1.0, Counters(**{name: 1000})),
        (20.0, Counters(**{name: 1000})),
        (25.0, Counters(**{name: 1007})),
    ]
    before, after = seen(counts=counted[:2]).uart, seen(counts=counted).uart
    figure = {"break_": "breaks", "overrun": "overruns", "buffer_overrun": "buffer_overruns"}.get(name, name)
    assert getattr(before, figure) == 0
    assert getattr(after, figure) > 0


def test_counters_that_fall_as_after_a_new_opening_count_nothing() -> None:
    uart = seen(counts=[(1.0, Counters(rx=500, break_=9)), (2.0, Counters(rx=3, break_=0))]).uart
    assert uart.breaks == uart.taken == 0


def test_a_driver_without_counters_tells_by_its_marks() -> None:
    marked = Chunk(1.0, b"a\0b" + bytes(97), ((0, "framing"), (1, "break"), (2, "framing")))
    uart = seen([marked]).uart
    assert (uart.framing, uart.breaks, uart.parity) == (0.02, 1, 0)
    assert uart.tells_breaks
    assert not uart.tells_received


@pytest.mark.parametrize(
    ("driver", "counters", "tells"),
    [
        ("amba-pl011", Counters(), True),
        ("bcm2835aux", Counters(rx=5, overrun=0), False),
        ("unknown", Counters(rx=5, break_=0), True),
        ("ch341", None, False),
    ],
)
def test_what_a_driver_can_tell_follows_from_its_name_or_its_counters(
    driver: str, counters: Counters | None, *, tells: bool
) -> None:
    uart = seen(counts=[(1.0, counters)] if counters else [], line=Line(driver)).uart
    assert uart.tells_breaks is tells
    assert uart.tells_received is bool(counters and counters.rx)


def test_characters_that_were_received_and_not_read_were_taken_by_another() -> None:
    chunks = [Chunk(float(second), b"x" * 50) for second in range(1, 21)]
    counts = [(second + 0.1, Counters(rx=100 * second)) for second in range(1, 21)]
    assert 0.2 < seen(chunks, counts=counts).uart.taken <= 0.5
    honest = [(second + 0.1, Counters(rx=50 * second)) for second in range(1, 21)]
    assert seen(chunks, counts=honest).uart.taken == 0


def test_characters_that_wait_to_be_read_were_not_taken() -> None:
    chunks = [Chunk(float(second), b"x" * 50) for second in range(1, 21)]
    counts = [(second + 0.1, Counters(rx=50 * second + (40 if second % 3 else 0))) for second in range(1, 21)]
    assert seen(chunks, counts=counts).uart.taken == 0


def test_what_the_kernel_dropped_was_not_taken_by_another() -> None:
    chunks = [Chunk(float(second), b"x" * 50) for second in range(1, 21)]
    counts = [
        (second + 0.1, Counters(rx=100 * second, buffer_overrun=50 * second)) for second in range(1, 21)
    ]
    assert seen(chunks, counts=counts).uart.taken == 0


def test_flips_are_told_apart_by_direction_and_by_what_was_sent_beside_them() -> None:
    came = bytearray(b"0-0:1.0.0")
    came[0] |= 0x80  # the last bit, after a 0
    came[2] |= 0x08  # sent as 0, between two that are 0 and 1: 0x30
    came[4] &= ~0x20 & 0xFF  # sent as 1, and before a 1: 0x31
    harm = seen(
        outcomes=[
            examined(bytes(came), flips=flips((0, 7, "0_to_1"), (2, 3, "0_to_1"), (4, 5, "1_to_0"))),
        ]
    ).harm
    assert (harm.up, harm.down, harm.garbled, harm.examined) == (2, 1, 0, 1)
    assert (harm.up_at_top, harm.up_at_top_after_one) == (1, 0)
    assert harm.up_before_one == 2  # the stop bit is one, and bit 4 of 0x30 too
    assert harm.down_after_zero == 0 + ((0x31 >> 4 & 1) == 0)


def test_a_character_with_bits_flipped_both_ways_is_garbled_and_its_bits_do_not_count() -> None:
    harm = seen(outcomes=[examined(b"\x0f", flips=flips((0, 0, "0_to_1"), (0, 5, "1_to_0")))]).harm
    assert (harm.up, harm.down, harm.garbled) == (0, 0, 1)


def test_losses_are_added_up() -> None:
    one = examined(b"x" * 100, lost=(Run(10, 5), Run(100, 20)), inserted=(Run(3, 2),), shifted=4)
    other = examined(b"x" * 90, lost=(Run(90, 30),), tail_lost=True)
    harm = seen(outcomes=[one, other]).harm
    assert (harm.lost, harm.gaps, harm.longest_gap, harm.foreign, harm.shifted) == (55, 3, 30, 2, 4)
    assert (harm.tails, harm.heads) == (1, 0)


def test_lines_of_rejected_telegrams_are_whole_or_not() -> None:
    whole = seen(outcomes=[Outcome(1.0, 9, "crc", None, sent(1))]).lines
    assert whole.whole == 1
    assert whole.number > 20
    broken = sent(1).replace(b"(", b"", 5)
    lines = seen(outcomes=[Outcome(1.0, 9, "crc", None, broken)]).lines
    assert lines.number * (1 - lines.whole) == pytest.approx(5)


def test_bursts_that_are_in_no_telegram_were_missed() -> None:
    chunks, outcomes = healthy()
    assert seen(chunks, outcomes[:12]).telegrams.missed == 6
    assert seen(chunks, outcomes).telegrams.missed == 0
