from __future__ import annotations

import pytest

from p1_exporter.simulator.disturbance import Schedule, Window
from p1_exporter.simulator.reporting import DRIVERS, Counts, ErrorMark, Losses, Reporter
from p1_exporter.simulator.uart import Characters

BIT = 1 / 115_200


def report(
    driver: str, data: bytes, errors: list[ErrorMark] | None = None, losses: Losses | None = None
) -> Reporter:
    """Let characters come one after the other from time 0 on, then nothing for long."""
    reporter = Reporter(DRIVERS[driver], losses or Losses())
    times = [10 * BIT * (1 + place) for place in range(len(data))]
    reporter.report(Characters(times, bytearray(data), list(errors or [])), 10.0, BIT)
    return reporter


def sizes(reporter: Reporter) -> list[int]:
    return [len(piece.data) for piece in reporter.pieces]


def marks(reporter: Reporter) -> list[ErrorMark]:
    """Marks by their place in all that was passed on."""
    found, before = [], 0
    for piece in reporter.pieces:
        found += [(before + place, error) for place, error in piece.marks]
        before += len(piece.data)
    return found


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_character_is_passed_on_in_order_and_counted(driver: str) -> None:
    data = bytes(range(1, 200))
    reporter = report(driver, data)
    assert b"".join(piece.data for piece in reporter.pieces) == data
    times = [piece.time for piece in reporter.pieces]
    assert times == sorted(times)
    counts = reporter.counts()
    assert counts is None or counts.rx in (None, len(data))
    assert marks(reporter) == []


@pytest.mark.parametrize(
    ("driver", "expected"),
    [("amba-pl011", [8, 8, 4]), ("8250", [8, 8, 4]), ("bcm2835aux", [1] * 20), ("ftdi_sio", [20])],
)
def test_pieces_are_as_long_as_the_hardware_makes_them(driver: str, expected: list[int]) -> None:
    assert sizes(report(driver, bytes(20))) == expected


def test_what_is_left_comes_when_the_line_was_idle_or_the_latency_is_over() -> None:
    last = 10 * BIT * 5
    assert report("amba-pl011", bytes(5)).pieces[-1].time == pytest.approx(last + 32 * BIT)
    assert report("ftdi_sio", bytes(5)).pieces[-1].time == pytest.approx(10 * BIT + 0.016)


def test_pl011_marks_and_counts_each_character() -> None:
    reporter = report(
        "amba-pl011", b"abc\0efghijk", [(1, "framing"), (2, "parity"), (3, "break"), (9, "framing")]
    )
    assert marks(reporter) == [(1, "framing"), (2, "parity"), (3, "break"), (9, "framing")]
    assert reporter.counts() == Counts(11, framing=2, parity=1, break_=1, overrun=0, buffer_overrun=0)


def test_ftdi_marks_the_whole_packet_and_counts_it_once() -> None:
    reporter = report("ftdi_sio", b"x" * 100, [(3, "framing"), (9, "framing")])
    assert marks(reporter) == [(place, "framing") for place in range(62)]
    assert reporter.counts() == Counts(100, framing=1, parity=0, break_=0, overrun=0, buffer_overrun=0)


def test_ftdi_tells_a_break_only_at_the_end_of_a_packet() -> None:
    middle = report("ftdi_sio", b"ab\0cd", [(2, "break")])
    assert (marks(middle), middle.pieces[-1].counts) == ([], Counts(5, 0, 0, 0, 0, 0))
    end = report("ftdi_sio", b"abcd\0", [(4, "break")])
    assert (marks(end), end.pieces[-1].counts) == ([(4, "break")], Counts(5, 0, 0, 1, 0, 0))


def test_a_nul_in_a_marked_packet_looks_like_a_break() -> None:
    assert marks(report("ftdi_sio", b"a\0c", [(0, "framing")])) == [
        (0, "framing"),
        (1, "break"),
        (2, "framing"),
    ]


def test_pl2303_marks_a_later_packet_and_counts_nothing() -> None:
    reporter = report("pl2303", b"x" * 70, [(3, "framing")])
    assert marks(reporter) == [(place, "framing") for place in range(64, 70)]
    assert reporter.counts() is None
    broken = report("pl2303", b"x" * 66, [(3, "break")])
    assert b"".join(piece.data for piece in broken.pieces) == b"x" * 64 + bytes(2)


@pytest.mark.parametrize("driver", ["bcm2835aux", "ch341", "tcp", "unknown"])
def test_others_tell_nothing_of_errors(driver: str) -> None:
    reporter = report(driver, b"a\0c", [(0, "framing"), (1, "break")])
    assert marks(reporter) == []
    counts = reporter.counts()
    assert counts is None or counts == Counts(rx=3, overrun=0)


def test_cp210x_counts_errors_but_not_characters() -> None:
    reporter = report("cp210x", b"ab", [(1, "parity")])
    assert marks(reporter) == [(1, "parity")]
    assert reporter.counts() == Counts(framing=0, parity=1, break_=0, overrun=0)


def test_a_far_terminal_puts_nul_in_the_place_of_wrong_parity() -> None:
    reporter = report("tcp", b"abc", [(1, "parity")])
    assert b"".join(piece.data for piece in reporter.pieces) == b"a\0c"


@pytest.mark.parametrize(("in_kernel", "overrun", "buffer_overrun"), [(False, 1, 0), (True, 0, 10)])
def test_what_finds_no_room_is_lost_and_told(in_kernel: bool, overrun: int, buffer_overrun: int) -> None:  # noqa: FBT001 - a parameter
    full = Schedule(iter([Window(10 * BIT * 4.5, 10 * BIT * 14.5, space=True)]))
    reporter = report(
        "amba-pl011",
        bytes(range(30)),
        [(2, "framing"), (7, "framing"), (20, "framing")],
        Losses(full, in_kernel),
    )
    assert b"".join(piece.data for piece in reporter.pieces) == bytes((*range(4), *range(14, 30)))
    assert marks(reporter) == [(2, "framing"), (10, "framing")]
    assert reporter.counts() == Counts(20, 2, 0, 0, overrun, buffer_overrun)


def test_what_another_program_takes_is_counted_and_not_passed_on() -> None:
    reporter = report("amba-pl011", bytes(range(20)), losses=Losses(taken=lambda time: time < 10 * BIT * 12))
    assert sizes(reporter) == [0, 8, 4]
    assert reporter.pieces[-1].counts == Counts(20, 0, 0, 0, 0, 0)


def test_what_is_dropped_before_the_driver_leaves_no_trace() -> None:
    reporter = report("amba-pl011", bytes(range(20)), losses=Losses(dropped=lambda size: size == 4))
    assert sizes(reporter) == [8, 8]
    assert reporter.pieces[-1].counts == Counts(16, 0, 0, 0, 0, 0)
