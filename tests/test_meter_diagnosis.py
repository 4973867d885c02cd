"""What a meter's thread finds out about its link: faults, damage, and the baud rate."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from structlog.testing import capture_logs

from p1_exporter.exposition.collector import MeterCollector
from p1_exporter.link.counters import Counters, Mark
from p1_exporter.link.port import Chunk, PortSettings
from p1_exporter.link.reception import Understanding
from p1_exporter.link.watch import DamageTotals
from p1_exporter.simulator.encryption import KEY
from p1_exporter.simulator.recording import Counted, record
from p1_exporter.telegram.cipher import Cipher
from p1_exporter.telegram.parity import with_parity
from tests.telegram.telegrams import OLD_TELEGRAM, TELEGRAM, telegram
from tests.test_meter import (
    MISSING,
    SETTINGS,
    UNPLUGGED,
    ScriptedPort,
    Stage,
    assert_lawful,
    encrypted,
    playing,
)
from tests.test_meter_request import EVERY_MINUTE, HELD, SENDERS, AskedStage, Sender

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from p1_exporter.meter import MeterSettings

FAST, SLOW = 115_200, 9_600
AUTO = replace(SETTINGS, port=PortSettings("/dev/ttyUSB0"))


class Heard(NamedTuple):
    """What there is to read at a time, and what the driver has counted then."""

    time: float
    data: Mapping[int, bytes]
    """By the baud rate at which the port listens."""
    marks: tuple[Mark, ...] = ()
    counters: Counters | None = None


class LineStage(Stage):
    """A line that goes on whether its port is open or not, and what is seen of it until `end`."""

    def __init__(
        self,
        line: Iterable[Heard],
        end: float,
        *,
        gone: tuple[float, float] = (0.0, 0.0),
        driver: str = "amba-pl011",
        settable: bool = True,
    ) -> None:
        super().__init__([])
        self.line = sorted(line, key=lambda heard: heard.time)
        self.end = end
        self.gone = gone
        """From when to when there is no port."""
        self.driver = driver
        self.settable = settable
        """Whether the port lets its speed be set."""
        self.rates: list[tuple[float, int]] = []
        """When which rate was set."""
        self.times: list[float] = []
        """When each snapshot was seen."""

    @property
    def absent(self) -> bool:
        return self.gone[0] <= self.clock.now < self.gone[1]

    def open(self, port: PortSettings) -> ScriptedPort:
        self.watch()
        self.opened.append(port)
        if self.over():
            self._released.wait(60)
        if self.absent or self.over():
            raise MISSING
        self._port = LinePort(self, port)
        return self._port

    def over(self) -> bool:
        if self.clock.now >= self.end:
            self.finished.set()
            return True
        return False

    def watch(self) -> None:
        super().watch()
        self.times.append(self.clock.now)

    def goes_on_until(self, end: float) -> None:
        assert self._port
        self.finished.clear()
        self.end = end
        self._port.wake()
        assert self.finished.wait(10)

    def reopens_until(self, end: float, of: MeterSettings) -> None:
        self.finished.clear()
        self.end = end
        self.meter.reopen(of, None)
        assert self.finished.wait(10)

    def faults(self, since: float = 0.0, until: float = 1e9) -> set[str]:
        """All faults that were named at some time from `since` to `until`."""
        return {
            diagnosis.fault
            for time, snapshot in zip(self.times, self.snapshots, strict=True)
            if since <= time <= until
            for diagnosis in snapshot.watch.faults
        }


class LinePort(ScriptedPort):
    """Gives what is on the line while it is read."""

    def __init__(self, stage: LineStage, port: PortSettings) -> None:
        super().__init__(stage, port, [])
        self.driver = stage.driver
        self._line = stage
        self._counters: Counters | None = None
        while stage.line and stage.line[0].time < stage.clock.now:
            stage.line.pop(0)

    def counters(self) -> Counters | None:
        return self._counters

    def set_baudrate(self, baudrate: int) -> bool:
        self._line.rates.append((self._line.clock.now, baudrate))
        if self._line.settable:
            self.baudrate = baudrate
        return self._line.settable

    def _read(self, timeout: float) -> Chunk | None:
        stage, clock = self._line, self._line.clock
        stage.watch()
        if stage.over():
            self._waker.wait(60)
            return None
        if stage.absent:
            raise UNPLUGGED
        if not stage.line or stage.line[0].time > clock.now + timeout:
            clock.now += timeout
            return None
        heard = stage.line.pop(0)
        clock.now = heard.time
        self._counters = heard.counters or self._counters
        data = heard.data.get(self.baudrate)
        return Chunk(heard.time, data, heard.marks) if data else None


@contextmanager
def following(stage: LineStage, of: MeterSettings = SETTINGS) -> Iterator[LineStage]:
    """Run a meter on this line until its end."""
    with playing(of=of, stage=stage):
        yield stage


def scraped(stage: LineStage) -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each series."""
    collector = MeterCollector(lambda: [stage.meter.snapshot], stage.clock.monotonic)
    return [(sample[0], sample[1], sample[2]) for family in collector.collect() for sample in family.samples]


