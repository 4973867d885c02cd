"""When each byte of a stream arrived."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.arrivals import Arrivals

RESOLUTION = 0.005
"""Seconds: what comes closer together counts as one arrival."""


def arrivals(*chunks: tuple[int, float]) -> Arrivals:
    stream = Arrivals()
    for count, time in chunks:
        stream.add(count, time)
    return stream


def test_a_byte_arrived_with_the_chunk_that_brought_it() -> None:
    stream = arrivals((3, 10.0), (1, 11.0), (2, 12.5))
    assert [stream.at(offset) for offset in range(6)] == [10, 10, 10, 11, 12.5, 12.5]


def test_the_size_is_that_of_all_that_arrived_also_of_what_is_forgotten() -> None:
    stream = arrivals((3, 10.0), (4, 11.0))
    stream.at(6)
    stream.add(5, 12.0)
    assert stream.size == 12


def test_what_follows_at_once_arrived_with_what_came_before() -> None:
    stream = arrivals((10, 1.0), (10, 1.004), (10, 1.006), (10, 1.010))
    assert [stream.at(offset) for offset in (5, 15, 25, 35)] == [1, 1, 1.006, 1.006]


def test_a_stream_that_never_pauses_still_has_a_time_every_few_milliseconds() -> None:
    stream = arrivals(*((1, number / 1000) for number in range(100)))
    for offset in range(100):
        assert offset / 1000 - RESOLUTION <= stream.at(offset) <= offset / 1000


def test_the_place_after_the_last_byte_has_the_time_of_the_newest_arrival() -> None:
    stream = arrivals((10, 1.0), (10, 2.0))
    assert stream.at(20) == 2


def test_the_same_place_may_be_asked_for_again() -> None:
    stream = arrivals((10, 1.0), (10, 2.0), (10, 3.0))
    assert [stream.at(12), stream.at(12), stream.at(29), stream.at(29)] == [2, 2, 3, 3]


def test_what_is_not_asked_for_any_more_takes_no_memory() -> None:
    stream = Arrivals()
    for number in range(10_000):
        stream.add(1, float(number))
        stream.at(number)
    assert len(stream._times) == 1


CHUNKS = st.lists(
    st.tuples(st.integers(1, 50), st.sampled_from([0.0, 0.001, 0.004, 0.006, 0.05, 1.0])), min_size=1
)


@given(chunks=CHUNKS, data=st.data())
def test_times_are_those_of_the_chunks_whatever_is_asked_for_in_between(
    chunks: list[tuple[int, float]], data: st.DataObject
) -> None:
    stream = Arrivals()
    asked = 0
    ends = list(accumulate(count for count, _ in chunks))
    times = list(accumulate(pause for _, pause in chunks))
    for number, (count, _) in enumerate(chunks):
        stream.add(count, times[number])
        assert stream.size == ends[number]
        while data.draw(st.booleans()) and asked < stream.size:
            asked = data.draw(st.integers(asked, stream.size - 1))
            arrived = next(time for end, time in zip(ends, times, strict=True) if asked < end)
            assert arrived - RESOLUTION - 1e-9 <= stream.at(asked) <= arrived


@pytest.mark.parametrize("pause", [0.006, 0.05, 10.0])
def test_chunks_that_are_further_apart_keep_the_times_that_they_have(pause: float) -> None:
    times = [number * pause for number in range(20)]
    stream = arrivals(*((7, time) for time in times))
    found = [stream.at(7 * number) for number in range(20)]
    assert found == times
    assert all(after - before == pytest.approx(pause) for before, after in pairwise(found))
