"""What is counted of a link: nothing twice, nothing forgotten."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p1_exporter.link.counters import LINE_ERRORS, Counters, LineError
from p1_exporter.link.record import (
    DROP_REASONS,
    INTERVAL_BUCKETS,
    PORT_REASONS,
    LinkRecord,
    LinkSnapshot,
    PortInfo,
)
from p1_exporter.telegram.events import REASONS, Reason

PORT = PortInfo("/dev/ttyUSB0", "ftdi_sio", 115_200, "8N1", "rts")
WALL = 1_790_000_000.0
"""What the system's clock shows when that of the record is at 0."""


class Link:
    """A record and a stream of telegrams of 100 bytes for it."""

    def __init__(self, interval: float = 10.0, telegrams: int = 0) -> None:
        self.record = LinkRecord(0.0, PORT)
        self.interval = interval
        self.now = 0.0
        self._offset = 0
        for _ in range(telegrams):
            self.accept()

    def begin(self, after: float | None = None) -> int:
        """A telegram begins, so long after the one before; return its place in the stream."""
        self.now += self.interval if after is None else after
        self.record.received(100, self.now)
        self._offset += 100
        self.record.begun(self._offset, self.now)
        return self._offset

    def accept(self, after: float | None = None) -> None:
        self.record.accepted(self.begin(after), 100, self.now, WALL + self.now)

    def reject(self, reason: Reason = "crc", after: float | None = None) -> None:
        self.record.rejected(self.begin(after), 100, self.now, reason)

    def missed(self, after: float) -> int:
        """Telegrams missed so long after the last one began."""
        self.record.passed(self.now + after)
        return self.snapshot.missed

    @property
    def snapshot(self) -> LinkSnapshot:
        return self.record.snapshot(pending_bytes=0, pending=False)


def intervals_of(link: LinkSnapshot) -> dict[float, int]:
    """Return how many intervals are in each bucket that has some, by its upper bound."""
    bounds = (*INTERVAL_BUCKETS, math.inf)
    return {bound: count for bound, count in zip(bounds, link.interval_counts, strict=True) if count}


class Laws(RuleBasedStateMachine):
    """Whatever happens to a link, in any order: the sums are right at every moment, and no counter falls."""

    def __init__(self) -> None:
        super().__init__()
        self.record = LinkRecord(0.0, PORT)
        self.now = 0.0
        self.received = 0
        self.decided = 0
        self.start: int | None = None
        self.began = 0.0
        self.last: LinkSnapshot | None = None
        self.errors = Counters(framing=0)
        self.line_errors: dict[str, int] = {}

    @rule(count=st.integers(1, 20_000), after=st.sampled_from([0.0, 0.001, 1.0, 10.0, 400.0]))
    def bytes_arrive(self, count: int, after: float) -> None:
        self.now += after
        self.record.received(count, self.now)
        self.received += count

    @precondition(lambda self: self.start is None and self.received > self.decided)
    @rule(data=st.data())
    def noise_is_dropped(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, self.received - self.decided))
        self.record.noise(count)
        self.decided += count

    @precondition(lambda self: self.start is None and self.received > self.decided)
    @rule()
    def a_telegram_begins(self) -> None:
        self.start, self.began = self.decided, self.now
        self.record.begun(self.start, self.began)

    @precondition(lambda self: self.start is not None)
    @rule(data=st.data(), reason=st.sampled_from([None, *REASONS]))
    def the_telegram_is_decided(self, data: st.DataObject, reason: Reason | None) -> None:
        assert self.start is not None
        size = data.draw(st.integers(1, self.received - self.decided))
        if reason:
            self.record.rejected(self.start, size, self.began, reason)
        else:
            self.record.accepted(self.start, size, self.began, WALL + self.began)
        self.decided += size
        self.start = None

    @rule(after=st.floats(0, 1000))
    def time_passes(self, after: float) -> None:
        self.now += after
        self.record.passed(self.now)

    @rule(counters=st.builds(Counters, framing=st.integers(0, 9)), can=st.booleans())
    def the_port_opens(self, counters: Counters, *, can: bool) -> None:
        self.errors = counters
        self.record.port_opened(
            PORT,
            request_asserted=True,
            line_errors_supported=frozenset({"framing"}) if can else frozenset(),
            counters=counters,
        )

    @rule(more=st.integers(0, 9))
    def the_driver_counts(self, more: int) -> None:
        self.errors = self.errors._replace(framing=(self.errors.framing or 0) + more)
        self.record.counted(self.errors, 0)

    @rule(reason=st.sampled_from(PORT_REASONS))
    def the_port_breaks(self, reason: str) -> None:
        self.record.port_failed(reason)
        self.record.port_closed()

    @invariant()
    def the_laws_hold(self) -> None:
        pending = self.start is not None
        link = self.record.snapshot(pending_bytes=self.received - self.decided, pending=pending)
        assert link.received_bytes == self.received
        assert link.received_bytes == (
            link.accepted_bytes + sum(link.dropped_bytes.values()) + link.pending_bytes
        )
        assert link.telegrams == link.accepted + sum(link.errors.values()) + link.pending
        assert sum(link.interval_counts) == max(0, link.accepted - 1)
        assert link.reachability is None or 0 <= link.reachability <= 1
        if self.last:
            before, after = asdict(self.last), asdict(link)
            for counter in ("received_bytes", "accepted_bytes", "telegrams", "accepted", "missed"):
                assert after[counter] >= before[counter]
            for counters in ("dropped_bytes", "errors", "port_errors"):
                assert all(after[counters][key] >= before[counters][key] for key in before[counters])
        # These may be absent for a while.
        assert all(link.line_errors[key] >= self.line_errors.get(key, 0) for key in link.line_errors)
        self.line_errors |= link.line_errors
        self.last = link


