"""The whole wire: laws that hold for every fault and driver, and what each fault looks like.

The figures of the second part are those of runs with an analogue circuit simulator, with some room around them.
"""

from __future__ import annotations

import time
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.simulator.faults import FAULTS
from p1_exporter.simulator.models import MODELS, wire_bytes
from p1_exporter.simulator.recording import NOON, Counted, record
from p1_exporter.simulator.reporting import DRIVERS
from p1_exporter.simulator.source import parse_url
from p1_exporter.simulator.wire import Read, Wire, WireBytes
from tests.benchmarks.signatures import signature

ANY_FAULT = pytest.mark.parametrize("fault", FAULTS)
ANY_DRIVER = pytest.mark.parametrize("driver", DRIVERS)
ALL_OR_NOTHING = {"inverted", "wrong_speed", "wrong_format", "checksum"}
"""Faults that have no severity."""


def reads(model: str, *args: object, **more: object) -> list[Read]:
    return [item for item in record(model, *args, **more) if isinstance(item, Read)]


def received(model: str, *args: object, **more: object) -> bytes:
    return b"".join(read.data for read in reads(model, *args, **more))


@cache
def sent(model: str, seconds: int, seed: int = 0) -> bytes:
    meter = MODELS[model]
    household = meter.household(seed)
    whens = range(NOON, NOON + seconds, meter.interval)
    return b"".join(wire_bytes(meter, household, when) for when in whens)


@ANY_DRIVER
@pytest.mark.parametrize("model", MODELS)
def test_a_healthy_wire_passes_every_byte(model: str, driver: str) -> None:
    assert received(model, driver=driver, seconds=22) == sent(model, 22)


@ANY_DRIVER
@pytest.mark.parametrize("model", ["dsmr2", "dsmr5"])
def test_so_it_does_bit_by_bit(model: str, driver: str) -> None:
    # At this severity RX falls late, and still early enough.
    data = received(model, "slow_fall", 0.1, driver=driver, seconds=12)
    assert data == sent(model, 12)


@ANY_FAULT
def test_a_fault_of_severity_0_is_none(fault: str) -> None:
    assert received("dsmr5", fault, 0.0, seconds=3) == sent("dsmr5", 3)


@ANY_DRIVER
@ANY_FAULT
def test_every_fault_runs_on_every_driver_and_counts_what_it_passes_on(fault: str, driver: str) -> None:
    seconds = 1.7
    for model in ("dsmr5", "dsmr2"):
        size, before = 0, -1.0
        for item in record(model, fault, 0.7, seed=2, driver=driver, seconds=seconds):
            assert item.time <= seconds + 0.05
            if isinstance(item, Counted):
                assert item.counts.rx is None or item.counts.rx >= size
                continue
            assert item.time > before
            assert item.data
            assert all(0 <= place < len(item.data) for place, _ in item.marks)
            assert [place for place, _ in item.marks] == sorted({place for place, _ in item.marks})
            assert all(error != "break" or not item.data[place] for place, error in item.marks)
            before = item.time
            size += len(item.data)


@ANY_FAULT
def test_the_same_seed_gives_the_same_and_another_one_something_else(fault: str) -> None:
    one, same, other = (list(record("dsmr5", fault, 0.5, seed=seed, seconds=4)) for seed in (1, 1, 2))
    assert one == same
    assert one != other or not any(isinstance(item, Read) for item in one)


@settings(deadline=None, max_examples=12)
@given(
    waits=st.lists(st.floats(0, 1.5, allow_subnormal=False), max_size=15),
    fault=st.sampled_from(sorted(FAULTS)),
    driver=st.sampled_from(sorted(DRIVERS)),
)
def test_however_often_one_looks_the_same_bytes_have_arrived(
    waits: list[float], fault: str, driver: str
) -> None:
    often, once = (
        Wire(MODELS["dsmr5"], 3, NOON, 50.0, fault=fault, severity=0.6, driver=driver) for _ in range(2)
    )
    now, data = 50.0, b""
    for wait in waits:
        now += wait
        often.arrival(now)
        read = often.take(now)
        data += read.data if read else b""
    read = once.take(now)
    assert data == (read.data if read else b"")


def test_what_nobody_took_for_long_is_lost_and_the_stream_goes_on_in_time() -> None:
    wire = Wire(MODELS["dsmr5"], 0, NOON, 0.0, fault="noise", severity=0.01, kind="ground")
    day = 86_400.0
    wire.take(day)
    late = wire.take(day + 1.0 - 1e-6)
    assert late is not None
    assert late.data == wire_bytes(MODELS["dsmr5"], MODELS["dsmr5"].household(0), NOON + 86_400)


def test_a_port_at_the_wrong_speed_reads_text_once_it_is_set_right() -> None:
    wire = Wire(MODELS["dsmr2"], 0, NOON, 0.0, baudrate=115_200)
    wrong = wire.take(5.0)
    assert wrong is not None
    assert set(wrong.data) == {0}
    assert {error for _, error in wrong.marks} == {"break"}
    wire.set_baudrate(9600)
    right = wire.take(15.0)
    assert right is not None
    assert right.data == sent("dsmr2", 20)[-len(right.data) :]


