from __future__ import annotations

import random
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from p1_exporter.errors import UserError
from p1_exporter.simulator.day import Equipment, Tariffs, Totals
from p1_exporter.simulator.household import FLICKER, Household
from p1_exporter.simulator.models import MODELS

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
MODEL_NAMES = list(MODELS)


@cache
def household_of(name: str, seed: int) -> Household:
    """A household gives the same answers whoever asked before: the tests may share it."""
    return MODELS[name].household(seed)


def epoch(text: str, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM, fold=fold).timestamp())


TURNS = {
    "midnight": epoch("2026-06-17T00:00"),
    "month": epoch("2026-06-01T00:00"),
    "year": epoch("2026-01-01T00:00"),
    "summer time begins": epoch("2026-03-29T03:00"),
    "summer time ends": epoch("2026-10-25T02:00", fold=1),
}


def difference(household: Household, begin: int, end: int) -> Totals:
    return Totals(*(b - a for a, b in zip(household.totals(begin), household.totals(end), strict=True)))


def energy_of_supply(household: Household, begin: int, end: int, over: int) -> tuple[int, int, int, int]:
    """Joules in, joules out, var seconds in, var seconds out, added up from what telegrams show."""
    sums = [0, 0, 0, 0]
    for when in range(begin + over, end + 1, over):
        supply = household.supply(when, over)
        watts, reactive = sum(supply.watts) * over, sum(supply.vars) * over
        sums[0 if watts > 0 else 1] += abs(watts)
        sums[2 if reactive > 0 else 3] += abs(reactive)
    return sums[0], sums[1], sums[2], sums[3]


def register_energy(totals: Totals) -> tuple[int, int, int, int]:
    return (
        totals.import_1 + totals.import_2,
        totals.export_1 + totals.export_2,
        totals.reactive_import,
        totals.reactive_export,
    )


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize(
    ("begin", "hours"),
    [
        (epoch("2026-06-17T18:30:07"), 1),
        (epoch("2026-03-29T01:00"), 3),
        (epoch("2026-10-25T01:00"), 3),
    ],
    ids=["an hour", "summer time begins", "summer time ends"],
)
def test_registers_are_the_integral_of_the_power_of_every_second(name: str, begin: int, hours: int) -> None:
    household = household_of(name, 3)
    end = begin + hours * 3600
    assert register_energy(difference(household, begin, end)) == energy_of_supply(
        household, begin, end, over=1
    )


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_in_every_single_second_registers_rise_by_the_power_shown_after_it(name: str) -> None:
    household = household_of(name, 3)
    begin = epoch("2026-06-17T18:30:07")
    for when in range(begin, begin + 900):
        risen = register_energy(difference(household, when, when + 1))
        assert risen == energy_of_supply(household, when, when + 1, over=1)


@pytest.mark.parametrize("over", [1, 10])
def test_registers_of_a_whole_summer_day_are_the_integral_of_power_in_both_directions(over: int) -> None:
    household = household_of("dsmr5", 1)
    begin, end = epoch("2026-06-17T00:00"), epoch("2026-06-18T00:00")
    risen = register_energy(difference(household, begin, end))
    assert risen == energy_of_supply(household, begin, end, over)
    kilowatt_hours = [joules / 3.6e6 for joules in risen]
    assert 3 < kilowatt_hours[0] < 60
    assert 3 < kilowatt_hours[1] < 40


def test_solar_panels_feed_back_on_one_phase_while_another_draws() -> None:
    household = household_of("dsmr5", 1)
    begin = epoch("2026-06-17T00:00")
    supplies = [household.supply(begin + offset, 1).watts for offset in range(60, 86400, 60)]
    assert any(min(watts) < 0 < max(watts) for watts in supplies)
    assert any(max(watts) < 0 for watts in supplies)
    assert all(min(household.supply(begin + offset, 1).watts) >= 0 for offset in (3600, 2 * 3600, 82800))


def test_power_changes_from_second_to_second_but_never_its_direction_within_ten() -> None:
    household = household_of("dsmr5", 1)
    begin = epoch("2026-06-17T06:00")
    changed = 0
    for block in range(begin, begin + 36000, 10):
        shown = [household.supply(when, 1).watts for when in range(block + 1, block + 11)]
        changed += len(set(shown)) > 1
        for values in ([watts[0] for watts in shown], [sum(watts) for watts in shown]):
            assert all(value >= 0 for value in values) or all(value <= 0 for value in values)
    assert changed > 2400


