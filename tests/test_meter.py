"""The thread of one meter: from what its port gives to what others see."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, NamedTuple, Self, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from p1_exporter.link.backoff import Backoff
from p1_exporter.link.port import Chunk, EndOfInput, Port, PortError, PortSettings
from p1_exporter.link.reception import Understanding
from p1_exporter.link.record import PORT_REASONS, LinkSnapshot, PortInfo
from p1_exporter.link.request import ControlLine
from p1_exporter.meter import Meter, MeterSettings
from p1_exporter.simulator.encryption import KEY
from p1_exporter.simulator.models import MODELS, wire_bytes
from p1_exporter.telegram import parity
from p1_exporter.telegram.cipher import Cipher
from tests.telegram.telegrams import HEADER, LINES, OLD_TELEGRAM, TELEGRAM, sealed, telegram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict

    from p1_exporter.link.share import ShareServer
    from p1_exporter.meter import MeterSnapshot

WALL = 1_795_425_300.0
"""What the system's clock shows when the monotonic one is at 0: the time in TELEGRAM, 2026-11-23 10:15:00."""
DEVICE = PortSettings("/dev/ttyUSB0", 115_200)
SETTINGS = MeterSettings("main", DEVICE)
UNPLUGGED = PortError("vanished", "/dev/ttyUSB0 vanished.")
MISSING = PortError("missing", "/dev/ttyUSB0 is not there.")


class Step(NamedTuple):
    """What one read gives, so many seconds after the one before."""

    after: float
    what: bytes | Exception | None
    """None: nothing came."""
    lag: float = 0.0
    """Seconds from the arrival of the first byte to the return of the read."""


Session = list[Step] | PortError
"""What a port gives from its opening on, or why it does not open."""


class Clock:
    """The clocks of the system; they stand still unless they are advanced."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return WALL + self.now


class ScriptedPort(Port):
    def __init__(self, stage: Stage, port: PortSettings, steps: list[Step]) -> None:
        super().__init__(port, "scripted")
        self._request = None if port.request_line == "none" else ControlLine(stage.switch)
        self.request(asserted=True)
        self.steps = steps
        self._stage = stage

    def _read(self, timeout: float) -> Chunk | None:
        self._stage.watch()
        self._stage.timeouts.append(timeout)
        if not self.steps:
            self._stage.finished.set()
            self._waker.wait(60)
            return None
        step = self.steps.pop(0)
        self._stage.clock.now += step.after
        if isinstance(step.what, EndOfInput):
            # Nothing is read any more and nothing opened.
            self._stage.finished.set()
        if isinstance(step.what, Exception):
            raise step.what
        arrived = self._stage.clock.now
        self._stage.clock.now += step.lag
        return None if step.what is None else Chunk(arrived, step.what)

    def _close(self) -> None:
        self._stage.closed += 1


class LongestWait(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


class InstantBackoff(Backoff):
    """Waits as long as the real one, on the stage's clock; or in truth, if the stage is `patient`."""

    def __init__(self, stage: Stage, cap: float) -> None:
        super().__init__(cap, LongestWait())
        self._stage = stage

    def next(self) -> float:
        seconds = super().next()
        self._stage.waits.append(seconds)
        if self._stage.patient:
            self._stage.finished.set()
            return 60.0
        self._stage.clock.now += seconds
        return 0.0