def test_a_line_that_is_low_stays_so_for_a_port_whose_speed_is_set() -> None:
    wire = Wire(MODELS["dsmr5"], 0, NOON, 0.0, fault="inverted")
    before = wire.take(0.5)
    wire.set_baudrate(115_200)
    after = wire.take(1.5)
    assert before is not None
    assert after is not None
    for read in (before, after):
        assert b"0-0:96.1" in bytes((~byte >> 1) & 0x7F for byte in read.data)


def test_an_adapter_whose_speed_is_fixed_does_not_heed_another() -> None:
    wire = Wire(MODELS["dsmr5"], 0, NOON, 0.0, fault="wrong_speed")
    wire.set_baudrate(115_200)
    read = wire.take(0.9)
    assert read is not None
    assert len(read.data) < 0.1 * len(sent("dsmr5", 1))


def test_a_port_that_is_there_for_a_share_of_the_time_gives_nothing_meanwhile() -> None:
    times = [read.time for read in reads("dsmr5", "disconnected", 0.5, seconds=120)]
    assert {int(time % 60) for time in times} == set(range(30, 60))


def test_a_meter_is_silent_for_a_share_of_the_time() -> None:
    times = [read.time for read in reads("dsmr5", "silent", 0.5, seconds=120)]
    assert {int(time % 60) for time in times} == set(range(30, 60))


def test_a_stream_of_a_wire_gives_its_bytes() -> None:
    stream = WireBytes(Wire(MODELS["dsmr5"], 0, NOON - 0.5, 0.0, fault="checksum", kind="polynomial"))
    now, data = 0.0, b""
    while now < 3:
        assert stream.due > now
        now = stream.due
        data += stream.take(now)
    assert data == received("dsmr5", "checksum", kind="polynomial", seconds=4)[: len(data)]
    assert len(data) > 0.9 * len(sent("dsmr5", 3))


def test_a_url_gives_a_stream_with_its_fault() -> None:
    stream = parse_url("simulate://dsmr5?fault=inverted&start=2026-06-17T12:00:00").source()
    data = b""
    until = time.monotonic() + 0.95
    while stream.due < until:
        data += stream.take(stream.due)
    assert sum(byte >> 7 for byte in data) > 0.9 * len(data)


# What each fault looks like.


@pytest.mark.parametrize(
    "fault", sorted(set(FAULTS) - ALL_OR_NOTHING - {"silent", "stuck_low", "disconnected"})
)
@pytest.mark.parametrize("model", ["dsmr5", "dsmr2"])
def test_mild_faults_let_telegrams_through_and_severe_ones_hardly_any(fault: str, model: str) -> None:
    for kind in FAULTS[fault].kinds:
        mild, severe = (
            sum(
                signature(model, fault, severity, seed=seed, telegrams=6, kind=kind).intact
                for seed in range(2)
            )
            / 2
            for severity in (0.25, 1.0)
        )
        assert mild > 0.25, kind
        assert severe < 0.2, kind


