from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.telegram.obis import REGISTRY, Kind
from p1_exporter.telegram.readings import Line, read_line, read_simple_line
from tests.telegram.telegrams import AMSTERDAM, FAILURES, HUNGARIAN_PROFILE, at, exported, problems

HISTORY = b"(1-0:1.6.0)(1-0:1.6.0)"
GAS = b"0-1:24.1.0(003)"


def numbers(*lines: bytes) -> dict[str, float]:
    """Return what `lines` export, without the facts about M-Bus devices."""
    return {name: value for name, value in exported(*lines).items() if "_info" not in name}


# Values and their units.


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (b"1-0:1.8.1(001234.567*kWh)", 'p1_electricity_import_joules_total{tariff="1"}', 4_444_441_200),
        (b"1-0:1.8.0(00734512*Wh)", "p1_electricity_import_all_tariffs_joules_total", 2_644_243_200),
        (b"1-0:1.8.0(00003668.743*kWh)", "p1_electricity_import_all_tariffs_joules_total", 13_207_474_800),
        (b"1-0:1.8.0(00012.1234567*kWh)", "p1_electricity_import_all_tariffs_joules_total", 43_644_444.12),
        (b"1-0:1.7.0(00345*W)", "p1_power_import_watts", 345),
        (b"1-0:1.7.0(345.12*W)", "p1_power_import_watts", 345.12),
        (b"1-0:1.7.0(0000.98*kW)", "p1_power_import_watts", 980),
        (b"1-0:15.8.0(000812.500*kWh )", "p1_electricity_absolute_all_tariffs_joules_total", 2_925_000_000),
        (b"1-0:3.8.0(000012.008*kvarh)", "p1_reactive_energy_import_varh_total", 12_008),
        (b"1-0:3.8.0(000012.008*kVArh)", "p1_reactive_energy_import_varh_total", 12_008),
        (b"1-0:3.7.0(00.012*kVAr)", "p1_reactive_power_import_vars", 12),
        (b"1-0:9.7.0(00.021*kVA)", "p1_apparent_power_import_volt_amperes", 21),
        (b"1-0:32.7.0(0.231*kV)", 'p1_voltage_volts{phase="l1"}', 231),
        (b"1-0:51.7.0(0.004*kA)", 'p1_current_amperes{phase="l2"}', 4),
        (b"1-0:14.7.0(0.050*kHz)", "p1_frequency_hertz", 50),
        (b"1-0:13.7.0(-1.000)", "p1_power_factor_ratio", -1),
        (b"1-0:33.7.0(4.591)", 'p1_phase_power_factor_ratio{phase="l1"}', 4.591),
        (b"1-0:16.24.0(-00.125*kW)", "p1_average_power_net_watts", -125),
        (b"1-0:16.7.0(  -0.5*kW)", "p1_power_net_watts", -500),
        (b"1-0:32.32.0(62834)", 'p1_voltage_sags_total{phase="l1"}', 62_834),
        (b"0-0:96.7.21(00099)", "p1_power_failures_total", 99),
        (b"0-0:17.0.0(016.1*kW)", "p1_limiter_threshold_watts", 16_100),
        (b"0-0:17.0.0(16100*W)", "p1_limiter_threshold_watts", 16_100),
        (b"0-0:17.0.0(069.0*kVA)", "p1_limiter_threshold_volt_amperes", 69_000),
        (b"0-0:17.0.0(999*A)", "p1_limiter_threshold_amperes", 999),
        (b"8-0:1.0.0(012345.678*l)", 'p1_water_cubic_meters_total{channel="0"}', 12.345678),
        (b"1-0:31.4.0(999.99*A)", 'p1_current_threshold_amperes{phase="l1"}', 999.99),
    ],
)
def test_a_value_is_exported_in_base_units(line: bytes, name: str, value: float) -> None:
    assert exported(line) == {name: value}


@pytest.mark.parametrize("code", [b"1-0:1.7.0*255", b"1-0:1.7.0.255", b"1-0:1.7.0*101", b"1-0:1.7.0 "])
def test_group_f_and_blanks_after_the_code_are_no_part_of_it(code: bytes) -> None:
    assert exported(code + b"(00000.123*kW)") == {"p1_power_import_watts": 123}


