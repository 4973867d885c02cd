"""The rate of a meter is found by listening, both ways, and a link that works is never disturbed."""

from __future__ import annotations

import random
from typing import Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.detect import FAST, SLOW, RateSearch
from p1_exporter.link.port import GATHER_SECONDS
from p1_exporter.link.reception import Accepted, Reception, Understanding
from p1_exporter.simulator.models import MODELS
from p1_exporter.simulator.recording import NOON
from p1_exporter.simulator.wire import Wire

BOTH: Final = (FAST, SLOW)


class Heard(NamedTuple):
    """What came of listening."""

    accepted: list[float]
    """When telegrams were accepted."""
    rates: list[tuple[float, int]]
    """When the rate was changed, and to which."""
    search: RateSearch


def listen(  # noqa: PLR0913 - as `Wire`
    model: str,
    rate: int,
    seconds: float,
    *,
    fault: str | None = None,
    severity: float = 0.9,
    kind: str | None = None,
    driver: str = "amba-pl011",
    opened: float = 0.0,
    search: RateSearch | None = None,
) -> Heard:
    """Listen to a simulated wire as the thread of a meter does that understands nothing, beginning at `rate`."""
    search = search or RateSearch(rate)
    wire = Wire(
        MODELS[model],
        3,
        NOON - 0.5 + opened,
        0.0,
        fault=fault,
        severity=severity,
        kind=kind,
        driver=driver,
        baudrate=rate,
    )
    reception = Reception(Understanding())
    heard = Heard([], [], search)
    for second in range(int(seconds)):
        while (arrival := wire.arrival(second + 1)) is not None:
            read = wire.take(arrival + GATHER_SECONDS)
            assert read is not None
            judged = [*reception.passed(read.time), *reception.received(read.data, read.time)]
            if any(isinstance(each, Accepted) for each in judged):
                heard.accepted.append(read.time)
                search.understood()
            if search.heard(read.data, read.time):
                _change(heard, wire, read.time)
        if search.passed(second + 1):
            _change(heard, wire, second + 1)
    return heard


def _change(heard: Heard, wire: Wire, time: float) -> None:
    heard.rates.append((time, heard.search.rate))
    wire.set_baudrate(heard.search.rate)


def bursts(
    search: RateSearch, bursts: list[bytes], *, begin: float = 0.0, interval: float = 1.0
) -> list[int]:
    """Return the rate after each burst, and after the pause that ends it."""
    rates = []
    for number, data in enumerate(bursts):
        time = begin + number * interval
        search.heard(data, time)
        search.passed(time + interval / 2)
        rates.append(search.rate)
    return rates


def nonsense(rng: random.Random, size: int = 800) -> bytes:
    """Return a burst that is no text, nor what another rate leaves of one."""
    return bytes(rng.randrange(1, 256) for _ in range(size))


@pytest.mark.parametrize("model", ["dsmr5", "dsmr4", "belgium", "sweden", "dsmr2"])
@pytest.mark.parametrize("rate", BOTH)
@pytest.mark.parametrize("opened", [0.0, 0.53])
def test_the_rate_is_found_from_either_side_also_in_mid_telegram(
    model: str, rate: int, opened: float
) -> None:
    meter = MODELS[model]
    heard = listen(model, rate, 45.0, opened=opened)
    assert heard.search.rate == meter.baudrate
    assert len(heard.rates) == (rate != meter.baudrate)
    # It takes two bursts to leave a rate, and a meter without checksum is believed from its second telegram on.
    assert heard.accepted
    assert heard.accepted[0] < 4.5 * meter.interval


@pytest.mark.parametrize("driver", ["ftdi_sio", "bcm2835aux", "ch341", "tcp"])
@pytest.mark.parametrize("model", ["dsmr5", "dsmr2"])
@pytest.mark.parametrize("rate", BOTH)
def test_the_rate_is_found_through_every_driver(driver: str, model: str, rate: int) -> None:
    heard = listen(model, rate, 45.0, driver=driver)
    assert heard.search.rate == MODELS[model].baudrate
    assert len(heard.rates) <= 1
    assert heard.accepted