def port_info(stage: LineStage) -> str:
    """The baud rate that is shown."""
    ((_, labels, _),) = [series for series in scraped(stage) if series[0] == "p1_port_info"]
    return labels["baudrate"]


def every(seconds: float, *telegrams: bytes, since: float = 0.0) -> list[Heard]:
    """Telegrams that are read whole, at the usual rate."""
    return [Heard(since + seconds * number, {FAST: data}) for number, data in enumerate(telegrams)]


def simulated(began: float, seconds: float, fault: str | None = None, severity: float = 0.0) -> list[Heard]:
    """What a meter that sends every second gives on a simulated line, with marks and counters of a PL011."""
    heard: list[Heard] = []
    for item in record("dsmr5", fault, severity, seed=1, seconds=seconds, driver="amba-pl011"):
        if isinstance(item, Counted):
            heard.append(Heard(began + item.time, {}, counters=Counters(*item.counts)))
        else:
            heard.append(Heard(began + item.time, {FAST: item.data}, item.marks))
    return heard


# Faults.


@pytest.mark.parametrize(
    ("fault", "severity"), [("noise", 0.6), ("slow_rise", 0.7), ("inverted", 1.0), ("overrun", 0.6)]
)
def test_a_fault_is_named_while_it_is_there_and_not_before_or_long_after(fault: str, severity: float) -> None:
    line = [*simulated(0, 20), *simulated(20, 60, fault, severity), *simulated(80, 60)]
    with following(LineStage(line, end=140)) as stage:
        assert stage.faults(until=20) == set()
        assert stage.faults(since=60, until=80) == {fault}
        assert stage.faults(since=100) == set()


def test_a_line_on_which_nothing_arrives_is_silent_until_something_does() -> None:
    with following(LineStage(every(1, *[TELEGRAM] * 30, since=60.0), end=90)) as stage:
        assert stage.faults(until=10) == set()
        assert stage.faults(since=20, until=60) == {"silent"}
        assert stage.faults(since=75) == set()


@pytest.mark.parametrize(
    "line",
    [
        every(1, TELEGRAM, since=3.0),
        every(1, *[TELEGRAM] * 3, since=3.0),
        every(10, *[TELEGRAM] * 3),
        every(400, TELEGRAM, TELEGRAM),
    ],
    ids=["after the first telegram", "after some", "of a slow meter", "again after one telegram"],
)
def test_a_line_that_falls_silent_stays_silent(line: list[Heard]) -> None:
    fell_silent = line[-1].time
    with following(LineStage(line, end=fell_silent + 300)) as stage:
        for moment in range(60, 300, 10):
            now = fell_silent + moment
            assert stage.faults(since=now, until=now + 10) == {"silent"}


@pytest.mark.parametrize("interval", [1.0, 10.0])
def test_a_link_that_works_has_no_fault_and_nothing_is_looked_for(interval: float) -> None:
    with following(LineStage(every(interval, *[TELEGRAM] * 300), end=250)) as stage:
        assert stage.faults() == set()
        assert stage.meter.snapshot.watch.evidence is None
        assert stage.meter.snapshot.watch.damage == DamageTotals()