def test_gateways_may_strip_the_asterisk() -> None:
    assert exported(b"1-0:1.8.1(001234.567kWh)", b"1-0:1.7.0(00.345kW)", b"0-0:17.0.0(999.9kW)") == {
        'p1_electricity_import_joules_total{tariff="1"}': 4_444_441_200,
        "p1_power_import_watts": 345,
        "p1_limiter_threshold_watts": 999_900,
    }
    assert numbers(GAS, b"0-1:24.2.1(261123101000W)(00123.456m3)") == {
        'p1_gas_cubic_meters_total{channel="1"}': 123.456,
        'p1_mbus_reading_timestamp_seconds{channel="1"}': at(2026, 11, 23, 9, 10),
    }


def test_a_number_without_the_unit_that_is_expected_stays_as_it_was_sent() -> None:
    assert exported(b"1-0:1.7.0(00.345)", b"1-0:2.7.0(00.345*kvar)", b"0-0:17.0.0(16500)") == {
        'p1_obis_value{obis="1-0:1.7.0",unit="",index="0"}': 0.345,
        'p1_obis_value{obis="1-0:2.7.0",unit="kvar",index="0"}': 0.345,
        'p1_obis_value{obis="0-0:17.0.0",unit="",index="0"}': 16_500,
    }


def test_a_unit_that_nobody_knows_is_exported_as_sent() -> None:
    assert exported(b"1-0:1.7.0(00.345*kWx)") == {
        'p1_obis_value{obis="1-0:1.7.0",unit="kWx",index="0"}': 0.345
    }


@pytest.mark.parametrize("value", [b"00.3x5*kW", b"*kW", b"00,345*kW", b"\xb30.345*kW", b"abc", b"-"])
def test_what_should_be_a_number_and_is_none_is_named(value: bytes) -> None:
    line = b"1-0:1.7.0(" + value + b")"
    assert exported(line) == {}
    shown = value.partition(b"*")[0].decode("latin-1")
    assert problems(line) == [f"{shown!r} is not a number"]


@pytest.mark.parametrize(
    "line", [b"1-0:1.7.0()", b"0-1:24.2.1()", b"0-0:96.14.0()", b"0-0:1.0.0()", b"0-1:24.1.0()"]
)
def test_empty_parentheses_are_no_value_and_no_fault(line: bytes) -> None:
    assert exported(line) == {}
    assert problems(line) == []


# States.


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (b"0-0:96.14.0(0002)", "p1_tariff_indicator", 2),
        (b"0-0:96.14.0(TARIFF 1)", "p1_tariff_indicator", 1),
        (b"0-0:96.14.0(Tariff 12)", "p1_tariff_indicator", 12),
        (b"0-0:96.3.10(1)", "p1_breaker_state", 1),
        (b"0-0:96.3.10(ON)", "p1_breaker_state", 1),
        (b"0-0:96.50.68(OFF)", "p1_breaker_state", 0),
        (b"0-0:96.50.68(on)", "p1_breaker_state", 1),
        (b"0-2:96.3.10(0)", 'p1_relay_state{channel="2"}', 0),
        (b"0-1:24.4.0(1)", 'p1_mbus_valve_state{channel="1"}', 1),
    ],
)
def test_a_state_is_a_number_or_a_word(line: bytes, name: str, value: float) -> None:
    assert exported(line) == {name: value}


@pytest.mark.parametrize("word", [b"ONN", b"TARIFF", b"TARIFF X", b"\xff"])
def test_an_unknown_state_is_named(word: bytes) -> None:
    line = b"0-0:96.3.10(" + word + b")"
    assert exported(line) == {}
    assert problems(line) == [f"{word.decode('latin-1')!r} is neither a number nor a known state"]


# Time stamps.


def test_the_clock_of_the_meter_is_a_metric() -> None:
    assert exported(b"0-0:1.0.0(261123101500W)") == {"p1_meter_timestamp_seconds": at(2026, 11, 23, 9, 15)}
    assert exported(b"0-0:1.0.0(20260711 12:00:00)") == {"p1_meter_timestamp_seconds": at(2026, 7, 11, 10)}


@pytest.mark.parametrize("stamp", [b"632525252525S", b"632525252525W", b"000000000000W"])
def test_a_clock_that_is_not_set_exports_nothing(stamp: bytes) -> None:
    assert exported(b"0-0:1.0.0(" + stamp + b")") == {}
    assert problems(b"0-0:1.0.0(" + stamp + b")") == []


