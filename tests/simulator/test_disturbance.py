from __future__ import annotations

import random
from bisect import bisect_right
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.simulator import disturbance
from p1_exporter.simulator.disturbance import Disturbance, Schedule, Window

SERIES = {
    "ground": lambda rng: disturbance.ground_noise(rng, 0.0, 20.0, 1e-5),
    "field": lambda rng: disturbance.field_noise(rng, 0.0, 20.0, 1e-5),
    "random": lambda rng: disturbance.random_noise(rng, 0.0, 0.13, 1e-6),
    "hum": lambda rng: disturbance.hum(rng, 0.0, 1.0, 0.15),
    "contact": lambda rng: disturbance.contact(rng, 0.0, 5.0, (1e-3, 1e-2), 3),
    "spells": lambda rng: disturbance.spells(rng, 0.0, 2.0, 0.5),
    "phases": lambda _: disturbance.phases(0.0, 60.0, 0.3),
}


@pytest.mark.parametrize("name", SERIES)
def test_windows_begin_in_order_do_not_overlap_and_depend_on_the_seed_alone(name: str) -> None:
    windows, again = (list(islice(SERIES[name](random.Random(4)), 500)) for _ in range(2))
    assert windows == again
    assert all(one.on <= one.off <= other.on + 1e-12 for one, other in pairwise(windows))


def test_hum_comes_back_after_20_ms() -> None:
    windows = [window for window in islice(SERIES["hum"](random.Random(4)), 100) if window.off > window.on]
    first = windows[0]
    assert any(window.on == pytest.approx(first.on + 0.02) for window in windows)


def test_hum_that_is_too_weak_makes_no_window_and_no_endless_search() -> None:
    windows = Schedule(disturbance.hum(random.Random(1), 0.0, 0.1, 0.15))
    assert windows.before(100.0) == []


def test_a_window_that_lasts_longer_is_cut() -> None:
    schedule = Schedule(iter([Window(1.0, 5.0, space=True), Window(6.0, 7.0, space=False)]))
    assert schedule.before(1.0) == []
    assert schedule.before(2.0) == [Window(1.0, 2.0, space=True)]
    assert schedule.before(6.5) == [Window(2.0, 5.0, space=True), Window(6.0, 6.5, space=False)]
    assert schedule.before(99.0) == [Window(6.5, 7.0, space=False)]


def test_a_schedule_knows_whether_a_time_is_within_a_window() -> None:
    schedule = Schedule(disturbance.phases(0.0, 60.0, 0.5))
    assert [schedule.at(time) for time in (0.0, 29.9, 30.1, 59.9, 60.1, 400.0)] == [1, 1, 0, 0, 1, 0]


@given(
    edges=st.lists(st.floats(0, 10), max_size=12, unique=True).map(sorted),
    limits=st.lists(st.floats(0, 10), max_size=12, unique=True).map(sorted),
    kinds=st.lists(st.booleans(), min_size=6, max_size=6),
    cuts=st.lists(st.floats(0, 10), max_size=4),
)
def test_t1_does_what_the_meter_says_but_for_windows(
    edges: list[float], limits: list[float], kinds: list[bool], cuts: list[float]
) -> None:
    windows = [Window(*pair, kind) for *pair, kind in zip(limits[::2], limits[1::2], kinds, strict=False)]
    imposed, before = [], 0.0
    over = Disturbance(iter(windows))
    for cut in [*sorted(cuts), 11.0]:
        imposed += over.impose([edge for edge in edges if before <= edge < cut], over.before(cut), cut)
        before = cut
    assert imposed == sorted(imposed)
    corners = sorted([0.0, *edges, *limits, *cuts, 11.0])
    for one, other in pairwise(corners):
        if other - one > 1e-9:
            time = (one + other) / 2
            held = [window.space for window in windows if window.on < time < window.off]
            expected = held[0] if held else bisect_right(edges, time) % 2 == 1
            assert bisect_right(imposed, time) % 2 == expected