TestLaws = Laws.TestCase
TestLaws.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_at_first_everything_is_at_zero_and_nothing_is_known() -> None:
    link = Link().snapshot
    assert (link.received_bytes, link.accepted_bytes, link.telegrams, link.accepted, link.missed) == (0,) * 5
    assert link.dropped_bytes == dict.fromkeys(("noise", *REASONS), 0)
    assert link.errors == dict.fromkeys(REASONS, 0)
    assert link.port_errors == dict.fromkeys(PORT_REASONS, 0)
    assert (link.port_opens, link.port_open) == (0, False)
    assert link.interval_counts == (0,) * 13
    assert link.interval_sum == 0
    unknown = (link.interval, link.reachability, link.last_accepted, link.last_accepted_wall, link.last_byte)
    assert unknown == (None,) * 5
    assert (link.telegram_size, link.request_asserted) == (None, False)
    assert link.port == PORT


@pytest.mark.parametrize("reason", REASONS)
def test_a_rejected_telegram_and_its_bytes_are_counted_by_reason(reason: Reason) -> None:
    link = Link()
    link.reject(reason)
    snapshot = link.snapshot
    assert {name: count for name, count in snapshot.errors.items() if count} == {reason: 1}
    assert {name: count for name, count in snapshot.dropped_bytes.items() if count} == {reason: 100}
    assert (snapshot.telegrams, snapshot.accepted, snapshot.accepted_bytes) == (1, 0, 0)


def test_an_accepted_telegram_leaves_its_size_and_times() -> None:
    link = Link()
    link.record.received(1000, 12.0)
    link.record.accepted(0, 700, 10.0, WALL)
    link.record.noise(300)
    snapshot = link.snapshot
    assert (snapshot.telegram_size, snapshot.last_accepted, snapshot.last_accepted_wall) == (700, 10.0, WALL)
    assert (snapshot.last_byte, snapshot.accepted_bytes, snapshot.dropped_bytes["noise"]) == (12.0, 700, 300)


def test_a_telegram_that_is_arriving_has_begun() -> None:
    snapshot = LinkRecord(0.0, PORT).snapshot(pending_bytes=50, pending=True)
    assert (snapshot.telegrams, snapshot.pending, snapshot.pending_bytes) == (1, 1, 50)


def test_the_observed_interval_is_known_from_the_second_telegram_on() -> None:
    assert Link(telegrams=1).snapshot.interval is None
    assert Link(telegrams=2).snapshot.interval == 10


def test_rejected_telegrams_are_seen_to_begin_as_well() -> None:
    link = Link(interval=5, telegrams=1)
    link.reject()
    link.reject("truncated")
    assert link.snapshot.interval == 5


def test_single_gaps_do_not_change_the_observed_interval() -> None:
    link = Link(telegrams=6)
    link.accept(after=500)
    link.accept()
    link.accept(after=0.01)
    assert link.snapshot.interval == 10


def test_the_observed_interval_follows_another_meter_within_16_telegrams() -> None:
    link = Link(interval=1, telegrams=100)
    link.interval = 10
    for _ in range(16):
        link.accept()
    assert link.snapshot.interval == 10


def test_a_telegram_told_twice_begins_once() -> None:
    link = Link(telegrams=3)
    place = link.begin()
    link.record.begun(place, link.now + 3)
    link.record.accepted(place, 100, link.now, WALL + link.now)
    assert (link.snapshot.interval, link.snapshot.telegrams) == (10, 4)
    assert link.missed(after=14.9) == 0