def test_flicker_cancels_out_and_its_steps_are_small() -> None:
    for sums in FLICKER:
        steps = [after - before for before, after in zip(sums, (*sums[1:], 0), strict=True)]
        assert sums[0] == 0
        assert len(sums) == 10
        assert max(map(abs, steps)) <= 3


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
def test_registers_never_fall_over_a_turn_of_the_calendar(name: str, turn: int) -> None:
    household = household_of(name, 5)
    last = household.totals(turn - 5400)
    for when in range(turn - 5400, turn + 5400, 7):
        totals = household.totals(when)
        assert all(before <= now for before, now in zip(last, totals, strict=True)), when
        last = totals


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_registers_never_fall_within_a_day_nor_over_the_years(name: str) -> None:
    household = household_of(name, 6)
    begin = epoch("2024-01-01T00:00")
    day = epoch("2026-06-17T00:00")
    assert household.totals(begin) == Totals()
    for times in (range(day, day + 86401, 30), range(begin, epoch("2031-01-01T00:00"), 86400)):
        last = Totals()
        for when in times:
            totals = household.totals(when)
            assert all(before <= now for before, now in zip(last, totals, strict=True)), when
            last = totals


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_days_on_which_the_clocks_change_have_their_real_length(day: str, hours: int) -> None:
    household = household_of("dsmr5", 1)
    begin = epoch(day + "T00:00")
    end = begin + hours * 3600
    assert household.local(end) == household.local(begin) + timedelta(days=1)
    assert register_energy(difference(household, begin, end)) == energy_of_supply(
        household, begin, end, over=10
    )


def test_the_hour_that_comes_twice_is_lived_twice() -> None:
    household = household_of("dsmr5", 1)
    first, second = epoch("2026-10-25T02:00"), epoch("2026-10-25T02:00", fold=1)
    assert second - first == 3600
    for offset in range(10, 3600, 10):
        again = household.supply(second + offset, 10).watts
        assert household.supply(first + offset, 10).watts == again


@pytest.mark.parametrize(
    ("name", "moments"),
    [
        (
            "dsmr5",
            {
                "2026-06-17T06:59:59": 1,
                "2026-06-17T07:00:00": 2,
                "2026-06-17T22:59:59": 2,
                "2026-06-17T23:00:00": 1,
                "2026-06-20T12:00:00": 1,
                "2026-12-16T07:00:00": 2,
                "2026-12-16T06:59:59": 1,
            },
        ),
        (
            "belgium",
            {
                "2026-06-17T06:59:59": 2,
                "2026-06-17T07:00:00": 1,
                "2026-06-17T21:59:59": 1,
                "2026-06-17T22:00:00": 2,
                "2026-06-21T12:00:00": 2,
            },
        ),
    ],
)
def test_tariffs_follow_the_clock_on_the_wall(name: str, moments: dict[str, int]) -> None:
    household = household_of(name, 1)
    assert {text: household.tariff(epoch(text)) for text in moments} == moments


@pytest.mark.parametrize("name", ["dsmr5", "belgium"])
def test_only_the_registers_of_the_tariff_that_holds_rise(name: str) -> None:
    household = household_of(name, 1)
    begin = epoch("2026-06-17T00:00")
    for when in range(begin, begin + 86400, 600):
        risen = difference(household, when, when + 600)
        other = 3 - household.tariff(when)
        assert getattr(risen, f"import_{other}") == getattr(risen, f"export_{other}") == 0
        assert sum(register_energy(risen)[:2]) > 0


def quarter_demand(household: Household, begin: int) -> int:
    return energy_of_supply(household, begin, begin + 900, over=10)[0] // 900


def test_demand_is_the_import_of_the_quarter_so_far_over_a_whole_quarter() -> None:
    household = household_of("belgium", 1)
    begin = epoch("2026-06-17T18:00")
    assert household.demand(begin) == 0
    for seconds in (1, 60, 450, 899):
        so_far = energy_of_supply(household, begin, begin + seconds, over=1)[0]
        assert household.demand(begin + seconds) == so_far // 900
    assert household.demand(begin + 899) == pytest.approx(quarter_demand(household, begin), abs=20)


@pytest.mark.parametrize("day", ["2026-06-01", "2026-06-05", "2026-03-30"])
def test_the_peak_of_the_month_is_that_of_its_quarters_that_have_ended(day: str) -> None:
    household = household_of("belgium", 2)
    now = epoch(day + "T19:22:10")
    first = epoch(day[:8] + "01T00:00")
    ends = range(first + 900, now + 1, 900)
    demands = {end: quarter_demand(household, end - 900) for end in ends}
    peak = household.month_peak(now)
    assert peak is not None
    assert peak.watts == max(demands.values())
    assert peak.time == min(end for end, watts in demands.items() if watts == peak.watts)


