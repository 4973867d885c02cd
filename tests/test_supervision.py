"""When signs of life are given, and what is said of the meters."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from p1_exporter.link.diagnosis import Diagnosis
from p1_exporter.link.port import EndOfInput, PortError
from p1_exporter.meter import Meter
from p1_exporter.service_manager import ServiceManager
from p1_exporter.supervision import Supervision, describe
from tests.service_manager import Listener
from tests.telegram.telegrams import TELEGRAM
from tests.test_meter import MISSING, SETTINGS, Stage, Step, every, nothing, playing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from structlog.typing import EventDict

ALIVE = "WATCHDOG=1"
WATCHDOG_SECONDS = 30


class Watched:
    """The supervision of some meters, and the service manager that hears of it."""

    def __init__(self, path: Path, *, watchdog: bool = True) -> None:
        self.listener = Listener(str(path / "notify"))
        usec = {"WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000)} if watchdog else {}
        self.manager = ServiceManager(self.listener.environ(**usec))
        self.meters: list[Meter] = []
        self._supervision = Supervision(self.manager, self._now)

    def _now(self) -> Iterable[Meter]:
        return self.meters

    def look(self, now: float) -> list[str]:
        """What is told at this time."""
        self.wait = self._supervision.look(now)
        return self.listener.waiting()

    def close(self) -> None:
        self.manager.close()
        self.listener.__exit__(None, None, None)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with closing(Watched(tmp_path)) as all_of_it:
        yield all_of_it


def words(stage: Stage) -> str:
    return describe(stage.meter.snapshot, stage.meter.ailment(), stage.clock.now)


# The watchdog.


def test_a_sign_of_life_is_given_at_once_and_then_twice_as_often_as_is_asked_for(watched: Watched) -> None:
    assert watched.look(1000.0) == [ALIVE]
    assert watched.wait == 1
    given = [tenth / 10 for tenth in range(10_001, 11_000) if watched.look(tenth / 10)]
    assert given == [1015, 1030, 1045, 1060, 1075, 1090]


def test_looks_come_in_time_for_the_next_sign_of_life(watched: Watched) -> None:
    now, given = 500.0, []
    while now < 1000:
        given += [now] if ALIVE in watched.look(now) else []
        assert watched.wait
        now += watched.wait
    assert given == list(range(500, 1000, WATCHDOG_SECONDS // 2))


def test_a_look_that_comes_late_is_made_up_for_at_once(watched: Watched) -> None:
    assert watched.look(10.0) == [ALIVE]
    assert watched.look(10.0 + 300) == [ALIVE]
    assert watched.look(10.0 + 301) == []


def test_where_nobody_asks_for_signs_of_life_there_are_none(tmp_path: Path) -> None:
    with closing(Watched(tmp_path, watchdog=False)) as watched:
        assert [watched.look(float(now)) for now in range(100)] == [[]] * 100
        assert watched.wait == 1


def test_without_a_service_manager_nothing_is_looked_at() -> None:
    def meters() -> Iterable[Meter]:
        pytest.fail("somebody looked")

    assert Supervision(ServiceManager({}), meters).look(0.0) is None


def test_a_read_that_never_returns_ends_the_signs_of_life_until_it_does(watched: Watched) -> None:
    with capture_logs() as logs, playing(every(1, TELEGRAM)) as stage:
        watched.meters = [stage.meter]
        start = stage.clock.now
        # The thread waits in a read, from now on.
        assert ALIVE in watched.look(start)
        stage.clock.now = start + 59.9
        assert ALIVE in watched.look(stage.clock.now)
        stage.clock.now = start + 60
        assert watched.look(stage.clock.now) == ["STATUS=main: its thread is stuck"]
        for later in range(61, 500):
            stage.clock.now = start + later
            assert watched.look(stage.clock.now) == []
            assert watched.wait is not None
            assert 0 < watched.wait <= 1
        assert [entry for entry in logs if entry["log_level"] == "error"] == [
            {
                "event": "a meter needs p1-exporter to start anew",
                "log_level": "error",
                "meter": "main",
                "reason": "its thread is stuck",
                "hint": "the service manager will do that by itself; the other meters miss some telegrams then",
            }
        ]
        stage.goes_on(*nothing(1))
        assert ALIVE in watched.look(stage.clock.now)


def test_an_opening_may_take_three_minutes_but_no_more(watched: Watched) -> None:
    # Without a session the port is opened for ever.
    with playing() as stage:
        watched.meters = [stage.meter]
        assert watched.look(0.0) == ["STATUS=main: opening /dev/ttyUSB0", ALIVE]
        stage.clock.now = 179.9
        assert watched.look(179.9) == [ALIVE]
        stage.clock.now = 180.0
        assert watched.look(300.0) == ["STATUS=main: its thread is stuck"]


def test_waiting_for_a_port_for_an_hour_is_no_reason_to_be_worried(watched: Watched) -> None:
    with playing(*[MISSING] * 800, [Step(0, EndOfInput())]) as stage:
        assert stage.clock.now > 3600
        watched.meters = [stage.meter]
        assert ALIVE in watched.look(stage.clock.now)


def test_a_silent_line_is_no_reason_to_be_worried(watched: Watched) -> None:
    with playing(nothing(4000)) as stage:
        watched.meters = [stage.meter]
        assert watched.look(stage.clock.now) == ["STATUS=main: silent", ALIVE]


def crashed(watched: Watched, patch: pytest.MonkeyPatch) -> tuple[list[object], list[EventDict]]:
    """A meter of which the thread has ended with an error that nobody expected; what was raised and logged."""
    raised: list[object] = []
    patch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    with capture_logs() as logs, playing([Step(1, EndOfInput())]) as good:
        stage = Stage([[Step(1, ZeroDivisionError("a mistake"))]])
        patch.setattr("p1_exporter.meter.open_port", stage.open)
        bad = Meter(replace(SETTINGS, name="annex"))
        stage.meter = bad
        watched.meters = [good.meter, bad]
        bad.start()
        until = time.monotonic() + 10
        while bad.healthy():
            assert time.monotonic() < until, "its thread did not end"
        assert watched.look(good.clock.now)[0].endswith("; annex: its thread has ended")
        assert good.meter.healthy()
        assert [watched.look(good.clock.now + later) for later in range(500)] == [[]] * 500
    return raised, logs


def test_a_thread_that_ends_unexpectedly_ends_the_signs_of_life_and_both_is_said(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised, logs = crashed(watched, monkeypatch)
    assert [str(error) for error in raised] == ["a mistake"]
    told = [(entry["meter"], entry["event"]) for entry in logs if entry["log_level"] == "error"]
    assert told == [
        ("annex", "this meter is read no more, its thread has ended"),
        ("annex", "a meter needs p1-exporter to start anew"),
    ]


def test_the_clock_on_the_wall_may_jump(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(every(1, TELEGRAM)) as stage:
        watched.meters = [stage.meter]
        for years in (-30, 30):
            monkeypatch.setattr(stage.clock, "time", lambda years=years: years * 31_557_600.0)
            stage.goes_on(*every(1, TELEGRAM), *nothing(20))
            assert stage.link.fresh(stage.clock.now)
            assert ALIVE in watched.look(stage.clock.now)


# The words.


def test_the_status_is_told_when_it_changes(watched: Watched) -> None:
    with playing(every(1, *[TELEGRAM] * 100)) as stage:
        watched.meters = [stage.meter]
        now = stage.clock.now
        assert watched.look(now) == ["STATUS=main: ok", ALIVE]
        assert watched.look(now + 1) == []
        assert watched.look(now + 14) == []
        assert watched.look(now + 60) == ["STATUS=main: silent", ALIVE]


def test_a_meter_that_was_just_started_says_so() -> None:
    with playing(every(1, TELEGRAM)) as stage:
        assert words(stage) == "main: starting"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PortError("missing", "/dev/ttyUSB0: no such device. Plug the adapter in, or name another port."),
            "main: disconnected, /dev/ttyUSB0: no such device",
        ),
        (
            PortError("refused", "cannot connect to 10.0.0.2:23: connection refused. Is the server running?"),
            "main: disconnected, cannot connect to 10.0.0.2:23: connection refused",
        ),
        (PortError("vanished", "/dev/ttyUSB0 vanished."), "main: disconnected, /dev/ttyUSB0 vanished"),
    ],
)
def test_a_port_that_is_closed_is_told_with_what_is_wrong_and_without_advice(
    error: PortError, said: str
) -> None:
    with playing(error, patient=True) as stage:
        assert words(stage) == said


def test_the_end_of_a_recording_is_told() -> None:
    with playing([*every(1, TELEGRAM), Step(1, EndOfInput())]) as stage:
        stage.comes_to(port_open=False)
        assert words(stage) == "main: disconnected, end of the recording"


def test_faults_of_the_link_are_named() -> None:
    with playing(every(1, *[TELEGRAM] * 100)) as stage:
        snapshot = stage.meter.snapshot
        faults = (Diagnosis("wrong_speed", 0.9, "x"), Diagnosis("noise", 0.9, "x"))
        ill = replace(snapshot, watch=snapshot.watch._replace(faults=faults))
        assert describe(ill, "", stage.clock.now) == "main: ok (wrong speed, noise)"


def test_each_meter_has_its_words(watched: Watched) -> None:
    with playing(every(1, *[TELEGRAM] * 100)) as stage:
        watched.meters = [stage.meter, Meter(replace(SETTINGS, name="annex"))]
        assert watched.look(stage.clock.now)[0] == "STATUS=main: ok; annex: its thread has ended"