def test_what_is_named_is_in_the_scrape() -> None:
    with following(LineStage([], end=30)) as stage:
        values = scraped(stage)
        shown = {labels["fault"] for name, labels, value in values if name == "p1_link_fault" and value}
        assert shown == {"silent"}


# A port that is gone.


def test_a_port_that_is_gone_is_disconnected_after_a_few_seconds_until_it_is_read_again() -> None:
    stage = LineStage(every(1, *[TELEGRAM] * 100), end=80, gone=(20.0, 50.0))
    with following(stage):
        assert stage.faults(until=21) == set()
        assert stage.faults(since=30, until=50) == {"disconnected"}
        assert stage.faults(since=62) == set()


def test_a_port_that_is_back_at_once_has_no_fault() -> None:
    stage = LineStage(every(1, *[TELEGRAM] * 100), end=80, gone=(20.0, 20.5))
    with following(stage):
        assert stage.link.port_errors["vanished"] == 1
        assert stage.faults() == set()


def test_a_port_that_was_never_there_is_disconnected_and_it_is_said_why() -> None:
    with following(LineStage([], end=60, gone=(0.0, 100.0))) as stage:
        (diagnosis,) = stage.meter.snapshot.watch.faults
        assert (diagnosis.fault, diagnosis.confidence, diagnosis.seen) == ("disconnected", 1, str(MISSING))


# The request line.


@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS)
@pytest.mark.parametrize("interval", [12.0, 60.5, 600.0])
def test_a_request_line_that_is_released_now_and_then_is_no_fault(sender: Sender, interval: float) -> None:
    of = replace(EVERY_MINUTE, port=replace(EVERY_MINUTE.port, request_interval=interval))
    stage = AskedStage(sender, end=10 * interval)
    with playing(of=of, stage=stage):
        assert stage.link.accepted >= 5
        assert {fault for snapshot in stage.snapshots for fault in snapshot.watch.faults} == set()


@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS)
@pytest.mark.parametrize("interval", [15.3, 60.5])
def test_what_the_request_line_cuts_is_no_damage(sender: Sender, interval: float) -> None:
    of = replace(EVERY_MINUTE, port=replace(EVERY_MINUTE.port, request_interval=interval))
    stage = AskedStage(sender, end=20 * interval)
    with playing(of=of, stage=stage):
        assert stage.link.accepted >= 10
        assert stage.meter.snapshot.watch.damage == DamageTotals()


def test_a_request_line_that_is_held_in_vain_leaves_a_silent_line() -> None:
    with following(LineStage([], end=60), of=HELD) as stage:
        assert stage.link.request_asserted is True
        assert stage.faults(since=20) == {"silent"}


# Damage.

GOOD = [telegram(number) for number in range(8)]


@pytest.mark.parametrize(
    ("damaged", "totals"),
    [
        (TELEGRAM.replace(b"TST5", b"TST\x3d"), DamageTotals(up=1)),
        (TELEGRAM.replace(b"TST5", b"TST1"), DamageTotals(down=1)),
        (TELEGRAM.replace(b"TST5", b"\x55ST4"), DamageTotals(up=1, down=1)),
        (TELEGRAM.replace(b"0-0:96.1.1(4530", b""), DamageTotals(lost=15)),
        (TELEGRAM.replace(b"0-0:96.1.1(", b"0-0:\xff\xff\xff96.1.1("), DamageTotals(foreign=3)),
    ],
    ids=["up", "down", "both ways", "lost", "foreign"],
)
def test_what_happened_to_a_rejected_telegram_is_added_to_the_totals(
    damaged: bytes, totals: DamageTotals
) -> None:
    with following(LineStage(every(1, *GOOD, damaged, TELEGRAM), end=12)) as stage:
        assert stage.errors == {"crc": 1}
        assert stage.meter.snapshot.watch.damage == totals