SIGNATURES = [
    (
        "inverted",
        "",
        "amba-pl011",
        0.5,
        {"bit_7": (0.92, 0.96), "marked": (0, 0.01), "received": (0.95, 1.05)},
    ),
    ("inverted", "", "ftdi_sio", 0.5, {"bit_7": (0.92, 0.96), "marked": (0.05, 0.12)}),
    ("inverted", "", "8250", 0.5, {"bit_7": (0.65, 0.8), "marked": (0.2, 0.35)}),
    ("inverted", "", "bcm2835aux", 0.5, {"nul": (0.9, 0.99), "received": (12, 15)}),
    (
        "wrong_speed",
        "",
        "amba-pl011",
        0.5,
        {"received": (0.05, 0.09), "marked": (0.4, 0.8), "breaks": (0, 0.5)},
    ),
    ("wrong_speed", "", "ftdi_sio", 0.5, {"received": (0.05, 0.09), "marked": (0.95, 1)}),
    ("wrong_speed", "", "bcm2835aux", 0.5, {"received": (0.4, 2.2), "marked": (0, 0)}),
    ("wrong_format", "", "amba-pl011", 0.5, {"intact": (1, 1), "marked": (0.34, 0.42), "bit_7": (0, 0)}),
    ("wrong_format", "", "ftdi_sio", 0.5, {"intact": (1, 1), "marked": (0.99, 1)}),
    ("wrong_format", "", "bcm2835aux", 0.5, {"intact": (0, 0)}),
    (
        "clock",
        "fast",
        "amba-pl011",
        0.6,
        {"marked": (0.9, 1), "bit_7": (0.005, 0.065), "received": (0.98, 1.02)},
    ),
    ("clock", "slow", "amba-pl011", 0.6, {"marked": (0.7, 1), "bit_7": (0.6, 0.88), "received": (0.7, 0.8)}),
    ("clock", "slow", "bcm2835aux", 1.0, {"bit_7": (0.95, 1), "received": (0.98, 1.1)}),
    ("slow_fall", "", "amba-pl011", 0.6, {"bit_7": (0.7, 0.95), "marked": (0.01, 0.05), "nul": (0, 0)}),
    ("slow_fall", "", "ftdi_sio", 0.6, {"bit_7": (0.7, 0.95), "marked": (0.4, 0.8)}),
    ("slow_rise", "", "amba-pl011", 0.6, {"marked": (0.23, 0.85), "breaks": (90, 300), "nul": (0.12, 0.8)}),
    (
        "noise",
        "ground",
        "amba-pl011",
        0.6,
        {"intact": (0.1, 0.9), "bit_7": (0.001, 0.08), "between": (0.005, 0.1)},
    ),
    ("noise", "field", "amba-pl011", 0.6, {"intact": (0.1, 0.9), "bit_7": (0, 0.003), "between": (0, 0)}),
    ("noise", "random", "amba-pl011", 0.6, {"intact": (0, 0.75), "marked": (0, 0.06), "bit_7": (0, 0.06)}),
    ("hum", "", "amba-pl011", 0.8, {"intact": (0, 0), "breaks": (110, 310), "between": (0.1, 0.5)}),
    ("intermittent", "", "amba-pl011", 0.5, {"breaks": (1, 20), "bit_7": (0, 0.02), "received": (0.8, 1.02)}),
    ("overrun", "uart", "amba-pl011", 0.6, {"marked": (0, 0), "bit_7": (0, 0), "received": (0.9, 1)}),
    ("lost_characters", "software", "amba-pl011", 0.8, {"bit_7": (0.12, 0.45), "received": (0.75, 0.99)}),
    ("second_reader", "", "amba-pl011", 0.6, {"taken": (0.08, 0.75), "bit_7": (0, 0)}),
    ("second_reader", "", "ftdi_sio", 0.6, {"taken": (0.08, 0.75), "bit_7": (0, 0)}),
    ("request_drop", "", "amba-pl011", 0.6, {"intact": (0.1, 0.9), "bit_7": (0, 0), "marked": (0, 0)}),
    ("checksum", "polynomial", "amba-pl011", 0.5, {"intact": (0, 0), "received": (1, 1), "bit_7": (0, 0)}),
    ("checksum", "translated", "amba-pl011", 0.5, {"intact": (0, 0), "received": (1, 1), "bit_7": (0, 0)}),
]  # fmt: skip - one line each


@pytest.mark.parametrize(("fault", "kind", "driver", "severity", "bounds"), SIGNATURES)
def test_a_fault_has_its_signature(
    fault: str, kind: str, driver: str, severity: float, bounds: dict[str, tuple[float, float]]
) -> None:
    found = signature("dsmr5", fault, severity, driver=driver, seed=3, telegrams=12, kind=kind)._asdict()
    outside = {
        name: found[name] for name, (least, most) in bounds.items() if not least <= found[name] <= most
    }
    assert outside == {}


def test_slow_characters_at_a_fast_port_are_nothing_but_breaks() -> None:
    found = signature("dsmr2", "wrong_speed", 0.5, telegrams=4)
    assert (found.nul, found.marked) == (1, 0)
    assert found.received == pytest.approx(2.9, abs=0.1)


@pytest.mark.parametrize(("driver", "characters"), [("amba-pl011", 1), ("bcm2835aux", 12_800)])
def test_a_line_stuck_low_is_one_break_or_a_flood(driver: str, characters: int) -> None:
    data = received("dsmr5", "stuck_low", 1.0, driver=driver, seconds=1)
    assert set(data) == {0}
    assert len(data) == pytest.approx(characters, rel=0.01)


def test_inverted_text_can_be_turned_round() -> None:
    data = received("dsmr5", "inverted", seconds=3)
    assert b"0-0:96.1" in bytes((~byte >> 1) & 0x7F for byte in data)


def test_slow_falls_only_turn_zeros_into_ones() -> None:
    damaged = received("dsmr5", "slow_fall", 0.25, seed=5, seconds=20)
    whole = sent("dsmr5", 20, seed=5)
    assert len(damaged) == len(whole)
    assert damaged != whole
    assert all(was & ~now == 0 for was, now in zip(whole, damaged, strict=True))


def test_a_second_reader_takes_whole_pieces() -> None:
    for driver, size in (("amba-pl011", 8), ("ftdi_sio", 62)):
        counts = [
            item.counts.rx
            for item in record("dsmr5", "second_reader", 1.0, driver=driver, seconds=10)
            if isinstance(item, Counted)
        ]
        assert counts[-1] == len(sent("dsmr5", 10))
        assert all(later > earlier for earlier, later in pairwise(counts))
        lengths = [
            len(read.data) % size for read in reads("dsmr5", "second_reader", 0.4, driver=driver, seconds=10)
        ]
        assert lengths.count(0) >= len(lengths) // 4


def test_a_telegram_costs_less_than_its_time_on_the_wire() -> None:
    # Twice as much as bit by bit takes on a slow computer is allowed.
    found = min(signature("dsmr5", "slow_fall", 0.6, telegrams=10).cost for _ in range(3))
    assert found < 0.06
