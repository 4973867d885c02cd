from __future__ import annotations

from datetime import datetime
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.errors import UserError
from p1_exporter.simulator.models import MODELS, Model, wire_bytes
from p1_exporter.simulator.source import PATIENCE, PIECE, Parameters, Source, parse_url

NOON = int(datetime.fromisoformat("2026-06-17T12:00:00+02:00").timestamp())
ALL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


@cache
def telegrams(model: Model, count: int) -> list[bytes]:
    """What the meter sends from noon on."""
    household = model.household(seed=1)
    return [wire_bytes(model, household, NOON + number * model.interval) for number in range(count)]


@ALL
def test_the_first_telegram_begins_at_the_next_whole_interval_of_the_clock(model: Model) -> None:
    source = Source(model, seed=1, start=NOON - 0.25, now=1000.0)
    assert source.take(1000.25) == b""
    character = 10 / model.baudrate
    assert source.take(1000.25 + 0.99 * character - 0.02 * character) == b""
    assert source.take(1000.25 + character) == telegrams(model, 1)[0][:1]


@ALL
def test_each_character_arrives_when_its_stop_bit_has(model: Model) -> None:
    source = Source(model, seed=1, start=NOON - 0.5, now=70.0)
    expected = telegrams(model, 3)
    received = b""
    while len(received) < sum(map(len, expected)):
        due = source.due
        early = source.take(due - 0.5 * 10 / model.baudrate)
        piece = early + source.take(due)
        assert 0 < len(piece) <= PIECE
        received += piece
        number = 0
        position = len(received)
        while position > len(expected[number]):
            position -= len(expected[number])
            number += 1
        begin = 70.5 + number * model.interval
        assert due == pytest.approx(begin + position * 10 / model.baudrate, abs=1e-9)
        assert early == piece[:-1]
    assert received == b"".join(expected)


@ALL
def test_nothing_arrives_between_two_telegrams(model: Model) -> None:
    source = Source(model, seed=1, start=NOON, now=0.0)
    first, second = telegrams(model, 2)
    assert source.take(model.interval) == first
    assert source.take(model.interval) == b""
    assert source.due == pytest.approx(model.interval + PIECE * 10 / model.baudrate)
    assert source.take(2 * model.interval) == second


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(list(MODELS)),
    waits=st.lists(st.floats(0, 12, allow_subnormal=False), max_size=30),
    origin=st.floats(0, 1e7),
)
def test_however_often_one_looks_the_same_bytes_have_arrived(
    name: str, waits: list[float], origin: float
) -> None:
    model = MODELS[name]
    often, once = (Source(model, seed=1, start=NOON, now=origin) for _ in range(2))
    now = origin
    pieces = b""
    for wait in waits:
        now = min(now + wait, origin + PATIENCE - 1)
        pieces += often.take(now)
        assert often.due > now - 1e-6
    assert pieces == once.take(now)


@ALL
def test_what_nobody_took_for_long_is_lost_and_the_stream_goes_on_in_time(model: Model) -> None:
    source = Source(model, seed=1, start=NOON, now=0.0)
    day = 86400
    late = source.take(day + 0.5 * model.interval)
    household = model.household(seed=1)
    heard = range(int(day - PATIENCE) + model.interval, day + 1, model.interval)
    kept = b"".join(wire_bytes(model, household, NOON + when) for when in heard)
    assert late.endswith(kept)
    assert len(late) <= len(kept) + len(kept) // len(heard) * 2
    assert source.take(day + model.interval) == b""
    assert source.take(day + 2 * model.interval) == wire_bytes(model, household, NOON + day + model.interval)