def test_a_telegram_that_began_before_the_port_was_opened_is_not_damaged() -> None:
    # At 10 s the port is back, in the middle of a telegram.
    line = [*every(1, *GOOD), Heard(10.0, {FAST: TELEGRAM[60:]}), *every(1, *GOOD, since=11.0)]
    with following(LineStage(line, end=20, gone=(8.5, 9.5))) as stage:
        assert stage.link.accepted > len(GOOD)
        assert stage.dropped == {"noise": len(TELEGRAM) - 60}
        assert stage.meter.snapshot.watch.damage == DamageTotals()


def test_a_telegram_without_its_beginning_is_damaged_if_it_was_listened_to() -> None:
    with following(LineStage(every(1, *GOOD, TELEGRAM[60:], TELEGRAM), end=12)) as stage:
        assert stage.meter.snapshot.watch.damage == DamageTotals(lost=60)


def test_totals_of_damage_only_grow_also_when_the_port_is_opened_anew() -> None:
    flipped = TELEGRAM.replace(b"TST5", b"TST1")
    line = every(1, *GOOD, flipped, *GOOD, flipped, *GOOD, flipped, *GOOD)
    with following(LineStage(line, end=40, gone=(12.0, 13.0))) as stage:
        downs = [snapshot.watch.damage.down for snapshot in stage.snapshots]
        assert sorted(downs) == downs
        assert set(downs) == {0, 1, 2, 3}
        assert {value for name, labels, value in scraped(stage) if labels.get("direction") == "1_to_0"} == {3}


# The baud rate.


def slow(*telegrams: bytes, since: float = 5.0) -> list[Heard]:
    """What a meter with 9600 baud and 7E1 gives: at 115200 baud only its low levels are seen, each as a NUL."""
    heard: list[Heard] = []
    for number, data in enumerate(map(with_parity, telegrams)):
        for start in range(0, len(data), 48):
            piece = data[start : start + 48]
            time = since + 10 * number + start / (SLOW / 10)
            heard.append(Heard(time, {SLOW: piece, FAST: bytes(2 * len(piece))}))
    return heard


def strange(count: int) -> list[Heard]:
    """What is text at no rate."""
    return [
        Heard(5.0 + 10 * number, {FAST: b"\x93\x22" * 200, SLOW: b"\xf3" * 40}) for number in range(count)
    ]


def rates(stage: LineStage) -> list[int]:
    return [rate for _, rate in stage.rates]


def test_a_meter_with_9600_baud_is_found_within_two_telegrams() -> None:
    with capture_logs() as logs, following(LineStage(slow(*[OLD_TELEGRAM] * 10), end=64), of=AUTO) as stage:
        ((found, rate),) = stage.rates
        assert rate == SLOW
        assert 15 < found < 25, "after the second telegram, and before the third"
        # Without checksum, two must agree at first.
        assert (stage.errors, stage.link.accepted) == ({"implausible": 1}, 3)
        assert stage.faults() == set()
        for snapshot in stage.snapshots:
            assert_lawful(snapshot.link)
    assert [(entry["event"], entry.get("baudrate")) for entry in logs[:2]] == [
        ("port open", FAST),
        ("listening at another speed", SLOW),
    ]


def test_the_rate_that_is_listened_at_is_shown() -> None:
    stage = LineStage(slow(*[OLD_TELEGRAM] * 10), end=12)
    with following(stage, of=AUTO):
        shown = [port_info(stage)]
        stage.goes_on_until(30)
        shown.append(port_info(stage))
    assert shown == ["115200", "9600"]


def test_the_rate_is_remembered_when_the_port_is_opened_anew() -> None:
    stage = LineStage(slow(*[OLD_TELEGRAM] * 20), end=62, gone=(50.0, 52.0))
    with following(stage, of=AUTO):
        assert stage.link.port_opens == 2
        (_, first), (again, second) = stage.rates
        assert (first, second) == (SLOW, SLOW)
        assert 52 <= again < 55
        assert stage.link.last_accepted == 55
        stage.reopens_until(74, AUTO)
        assert rates(stage) == [SLOW, SLOW, SLOW]
        assert stage.link.last_accepted == 65
        assert port_info(stage) == "9600"