@pytest.mark.parametrize("stamp", [b"261323101500W", b"2611231015", b"now", b"261123101500Q"])
def test_a_clock_that_shows_no_time_is_named(stamp: bytes) -> None:
    assert exported(b"0-0:1.0.0(" + stamp + b")") == {}
    assert problems(b"0-0:1.0.0(" + stamp + b")") == [f"{stamp.decode()!r} is not a time"]


def test_the_maximum_of_the_month_has_a_time() -> None:
    assert exported(b"1-0:1.6.0(260703181500S)(04.120*kW)") == {
        "p1_demand_import_month_max_watts": 4120,
        "p1_demand_import_month_max_timestamp_seconds": at(2026, 7, 3, 16, 15),
    }
    assert exported(b"1-0:1.6.0(632525252525W)(00.000*kW)") == {}


def test_a_bad_time_stamp_does_not_cost_the_value() -> None:
    lines = (GAS, b"0-1:24.2.1(269923101000W)(00123.456*m3)")
    assert numbers(*lines) == {'p1_gas_cubic_meters_total{channel="1"}': 123.456}
    assert problems(*lines) == ["'269923101000W' is not a time"]


def test_an_unset_time_stamp_does_not_cost_the_value() -> None:
    lines = (GAS, b"0-1:24.2.1(000000000000W)(00123.456*m3)")
    assert numbers(*lines) == {'p1_gas_cubic_meters_total{channel="1"}': 123.456}
    assert problems(*lines) == []


def test_a_reading_may_come_without_time_stamp() -> None:
    assert numbers(GAS, b"0-1:24.2.1(00123.456*m3)") == {'p1_gas_cubic_meters_total{channel="1"}': 123.456}


def test_the_time_stamp_may_follow_the_value() -> None:
    assert exported(b"7-0:23.1.0(00012.345*m3)(26-07-11 12:00:00)") == {
        'p1_gas_cubic_meters_total{channel="0"}': 12.345
    }


# The hourly reading of DSMR 2.2 and 3.0.


def test_the_gas_of_old_meters_stands_on_a_line_of_its_own() -> None:
    assert numbers(GAS, b"0-1:24.3.0(120517020000)(08)(60)(1)(0-1:24.2.1)(m3)", b"(00124.477)") == {
        'p1_gas_cubic_meters_total{channel="1"}': 124.477,
        'p1_mbus_reading_timestamp_seconds{channel="1"}': at(2012, 5, 17, 0),
    }


def test_the_gas_of_two_channels_is_not_mixed_up() -> None:
    lines = (
        b"0-2:24.1.0(3)",
        b"0-1:24.1.0(3)",
        b"0-1:24.3.0(120517020000)(00)(60)(1)(0-1:24.2.1)(m3)",
        b"(00124.477)",
        b"0-2:24.3.0(121117030000)(00)(60)(1)(0-2:24.2.1)(m3)",
        b"(00977.000)",
    )
    assert numbers(*lines) == {
        'p1_gas_cubic_meters_total{channel="1"}': 124.477,
        'p1_mbus_reading_timestamp_seconds{channel="1"}': at(2012, 5, 17, 0),
        'p1_gas_cubic_meters_total{channel="2"}': 977,
        'p1_mbus_reading_timestamp_seconds{channel="2"}': at(2012, 11, 17, 2),
    }


def test_the_heat_of_old_meters_is_in_gigajoules() -> None:
    lines = (b"0-1:24.1.0(4)", b"0-1:24.3.0(120517020000)(00)(60)(1)(0-1:24.2.1)(GJ)", b"(00012.34)")
    assert numbers(*lines)['p1_heat_joules_total{channel="1"}'] == 12_340_000_000


def test_further_hourly_values_are_exported_as_sent() -> None:
    lines = (GAS, b"0-1:24.3.0(120517020000)(00)(60)(2)(0-1:24.2.1)(m3)", b"(00124.477)(00124.500)")
    found = numbers(*lines)
    assert found['p1_gas_cubic_meters_total{channel="1"}'] == 124.477
    assert found['p1_obis_value{obis="0-1:24.3.0",unit="m3",index="0"}'] == 124.5


def test_an_hourly_reading_without_its_second_line_is_named() -> None:
    line = b"0-1:24.3.0(120517020000)(00)(60)(1)(0-1:24.2.1)(m3)"
    assert exported(line) == {}
    assert problems(line) == ["the line with the value is missing"]