class Stage:
    """A meter whose port follows a script, and all that was seen of it meanwhile."""

    def __init__(self, sessions: list[Session], *, patient: bool = False) -> None:
        self.clock = Clock()
        self.sessions = sessions
        self.patient = patient
        self.opened: list[PortSettings] = []
        self.closed = 0
        self.switched: list[tuple[float, bool]] = []
        """When the request line was raised and when it was released."""
        self.timeouts: list[float] = []
        self.waits: list[float] = []
        self.snapshots: list[MeterSnapshot] = []
        self.finished = threading.Event()
        self._released = threading.Event()
        self._port: ScriptedPort | None = None
        self.meter: Meter

    def start(self, of: MeterSettings, share: ShareServer | None) -> Self:
        self.meter = Meter(of, share)
        self.watch()
        self.meter.start()
        assert self.finished.wait(10)
        return self

    def for_port(self, url: str) -> InstantBackoff:
        return InstantBackoff(self, 60.0 if "://" in url else 5.0)

    def open(self, port: PortSettings) -> ScriptedPort:
        self.watch()
        self.opened.append(port)
        if not self.sessions:
            self.finished.set()
            self._released.wait(60)
            raise PortError("other", "The script is at its end.")
        session = self.sessions.pop(0)
        if isinstance(session, PortError):
            raise session
        self._port = ScriptedPort(self, port, [*session])
        return self._port

    def switch(self, asserted: bool) -> None:  # noqa: FBT001 - as a request line calls it
        self.switched.append((self.clock.now, asserted))

    def watch(self) -> None:
        self.snapshots.append(self.meter.snapshot)

    def goes_on(self, *steps: Step) -> None:
        """Let the open port give more, and wait until the meter has taken it."""
        assert self._port
        self.finished.clear()
        self._port.steps.extend(steps)
        self._port.wake()
        assert self.finished.wait(10)

    def reopens(self, of: MeterSettings, session: Session, share: ShareServer | None = None) -> None:
        self.finished.clear()
        self.sessions.append(session)
        self.meter.reopen(of, share)
        assert self.finished.wait(10)

    def comes_to(self, *, port_open: bool) -> None:
        """Wait until the meter has noticed the end of a recording: no other call of its marks that."""
        until = time.monotonic() + 10
        while self.link.port_open != port_open:
            assert time.monotonic() < until, "it did not come to pass"

    def stop(self) -> None:
        self._released.set()
        self.meter.stop(10)
        assert not self.meter.healthy()

    @property
    def seen(self) -> list[LinkSnapshot]:
        """The link in each snapshot."""
        return [snapshot.link for snapshot in self.snapshots]

    @property
    def link(self) -> LinkSnapshot:
        return self.meter.snapshot.link

    @property
    def errors(self) -> dict[str, int]:
        """Rejected telegrams by reason, where there are any."""
        return {reason: count for reason, count in self.link.errors.items() if count}

    @property
    def dropped(self) -> dict[str, int]:
        return {reason: count for reason, count in self.link.dropped_bytes.items() if count}

    def value(self, name: str) -> float:
        """The value of the only sample of this name in the newest telegram."""
        assert self.meter.snapshot.telegram
        found = self.meter.snapshot.telegram.accepted.samples
        (value,) = [sample.value for line in found.by_line for sample in line if sample.name == name]
        return value


@contextmanager
def playing(
    *sessions: Session,
    of: MeterSettings = SETTINGS,
    share: ShareServer | None = None,
    patient: bool = False,
    stage: Stage | None = None,
) -> Iterator[Stage]:
    """Run a meter to the end of the script; the last session stays open. Or of what `stage` has for it."""
    stage = stage or Stage(list(sessions), patient=patient)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("p1_exporter.meter.time", stage.clock)
        patch.setattr("p1_exporter.meter.open_port", stage.open)
        patch.setattr("p1_exporter.meter.Backoff", stage)
        stage.start(of, share)
        try:
            yield stage
        finally:
            stage.stop()


def every(seconds: float, *telegrams: bytes) -> list[Step]:
    return [Step(seconds, one) for one in telegrams]


def nothing(seconds: int) -> list[Step]:
    """Reads that time out after a second each."""
    return [Step(1.0, None)] * seconds


def assert_lawful(link: LinkSnapshot) -> None:
    assert link.received_bytes == link.accepted_bytes + sum(link.dropped_bytes.values()) + link.pending_bytes
    assert link.telegrams == link.accepted + sum(link.errors.values()) + link.pending
    assert link.pending in {0, 1}