@pytest.mark.parametrize(
    ("model", "fault", "kind", "severity"),
    [
        ("dsmr5", "inverted", "", 0.9),
        ("dsmr5", "checksum", "polynomial", 0.9),
        ("dsmr2", "checksum", "translated", 0.9),
        *(
            (model, fault, kind, severity)
            for model in ("dsmr5", "dsmr2")
            for fault, kind, severity in (
                ("noise", "ground", 0.9),
                ("noise", "field", 0.9),
                ("noise", "random", 0.6),
                ("intermittent", "", 0.9),
                ("overrun", "kernel", 0.9),
                ("lost_characters", "bridge", 0.9),
                ("second_reader", "", 0.9),
                ("request_drop", "", 0.9),
                ("wrong_format", "", 0.9),
                ("silent", "", 1.0),
            )
        ),
    ],
)
def test_a_rate_that_is_right_is_kept_however_bad_the_line(
    model: str, fault: str, kind: str, severity: float
) -> None:
    rate = MODELS[model].baudrate
    heard = listen(model, rate, 60.0, fault=fault, kind=kind, severity=severity)
    assert heard.rates == []


def test_what_cannot_be_read_at_either_rate_is_listened_to_at_the_likelier_one_most_of_the_time() -> None:
    rng = random.Random(1)
    search = RateSearch()
    rates = bursts(search, [nonsense(rng) for _ in range(2000)])
    assert rates.count(FAST) > 0.95 * len(rates)


def test_the_search_is_never_given_up() -> None:
    rng = random.Random(2)
    search = RateSearch()
    bursts(search, [nonsense(rng, 100) for _ in range(20_000)])
    begin = 20_000.0
    later = [
        rate for rate in bursts(search, [nonsense(rng) for _ in range(2000)], begin=begin) if rate == SLOW
    ]
    assert later


def test_after_hours_of_nonsense_another_meter_is_found_as_soon_as_its_rate_shows() -> None:
    rng = random.Random(3)
    search = RateSearch()
    bursts(search, [nonsense(rng, 100) for _ in range(10_000)])
    search.passed(20_000.0)
    assert listen("dsmr2", search.rate, 60.0, search=search).search.rate == SLOW


def test_a_trial_in_which_nothing_comes_ends() -> None:
    search = RateSearch()
    assert bursts(search, [bytes(300)] * 2)[-1] == SLOW
    assert not search.passed(20.0)
    assert search.passed(60.0)
    assert search.rate == FAST


def test_the_rate_of_a_meter_that_was_understood_is_remembered() -> None:
    rng = random.Random(4)
    heard = listen("dsmr2", FAST, 60.0)
    assert heard.search.rate == SLOW
    rates = bursts(heard.search, [nonsense(rng) for _ in range(1000)], begin=100.0, interval=10.0)
    assert rates.count(SLOW) > 0.9 * len(rates)
    assert FAST in rates


def test_a_glitch_is_no_burst() -> None:
    assert set(bursts(RateSearch(), [b"\0\xff\0"] * 1000)) == {FAST}


@pytest.mark.parametrize("rate", BOTH)
def test_a_line_that_never_pauses_has_bursts_too(rate: int) -> None:
    search = RateSearch(rate)
    time = 0.0
    rates = set()
    for _ in range(2000):
        search.heard(bytes(576), time)
        rates.add(search.rate)
        time += 0.05
    # A line that is low at one rate is low at the other: neither is left for good.
    assert rates == set(BOTH) if rate == FAST else rate in rates


def test_a_line_that_is_low_all_the_time_is_listened_to_long_enough_to_be_named() -> None:
    search = RateSearch()
    changed = [tick for tick in range(1000) if search.heard(bytes(576), tick * 0.05)]
    assert changed[0] * 0.05 >= 20


def test_of_two_rates_at_which_nothing_can_be_read_the_one_with_the_looks_is_kept() -> None:
    rng = random.Random(5)
    search = RateSearch()
    # Slow characters leave NULs at a fast port; at a slow one, these are as long as telegrams.
    assert bursts(search, [bytes(900)] * 2)[-1] == SLOW
    assert search.trying
    assert set(bursts(search, [nonsense(rng, 400)] * 10, begin=5.0, interval=10.0)) == {SLOW}
    assert not search.trying


@given(
    st.lists(st.tuples(st.floats(0, 40), st.one_of(st.binary(max_size=600), st.just(bytes(5000))))),
    st.sampled_from(BOTH),
)
def test_whatever_arrives_it_is_one_of_the_two_rates_and_a_change_is_told(
    arriving: list[tuple[float, bytes]], rate: int
) -> None:
    search = RateSearch(rate)
    time = 0.0
    for pause, data in arriving:
        before = search.rate
        time += pause
        changed = search.passed(time)
        assert changed == (search.rate != before)
        before = search.rate
        assert search.heard(data, time) == (search.rate != before)
        assert search.rate in BOTH
        assert len(search._burst) <= 4096