def test_for_another_port_the_rate_is_found_anew() -> None:
    stage = LineStage(slow(*[OLD_TELEGRAM] * 20), end=50)
    with following(stage, of=AUTO):
        other = replace(AUTO, port=PortSettings("/dev/ttyUSB1"))
        stage.reopens_until(53, other)
        assert (rates(stage), port_info(stage)) == ([SLOW], "115200")


def test_a_rate_that_is_given_is_not_changed() -> None:
    with following(LineStage(slow(*[OLD_TELEGRAM] * 20), end=200)) as stage:
        assert stage.rates == []
        assert stage.link.accepted == 0


@pytest.mark.parametrize("interval", [1.0, 10.0])
def test_a_link_that_works_is_never_touched(interval: float) -> None:
    noise = [
        Heard(2.5 + 5 * number, {FAST: burst}) for number in range(60) for burst in (bytes(300), b"\x93" * 90)
    ]
    line = [*every(interval, *[TELEGRAM] * 300), *noise]
    with following(LineStage(line, end=299.5), of=AUTO) as stage:
        assert stage.link.accepted == 300 / interval
        assert stage.rates == []


def test_an_encrypted_meter_is_not_touched_though_it_pauses_again_and_again() -> None:
    # What it sends is no text, and is read in halves. It pauses for two minutes after each four telegrams.
    times = [160.0 * group + 10.0 * number for group in range(4) for number in range(4)]
    halves = [
        Heard(time, {FAST: half})
        for began, frame in zip(times, encrypted(16), strict=True)
        for time, half in ((began, frame[:700]), (began + 0.05, frame[700:]))
    ]
    of = replace(AUTO, understanding=Understanding(cipher=Cipher(KEY)))
    with following(LineStage(halves, end=600), of=of) as stage:
        assert stage.link.accepted == 16
        assert stage.rates == []


def test_a_link_that_damages_every_telegram_is_not_touched_as_long_as_it_is_text() -> None:
    damaged = TELEGRAM.replace(b"00.345", b"99.345")
    with following(LineStage(every(1, *[damaged] * 300), end=300), of=AUTO) as stage:
        assert (stage.link.accepted, stage.errors) == (0, {"crc": 300})
        assert stage.rates == []


def test_a_line_on_which_nothing_arrives_is_listened_to_at_the_likelier_rate() -> None:
    with following(LineStage([], end=300), of=AUTO) as stage:
        assert stage.rates == []


def test_another_meter_on_the_same_port_is_found_once_the_values_of_the_first_are_stale() -> None:
    line = [*every(1, *[TELEGRAM] * 20), *slow(*[TELEGRAM] * 20, since=25.0)]
    with following(LineStage(line, end=140), of=AUTO) as stage:
        ((found, rate),) = stage.rates
        assert rate == SLOW
        # The last telegram began at 19 s, and is fresh for 30 s.
        assert found > 49
        assert stage.link.last_accepted == 135


def test_a_port_without_a_speed_of_its_own_is_asked_once() -> None:
    with following(LineStage(slow(*[OLD_TELEGRAM] * 20), end=200, settable=False), of=AUTO) as stage:
        assert rates(stage) == [SLOW]
        assert port_info(stage) == "115200"


def test_where_nothing_can_be_read_the_likelier_rate_is_listened_at_most_of_the_time() -> None:
    with following(LineStage(strange(120), end=1200), of=AUTO) as stage:
        assert {SLOW, FAST} == set(rates(stage))
        assert all(before != after for before, after in pairwise([FAST, *rates(stage)]))
        times = [0.0, *(time for time, _ in stage.rates), 1200.0]
        at_fast = sum(until - since for since, until in zip(times[::2], times[1::2], strict=False))
        assert at_fast > 0.9 * 1200
        for snapshot in stage.snapshots:
            assert_lawful(snapshot.link)