def test_nothing_is_missed_before_the_interval_is_known() -> None:
    assert Link().missed(after=1000) == 0
    assert Link(telegrams=1).missed(after=1000) == 0


@pytest.mark.parametrize("late", [0.5, 2.0, 4.9])
def test_a_telegram_that_is_a_little_late_is_not_missed(late: float) -> None:
    link = Link(telegrams=4)
    for tenth in range(10, 10 * int(10 + late) + 1):
        assert link.missed(after=tenth / 10) == 0
    link.accept(after=10 + late)
    assert link.snapshot.missed == 0
    assert link.snapshot.reachability == 1


def test_missed_telegrams_are_counted_as_their_intervals_pass() -> None:
    link = Link(telegrams=4)
    after = (10, 14.9, 15.1, 20, 24.9, 25.1, 34.9, 35.1, 105.1)
    assert [link.missed(seconds) for seconds in after] == [0, 0, 1, 1, 1, 2, 2, 3, 10]


def test_to_look_often_counts_nothing_twice() -> None:
    link = Link(telegrams=4)
    for _ in range(20):
        assert link.missed(after=31) == 2
    assert [link.missed(after=tenth / 10) for tenth in range(1000)][-1] == 9


def test_the_next_telegram_counts_no_missed_one_again() -> None:
    link = Link(telegrams=6)
    assert link.missed(after=50) == 4
    link.accept(after=50)
    assert link.snapshot.missed == 4
    assert link.missed(after=14) == 4
    assert link.missed(after=16) == 5


def test_what_was_missed_is_counted_also_if_nobody_looked_meanwhile() -> None:
    link = Link(telegrams=6)
    link.accept(after=50)
    assert link.snapshot.missed == 4


def test_a_rejected_telegram_is_no_missed_one() -> None:
    link = Link(telegrams=3)
    for _ in range(5):
        link.reject()
    assert link.snapshot.missed == 0


def test_reachability_is_the_share_of_accepted_ones_of_those_expected() -> None:
    link = Link(telegrams=3)
    assert link.snapshot.reachability == 1
    link.reject()
    assert link.snapshot.reachability == 3 / 4
    link.missed(after=15)
    assert link.snapshot.reachability == 3 / 5


def test_reachability_looks_back_on_64_telegrams() -> None:
    link = Link()
    link.reject()
    for _ in range(63):
        link.accept()
    assert link.snapshot.reachability == 63 / 64
    link.accept()
    assert link.snapshot.reachability == 1
    for _ in range(16):
        link.reject()
    assert link.snapshot.reachability == 48 / 64


def test_a_very_long_gap_leaves_no_reachability_and_costs_no_memory() -> None:
    link = Link(interval=1, telegrams=64)
    assert link.missed(after=1e7) == pytest.approx(1e7, abs=2)
    assert link.snapshot.reachability == 0


@pytest.mark.parametrize(
    ("interval", "bucket"),
    [
        (0.4, 0.5),
        (0.5, 0.5),
        (0.51, 0.9),
        (1.0, 1.1),
        (1.1, 1.1),
        (1.2, 1.5),
        (2.0, 2.5),
        (5.0, 5.0),
        (9.0, 9.0),
        (10.0, 11.0),
        (12.0, 15.0),
        (20.0, 25.0),
        (60.0, 60.0),
        (300.0, 300.0),
        (300.1, math.inf),
    ],
)
def test_an_interval_is_in_the_first_bucket_that_is_not_below_it(interval: float, bucket: float) -> None:
    link = Link()
    for began in (0.0, interval):
        link.record.accepted(int(began * 1000), 100, began, WALL)
    assert intervals_of(link.snapshot) == {bucket: 1}
    assert link.snapshot.interval_sum == interval


def test_intervals_are_between_accepted_telegrams_whatever_was_rejected_meanwhile() -> None:
    link = Link(telegrams=1)
    assert intervals_of(link.snapshot) == {}
    link.accept()
    link.reject()
    link.reject()
    link.accept()
    assert intervals_of(link.snapshot) == {11.0: 1, 60.0: 1}
    assert link.snapshot.interval_sum == 40


@pytest.mark.parametrize(("interval", "expiry"), [(1, 30), (10, 30), (10.5, 31.5), (60, 180)])
def test_the_expiry_is_three_intervals_and_at_least_30_seconds(interval: float, expiry: float) -> None:
    link = Link(interval, telegrams=3)
    assert link.snapshot.expiry == expiry
    assert link.snapshot.fresh(link.now)
    assert link.snapshot.fresh(link.now + expiry)
    assert not link.snapshot.fresh(link.now + expiry + 0.001)