def events(logs: list[EventDict]) -> list[str]:
    return [entry["event"] for entry in logs]


# Telegrams.


def test_a_telegram_is_accepted_and_its_values_are_published() -> None:
    with playing(every(1, TELEGRAM)) as stage:
        assert (stage.link.telegrams, stage.link.accepted, stage.link.telegram_size) == (1, 1, len(TELEGRAM))
        assert stage.value("p1_power_import_watts") == 345
        assert stage.meter.snapshot.name == "main"


@pytest.mark.parametrize("size", [1, 7, 50, 223])
def test_the_pieces_in_which_a_telegram_arrives_make_no_difference(size: int) -> None:
    stream = b"\0\xff" + TELEGRAM + telegram(7) + TELEGRAM[:80]
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    with playing(every(0.01, *pieces)) as stage:
        assert (stage.link.telegrams, stage.link.accepted, stage.link.pending) == (3, 2, 1)
        assert (stage.dropped, stage.link.pending_bytes) == ({"noise": 2}, 80)
        assert stage.value("p1_power_import_watts") == 7


def test_before_the_first_telegram_there_are_no_values() -> None:
    with playing(every(1, TELEGRAM[:100])) as stage:
        assert stage.meter.snapshot.telegram is None
        assert (stage.link.telegrams, stage.link.pending, stage.link.pending_bytes) == (1, 1, 100)


def test_a_rejected_telegram_leaves_the_values_of_the_last_accepted_one() -> None:
    with playing(every(1, telegram(7), TELEGRAM.replace(b"00.345", b"99.345"))) as stage:
        assert stage.value("p1_power_import_watts") == 7
        assert stage.errors == {"crc": 1}


def test_one_bad_value_is_counted_and_costs_nothing_else() -> None:
    with playing(every(1, sealed(HEADER + LINES.replace(b"00.345", b"0O.345")))) as stage:
        assert (stage.link.accepted, stage.link.malformed_values) == (1, 1)
        assert stage.value("p1_gas_cubic_meters_total") == 123.456


def test_values_beyond_the_bound_on_series_are_counted() -> None:
    many = b"".join(b"1-0:200.7.%d(%d)\r\n" % (number % 250, number % 100) for number in range(300))
    with playing(every(1, sealed(HEADER + many))) as stage:
        assert stage.link.dropped_values == 44
    with playing(every(1, sealed(HEADER + many[: many.index(b"1-0:200.7.249")]))) as stage:
        assert stage.link.dropped_values == 0


@pytest.mark.parametrize("name", MODELS)
def test_the_telegrams_of_every_simulated_meter_are_accepted(name: str) -> None:
    model = MODELS[name]
    household = model.household(1)
    wire = [wire_bytes(model, household, int(WALL) + number * model.interval) for number in range(4)]
    of = replace(
        SETTINGS,
        understanding=Understanding(
            time_zone=model.time_zone, cipher=Cipher(KEY) if model.encrypted else None
        ),
    )
    with playing(every(model.interval, *wire), of=of) as stage:
        # Without a checksum, two must agree at first.
        assert stage.errors == ({} if model.checksum else {"implausible": 1})
        assert stage.link.telegrams == 4
        assert stage.link.malformed_values == 0
        assert stage.link.interval == model.interval


# Encrypted meters.


def encrypted(count: int) -> list[bytes]:
    model = MODELS["luxembourg"]
    household = model.household(1)
    return [wire_bytes(model, household, int(WALL) + 10 * number) for number in range(count)]