def test_the_same_seed_gives_the_same_stream_and_another_one_another() -> None:
    one, same, other = (Source(MODELS["dsmr5"], seed, start=NOON, now=0.0).take(20) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert len(one) == pytest.approx(len(other), rel=0.01)


def test_a_url_names_model_seed_and_start() -> None:
    assert parse_url("simulate://dsmr5") == Parameters(MODELS["dsmr5"], seed=0, start=None)
    assert parse_url("simulate://belgium/?seed=17") == Parameters(MODELS["belgium"], seed=17)
    assert parse_url("simulate://dsmr2?seed=4294967295&start=2026-06-17T10:00:00Z") == Parameters(
        MODELS["dsmr2"], seed=2**32 - 1, start=NOON
    )


def test_a_url_names_fault_and_driver() -> None:
    assert parse_url("simulate://dsmr5?fault=noise&severity=0.6&kind=ground&driver=ftdi_sio") == Parameters(
        MODELS["dsmr5"], fault="noise", severity=0.6, kind="ground", driver="ftdi_sio"
    )
    assert parse_url("simulate://dsmr5?fault=hum").severity is None


@pytest.mark.parametrize(("text", "severity"), [("0", 0), ("1", 1), ("1.0", 1), (".25", 0.25), ("0.6", 0.6)])
def test_severity_is_a_number_from_0_to_1(text: str, severity: float) -> None:
    assert parse_url(f"simulate://dsmr5?fault=hum&severity={text}").severity == severity


@pytest.mark.parametrize("start", ["2026-06-17T12:00:00", "2026-06-17T12:00", "2026-06-17T12:00:00+02:00"])
def test_start_is_by_the_wall_clock_of_the_meter_unless_it_has_an_offset(start: str) -> None:
    assert parse_url(f"simulate://dsmr4?start={start}").start == NOON


def test_a_source_from_a_url_begins_at_its_start() -> None:
    source = parse_url("simulate://dsmr5?seed=1&start=2026-06-17T12:00:00").source()
    assert source.take(source.due).startswith(b"/SIM5")
    assert source.take(source.due + 0.2).count(b"1-0:1.7.0") == 1


def test_a_source_without_start_begins_at_the_time_of_this_computer() -> None:
    before = datetime.now().astimezone().timestamp()
    source = parse_url("simulate://dsmr5?seed=1").source()
    sent = source.take(source.due + 0.2)
    household = MODELS["dsmr5"].household(seed=1)
    first = int(before) + 1
    assert sent in [wire_bytes(MODELS["dsmr5"], household, when) for when in range(first, first + 10)]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "simulate://dsmr3",
            "there are simulate://dsmr2, simulate://dsmr4, simulate://dsmr5, simulate://belgium",
        ),
        ("simulate://", "there are simulate://dsmr2"),
        ("dsmr5", "there are simulate://dsmr2"),
        ("simulate:dsmr5", "there are simulate://dsmr2"),
        ("simulate://dsmr5/dev/null", "there are simulate://dsmr2"),
        ("simulate://dsmr5:80", "there are simulate://dsmr2"),
        ("simulate://[dsmr5", "there are simulate://dsmr2"),
        ("http://dsmr5", "there are simulate://dsmr2"),
        (
            "simulate://dsmr5?speed=2",
            "speed= is not known; the parameters are seed, start, fault, severity, kind, driver",
        ),
        ("simulate://dsmr5?seed=1&seed=2", "seed= is given twice"),
        ("simulate://dsmr5?seed", "seed must be a whole number from 0 to 4294967295"),
        ("simulate://dsmr5?seed=-1", "seed must be a whole number from 0 to 4294967295"),
        ("simulate://dsmr5?seed=4294967296", "seed must be a whole number from 0 to 4294967295"),
        ("simulate://dsmr5?seed=" + "9" * 5000, "seed must be a whole number from 0 to 4294967295"),
        (
            "simulate://dsmr5?seed=\N{ARABIC-INDIC DIGIT ONE}",
            "seed must be a whole number from 0 to 4294967295",
        ),
        ("simulate://dsmr5?start=noon", "start must be a date and time like 2026-03-29T01:59:30"),
        ("simulate://dsmr5?start=2023-12-31T23:59:59", "one of the years 2024 to 2099"),
        ("simulate://dsmr5?start=9999-12-31T23:59:59", "one of the years 2024 to 2099"),
        ("simulate://dsmr5?fault=gremlins", "no such fault; there are disconnected, silent, stuck_low"),
        ("simulate://dsmr5?fault=", "no such fault; there are disconnected, silent, stuck_low"),
        ("simulate://dsmr5?severity=0.3", "severity= is that of a fault; say which with fault="),
        ("simulate://dsmr5?kind=fast", "kind= is that of a fault; say which with fault="),
        (
            "simulate://dsmr5?fault=hum&severity=1.1",
            "severity must be a number from 0 (nothing is wrong) to 1",
        ),
        ("simulate://dsmr5?fault=hum&severity=", "severity must be a number from 0 (nothing is wrong) to 1"),
        ("simulate://dsmr5?fault=hum&severity=.", "severity must be a number from 0 (nothing is wrong) to 1"),
        (
            "simulate://dsmr5?fault=hum&severity=-0.1",
            "severity must be a number from 0 (nothing is wrong) to 1",
        ),
        (
            "simulate://dsmr5?fault=hum&severity=nan",
            "severity must be a number from 0 (nothing is wrong) to 1",
        ),
        ("simulate://dsmr5?fault=noise&kind=loud", "no such kind of noise; there are ground, field, random"),
        ("simulate://dsmr5?fault=hum&kind=loud", "no such kind of hum; there is only one; leave out kind="),
        ("simulate://dsmr5?driver=pl011", "no such driver; there are amba-pl011, bcm2835aux, 8250, ftdi_sio"),
    ],
)
def test_a_url_that_cannot_work_is_an_error_that_says_what_can(url: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_url(url)
    assert message in str(error.value)
