"""The state of a link in one word: the first that holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from p1_exporter.link.record import LinkRecord, LinkSnapshot, PortInfo
from p1_exporter.link.state import STATES, link_state

NOW = 1000.0


def link(
    *,
    port_open: bool = True,
    started: float = 0.0,
    last_byte: float | None = NOW,
    interval: float | None = 10.0,
    reachability: float | None = 1.0,
) -> LinkSnapshot:
    snapshot = LinkRecord(started, PortInfo("/dev/ttyUSB0")).snapshot(pending_bytes=0, pending=False)
    return replace(
        snapshot,
        port_open=port_open,
        last_byte=last_byte,
        last_accepted=last_byte,
        interval=interval,
        reachability=reachability,
    )


def test_the_states_are_in_the_order_in_which_they_are_looked_for() -> None:
    assert STATES == ("disconnected", "starting", "silent", "failing", "degraded", "ok")


def test_each_state_gives_way_to_those_before_it() -> None:
    degraded = link(reachability=0.9)
    failing = replace(degraded, reachability=0.0)
    silent = replace(failing, last_byte=None)
    starting = replace(silent, started=NOW - 1)
    disconnected = replace(starting, port_open=False)
    links = (disconnected, starting, silent, failing, degraded, link())
    assert tuple(link_state(one, NOW) for one in links) == STATES


@pytest.mark.parametrize(("age", "state"), [(0, "starting"), (59.9, "starting"), (60, "ok"), (1e6, "ok")])
def test_a_link_is_starting_for_its_first_minute_however_good_it_is(age: float, state: str) -> None:
    assert link_state(link(started=NOW - age), NOW) == state


@pytest.mark.parametrize(
    ("interval", "age", "state"),
    [
        (1.0, 30, "ok"),
        (1.0, 30.1, "silent"),
        (None, 30.1, "silent"),
        (60.0, 180, "ok"),
        (60.0, 180.1, "silent"),
    ],
)
def test_a_link_is_silent_after_the_expiry_without_a_byte(
    interval: float | None, age: float, state: str
) -> None:
    assert link_state(link(last_byte=NOW - age, interval=interval), NOW) == state


def test_a_link_that_never_gave_a_byte_is_silent() -> None:
    assert link_state(link(last_byte=None, interval=None, reachability=None), NOW) == "silent"


def test_bytes_without_telegrams_are_a_failing_link() -> None:
    assert link_state(link(interval=None, reachability=None), NOW) == "failing"


@pytest.mark.parametrize(
    ("accepted", "state"),
    [
        (64, "ok"),
        (63, "degraded"),
        (33, "degraded"),
        (32, "degraded"),
        (31, "failing"),
        (0, "failing"),
    ],
)
def test_over_one_per_cent_is_degraded_and_over_half_is_failing(accepted: int, state: str) -> None:
    assert link_state(link(reachability=accepted / 64), NOW) == state


def test_one_failure_in_a_hundred_is_not_yet_degraded() -> None:
    assert link_state(link(reachability=0.99), NOW) == "ok"
    assert link_state(link(reachability=0.989), NOW) == "degraded"
