"""What faults of the wire make of characters, bit by bit, and how much of a text that leaves."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.distortion import (
    DISTORTIONS,
    LATE_STARTS,
    LETTERS_WITH_TOP_BIT,
    SHORT_ZEROS,
    text_share,
)
from p1_exporter.simulator.models import MODELS, telegram
from p1_exporter.telegram.parity import with_parity

NOON = 1_781_690_400
SEVEN_BITS = range(128)
ON_WIRE = range(256)


def frame(character: int) -> list[int]:
    """Return what is on the wire: idle, start bit, eight bits, stop bit."""
    return [1, 0, *(character >> bit & 1 for bit in range(8)), 1]


def character(levels: list[int]) -> int:
    """Return what eight levels mean, the first one sent first."""
    return sum(level << bit for bit, level in enumerate(levels))


@cache
def sent(model: str = "dsmr5") -> bytes:
    meter = MODELS[model]
    return telegram(meter, meter.household(1), NOON)


def distorted(data: bytes, name: str) -> bytes:
    """Return what arrives of `data` at worst."""
    worst = min if name == "rise_late" else max
    return bytes(worst(DISTORTIONS[name](x)) for x in data)


def between(low: int, high: int) -> list[int]:
    """Return the characters that have the ones of one, and at most those of another."""
    return [x for x in ON_WIRE if x | low == x and x & high == x]


@pytest.mark.parametrize(("came", "was"), [(0xBF, "."), (0xB8, "0"), (0xBB, "2"), (0xBE, "4"), (0x8F, "\r")])
def test_late_falling_edges_make_known_characters_of_the_commonest_ones(came: int, was: str) -> None:
    assert max(DISTORTIONS["fall_late"](ord(was))) == came


@pytest.mark.parametrize(("came", "was"), [(0x98, "0"), (0x99, "2"), (0x97, "."), (0x9D, ":")])
def test_late_start_bits_make_known_characters_of_the_commonest_ones(came: int, was: str) -> None:
    assert DISTORTIONS["start_late"](ord(was)) == (came,)


def test_characters_that_prove_a_fault_are_no_text_with_its_top_bit_set() -> None:
    text = {byte | 0x80 for byte in sent()}
    assert not text & (set(SHORT_ZEROS) | set(LATE_STARTS))
    assert {0xBB, 0xBF} < set(SHORT_ZEROS)
    assert {0x97, 0x98, 0x99} < set(LATE_STARTS)


def test_a_late_falling_edge_takes_a_zero_from_before_a_one_and_nothing_else() -> None:
    for x in ON_WIRE:
        levels = frame(x)
        at_worst = [now or after for now, after in pairwise(levels[2:])]
        arrived = DISTORTIONS["fall_late"](x)
        assert sorted(arrived) == between(x, character(at_worst))


def test_a_late_rising_edge_takes_a_one_from_after_a_zero_and_nothing_else() -> None:
    for x in ON_WIRE:
        levels = frame(x)
        at_worst = [now and before for before, now in pairwise(levels[1:10])]
        arrived = DISTORTIONS["rise_late"](x)
        assert sorted(arrived) == between(character(at_worst), x)


def test_a_receiver_that_begins_a_bit_late_takes_the_stop_bit_for_the_last_one() -> None:
    for x in ON_WIRE:
        assert DISTORTIONS["start_late"](x) == (character(frame(x)[3:11]),)


def test_upside_down_the_stop_bit_before_a_character_is_its_start_bit() -> None:
    for x in SEVEN_BITS:
        before_and_now = [1 - level for level in (*frame(ord("0"))[-1:], *frame(x)[1:])]
        start, *bits, stop = before_and_now[:10]
        assert (start, stop) == (0, 1)
        assert character(bits) in DISTORTIONS["inverted"](x)


def test_upside_down_text_can_be_turned_round_bit_by_bit() -> None:
    for x in SEVEN_BITS:
        assert {~came >> 1 & 0x7F for came in DISTORTIONS["inverted"](x)} == {x}


def test_the_last_bit_may_be_anything_where_it_is_parity_or_sampled_too_early() -> None:
    for x in ON_WIRE:
        assert set(DISTORTIONS["top_bit"](x)) == {x & 0x7F, x | 0x80}


def test_a_receiver_that_samples_early_takes_one_of_the_last_two_bits_or_both_from_the_bit_before() -> None:
    for x in ON_WIRE:
        levels = frame(x)
        arrived = {
            character([*levels[2:8], levels[8 - early], levels[9 - last]])
            for early in (0, 1)
            for last in (0, 1)
        }
        assert set(DISTORTIONS["sampled_early"](x)) == arrived


def test_letters_alone_have_a_one_before_their_last_bit() -> None:
    before = {byte for byte in sent("dsmr4") if byte >> 6 & 1}
    letters = {byte & 0x7F for byte in LETTERS_WITH_TOP_BIT}
    assert before - letters <= set(rb"\_[]")
    assert all(letter >> 6 & 1 for letter in letters)


@pytest.mark.parametrize("name", ["inverted", "fall_late", "rise_late", "start_late"])
def test_text_that_went_through_a_fault_reads_as_text_that_did_and_as_no_other(name: str) -> None:
    worst = distorted(sent(), name)
    assert text_share(worst, name) > 0.5
    assert text_share(worst, "as_sent") < 0.05


@pytest.mark.parametrize("name", ["inverted", "start_late"])
def test_text_as_it_was_sent_does_not_look_shifted(name: str) -> None:
    assert text_share(sent(), name) == 0


@pytest.mark.parametrize("name", ["as_sent", "top_bit", "fall_late", "rise_late", "sampled_early"])
def test_text_as_it_was_sent_is_also_text_that_nothing_happened_to(name: str) -> None:
    assert text_share(sent(), name) > 0.5


def test_seven_bit_text_reads_as_text_whose_last_bit_does_not_count() -> None:
    with_even_parity = with_parity(sent("dsmr2"))
    assert text_share(with_even_parity, "top_bit") > 0.5
    # Few lines begin with characters that all have an even number of ones without it.
    assert text_share(with_even_parity, "as_sent") < 0.5


@given(data=st.binary(max_size=3000), name=st.sampled_from(sorted(DISTORTIONS)))
def test_a_share_is_one_whatever_arrives(data: bytes, name: str) -> None:
    assert 0 <= text_share(data, name) <= 1
    assert text_share(b"", name) == 0