def test_before_the_first_accepted_telegram_nothing_is_fresh() -> None:
    link = Link()
    assert link.snapshot.expiry == 30
    assert not link.snapshot.fresh(0.0)
    link.reject()
    assert not link.snapshot.fresh(link.now)


def test_only_accepted_telegrams_keep_a_meter_fresh() -> None:
    link = Link(telegrams=4)
    for _ in range(3):
        link.reject()
    assert link.snapshot.fresh(link.now)
    link.reject()
    assert not link.snapshot.fresh(link.now)


def test_openings_and_failures_of_the_port_are_counted_by_reason() -> None:
    record = LinkRecord(0.0, PORT)
    for reason in PORT_REASONS:
        record.port_failed(reason)
    record.port_failed("busy")
    record.port_opened(PORT, request_asserted=None)
    record.port_closed()
    record.port_opened(PORT, request_asserted=None)
    link = record.snapshot(pending_bytes=0, pending=False)
    assert link.port_errors == {**dict.fromkeys(PORT_REASONS, 1), "busy": 2}
    assert (link.port_opens, link.port_open) == (2, True)


def test_every_counter_survives_that_the_port_is_opened_anew() -> None:
    link = Link(telegrams=3)
    link.reject()
    link.record.noise(7)
    before = asdict(link.snapshot)
    link.record.port_opened(PORT, request_asserted=False)
    link.record.port_closed()
    link.record.port_opened(PORT, request_asserted=False)
    after = asdict(link.snapshot)
    assert {key for key in before if before[key] != after[key]} == {"port_open", "port_opens"}
    link.accept()
    assert link.snapshot.accepted == 4


PL011 = frozenset(LINE_ERRORS)
"""What it can tell: everything."""
PL2303: frozenset[LineError] = frozenset({"framing", "break"})
"""What it can tell: it marks errors, but has no counters."""


def opened(record: LinkRecord, supported: frozenset[LineError], counters: Counters | None = None) -> None:
    record.port_opened(PORT, request_asserted=None, line_errors_supported=supported, counters=counters)


def counters(rx: int | None = 0, framing: int = 0, break_: int = 0) -> Counters:
    return Counters(rx, framing, 0, break_, 0, 0)


def line_errors(record: LinkRecord) -> dict[str, int]:
    """Return the errors that occurred."""
    link = record.snapshot(pending_bytes=0, pending=False)
    return {error: count for error, count in link.line_errors.items() if count}


def taken(record: LinkRecord) -> int | None:
    return record.snapshot(pending_bytes=0, pending=False).bytes_taken_by_others


def test_before_a_port_was_opened_no_line_error_can_be_told() -> None:
    link = LinkRecord(0.0, PORT).snapshot(pending_bytes=0, pending=False)
    assert link.line_errors == {}
    assert link.line_errors_supported == dict.fromkeys(LINE_ERRORS, False)
    assert link.bytes_taken_by_others is None


def test_errors_that_the_driver_cannot_tell_are_absent() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, frozenset({"overrun"}), Counters(rx=0, overrun=2))
    link = record.snapshot(pending_bytes=0, pending=False)
    assert link.line_errors == {"overrun": 2}
    assert link.line_errors_supported == {**dict.fromkeys(LINE_ERRORS, False), "overrun": True}


def test_line_errors_are_those_that_the_driver_counted_and_not_its_marks() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL011, counters())
    # FTDI adapters mark 62 characters for one that is bad.
    record.received(62, 1.0, [(place, "framing") for place in range(62)])
    record.counted(counters(rx=62, framing=1), 0)
    assert line_errors(record) == {"framing": 1}


def test_where_the_driver_only_marks_errors_the_marks_are_counted() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL2303)
    record.received(10, 1.0, [(2, "framing"), (3, "break"), (9, "framing")])
    record.counted(None, 0)
    record.received(10, 2.0, [(0, "framing")])
    assert line_errors(record) == {"framing": 3, "break": 1}


def test_marks_of_a_driver_of_which_nothing_is_known_are_no_line_errors() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, frozenset())
    record.received(10, 1.0, [(2, "framing")])
    assert line_errors(record) == {}


def test_line_errors_add_up_over_all_openings_of_the_port() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL011, counters(break_=1))
    record.counted(counters(framing=5, break_=1), 0)
    record.port_closed()
    assert line_errors(record) == {"framing": 5, "break": 1}
    opened(record, PL011, counters(break_=1))
    assert line_errors(record) == {"framing": 5, "break": 2}
    record.counted(counters(framing=2, break_=1), 0)
    assert line_errors(record) == {"framing": 7, "break": 2}


