"""The watch over a link: what it names, adds up and remembers, and what it leaves alone. Clocks are injected."""

from __future__ import annotations

import random
import re
import sys
import tracemalloc
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from p1_exporter.link.counters import Counters
from p1_exporter.link.line import Line
from p1_exporter.link.port import Chunk
from p1_exporter.link.reception import Understanding
from p1_exporter.link.watch import DamageTotals, WatchSnapshot
from p1_exporter.simulator.encryption import KEY
from p1_exporter.simulator.models import MODELS, telegram, wire_bytes
from p1_exporter.telegram.cipher import Cipher
from tests.system.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable

NOON: Final = 1_781_690_400
PL011: Final = Line("amba-pl011")
BLOCK: Final = 576
"""Characters that a fast line carries in the time that a burst may gather."""


@cache
def sent(number: int, model: str = "dsmr5") -> bytes:
    meter = MODELS[model]
    return telegram(meter, meter.household(1), NOON + number * meter.interval)


def flip(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def receiving(*telegrams: bytes, interval: float = 1.0, line: Line = PL011) -> Watched:
    """Return what is known after these telegrams, each read at once."""
    watched = Watched(line)
    for number, data in enumerate(telegrams):
        watched.received(Chunk(0.5 + number * interval, data))
    return watched


def good(number: int, first: int = 0) -> list[bytes]:
    return [sent(first + count) for count in range(number)]


def totals(*bad: bytes) -> DamageTotals:
    """Return what was found in these telegrams, after some good ones."""
    watched = receiving(*good(4), *bad)
    watched.until(30.0)
    return watched.watch.snapshot().damage


def test_nothing_is_known_of_a_link_before_something_arrives() -> None:
    assert Watched(PL011).watch.snapshot() == WatchSnapshot(line=PL011)


def test_bits_that_arrived_as_ones_or_as_zeros_are_added_up() -> None:
    text = sent(4)
    zero, one = text.index(b"1-0:1.8.1"), text.index(b"1-0:2.8.1")
    assert text[zero] == text[one] == 0x31
    assert totals(flip(text, zero, 3)) == DamageTotals(up=1)
    assert totals(flip(text, zero, 0)) == DamageTotals(down=1)
    again = sent(5)
    assert totals(flip(text, zero, 3), flip(flip(again, zero, 6), one, 4)) == DamageTotals(up=2, down=1)


def test_bytes_that_were_lost_or_came_from_elsewhere_are_added_up() -> None:
    text = sent(4)
    place = text.index(b"1-0:2.8.1")
    assert totals(text[:place] + text[place + 12 :]) == DamageTotals(lost=12)
    assert totals(text[:place] + b"\xff\xfe\xfd" + text[place:]) == DamageTotals(foreign=3)


def test_a_telegram_whose_beginning_is_damaged_is_looked_into_too() -> None:
    assert sent(4)[:1] == b"/" == bytes([0b0010_1111])
    assert totals(flip(sent(4), 0, 4)) == DamageTotals(up=1)
    assert totals(flip(sent(4), 0, 0)) == DamageTotals(down=1)
    assert totals(sent(4)[40:]) == DamageTotals(lost=40)


def test_good_telegrams_have_no_damage() -> None:
    assert totals(*good(10, first=4)) == DamageTotals()


def test_a_good_link_loads_nothing_that_tells_faults_apart() -> None:
    forgotten = [name for name in sys.modules if name.startswith("p1_exporter.link.evidence")]
    watched = receiving(*good(120))
    assert forgotten or "p1_exporter.link.evidence" not in sys.modules
    assert watched.watch.snapshot() == WatchSnapshot(line=PL011)


def test_one_bad_telegram_is_named_nothing() -> None:
    watched = receiving(*good(20), flip(sent(20), 300, 2), *good(60, first=21))
    assert [change.names for change in watched.changes] == []
    assert len(watched.accepted) == 80


def test_a_port_that_is_closed_for_a_reason_is_disconnected_and_no_longer_when_it_is_open() -> None:
    watched = receiving(*good(10))
    watched.watch.closed(11.0, "/dev/ttyUSB0: vanished")
    watched.until(30.0)
    (diagnosis,) = watched.watch.snapshot().faults
    assert (diagnosis.fault, diagnosis.seen) == ("disconnected", "/dev/ttyUSB0: vanished")
    watched.watch.opened(30.0, PL011)
    for number in range(15):
        watched.received(Chunk(30.5 + number, sent(30 + number)))
    assert watched.names == ()


def test_a_port_that_is_closed_on_purpose_has_no_fault() -> None:
    watched = receiving(*good(10))
    watched.watch.closed(11.0, "")
    watched.until(300.0)
    assert watched.changes == []


def test_what_was_seen_of_another_port_says_nothing_of_the_new_one() -> None:
    watched = receiving(*(flip(each, 300, 2) for each in good(20)))
    assert watched.names
    watched.watch.opened(20.0, Line("ftdi_sio"))
    for number in range(15):
        watched.received(Chunk(20.5 + number, sent(number)))
    assert watched.names == ()
    assert watched.watch.snapshot().line == Line("ftdi_sio")


def test_silence_is_a_fault_while_data_is_requested_and_none_while_it_is_not() -> None:
    watched = receiving(*good(10))
    watched.watch.pause(10.0, paused=True)
    watched.until(120.0)
    assert watched.changes == []
    watched.watch.pause(120.0, paused=False)
    watched.until(125.0)
    assert watched.changes == []
    watched.until(160.0)
    assert watched.names == ("silent",)


def test_what_is_wrong_is_forgotten_while_nothing_is_requested() -> None:
    watched = receiving(*(flip(each, 300, 2) for each in good(20)))
    assert watched.names
    watched.watch.pause(20.0, paused=True)
    watched.until(40.0)
    assert watched.names == ()


def encrypted(cipher: Cipher | None) -> Watched:
    """Return what is known of an encrypted meter after twenty frames in which no telegram begins by chance."""
    meter = MODELS["luxembourg"]
    household = meter.household(1)
    frames = (wire_bytes(meter, household, NOON + number * meter.interval) for number in range(40))
    telling = [frame for frame in frames if not re.search(rb"/[A-Za-z]{3}", frame)][:20]
    watched = Watched(PL011, understanding=Understanding(cipher=cipher))
    for number, frame in enumerate(telling):
        watched.received(Chunk(0.5 + number * meter.interval, frame))
    return watched


@pytest.mark.parametrize("cipher", [None, Cipher(bytes(16))])
def test_an_encrypted_meter_without_the_right_key_is_no_fault_of_the_link(cipher: Cipher | None) -> None:
    watched = encrypted(cipher)
    assert {reason for _, reason in watched.refused} == {"decrypt"}
    assert watched.changes == []
    assert watched.watch.snapshot().damage == DamageTotals()


def test_an_encrypted_meter_with_its_key_is_no_fault_either() -> None:
    watched = encrypted(Cipher(KEY))
    assert len(watched.accepted) == 20
    assert watched.changes == []


def test_looks_are_a_second_apart_however_often_one_asks() -> None:
    watched = receiving(*(flip(each, 300, 2) for each in good(20)))
    watched.watch.look(30.0)
    before = watched.watch.snapshot()
    assert before.evidence is not None
    for tenth in range(1, 10):
        watched.watch.look(30.0 + tenth / 10)
    # The evidence is the same object: nobody has gathered it anew.
    assert watched.watch.snapshot().evidence is before.evidence
    watched.watch.look(31.0)
    assert watched.watch.snapshot().evidence is not before.evidence


def test_a_snapshot_does_not_change_any_more() -> None:
    watched = receiving(*(flip(each, 300, 2) for each in good(20)))
    before = watched.watch.snapshot()
    copy = WatchSnapshot(*before)
    watched.received(Chunk(25.0, b"\xff" * 900))
    watched.until(60.0)
    assert before == copy
    assert watched.watch.snapshot() != before


def test_the_evidence_on_everything_is_there_for_a_link_that_works_too() -> None:
    watched = receiving(*good(10))
    evidence = watched.watch.all_evidence(10.0)
    assert evidence.telegrams.accepted == 10
    assert evidence.telegrams.intact == 1


def test_what_arrives_while_another_speed_is_tried_says_nothing_and_what_was_named_stays() -> None:
    watched = receiving(*good(10), *(flip(flip(sent(10 + n), 300, 1), 200 + n, 5) for n in range(20)))
    named, damage = watched.names, watched.watch.snapshot().damage
    assert named
    watched.watch.probe(30.0)
    for number in range(20):
        watched.received(
            Chunk(30.5 + number, b"\0\xff\0" * 100, ((0, "break"),)), Counters(rx=10**6, break_=10**4)
        )
    assert watched.watch.probing
    assert watched.names == named
    assert watched.watch.snapshot().damage == damage
    watched.watch.resume(50.0)
    for number in range(3):
        watched.received(Chunk(50.5 + number, flip(flip(sent(30 + number), 300, 1), 210, 5)))
    assert watched.names == named
    for number in range(40):
        watched.received(Chunk(53.5 + number, sent(33 + number)))
    assert watched.names == ()


def test_what_was_counted_while_another_speed_was_tried_was_taken_by_nobody() -> None:
    watched = Watched(PL011)
    rx = 0
    for number in range(100):
        time = 0.5 + number
        if time == 30.5:
            watched.watch.probe(30.0)
        if time == 40.5:
            watched.watch.resume(40.0)
        data = sent(number)
        rx += len(data)
        watched.received(Chunk(time, data), Counters(rx=rx, overrun=number if watched.watch.probing else 0))
    watched.received(Chunk(101.0, b"\xff" * 3))
    assert watched.changes == []
    evidence = watched.watch.all_evidence(101.0)
    assert evidence.uart.taken == 0
    assert evidence.uart.overruns == 0


def _nothing_but_breaks(rng: random.Random) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    return bytes(BLOCK), tuple((place, "break") for place in range(BLOCK))


def _anything(rng: random.Random) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    return rng.randbytes(BLOCK), ()


def _beginnings(rng: random.Random) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    return b"/XXX5" + rng.randbytes(BLOCK - 5), ((0, "framing"),)


def _damaged(rng: random.Random) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    return flip(sent(rng.randrange(20)), rng.randrange(700), 3), ()


@pytest.mark.parametrize("arriving", [_nothing_but_breaks, _anything, _beginnings, _damaged])
def test_memory_is_bounded_whatever_arrives(
    arriving: Callable[[random.Random], tuple[bytes, tuple[tuple[int, str], ...]]],
) -> None:
    rng = random.Random(1)
    watched = Watched(PL011)
    rx = 0
    kept = []
    tracemalloc.start()
    try:
        time = 0.0
        for end in (20.0, 30.0):
            while time < end:
                data, marks = arriving(rng)
                rx += len(data)
                watched.received(Chunk(time, data, marks), Counters(rx=rx, framing=rx))  # type: ignore[arg-type] # kinds
                time += len(data) / PL011.capacity
            # What the test itself remembers is not the watch's.
            watched.refused.clear()
            watched.accepted.clear()
            watched.changes.clear()
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert kept[1] < 8_000_000
    assert kept[1] < kept[0] + 500_000
