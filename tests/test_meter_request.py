"""The request line of a meter: held or now and then, and what is cut by it, which counts as nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from p1_exporter.link.port import Chunk, PortError, PortSettings
from p1_exporter.link.request import ASK_SECONDS
from p1_exporter.link.state import link_state
from tests.telegram.telegrams import OLD_TELEGRAM, TELEGRAM, sealed, telegram
from tests.test_meter import (
    SESSIONS,
    SETTINGS,
    STEPS,
    UNPLUGGED,
    ScriptedPort,
    Session,
    Stage,
    Step,
    assert_lawful,
    every,
    nothing,
    playing,
)

if TYPE_CHECKING:
    from p1_exporter.link.record import LinkSnapshot

HELD = replace(SETTINGS, port=PortSettings("/dev/ttyUSB0", 115_200, "rts"))
EVERY_MINUTE = replace(SETTINGS, port=PortSettings("/dev/ttyUSB0", 115_200, "rts", 60.0))
DAMAGED = TELEGRAM.replace(b"00.345", b"99.345")


# A line that is held.


@pytest.mark.parametrize("cut", [TELEGRAM[:100], TELEGRAM[:60] + TELEGRAM[90:]])
def test_the_first_telegram_after_the_line_was_raised_may_be_cut(cut: bytes) -> None:
    with playing(every(1, cut, TELEGRAM), of=HELD) as stage:
        assert (stage.errors, stage.dropped) == ({}, {"noise": len(cut)})
        assert (stage.link.telegrams, stage.link.accepted) == (1, 1)
        assert stage.link.reachability == 1
        assert stage.switched == [(0.0, True)]


def test_one_that_stays_unfinished_counts_as_nothing_either() -> None:
    with playing([*every(1, TELEGRAM[:100]), *nothing(5)], of=HELD) as stage:
        assert (stage.errors, stage.dropped, stage.link.telegrams) == ({}, {"noise": 100}, 0)


@pytest.mark.parametrize(
    "first", [TELEGRAM[:100] + TELEGRAM, DAMAGED + TELEGRAM, TELEGRAM, TELEGRAM[150:] + TELEGRAM]
)
def test_only_the_first_is_forgiven(first: bytes) -> None:
    with playing(every(1, first, DAMAGED, TELEGRAM, TELEGRAM[:100], TELEGRAM), of=HELD) as stage:
        assert stage.errors == {"crc": 1, "truncated": 1}
        assert (stage.link.accepted, stage.link.telegrams) == (3, 5)


def test_a_link_that_damages_every_telegram_is_not_forgiven() -> None:
    with playing(every(1, *[DAMAGED] * 10), of=HELD) as stage:
        assert stage.errors == {"crc": 9}


@pytest.mark.parametrize(
    ("first", "reason"),
    [(sealed(b"/TST5\\2M550T-1011\r\n\r\n"), "malformed"), (OLD_TELEGRAM, "implausible")],
)
def test_a_whole_telegram_is_not_forgiven_though_it_is_the_first(first: bytes, reason: str) -> None:
    with playing(every(1, first), of=HELD) as stage:
        assert stage.errors == {reason: 1}


def test_without_request_line_nothing_is_forgiven() -> None:
    with playing(every(1, DAMAGED, TELEGRAM)) as stage:
        assert stage.errors == {"crc": 1}
        assert stage.switched == []


def test_while_the_first_telegram_arrives_it_is_not_counted() -> None:
    with playing(every(0.01, TELEGRAM[:100]), of=HELD) as stage:
        assert (stage.link.telegrams, stage.link.pending, stage.link.pending_bytes) == (0, 0, 100)
        stage.goes_on(*every(0.01, TELEGRAM[100:]))
        assert (stage.link.telegrams, stage.link.accepted, stage.link.pending_bytes) == (1, 1, 0)
        stage.goes_on(*every(0.99, TELEGRAM[:100]))
        assert (stage.link.telegrams, stage.link.pending) == (2, 1)


def test_a_first_telegram_that_was_cut_begins_no_interval() -> None:
    with playing([Step(1, TELEGRAM[:100]), Step(3, TELEGRAM), Step(10, TELEGRAM)], of=HELD) as stage:
        assert (stage.link.accepted, stage.link.interval) == (2, 10)


def test_after_the_port_was_opened_anew_a_first_telegram_is_forgiven_again() -> None:
    lost = Step(0.5, UNPLUGGED)
    with playing([*every(1, TELEGRAM), lost], [*every(1, DAMAGED, TELEGRAM)], of=HELD) as stage:
        assert (stage.errors, stage.link.accepted) == ({}, 2)
        assert [asserted for _, asserted in stage.switched] == [True, False, True]


def test_a_telegram_that_was_cut_as_the_port_broke_is_an_error() -> None:
    with playing([*every(1, TELEGRAM, TELEGRAM[:100]), Step(0.1, UNPLUGGED)], of=HELD) as stage:
        assert stage.errors == {"truncated": 1}


# A line that is raised now and then.


def test_the_line_is_released_as_soon_as_a_telegram_was_accepted() -> None:
    with playing([*every(1, TELEGRAM), *nothing(2)], of=EVERY_MINUTE) as stage:
        assert stage.switched == [(0, True), (1, False)]
        assert stage.link.request_asserted is False
        stage.goes_on(*nothing(56))
        assert stage.link.request_asserted is False
        stage.goes_on(*nothing(1))
        assert stage.link.request_asserted is True
        assert stage.switched[2:] == [(60, True)]


def test_what_the_metric_shows_is_what_the_line_is_at_every_moment() -> None:
    with playing([*every(1, TELEGRAM), *nothing(70)], of=EVERY_MINUTE) as stage:
        assert [link.request_asserted for link in stage.seen] == (
            # The meter begins, the port opens, it is read; then once a second.
            [False, False, True] + [False] * 59 + [True] * 12
        )


def test_the_wait_for_bytes_ends_when_the_line_is_to_be_raised() -> None:
    with playing([Step(0.3, TELEGRAM), Step(59.5, None), Step(0.2, None)], of=EVERY_MINUTE) as stage:
        assert stage.timeouts == pytest.approx([1, 1, 0.2, 1])


def test_a_telegram_that_the_release_cuts_counts_as_nothing() -> None:
    tail = TELEGRAM[150:]
    steps = [Step(1, TELEGRAM + TELEGRAM[:100]), Step(0.1, TELEGRAM[100:120]), *nothing(59), Step(1, tail)]
    with playing([*steps, *every(1, telegram(7))], of=EVERY_MINUTE) as stage:
        for link in stage.seen:
            assert link.pending == 0
            assert_lawful(link)
        assert (stage.errors, stage.dropped) == ({}, {"noise": 120 + len(tail)})
        assert (stage.link.telegrams, stage.link.accepted) == (2, 2)


def test_what_the_release_has_cut_does_not_go_on_when_the_line_is_raised_again() -> None:
    # The first half of one telegram and the second of another, 2 s apart, would be a whole one.
    of = replace(EVERY_MINUTE, port=replace(EVERY_MINUTE.port, request_interval=2.0))
    with playing(
        [Step(0.1, telegram(1) + TELEGRAM[:100]), *nothing(2), Step(0.1, TELEGRAM[100:] + telegram(2))], of=of
    ) as stage:
        assert stage.link.accepted == 2
        assert (stage.errors, stage.dropped) == ({}, {"noise": len(TELEGRAM)})


def test_a_whole_telegram_that_was_on_its_way_when_the_line_was_released_is_accepted() -> None:
    with playing([Step(1, telegram(1) + telegram(2))], of=EVERY_MINUTE) as stage:
        assert (stage.link.accepted, stage.errors, stage.value("p1_power_import_watts")) == (2, {}, 2)
        assert stage.link.interval == 60


def test_a_rejected_telegram_is_an_answer_but_for_the_first_cut_one() -> None:
    with playing([*every(1, DAMAGED, DAMAGED), *nothing(1)], of=EVERY_MINUTE) as stage:
        assert stage.switched == [(0, True), (2, False)]
        assert stage.errors == {"crc": 1}


def test_without_checksum_the_second_answer_agrees_with_the_first() -> None:
    with playing([*every(1, OLD_TELEGRAM), *nothing(59), *every(1, OLD_TELEGRAM)], of=EVERY_MINUTE) as stage:
        assert (stage.errors, stage.link.accepted) == ({"implausible": 1}, 1)
        assert stage.switched == [(0, True), (1, False), (60, True), (61, False)]


def test_a_silent_meter_is_asked_for_25_seconds_each_time_and_missed_once() -> None:
    steps = [*every(1, TELEGRAM), *nothing(85)]
    with playing(steps, of=EVERY_MINUTE) as stage:
        assert stage.switched[2:] == [(60, True), (60 + ASK_SECONDS, False)]
        assert stage.link.missed == 1
        stage.goes_on(*nothing(59))
        assert (stage.link.missed, stage.switched[4:]) == (1, [(120, True), (145, False)])
        stage.goes_on(*nothing(1))
        assert (stage.link.missed, stage.link.reachability) == (2, 1 / 3)


def test_a_line_that_cannot_be_raised_again_is_trouble_with_the_port() -> None:
    busy = PortError("busy", "request line gpio:4: GPIO4 is in use.")
    stage = FailingStage([[*every(1, TELEGRAM), *nothing(60)], every(1, TELEGRAM)], busy)
    with capture_logs() as logs, playing(of=EVERY_MINUTE, stage=stage):
        assert stage.link.port_errors["busy"] == 1
        assert (stage.link.port_opens, stage.link.accepted, stage.link.request_asserted) == (2, 2, False)
    assert str(busy) in [entry.get("error") for entry in logs]


class FailingStage(Stage):
    """The line can be raised when the port opens, but not the second time."""

    def __init__(self, sessions: list[Session], error: PortError) -> None:
        super().__init__(sessions)
        self._errors = [error]

    def switch(self, asserted: bool) -> None:  # noqa: FBT001 - as a request line calls it
        super().switch(asserted)
        if asserted and self.clock.now >= 60 and self._errors:
            raise self._errors.pop()


def test_with_a_reload_the_line_may_be_held_or_no_longer() -> None:
    with playing([*every(1, *[TELEGRAM] * 20)], of=HELD) as stage:
        assert stage.link.interval == 1
        stage.reopens(EVERY_MINUTE, [*every(1, TELEGRAM), *nothing(80)])
        assert (stage.link.interval, stage.link.expiry, stage.link.missed) == (60, 180, 0)
        stage.reopens(HELD, every(1, *[TELEGRAM] * 10))
        assert stage.link.interval == 1
        assert stage.link.request_asserted is True


# A meter that heeds the line.


class Sender(NamedTuple):
    """How a meter sends: so often, for so long, and whether at once when it is asked."""

    interval: float
    duration: float
    at_once: bool = False


class AskedStage(Stage):
    """A meter that sends while its line is raised, and what is seen of it until `end`."""

    def __init__(self, sender: Sender, end: float) -> None:
        super().__init__([])
        self.end = end
        self.times: list[float] = []
        self.sender = sender
        self.began = 0.0
        """When the meter began to send, though nobody may have listened."""

    def open(self, port: PortSettings) -> ScriptedPort:
        self.opened.append(port)
        return AskedPort(self, port)

    def switch(self, asserted: bool) -> None:  # noqa: FBT001 - as a request line calls it
        super().switch(asserted)
        if asserted and self.sender.at_once:
            self.began = self.clock.now

    def watch(self) -> None:
        self.times.append(self.clock.now)
        super().watch()


class AskedPort(ScriptedPort):
    """Gives what the meter has sent every 50 ms."""

    def __init__(self, stage: AskedStage, port: PortSettings) -> None:
        super().__init__(stage, port, [])
        self._asked = stage

    def _read(self, timeout: float) -> Chunk | None:
        clock = self._asked.clock
        self._asked.watch()
        if clock.now >= self._asked.end:
            self._asked.finished.set()
            self._waker.wait(60)
            return None
        before = clock.now
        until = before + max(timeout, 0.001)
        while clock.now < until:
            clock.now = min(until, clock.now + 0.05)
            data = self._sent(before, clock.now) if self.request_asserted else b""
            if data:
                return Chunk(clock.now, data)
            before = clock.now
        return None

    def _sent(self, since: float, until: float) -> bytes:
        """What is sent from one time to another."""
        return self._up_to(until)[len(self._up_to(since)) :]

    def _up_to(self, moment: float) -> bytes:
        sender = self._asked.sender
        whole, rest = divmod(moment - self._asked.began, sender.interval)
        part = min(1.0, rest / sender.duration)
        return TELEGRAM * int(whole) + TELEGRAM[: math.floor(part * len(TELEGRAM))]


SENDERS = {
    "DSMR 5": Sender(1, 0.1),
    "DSMR 5, long": Sender(1, 0.95),
    "DSMR 4": Sender(10, 0.1),
    "DSMR 4, at once": Sender(10, 0.1, at_once=True),
    "9600 baud": Sender(10, 1.2),
    "Luxembourg": Sender(10, 8, at_once=True),
}


@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS)
@pytest.mark.parametrize("interval", [12.0, 15.3, 60.0, 600.0])
def test_a_meter_that_is_asked_now_and_then_is_well(sender: Sender, interval: float) -> None:
    of = replace(EVERY_MINUTE, port=replace(EVERY_MINUTE.port, request_interval=interval))
    stage = AskedStage(sender, end=20 * interval)
    with playing(of=of, stage=stage):
        accepted = [(now, link) for now, link in zip(stage.times, stage.seen, strict=True) if link.accepted]
        assert len(accepted) > 20
        for now, link in accepted:
            assert_lawful(link)
            assert link.fresh(now)
            assert (link.missed, link.reachability, sum(link.errors.values())) == (0, 1, 0)
            assert link_state(link, now) in {"starting", "ok"}
        for before, after in pairwise(stage.seen):
            assert before.telegrams <= after.telegrams
        # A telegram each time, but that a slow meter may need longer than the interval.
        assert stage.link.accepted == pytest.approx(20, abs=2 if interval > ASK_SECONDS else 10)
        assert stage.link.interval == pytest.approx(interval, rel=0.1 if interval > ASK_SECONDS else 0.7)
        assert stage.link.expiry >= 3 * interval
        assert_quiet(stage)


def assert_quiet(stage: Stage) -> None:
    """The line was raised and released in turn, and never for longer than it took."""
    assert [asserted for _, asserted in stage.switched] == [
        number % 2 == 0 for number in range(len(stage.switched))
    ]
    for (raised, _), (released, _) in zip(stage.switched[::2], stage.switched[1::2], strict=False):
        assert released - raised <= ASK_SECONDS


def test_a_slow_meter_may_be_asked_too_often_and_is_well_all_the_same() -> None:
    of = replace(EVERY_MINUTE, port=replace(EVERY_MINUTE.port, request_interval=2.0))
    stage = AskedStage(SENDERS["DSMR 4"], end=600)
    with playing(of=of, stage=stage):
        assert stage.link.accepted == pytest.approx(60, abs=2)
        assert (stage.errors, stage.link.missed) == ({}, 0)


# What holds always.


@given(
    sessions=st.lists(SESSIONS, max_size=4),
    last=st.lists(STEPS, max_size=8),
    interval=st.sampled_from([None, 2.0, 60.0]),
)
@settings(max_examples=150, deadline=None)
def test_the_laws_hold_at_every_moment_however_the_meter_is_asked(
    sessions: list[Session], last: list[Step], interval: float | None
) -> None:
    of = replace(HELD, port=replace(HELD.port, request_interval=interval))
    with capture_logs(), playing(*sessions, last, of=of) as stage:
        stage.stop()
        seen: list[LinkSnapshot] = [*stage.seen, stage.link]
        for link in seen:
            assert_lawful(link)
        for before, after in pairwise(seen):
            assert before.telegrams <= after.telegrams
            assert before.missed <= after.missed
        assert (stage.link.pending, stage.link.pending_bytes, stage.link.request_asserted) == (0, 0, False)
        switches = [asserted for _, asserted in stage.switched]
        assert switches == [number % 2 == 0 for number in range(len(switches))]