def test_an_hourly_reading_that_never_was_exports_nothing() -> None:
    lines = (b"0-1:24.3.0(632525252525)(00)(60)(1)(0-1:24.2.1)(m3)", b"(00000.000)")
    assert exported(*lines) == {}
    assert problems(*lines) == []


# The log of power failures.


def failures(log: bytes) -> dict[str, float]:
    assert problems(b"1-0:99.97.0" + log) == []
    return exported(b"1-0:99.97.0" + log)


def failure(entry: int, seconds: float, end: float) -> dict[str, float]:
    return {
        f'p1_long_power_failure_seconds{{entry="{entry}"}}': seconds,
        f'p1_long_power_failure_timestamp_seconds{{entry="{entry}"}}': end,
    }


NEW, OLD = at(2026, 5, 23, 12, 49, 34), at(2025, 11, 9, 7, 31, 38)


def test_the_newest_failure_is_entry_0_in_whichever_order_the_meter_prints_them() -> None:
    newest_first = b"(2)(0-0:96.7.19)(260523144934S)(0000000240*s)(251109083138W)(0000000301*s)"
    oldest_first = b"(2)(0-0:96.7.19)(251109083138W)(0000000301*s)(260523144934S)(0000000240*s)"
    expected = {**failure(0, 240, NEW), **failure(1, 301, OLD)}
    assert failures(newest_first) == expected
    assert failures(oldest_first) == expected


@pytest.mark.parametrize(
    "log",
    [
        b"()", b"(0)", b"(0)()", b"(0)(0-0:96.7.19)", b"(0)(0-0:96.7.19)()", b"(1)()()()", b"(3)(0-0:96.7.19)",
        b"(2)(0-0:96.7.19)()()()()",
    ],
)  # fmt: skip
def test_a_log_without_entries_exports_nothing(log: bytes) -> None:
    assert failures(log) == {}


def test_durations_may_come_without_unit() -> None:
    assert failures(b"(1)(0-0:96.7.19)(260523144934S)(0000000240)") == failure(0, 240, NEW)


def test_another_object_may_be_captured() -> None:
    assert failures(b"(1)(0-0:96.11.63)(260523144934S)(0000000240*s)") == failure(0, 240, NEW)


def test_the_count_does_not_have_to_be_right() -> None:
    assert failures(b"(10)(0-0:96.7.19)(260523144934S)(0000000240*s)") == failure(0, 240, NEW)


def test_the_sentinel_of_some_meters_is_a_number_like_any_other() -> None:
    log = b"(2)(0-0:96.7.19)(000101000001W)(2147483647*s)(260523144934S)(0000000240*s)"
    sentinel = failure(1, 2_147_483_647, at(1999, 12, 31, 23, 0, 1))
    assert failures(log) == {**failure(0, 240, NEW), **sentinel}


def test_a_failure_whose_stamp_denies_it_exports_nothing() -> None:
    log = b"(2)(0-0:96.7.19)(632525252525W)(0000000000*s)(260523144934S)(0000000240*s)"
    assert failures(log) == failure(0, 240, NEW)


def test_a_failure_of_unknown_time_has_its_duration() -> None:
    line = b"1-0:99.97.0(1)(0-0:96.7.19)(269923144934S)(0000000240*s)"
    assert exported(line) == {'p1_long_power_failure_seconds{entry="0"}': 240}
    assert problems(line) == ["'269923144934S' is not a time"]


def test_a_log_that_breaks_off_keeps_what_is_whole() -> None:
    line = b"1-0:99.97.0(2)(0-0:96.7.19)(260523144934S)(0000000240*s)(251109083138W)"
    assert exported(line) == failure(0, 240, NEW)
    assert problems(line) == ["the last failure has no duration"]


def test_one_bad_duration_does_not_cost_the_others() -> None:
    line = b"1-0:99.97.0(2)(0-0:96.7.19)(260523144934S)(00000x0240*s)(251109083138W)(0000000301*s)"
    assert exported(line) == failure(1, 301, OLD)
    assert problems(line) == ["'00000x0240' is not a number"]


def test_swiss_meters_print_the_log_under_another_medium() -> None:
    assert exported(FAILURES.replace(b"1-0:99", b"1-1:99")) == exported(FAILURES)