def test_encrypted_telegrams_without_a_key_are_counted_and_explained_once() -> None:
    wire = encrypted(5)
    with capture_logs() as logs, playing(every(10, *wire) + nothing(5)) as stage:
        assert stage.errors == {"decrypt": 5}
        assert stage.dropped == {"decrypt": sum(len(frame) for frame in wire)}
        assert stage.meter.snapshot.telegram is None
    (error,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert "--meter.key-file" in error["hint"]
    assert error["meter"] == "main"


def test_a_key_that_comes_with_a_reload_is_used_from_then_on() -> None:
    wire = encrypted(4)
    with playing(every(10, wire[0])) as stage:
        stage.reopens(
            replace(SETTINGS, understanding=Understanding(cipher=Cipher(KEY))), every(10, *wire[1:])
        )
        assert (stage.errors, stage.link.accepted) == ({"decrypt": 1}, 3)
        assert stage.link.interval == 10
        assert_lawful(stage.link)


# Silence.


def test_a_telegram_is_given_up_after_5_seconds_of_silence() -> None:
    half = TELEGRAM[:100]
    with playing([Step(1, half), Step(4.9, None)]) as stage:
        assert (stage.link.pending, stage.link.pending_bytes) == (1, 100)
        stage.goes_on(Step(0.1, None))
        assert (stage.link.pending, stage.link.pending_bytes) == (0, 0)
        assert (stage.errors, stage.dropped) == ({"truncated": 1}, {"truncated": 100})


def test_silence_counts_also_if_the_next_bytes_come_before_it_was_noticed() -> None:
    with playing([Step(1, TELEGRAM[:100]), Step(5, TELEGRAM[100:]), Step(1, TELEGRAM)]) as stage:
        assert stage.errors == {"truncated": 1}
        assert stage.dropped == {"truncated": 100, "noise": len(TELEGRAM) - 100}
        assert stage.link.accepted == 1


# The port.


def test_a_port_that_breaks_in_mid_telegram_leaves_it_truncated() -> None:
    rest = TELEGRAM[100:]
    with playing([Step(1, TELEGRAM[:100]), Step(0.1, UNPLUGGED)], every(1, rest, TELEGRAM)) as stage:
        assert stage.errors == {"truncated": 1}
        assert stage.dropped == {"truncated": 100, "noise": len(rest)}
        assert (stage.link.accepted, stage.link.port_opens, stage.link.port_open) == (1, 2, True)
        assert {reason: count for reason, count in stage.link.port_errors.items() if count} == {"vanished": 1}
        assert stage.closed == 1


def test_while_the_port_is_gone_it_is_said_to_be_closed_and_nothing_is_pending() -> None:
    with playing([Step(1, TELEGRAM[:100]), Step(0.1, UNPLUGGED)]) as stage:
        link = stage.link
        assert (link.port_open, link.pending, link.pending_bytes) == (False, 0, 0)
        assert link.port_opens == 1


def test_counters_go_on_after_the_port_was_opened_anew() -> None:
    lost = Step(1, UNPLUGGED)
    with playing([*every(1, TELEGRAM, TELEGRAM), lost], MISSING, [*every(1, TELEGRAM), lost], []) as stage:
        assert (stage.link.accepted, stage.link.received_bytes) == (3, 3 * len(TELEGRAM))
        assert stage.link.port_opens == 3
        assert (stage.link.port_errors["vanished"], stage.link.port_errors["missing"]) == (2, 1)
        assert stage.value("p1_power_import_watts") == 345


@pytest.mark.parametrize("reason", PORT_REASONS)
def test_failures_of_the_port_are_counted_by_reason(reason: str) -> None:
    error = PortError(reason, "No.")  # type: ignore[arg-type]  # of any of the reasons
    with playing(error, [Step(1, error)], error) as stage:
        assert {name: count for name, count in stage.link.port_errors.items() if count} == {reason: 3}


@pytest.mark.parametrize(
    ("url", "waits"),
    [("/dev/ttyUSB0", [1, 2, 4, 5, 5, 5, 5]), ("socket://meter:2000", [1, 2, 4, 8, 16, 32, 60])],
)
def test_between_attempts_the_meter_waits_longer_and_longer(url: str, waits: list[float]) -> None:
    with playing(*[MISSING] * 7, of=replace(SETTINGS, port=PortSettings(url))) as stage:
        assert stage.waits == waits


def test_a_port_that_opens_but_gives_nothing_is_retried_with_patience() -> None:
    accepts_and_closes: Session = [Step(0, PortError("closed", "The server closed the connection."))]
    of = replace(SETTINGS, port=PortSettings("socket://meter:2000"))
    with playing(*[accepts_and_closes] * 7, of=of) as stage:
        assert stage.waits == [1, 2, 4, 8, 16, 32, 60]
        assert stage.link.port_opens == 7


def test_after_the_port_gave_bytes_the_waits_start_over() -> None:
    with playing(MISSING, MISSING, MISSING, [*every(1, TELEGRAM), Step(1, UNPLUGGED)], MISSING) as stage:
        assert stage.waits == [1, 2, 4, 1, 2]


def test_the_end_of_a_recording_is_no_failure_and_nothing_is_tried_again() -> None:
    recording: Session = [*every(1, TELEGRAM), Step(0, TELEGRAM[:50]), Step(0, EndOfInput())]
    with capture_logs() as logs, playing(recording) as stage:
        stage.comes_to(port_open=False)
        assert stage.errors == {"truncated": 1}
        stage.stop()
        assert stage.waits == []
        assert len(stage.opened) == 1
        assert not any(stage.link.port_errors.values())
    assert [(entry["event"], entry.get("reason")) for entry in logs] == [
        ("port open", None),
        ("port closed", "end of the recording"),
    ]


def test_a_recording_is_read_again_when_the_meter_is_reopened() -> None:
    recording: Session = [*every(1, TELEGRAM), Step(0, EndOfInput())]
    with playing(recording) as stage:
        for times in (2, 3):
            stage.comes_to(port_open=False)
            stage.reopens(SETTINGS, recording)
            stage.comes_to(port_open=False)
            assert (stage.link.accepted, stage.link.port_opens) == (times, times)


def test_what_is_being_read_is_known_before_and_after_the_port_opens() -> None:
    of = replace(SETTINGS, port=PortSettings("/dev/ttyUSB0", 9600, "rts"))
    with playing([*every(1, TELEGRAM), Step(1, UNPLUGGED)], [], of=of) as stage:
        before, during, after = stage.seen[0], stage.seen[2], stage.seen[4]
        assert (before.port_open, before.port_opens) == (False, 0)
        assert before.port == PortInfo("/dev/ttyUSB0", "unknown", 9600, "8N1", "rts")
        assert (during.port_open, during.request_asserted) == (True, True)
        assert during.port == PortInfo("/dev/ttyUSB0", "scripted", 9600, "8N1", "rts")
        assert (after.port_open, after.request_asserted) == (False, False)
        assert after.port == during.port


# Logs.


def test_what_keeps_a_port_from_opening_is_said_once() -> None:
    with capture_logs() as logs, playing(*[MISSING] * 10):
        (entry,) = logs
    assert (entry["log_level"], entry["reason"], entry["error"]) == (
        "warning",
        "missing",
        "/dev/ttyUSB0 is not there.",
    )
    assert entry["meter"] == "main"


def test_another_obstacle_is_said_and_so_is_the_same_one_after_a_success() -> None:
    busy = PortError("busy", "/dev/ttyUSB0 is held by minicom.")
    success = [*every(1, TELEGRAM), Step(1, UNPLUGGED)]
    with capture_logs() as logs, playing(MISSING, MISSING, busy, busy, success, MISSING, MISSING):
        said = [entry.get("reason") if entry["log_level"] == "warning" else entry["event"] for entry in logs]
    assert said == ["missing", "busy", "port open", "vanished", "missing"]


def test_a_port_that_breaks_again_and_again_is_said_to_each_time() -> None:
    loses = [*every(1, TELEGRAM), Step(1, UNPLUGGED)]
    with capture_logs() as logs, playing(loses, loses):
        assert [entry.get("reason", entry["event"]) for entry in logs] == ["port open", "vanished"] * 2


def test_the_log_says_which_port_was_chosen_and_why() -> None:
    of = replace(SETTINGS, port_reason="the only USB serial adapter")
    with capture_logs() as logs, playing(every(1, TELEGRAM), of=of):
        pass
    assert logs[0] == {
        "event": "port open",
        "log_level": "info",
        "meter": "main",
        "port": "/dev/ttyUSB0",
        "driver": "scripted",
        "baudrate": 115_200,
        "reason": "the only USB serial adapter",
    }


def test_telegrams_and_noise_are_not_logged() -> None:
    bad = TELEGRAM.replace(b"00.345", b"99.345")
    with capture_logs() as logs, playing(every(1, TELEGRAM, bad, b"\xff" * 300, TELEGRAM[:50]) + nothing(60)):
        pass
    assert events(logs) == ["port open", "port closed"]


# Time.


def test_a_telegram_is_as_old_as_its_first_byte() -> None:
    # Read with delay, in three pieces, and with something else before it.
    steps = [
        Step(20, b"\0" * 10 + TELEGRAM[:60], lag=0.05),
        Step(0.3, TELEGRAM[60:120], lag=0.05),
        Step(0.3, TELEGRAM[120:], lag=0.05),
    ]
    with playing(steps) as stage:
        assert stage.link.last_accepted == 20
        assert stage.link.last_accepted_wall == pytest.approx(WALL + 20, abs=0.001, rel=0)
        assert stage.link.last_byte == pytest.approx(20.7)


def test_the_meters_clock_is_compared_with_the_time_of_reception() -> None:
    with playing([Step(7.0, TELEGRAM, lag=0.05)]) as stage:
        newest = stage.meter.snapshot.telegram
        assert newest
        assert newest.meter_time == WALL
        assert newest.received == pytest.approx(WALL + 7, abs=0.001, rel=0)


def test_a_meter_without_a_clock_has_no_time() -> None:
    with playing(every(10, OLD_TELEGRAM, OLD_TELEGRAM)) as stage:
        newest = stage.meter.snapshot.telegram
        assert newest
        assert newest.meter_time is None


def test_intervals_are_measured_from_first_byte_to_first_byte() -> None:
    # The second telegram begins with the last byte of a read, the third is read with delay.
    steps = [
        Step(0, TELEGRAM[:50]),
        Step(1, TELEGRAM[50:100]),
        Step(1, TELEGRAM[100:] + TELEGRAM[:1]),
        Step(1, TELEGRAM[1:]),
        Step(1, TELEGRAM, lag=0.4),
    ]
    with playing(steps) as stage:
        assert stage.link.accepted == 3
        assert stage.link.interval_sum == 4
        assert stage.link.interval == 2
        assert stage.link.last_accepted == 4


def test_missed_telegrams_are_counted_while_the_line_is_silent() -> None:
    with playing(every(10, *[TELEGRAM] * 5) + nothing(14)) as stage:
        assert stage.link.missed == 0
        stage.goes_on(*nothing(2))
        assert stage.link.missed == 1
        stage.goes_on(*nothing(20))
        assert stage.link.missed == 3
        stage.goes_on(*every(4, TELEGRAM), *nothing(14))
        assert stage.link.missed == 3
        assert stage.link.reachability == 6 / 9


def test_missed_telegrams_are_counted_while_the_port_is_gone() -> None:
    # The first is 0.5 s after the last telegram began; the waits are 1, 2, 4, 5 and 5 s.
    lost = [*every(1, *[TELEGRAM] * 5), Step(0.5, UNPLUGGED)]
    with playing(lost, MISSING, MISSING, MISSING, MISSING) as stage:
        assert [link.missed for link in stage.seen[-5:]] == [1, 3, 7, 12, 17]


# Others.


class Shared:
    def __init__(self) -> None:
        self.data = b""

    def publish(self, data: bytes) -> None:
        self.data += data


def test_every_byte_is_shared_as_it_came_whatever_it_is() -> None:
    first, second = Shared(), Shared()
    with playing(every(1, TELEGRAM, b"\xff\0"), share=cast("ShareServer", first)) as stage:
        stage.reopens(SETTINGS, every(1, telegram(1)), cast("ShareServer", second))
        stage.reopens(SETTINGS, every(1, telegram(2)), None)
        assert stage.link.accepted == 3
    assert (first.data, second.data) == (TELEGRAM + b"\xff\0", telegram(1))


def test_a_reopened_meter_uses_the_new_settings_and_keeps_what_it_counted() -> None:
    other = PortSettings("socket://meter:2000")
    with playing(every(1, TELEGRAM, TELEGRAM[:30])) as stage:
        stage.reopens(
            replace(SETTINGS, port=other, understanding=Understanding(identities=True)), every(1, TELEGRAM)
        )
        assert stage.opened == [DEVICE, other]
        assert stage.closed == 1
        assert (stage.link.accepted, stage.link.port_opens, stage.link.port.port) == (2, 2, other.url)
        assert stage.errors == {"truncated": 1}
        assert_lawful(stage.link)


def test_the_time_zone_may_change_with_a_reload() -> None:
    without_letter = sealed(HEADER + LINES.replace(b"101500W", b"101500"))
    with playing(every(1, without_letter)) as stage:
        stage.reopens(
            replace(SETTINGS, understanding=Understanding(time_zone="Europe/London")),
            every(1, without_letter),
        )
        assert stage.value("p1_meter_timestamp_seconds") == WALL + 3600


def test_waiting_for_a_port_ends_at_once_when_the_meter_is_reopened_or_stopped() -> None:
    with playing(MISSING, patient=True) as stage:
        # The wait would take a minute, and is looked at every second.
        before = time.monotonic()
        stage.reopens(SETTINGS, every(1, TELEGRAM))
        assert stage.link.accepted == 1
        stage.reopens(SETTINGS, MISSING)
        stage.stop()
        assert time.monotonic() - before < 0.8


def test_what_was_arriving_when_the_meter_is_stopped_is_truncated() -> None:
    with playing(every(1, TELEGRAM, TELEGRAM[:99])) as stage:
        stage.stop()
        assert (stage.errors, stage.link.port_open, stage.closed) == ({"truncated": 1}, False, 1)
        assert_lawful(stage.link)


def test_a_meter_is_healthy_while_its_thread_comes_round() -> None:
    assert not Meter(SETTINGS).healthy()
    with playing(every(1, TELEGRAM)) as stage:
        assert stage.meter.healthy()
        stage.clock.now += 59
        assert stage.meter.healthy()
        stage.clock.now += 1
        assert not stage.meter.healthy()
        stage.goes_on(*nothing(1))
        assert stage.meter.healthy()
    assert not stage.meter.healthy()


def test_a_meter_that_opens_its_port_is_healthy_for_three_minutes() -> None:
    # No session: the port is opened for ever.
    with playing() as stage:
        stage.clock.now += 179
        assert stage.meter.healthy()
        stage.clock.now += 1
        assert not stage.meter.healthy()


def test_a_meter_whose_port_is_missing_is_healthy() -> None:
    with playing(*[MISSING] * 30) as stage:
        assert stage.clock.now > 120
        assert stage.meter.healthy()


def test_a_port_that_nobody_named_is_looked_for_until_one_was_open() -> None:
    serial, usb = PortSettings("/dev/serial0"), PortSettings("/dev/ttyUSB0")
    # The adapter is plugged in, and away again.
    there = iter([serial, serial, usb])

    def locate() -> tuple[PortSettings, str]:
        return next(there, serial), "the only one"

    of = replace(SETTINGS, port=serial, locate=locate)
    once = [*every(1, TELEGRAM), Step(1, UNPLUGGED)]
    with playing(MISSING, MISSING, once, MISSING, of=of) as stage:
        assert stage.opened == [serial, serial, usb, usb, usb]
        assert (stage.link.port.port, stage.link.accepted) == (usb.url, 1)


def test_after_a_reload_a_port_that_nobody_named_is_looked_for_again() -> None:
    usb = PortSettings("/dev/ttyUSB1")

    def locate() -> tuple[PortSettings, str]:
        return usb, "the only one"

    of = replace(SETTINGS, port=PortSettings("/dev/serial0"), locate=locate)
    with playing([*every(1, TELEGRAM), Step(1, UNPLUGGED)], patient=True) as stage:
        stage.reopens(of, every(1, telegram(7)))
        assert (stage.opened, stage.link.port.port) == ([DEVICE, usb], usb.url)
        assert stage.link.accepted == 2


def test_a_port_that_somebody_named_is_the_one() -> None:
    with playing(MISSING, MISSING, every(1, TELEGRAM)) as stage:
        assert set(stage.opened) == {DEVICE}


# What holds always.


def test_a_snapshot_does_not_change_with_what_comes_later() -> None:
    with playing(every(1, telegram(7), TELEGRAM[:20])) as stage:
        snapshot = stage.meter.snapshot
        assert snapshot.telegram
        link, samples = deepcopy(asdict(snapshot.link)), snapshot.telegram.accepted.samples
        stage.goes_on(*every(1, b"\0" * 50, TELEGRAM, TELEGRAM[:10]), Step(9, telegram(8)))
        assert asdict(snapshot.link) == link
        assert snapshot.telegram.accepted.samples == samples
        assert stage.meter.snapshot is not snapshot
        assert stage.value("p1_power_import_watts") == 8


PIECES = st.sampled_from(
    [
        TELEGRAM,
        OLD_TELEGRAM,
        parity.with_parity(OLD_TELEGRAM),
        TELEGRAM.replace(b"00.345", b"00.346"),
        sealed(b"/TST5\r\n\r\n"),
        HEADER,
        b"!",
        b"!1234\r\n",
        b"\r\n!\r\n",
        b"/ABC",
        b"\xdb\x08",
        b"\0" * 12_000,
    ]
) | st.binary(max_size=30)
CUT_PIECES = PIECES | st.builds(lambda one, cut: one[:cut], PIECES, st.integers(1, 200))
STEPS = st.builds(
    Step,
    st.sampled_from([0.0, 0.003, 0.05, 1.0, 4.99, 5.0, 11.0, 300.0]),
    st.none() | CUT_PIECES.filter(bool),
    st.sampled_from([0.0, 0.05]),
)
SESSIONS = st.sampled_from([MISSING]) | st.lists(STEPS, max_size=10).map(
    lambda steps: [*steps, Step(0.1, UNPLUGGED)]
)


@given(sessions=st.lists(SESSIONS, max_size=4), last=st.lists(STEPS, max_size=5), cipher=st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_laws_hold_at_every_moment_whatever_the_port_gives(
    *, sessions: list[Session], last: list[Step], cipher: bool
) -> None:
    steps = [step for session in (*sessions, last) if isinstance(session, list) for step in session]
    sent = sum(len(step.what) for step in steps if isinstance(step.what, bytes))
    of = replace(SETTINGS, understanding=Understanding(cipher=Cipher(KEY) if cipher else None))
    with capture_logs(), playing(*sessions, last, of=of) as stage:
        for link in stage.seen:
            assert_lawful(link)
        for before, after in zip(stage.seen, stage.seen[1:], strict=False):
            assert before.received_bytes <= after.received_bytes
            assert before.telegrams <= after.telegrams
            assert before.missed <= after.missed
        assert stage.link.received_bytes == sent
        stage.stop()
        assert_lawful(stage.link)
        assert (stage.link.pending, stage.link.pending_bytes) == (0, 0)