def test_line_errors_of_one_adapter_wait_until_another_can_tell_them_again() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL011, counters(framing=4))
    opened(record, frozenset())
    assert line_errors(record) == {}
    opened(record, PL2303)
    record.received(1, 1.0, [(0, "framing")])
    assert line_errors(record) == {"framing": 5}


def test_bytes_that_another_program_took_are_those_received_but_not_read() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL011, counters())
    record.received(60, 1.0)
    record.counted(counters(rx=100), 0)
    record.counted(counters(rx=100), 0)
    assert taken(record) == 40
    record.received(100, 2.0)
    record.counted(counters(rx=200), 0)
    assert taken(record) == 40


def test_who_reads_alone_sees_that_nothing_was_taken() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL011, counters())
    record.counted(counters(), 0)
    assert taken(record) == 0
    for second in range(1, 4):
        record.received(100, second)
        record.counted(counters(rx=100 * second), 0)
        assert taken(record) == 0


def test_bytes_on_their_way_through_the_kernel_were_not_taken() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL011, counters())
    record.counted(counters(rx=500), 500)
    assert taken(record) is None
    record.counted(counters(rx=508), 0)  # counted by the driver, and not yet handed on
    assert taken(record) == 0
    record.received(508, 1.0)
    record.counted(counters(rx=508), 0)
    assert taken(record) == 0


@pytest.mark.parametrize("rx", [None, 0])
def test_a_driver_that_does_not_count_characters_cannot_tell_who_took_some(rx: int | None) -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL011, counters(rx=rx))
    record.received(100, 1.0)
    for _ in range(3):
        record.counted(counters(rx=rx), 0)
    assert taken(record) is None


def test_what_others_took_is_counted_from_the_opening_on() -> None:
    record = LinkRecord(0.0, PORT)
    opened(record, PL011, counters())
    for _ in range(2):
        record.counted(counters(rx=40), 0)
    record.port_closed()
    assert taken(record) == 40
    opened(record, PL011, counters())
    assert taken(record) is None
    record.received(100, 1.0)
    record.counted(counters(rx=100), 0)
    assert taken(record) == 0


def test_a_closed_port_requests_no_data() -> None:
    record = LinkRecord(0.0, PORT)
    asserted = []
    record.port_opened(PORT, request_asserted=True)
    asserted.append(record.snapshot(pending_bytes=0, pending=False).request_asserted)
    record.port_closed()
    asserted.append(record.snapshot(pending_bytes=0, pending=False).request_asserted)
    assert asserted == [True, False]


def test_where_there_is_no_request_line_nothing_is_said_of_it() -> None:
    record = LinkRecord(0.0, PORT)
    record.port_opened(PORT, request_asserted=None)
    record.port_closed()
    assert record.snapshot(pending_bytes=0, pending=False).request_asserted is None


def test_the_port_that_was_read_last_is_known_after_it_closed() -> None:
    record = LinkRecord(0.0, PORT)
    other = PortInfo("socket://meter:2000", "tcp")
    record.port_opened(other, request_asserted=None)
    record.port_closed()
    assert record.snapshot(pending_bytes=0, pending=False).port == other


def test_values_that_could_not_be_read_or_kept_are_added_up() -> None:
    link = Link()
    link.record.values(malformed=2, dropped=0)
    link.record.values(malformed=1, dropped=5)
    assert (link.snapshot.malformed_values, link.snapshot.dropped_values) == (3, 5)


def test_a_snapshot_does_not_change_with_what_happens_later() -> None:
    link = Link(telegrams=3)
    snapshot = link.snapshot
    before = deepcopy(asdict(snapshot))
    link.record.port_opened(PORT, request_asserted=True)
    link.record.port_failed("vanished")
    link.reject()
    link.record.noise(3)
    link.accept(after=100)
    assert asdict(snapshot) == before
    assert asdict(link.snapshot) != before
    with pytest.raises(FrozenInstanceError):
        snapshot.accepted = 99  # type: ignore[misc]


def test_the_label_values_are_those_that_others_rely_on() -> None:
    assert DROP_REASONS == (
        "noise",
        "crc",
        "truncated",
        "too_long",
        "malformed",
        "parity",
        "implausible",
        "decrypt",
    )
    assert INTERVAL_BUCKETS == (0.5, 0.9, 1.1, 1.5, 2.5, 5, 9, 11, 15, 25, 60, 300)