def test_a_month_has_no_peak_before_its_first_quarter_hour_has_ended() -> None:
    household = household_of("belgium", 2)
    first = epoch("2026-06-01T00:00")
    assert household.month_peak(first + 899) is None
    peak = household.month_peak(first + 900)
    assert peak is not None
    assert peak.time == first + 900


def test_the_history_has_the_last_peak_of_each_of_thirteen_months() -> None:
    household = household_of("belgium", 2)
    history = household.peak_history(epoch("2026-06-17T12:00"))
    ends = [household.local(end) for end, _ in history]
    assert [(end.year, end.month) for end in ends] == [(2025, month) for month in range(6, 13)] + [
        (2026, month) for month in range(1, 7)
    ]
    assert {(end.day, end.hour, end.minute, end.second) for end in ends} == {(1, 0, 0, 0)}
    for end, peak in history:
        # Asked just before the month ended, all its quarters but the last had ended.
        assert household.month_peak(end - 1) == peak
    assert history == household.peak_history(epoch("2026-06-01T00:00"))
    assert len({peak.watts for _, peak in history}) > 3


def test_the_history_is_as_long_as_the_meter_is_old() -> None:
    household = household_of("belgium", 2)
    assert household.peak_history(epoch("2024-01-31T23:59:59")) == ()
    assert len(household.peak_history(epoch("2024-03-01T00:00"))) == 2


def test_answers_are_the_same_in_whatever_order_they_are_asked_for() -> None:
    chance = random.Random(1)
    times = [chance.randrange(epoch("2024-02-01T00:00"), epoch("2030-01-01T00:00")) for _ in range(60)]

    def answers(order: list[int]) -> dict[int, object]:
        household = MODELS["belgium"].household(seed=9)
        return {
            when: (
                household.totals(when),
                household.supply(when, 1),
                household.demand(when),
                household.month_peak(when),
                household.peak_history(when),
            )
            for when in order
        }

    assert answers(sorted(times)) == answers(sorted(times, reverse=True)) == answers(times)


def test_another_seed_is_another_household() -> None:
    when = epoch("2026-06-17T18:00")
    assert len({household_of("dsmr5", seed).totals(when) for seed in range(20)}) == 20


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_voltage_sags_under_load_within_bounds_and_current_is_apparent_power_over_voltage(name: str) -> None:
    household = household_of(name, 4)
    begin = epoch("2026-01-14T00:00")
    by_load: list[tuple[int, int]] = []
    for when in range(begin + 10, begin + 2 * 86400, 50):
        supply = household.supply(when, 10)
        for phase in range(3):
            volts = supply.decivolts[phase] / 10
            assert 225 <= volts <= 240
            apparent = (supply.watts[phase] ** 2 + supply.vars[phase] ** 2) ** 0.5
            assert supply.amperes(phase) * volts == pytest.approx(apparent)
            if phase == 1:
                by_load.append((supply.watts[phase], supply.decivolts[phase]))
    by_load.sort()
    tenth = len(by_load) // 10
    assert sum(volts for _, volts in by_load[:tenth]) > sum(volts for _, volts in by_load[-tenth:])


def test_gas_and_water_flow_by_day_and_gas_more_in_winter() -> None:
    household = household_of("belgium", 1)
    winter = difference(household, epoch("2026-01-01T00:00"), epoch("2026-02-01T00:00"))
    summer = difference(household, epoch("2026-07-01T00:00"), epoch("2026-08-01T00:00"))
    assert 50_000 < winter.gas < 400_000
    assert 5_000 < summer.gas < winter.gas / 3
    assert 3_000 < summer.water < 20_000
    night = difference(household, epoch("2026-01-14T02:00"), epoch("2026-01-14T05:00"))
    assert (night.gas, night.water) == (0, 0)


def test_power_failures_were_before_the_registers_began() -> None:
    failures = household_of("dsmr5", 1).long_failures
    assert [failure.end for failure in failures] == sorted(
        (failure.end for failure in failures), reverse=True
    )
    assert all(failure.end < epoch("2024-01-01T00:00") for failure in failures)
    assert all(failure.seconds >= 180 for failure in failures)


@pytest.mark.parametrize("when", [0, epoch("2024-01-01T00:00") - 1, epoch("2100-01-02T00:00")])
def test_a_time_without_registers_is_an_error_that_says_what_to_do(when: int) -> None:
    household = Household(1, "Europe/Amsterdam", Equipment(), Tariffs(2, 7, 23))
    with pytest.raises(UserError, match=r"from 2024-01-01 to before 2100-01-01 only.*clock"):
        household.totals(when)


def test_a_missing_time_zone_database_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UserError, match="Europe/Atlantis: install the package tzdata"):
        Household(1, "Europe/Atlantis", Equipment(), Tariffs(2, 7, 23))