# The histories under 0-0:98.1.0.


def peak(entry: int, watts: float, time: float) -> dict[str, float]:
    return {
        f'p1_peak_demand_watts{{entry="{entry}"}}': watts,
        f'p1_peak_demand_timestamp_seconds{{entry="{entry}"}}': time,
    }


JULY = b"(260801000000S)(260718074500S)(05.250*kW)"
MAY = b"(260601000000S)(260512183000S)(03.901*kW)"
EMPTY_JUNE = b"(260701000000S)(632525252525W)(00.000*kW)"
JULY_PEAK, MAY_PEAK = at(2026, 7, 18, 5, 45), at(2026, 5, 12, 16, 30)


@pytest.mark.parametrize("months", [MAY + JULY, JULY + MAY])
def test_the_newest_peak_is_entry_0_in_whichever_order_the_meter_prints_them(months: bytes) -> None:
    assert exported(b"0-0:98.1.0(2)" + HISTORY + months) == {
        **peak(0, 5250, JULY_PEAK),
        **peak(1, 3901, MAY_PEAK),
    }


@pytest.mark.parametrize("months", [MAY + EMPTY_JUNE + JULY, JULY + EMPTY_JUNE + MAY])
def test_a_month_without_peak_exports_nothing(months: bytes) -> None:
    line = b"0-0:98.1.0(3)" + HISTORY + months
    found = exported(line)
    assert len(found) == 4
    assert found['p1_peak_demand_watts{entry="0"}'] == 5250
    assert sorted(found.values()) == [3901, 5250, MAY_PEAK, JULY_PEAK]
    assert problems(line) == []


