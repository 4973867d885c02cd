"""How long to wait before a port is tried again."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from p1_exporter.link.backoff import Backoff


class LongestWait(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def test_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(60, LongestWait())
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    ("url", "cap"), [("/dev/ttyUSB0", 5), ("socket://meter:2000", 60), ("rfc2217://meter:2000", 60)]
)
def test_a_local_device_is_tried_more_often_than_a_server(url: str, cap: float) -> None:
    backoff = Backoff.for_port(url)
    waits = [backoff.next() for _ in range(2000)]
    assert 0.8 <= waits[0] <= 1
    assert 0.8 * cap <= min(waits[10:]) <= max(waits[10:]) <= cap
    assert all(later <= 2.5 * earlier for earlier, later in pairwise(waits))


def test_readers_that_lost_the_same_server_spread_out() -> None:
    assert len({Backoff(60).next() for _ in range(50)}) > 10


def test_after_a_success_waits_start_over() -> None:
    backoff = Backoff(60, LongestWait())
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.next() == 1
