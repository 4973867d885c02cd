"""Receivers at bit level, on exact waveforms. Time is in bits: the line has 1 baud."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.simulator.transmission import Run, edges
from p1_exporter.simulator.uart import (
    Characters,
    MiniUart,
    MiniUart7,
    Receiver,
    SoftwareUart,
    Uart,
    Uart16550,
    as_even_parity,
)

TEXT = b"1-0:1.8.1(001234.567*kWh)\r\n"
UARTS = pytest.mark.parametrize("uart", [Uart, Uart16550, MiniUart])


def sent(data: bytes, begin: float = 10.0) -> list[float]:
    """The edges of characters that follow each other without a pause."""
    return edges(Run(begin, begin + 10 * len(data), data), 1.0)


def received(receiver: Receiver, line: list[float], until: float = 1e4) -> Characters:
    return receiver.receive(list(line), until)


@UARTS
def test_characters_without_a_pause_are_received(uart: type[Receiver]) -> None:
    data = bytes(range(256))
    characters = received(uart(1.0), sent(data))
    assert characters.data == data
    assert characters.errors == []
    assert characters.times == sorted(characters.times)


@UARTS
@pytest.mark.parametrize("clock", [0.98, 1.02])
def test_a_clock_that_is_2_per_cent_off_does_no_harm(uart: type[Receiver], clock: float) -> None:
    characters = received(uart(clock), sent(TEXT))
    assert (characters.data, characters.errors) == (TEXT, [])


def test_a_clock_that_is_6_per_cent_slow_reads_the_next_start_bit_for_the_stop_bit() -> None:
    characters = received(Uart(0.94), sent(TEXT))
    assert characters.data != TEXT
    assert len(characters.errors) > 0.5 * len(characters.data)


def test_a_clock_that_is_6_per_cent_fast_reads_the_last_bit_for_the_stop_bit() -> None:
    characters = received(Uart(1.065), sent(TEXT))
    assert bytes(byte & 0x7F for byte in characters.data) == TEXT
    assert {error for _, error in characters.errors} == {"framing"}


def test_a_line_that_is_low_for_long_is_one_break_and_the_next_character_comes_after_mark() -> None:
    characters = received(Uart(1.0), [10.0, 60.0, *sent(b"A", 62.0)])
    assert (characters.data, characters.errors) == (b"\0A", [(0, "break")])


@pytest.mark.parametrize(("length", "error"), [(9.2, None), (9.8, "break")])
def test_a_break_is_low_to_the_stop_bit(length: float, error: str | None) -> None:
    characters = received(Uart(1.0), [10.0, 10.0 + length])
    assert characters.data == b"\0"
    assert characters.errors == ([] if error is None else [(0, error)])


def test_a_low_stop_bit_is_a_framing_error_of_a_character_that_is_right() -> None:
    line = sent(b"U")
    line[-1] += 0.8  # the last bit of U is 0, and now lasts until the middle of the stop bit is over
    characters = received(Uart(1.0), [*line, *sent(b"A", 25.0)])
    assert (characters.data, characters.errors) == (b"UA", [(0, "framing")])


def test_after_a_framing_error_a_16550_takes_the_low_stop_bit_for_a_start_bit() -> None:
    line = [*sent(b"U")[:-1], 24.0]
    assert received(Uart(1.0), line).data == b"U"
    assert received(Uart16550(1.0), line).data == b"U\xf0"


@pytest.mark.parametrize(("length", "data"), [(0.4, b""), (0.6, b"\xff")])
def test_a_pulse_counts_if_it_lasts_until_the_middle_of_the_start_bit(length: float, data: bytes) -> None:
    assert received(Uart(1.0), [10.0, 10.0 + length]).data == data


def test_inverted_text_is_upside_down_and_a_bit_late() -> None:
    line = [0.0, *sent(TEXT * 8)]  # low when idle
    characters = received(Uart(1.0), line)
    # At first a start bit may be taken for another bit, until a character allows only one.
    late = characters.data[2 * len(TEXT) :]
    assert TEXT in bytes((~byte >> 1) & 0x7F for byte in late)
    assert {byte & 1 for byte in late[:-1]} == {1}


def test_a_mini_uart_makes_more_of_a_low_line_than_8n1_could_carry() -> None:
    characters = received(MiniUart(1.0), [10.0], until=910.0)
    assert characters.data == bytes(len(characters.data))
    assert len(characters.data) == pytest.approx(900 / 9, abs=1)
    assert characters.errors == []


def test_a_mini_uart_sees_no_bad_stop_bit() -> None:
    line = sent(b"U")
    line[-1] += 0.8
    assert received(MiniUart(1.0), line).errors == []


def test_a_mini_uart_of_7_bits_takes_the_eighth_for_a_start_bit() -> None:
    assert received(MiniUart7(1.0), sent(TEXT)).data != TEXT
    assert len(received(MiniUart7(1.0), sent(TEXT)).data) > len(TEXT)


def test_software_that_is_a_bit_late_misses_the_first_bit_of_even_characters() -> None:
    prompt = SoftwareUart(1.0, 0.0, random.Random(1))
    assert received(prompt, sent(TEXT)).data == TEXT
    late = SoftwareUart(1.0, 1.0, random.Random(1))
    lone = b"".join(received(late, sent(b"2", begin), begin + 99).data for begin in range(10, 40_000, 100))
    assert set(lone) >= {ord("2"), ord("2") >> 1 | 0x80}
    assert lone.count(ord("2")) + lone.count(ord("2") >> 1 | 0x80) > 0.75 * len(lone)


def test_a_uart_set_to_7e1_finds_wrong_parity_in_8n1() -> None:
    characters = as_even_parity(received(Uart(1.0), sent(TEXT)))
    assert characters.data == TEXT
    odd = [(place, "parity") for place, byte in enumerate(TEXT) if byte.bit_count() % 2]
    assert characters.errors == odd


def test_a_break_hides_wrong_parity() -> None:
    characters = as_even_parity(Characters([1.0, 2.0], bytearray(b"\0\x01"), [(0, "break"), (1, "framing")]))
    assert characters.errors == [(0, "break"), (1, "parity")]


@given(
    gaps=st.lists(st.floats(0.01, 30), max_size=60),
    cuts=st.lists(st.floats(0, 700), max_size=12),
    uart=st.sampled_from([Uart, Uart16550, MiniUart]),
)
def test_any_waveform_gives_the_same_characters_however_it_is_cut(
    gaps: list[float], cuts: list[float], uart: type[Receiver]
) -> None:
    line: list[float] = []
    for gap in gaps:
        line.append((line[-1] if line else 0.0) + gap)
    whole = received(uart(1.0), line, 2000.0)
    receiver = uart(1.0)
    data = bytearray()
    errors = []
    before = 0.0
    for cut in [*sorted(cuts), 2000.0]:
        piece = receiver.receive([edge for edge in line if before <= edge < cut], cut)
        errors += [(len(data) + place, error) for place, error in piece.errors]
        data += piece.data
        assert all(time <= cut for time in piece.times)
        before = cut
    assert (data, errors) == (whole.data, whole.errors)