def test_a_history_of_thirteen_months_is_whole() -> None:
    months = [(2025 + (6 + n) // 12, (6 + n) % 12 + 1) for n in range(14)]
    text = b"".join(
        b"(%02d%02d01000000W)(%02d%02d15120000W)(%02d.000*kW)" % (*month(end), *month(peak), n + 1)
        for n, (peak, end) in enumerate(pairwise(months))
    )
    found = exported(b"0-0:98.1.0(13)" + HISTORY + text)
    assert [found[f'p1_peak_demand_watts{{entry="{entry}"}}'] for entry in range(13)] == [
        1000 * (13 - entry) for entry in range(13)
    ]
    assert len(found) == 26


def month(year_and_month: tuple[int, int]) -> tuple[int, int]:
    return year_and_month[0] % 100, year_and_month[1]


@pytest.mark.parametrize("log", [b"(0)" + HISTORY + b"()", b"(0)" + HISTORY, b"()"])
def test_an_empty_history_exports_nothing(log: bytes) -> None:
    assert exported(b"0-0:98.1.0" + log) == {}
    assert problems(b"0-0:98.1.0" + log) == []


@pytest.mark.parametrize("rest", [b"(260801000000S)", b"(260801000000S)(260718074500S)"])
def test_a_history_that_breaks_off_keeps_what_is_whole(rest: bytes) -> None:
    line = b"0-0:98.1.0(2)" + HISTORY + MAY + rest
    assert exported(line) == peak(0, 3901, MAY_PEAK)
    assert problems(line) == ["the last month is incomplete"]


def test_one_bad_peak_does_not_cost_the_others() -> None:
    line = b"0-0:98.1.0(2)" + HISTORY + MAY + JULY.replace(b"05.250", b"05.2x0")
    assert exported(line) == peak(1, 3901, MAY_PEAK)
    assert problems(line) == ["'05.2x0' is not a number"]


def test_a_swiss_history_is_a_bare_count() -> None:
    assert exported(b"0-0:98.1.0(12)") == {'p1_obis_value{obis="0-0:98.1.0",unit="",index="0"}': 12}


def test_a_hungarian_history_is_a_list_of_values_without_names() -> None:
    found = exported(HUNGARIAN_PROFILE)
    units = ["kWh"] * 6 + ["kvarh"] * 6 + ["kWh"] + ["kW"] * 6
    assert found == {
        f'p1_obis_value{{obis="0-0:98.1.0",unit="{unit}",index="{number}"}}': number + 0.125
        for number, unit in enumerate(units)
    }


def test_a_load_profile_exports_what_has_a_unit() -> None:
    line = b"1-0:99.1.0(2)(0-0:96.10.7)(1-0:1.29.0)(1-0:2.29.0)(260711120000S)(00)(000000.125*kWh)(000000.250*kWh)"
    assert exported(line) == {
        'p1_obis_value{obis="1-0:99.1.0",unit="kWh",index="0"}': 0.125,
        'p1_obis_value{obis="1-0:99.1.0",unit="kWh",index="1"}': 0.25,
    }


# Codes that the registry does not know.


@pytest.mark.parametrize(
    ("value", "unit", "number"),
    [
        (b"00.345*kW", "kW", 0.345),
        (b"-12*foo", "foo", -12),
        (b"1.5", "", 1.5),
        (b"123456789012.5", "", 123456789012.5),
        (b"12345678", "", 12345678),
        (b"0", "", 0),
        (b"123456789012*x", "x", 123456789012),
        (b"7*m\xb3", "m\u00b3", 7),
    ],
)
def test_a_number_of_an_unknown_code_has_a_unit_or_a_point_or_few_digits(
    value: bytes, unit: str, number: float
) -> None:
    found = exported(b"1-0:99.99.9(" + value + b")")
    assert found == {f'p1_obis_value{{obis="1-0:99.99.9",unit="{unit}",index="0"}}': number}


@pytest.mark.parametrize(
    "value",
    [
        b"123456789",
        b"260711120000S",
        b"260711120000",
        b"4530303030303030",
        b"30AF",
        b"text",
        b"1-0:1.8.0",
        b"",
        b"\xff",
    ],
)
def test_identifiers_times_and_octet_strings_of_unknown_codes_are_no_numbers(value: bytes) -> None:
    assert exported(b"1-0:99.99.9(" + value + b")") == {}
    assert problems(b"1-0:99.99.9(" + value + b")") == []


def test_what_has_a_unit_and_is_no_number_is_named() -> None:
    assert problems(b"1-0:99.99.9(x*kW)") == ["'x' is not a number"]


def test_a_long_piece_of_nonsense_is_not_shown_whole() -> None:
    (why,) = problems(b"1-0:1.7.0(" + b"x" * 500 + b"*kW)")
    assert len(why) < 80


# The short way for the usual lines.


def facts(line: Line) -> tuple[object, ...]:
    return line.obis, line.raw, line.readings, line.malformed, line.device


CODES = sorted(
    {entry.code.replace("0-n", "0-2").replace(".t", ".5") for entry in REGISTRY}
    | {"1-1:1.8.1", "1-3:2.8.7", "1-5:31.7.0", "1-0:99.99.9", "0-1:99.9.9"}
)


@given(
    code=st.sampled_from(CODES),
    number=st.from_regex(r"[0-9]{1,12}\.[0-9]{1,4}", fullmatch=True),
    unit=st.sampled_from(
        ["kWh", "kW", "kvarh", "kVAr", "V", "A", "Hz", "m3", "GJ", "s", "degC", "kVA", "l", "foo"]
    ),
)
def test_the_short_way_reads_what_the_long_way_reads(code: str, number: str, unit: str) -> None:
    value = f"{number}*{unit}".encode()
    text = f"{code}(".encode() + value + b")"
    short = read_simple_line(text, AMSTERDAM)
    if short is not None:
        assert facts(short) == facts(read_line(text, code, [value], AMSTERDAM))


@given(code=st.sampled_from(CODES), stamp=st.from_regex(r"[0-9]{12}[SW]", fullmatch=True))
def test_the_short_way_reads_times_as_the_long_way_does(code: str, stamp: str) -> None:
    text = f"{code}({stamp})".encode()
    short = read_simple_line(text, AMSTERDAM)
    if short is not None:
        assert facts(short) == facts(read_line(text, code, [stamp.encode()], AMSTERDAM))


def test_the_short_way_is_gone_for_the_lines_that_change_every_second() -> None:
    usual = {Kind.COUNTER, Kind.GAUGE}
    lines = [
        f"{entry.code}(000012.345*{unit})".encode()
        for entry in REGISTRY
        for base, unit in (("joules", "kWh"), ("watts", "kW"), ("volts", "V"), ("amperes", "A"))
        if entry.kind in usual
        and base in entry.units.split("|")
        and entry.code.startswith("1-0:")
        and "t" not in entry.code
    ]
    assert len(lines) > 50
    assert all(read_simple_line(line, AMSTERDAM) for line in [*lines, b"0-0:1.0.0(261123101500W)"])
