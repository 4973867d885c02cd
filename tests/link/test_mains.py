"""Errors that come with the mains come at the same place of each period; others do not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.mains import arrivals_in_step, in_step
from p1_exporter.link.port import Chunk

FAST = 11_520.0
SLOW = 960.0
PERIOD = 0.02


def struck(rng: random.Random, *, period: float, capacity: float, periods: int, width: float) -> list[int]:
    """Return places of errors within `width` seconds of the same moment of each period, counted from anywhere."""
    phase = rng.random() * period
    times = [phase + count * period + rng.uniform(-width, width) / 2 for count in range(1, periods + 1)]
    return sorted(int(time * capacity) for time in times)


@pytest.mark.parametrize("period", [PERIOD, PERIOD / 2])
@pytest.mark.parametrize(("capacity", "periods"), [(FAST, 4), (SLOW, 40)])
def test_errors_in_step_with_the_mains_are_found_though_each_telegram_begins_at_another_phase(
    period: float, capacity: float, periods: int
) -> None:
    rng = random.Random(1)
    telegrams = [
        struck(rng, period=period, capacity=capacity, periods=periods, width=period / 10) for _ in range(6)
    ]
    assert in_step(telegrams, capacity) > 0.9


def test_errors_anywhere_are_not_in_step() -> None:
    rng = random.Random(2)
    telegrams = [sorted(rng.sample(range(830), 20)) for _ in range(10)]
    assert in_step(telegrams, FAST) < 0.5


def test_a_lone_run_of_errors_proves_nothing_however_dense() -> None:
    assert in_step([list(range(100, 150))] * 5, FAST) == 0


def test_a_few_errors_prove_nothing_however_regular() -> None:
    every_period = [round(count * PERIOD * FAST) for count in range(1, 8)]
    assert in_step([every_period], FAST) == 0
    assert in_step([every_period, every_period], FAST) > 0.99


@given(
    st.lists(st.lists(st.integers(0, 12_000), max_size=50), max_size=8),
    st.sampled_from([FAST, SLOW, 30.0]),
)
def test_the_measure_is_between_none_and_all(telegrams: list[list[int]], capacity: float) -> None:
    assert 0 <= in_step(telegrams, capacity) <= 1.0000001


@given(st.lists(st.lists(st.integers(0, 800), min_size=10, max_size=40), min_size=1, max_size=4), st.data())
def test_it_does_not_matter_in_which_order_telegrams_and_errors_are_told(
    telegrams: list[list[int]], data: st.DataObject
) -> None:
    other = [data.draw(st.permutations(places)) for places in data.draw(st.permutations(telegrams))]
    assert in_step(other, FAST) == pytest.approx(in_step(telegrams, FAST))


def arriving(times: list[float], gather: float = 0.05) -> list[Chunk]:
    """Return what a reader gets of characters that arrive at these times, gathering for so long each time."""
    chunks: list[Chunk] = []
    until = -1.0
    for time in sorted(times):
        if time > until:
            chunks.append(Chunk(time, b"\xf0"))
            until = time + gather
    return chunks


@pytest.mark.parametrize("gather", [0.01, 0.05])
@pytest.mark.parametrize("periods_a_second", [50, 100])
def test_bytes_that_hum_makes_arrive_at_the_same_places_of_the_period(
    gather: float, periods_a_second: int
) -> None:
    rng = random.Random(3)
    # The mains of today are never quite those of the clock.
    times = [count / (periods_a_second * 1.0004) + rng.uniform(0, 0.0004) for count in range(1000)]
    assert arrivals_in_step(arriving(times, gather)) > 0.4


@pytest.mark.parametrize("gather", [0.01, 0.05])
@pytest.mark.parametrize("often", [20, 60])
def test_bytes_that_arrive_at_random_are_in_step_with_nothing(gather: float, often: int) -> None:
    rng = random.Random(4)
    times = [rng.uniform(0, 30) for _ in range(30 * often)]
    assert arrivals_in_step(arriving(times, gather)) < 0.2


def test_reads_that_follow_each_other_at_once_say_when_the_reader_came_and_not_when_bytes_did() -> None:
    without_pause = [Chunk(count * 0.01, bytes(115)) for count in range(1000)]
    assert arrivals_in_step(without_pause) == 0
    gathered_here = [Chunk(count * 0.0501, bytes(576)) for count in range(200)]
    assert arrivals_in_step(gathered_here) == 0


def test_telegrams_that_come_each_second_are_not_taken_for_hum() -> None:
    telegrams = [Chunk(0.5 + second + part * 0.04, bytes(400)) for second in range(20) for part in range(3)]
    assert arrivals_in_step(telegrams) == 0
