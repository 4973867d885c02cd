"""Bursts are telegrams, or what is left of them: how long, how often, and what is between them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.port import Chunk
from p1_exporter.link.rhythm import Rhythm, median, rhythm

if TYPE_CHECKING:
    from collections.abc import Sequence

FAST = 11_520.0
SLOW = 960.0


def read(chunks: Sequence[Chunk], capacity: float = FAST, *, network: bool = False) -> Rhythm:
    return rhythm(chunks, capacity, network=network)


def telegrams(number: int, *, every: float, size: int = 800, pieces: int = 3) -> list[Chunk]:
    """Return telegrams as they are read, each in so many pieces that follow each other without a pause."""
    piece = size // pieces
    return [
        Chunk(0.5 + count * every + part * piece / FAST, b"x" * piece)
        for count in range(number)
        for part in range(pieces)
    ]


def sorted_chunks(times: Sequence[float], sizes: Sequence[int]) -> list[Chunk]:
    return [Chunk(time, b"x" * size) for time, size in zip(sorted(times), sizes, strict=False)]


arrivals = st.builds(
    sorted_chunks,
    st.lists(st.floats(0, 100), max_size=40),
    st.lists(st.integers(1, 300), min_size=40, max_size=40),
)


@given(
    every=st.floats(1, 60),
    number=st.integers(3, 12),
    size=st.integers(60, 3000),
    pieces=st.integers(1, 12),
)
def test_the_period_is_that_of_the_meter_however_its_telegrams_are_cut(
    every: float, number: int, size: int, pieces: int
) -> None:
    found = read(telegrams(number, every=every, size=size, pieces=pieces))
    assert found.period == pytest.approx(every)
    assert found.regularity == 1
    assert len(found.main) == number
    assert not found.stray
    assert {burst.size for burst in found.main} == {size // pieces * pieces}


def test_two_telegrams_have_no_rhythm_yet() -> None:
    assert read([]).period == read([]).regularity == read([]).busy == 0
    assert read(telegrams(2, every=1)).period == 0
    assert read(telegrams(3, every=1)).period == pytest.approx(1)


def test_a_burst_lasts_as_long_as_its_characters_need() -> None:
    (burst,) = read([Chunk(1.0, b"x" * 480)], SLOW).main
    assert burst.seconds == pytest.approx(0.5)
    assert read([Chunk(1.0, b"x" * 480)], SLOW).busy == pytest.approx(0.5)


def test_what_is_held_up_by_a_network_is_no_pause() -> None:
    chunks = [Chunk(1.0, b"x" * 300), Chunk(1.3, b"x" * 300), Chunk(2.0, b"x" * 600)]
    assert [burst.size for burst in read(chunks).main] == [300, 300, 600]
    assert [burst.size for burst in read(chunks, network=True).main] == [600, 600]


def test_stray_bytes_between_telegrams_do_not_change_the_rhythm() -> None:
    stray = [Chunk(0.8 + count * 1.01, b"\xff") for count in range(10)]
    found = read(sorted(telegrams(10, every=1) + stray, key=lambda chunk: chunk.time))
    assert found.period == pytest.approx(1)
    assert len(found.main) == 10
    assert {burst.data for burst in found.stray} == {b"\xff"}
    assert len(found.stray) == 10


def test_remains_of_telegrams_are_the_telegrams_where_nothing_longer_comes() -> None:
    found = read([Chunk(float(second), b"\0\0") for second in range(1, 11)])
    assert found.period == pytest.approx(1)
    assert len(found.main) == 10
    assert not found.stray


def test_a_telegram_that_is_missing_spoils_the_regularity_and_not_the_period() -> None:
    chunks = [chunk for chunk in telegrams(11, every=1) if not 4 < chunk.time < 5]
    found = read(chunks)
    assert found.period == pytest.approx(1)
    assert found.regularity == pytest.approx(8 / 9)


@given(chunks=arrivals, network=st.booleans())
def test_each_read_is_in_one_burst_and_bursts_do_not_overlap(*, chunks: list[Chunk], network: bool) -> None:
    found = read(chunks, network=network)
    bursts = sorted((*found.main, *found.stray), key=lambda burst: burst.start)
    assert [chunk for burst in bursts for chunk in burst.chunks] == chunks
    assert all(one.end < next_one.start for one, next_one in pairwise(bursts))
    assert all(burst.data == b"".join(chunk.data for chunk in burst.chunks) for burst in bursts)
    assert found.main or not found.stray


@given(arrivals)
def test_figures_are_within_their_bounds_whatever_arrives(chunks: list[Chunk]) -> None:
    found = read(chunks)
    assert 0 <= found.regularity <= 1
    assert found.period >= 0
    assert 0 <= found.busy <= 100 + 300 / FAST


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_half_of_the_values_are_not_above_the_median_and_it_is_one_of_them(values: list[float]) -> None:
    middle = median(values)
    assert middle in values
    assert sum(value <= middle for value in values) * 2 >= len(values)
    assert sum(value >= middle for value in values) * 2 >= len(values)
