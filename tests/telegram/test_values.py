from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from p1_exporter.telegram.values import (
    BASE_UNITS,
    Number,
    is_unset,
    number,
    says_no_value,
    timestamp,
    unit_of,
)
from tests.telegram.telegrams import AMSTERDAM, at

DUBLIN = ZoneInfo("Europe/Dublin")
SYDNEY = ZoneInfo("Australia/Sydney")
REYKJAVIK = ZoneInfo("Atlantic/Reykjavik")

# Base unit and how many of it one unit is, written out anew.
UNITS = {
    "Wh": ("joules", Fraction(3600)),
    "kWh": ("joules", Fraction(3_600_000)),
    "MWh": ("joules", Fraction(3_600_000_000)),
    "J": ("joules", Fraction(1)),
    "kJ": ("joules", Fraction(1000)),
    "MJ": ("joules", Fraction(10**6)),
    "GJ": ("joules", Fraction(10**9)),
    "W": ("watts", Fraction(1)),
    "kW": ("watts", Fraction(1000)),
    "MW": ("watts", Fraction(10**6)),
    "var": ("vars", Fraction(1)),
    "kvar": ("vars", Fraction(1000)),
    "kVAr": ("vars", Fraction(1000)),
    "varh": ("varh", Fraction(1)),
    "kvarh": ("varh", Fraction(1000)),
    "kVArh": ("varh", Fraction(1000)),
    "VA": ("volt_amperes", Fraction(1)),
    "kVA": ("volt_amperes", Fraction(1000)),
    "V": ("volts", Fraction(1)),
    "kV": ("volts", Fraction(1000)),
    "A": ("amperes", Fraction(1)),
    "kA": ("amperes", Fraction(1000)),
    "Hz": ("hertz", Fraction(1)),
    "kHz": ("hertz", Fraction(1000)),
    "s": ("seconds", Fraction(1)),
    "min": ("seconds", Fraction(60)),
    "m3": ("cubic_meters", Fraction(1)),
    "m\u00b3": ("cubic_meters", Fraction(1)),
    "dm3": ("cubic_meters", Fraction(1, 1000)),
    "l": ("cubic_meters", Fraction(1, 1000)),
    "m3/h": ("cubic_meters_per_hour", Fraction(1)),
    "degC": ("celsius", Fraction(1)),
    "deg": ("degrees", Fraction(1)),
    "": ("", Fraction(1)),
}


def in_base(text: str, unit: str) -> float:
    parsed, known = number(text.encode()), unit_of(unit.encode("latin-1"))
    assert parsed is not None
    assert known is not None
    return parsed.in_base(known)


# Numbers and units.


@given(watt_hours=st.integers(0, 999_999_999))
@example(watt_hours=999_999_999)
def test_a_register_of_three_decimals_is_the_integer_product_of_its_watt_hours(watt_hours: int) -> None:
    text = f"{watt_hours // 1000:06}.{watt_hours % 1000:03}"
    assert in_base(text, "kWh") == watt_hours * 3600


def test_registers_for_which_floats_are_off_are_exact() -> None:
    off = [n for n in range(100_000) if float(f"{n // 1000}.{n % 1000:03}") * 3.6e6 != n * 3600]
    assert len(off) > 1000
    assert all(in_base(f"{n // 1000}.{n % 1000:03}", "kWh") == n * 3600 for n in off)


@given(
    digits=st.integers(0, 10**16 - 1),
    decimals=st.integers(0, 16),
    negative=st.booleans(),
    unit=st.sampled_from(sorted(UNITS)),
)
def test_every_number_is_the_nearest_float_to_the_exact_product(
    digits: int, decimals: int, unit: str, *, negative: bool
) -> None:
    padded = f"{digits:0{decimals + 1}}"
    point = len(padded) - decimals
    text = ("-" if negative else "") + padded[:point] + ("." + padded[point:] if decimals else "")
    assert in_base(text, unit) == float(Fraction(text) * UNITS[unit][1])


@pytest.mark.parametrize("spelling", UNITS)
def test_every_unit_is_known_in_any_case_and_with_blanks_around_it(spelling: str) -> None:
    base, factor = UNITS[spelling]
    for text in (spelling, spelling.upper(), spelling.lower(), spelling + " ", " " + spelling):
        unit = unit_of(text.encode("latin-1"))
        assert unit is not None
        assert (unit.base, Fraction(unit.numerator, unit.denominator)) == (base, factor)


def test_the_table_of_this_test_holds_every_base_unit() -> None:
    assert {base for base, _ in UNITS.values()} == BASE_UNITS


def test_cubic_meters_may_be_written_with_the_single_byte_b3h() -> None:
    assert unit_of(b"m\xb3") == unit_of(b"m3")


@pytest.mark.parametrize("sent", [b"kWi", b"k Wh", b"%", b"\xff\xfe", b"kWh*", b"m"])
def test_other_units_are_not_known(sent: bytes) -> None:
    assert unit_of(sent) is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"0", Number(0, 0)),
        (b"000123.456", Number(123456, 3)),
        (b"-1.000", Number(-1000, 3)),
        (b"+00.5", Number(5, 1)),
        (b"-063", Number(-63, 0)),
        (b"   12.5", Number(125, 1)),
        (b"12.5   ", Number(125, 1)),
        (b"  -3.25", Number(-325, 2)),
        (b"00012345.1234567", Number(123451234567, 7)),
        (b"12.", Number(12, 0)),
        (b"9" * 32 + b"." + b"9" * 16, Number(10**48 - 1, 16)),
    ],
)
def test_numbers_may_be_signed_padded_and_of_any_number_of_decimals(sent: bytes, expected: Number) -> None:
    assert number(sent) == expected


@pytest.mark.parametrize(
    "sent",
    [
        b"", b" ", b"-", b".", b".5", b"1,5", b"1.2.3", b"1e3", b"0x10", b"nan", b"inf", b"1 2", b"+-1", b"1-",
        b"12\n", b"1_000", b"\xb2", b"\xff", b"9" * 33, b"0." + b"9" * 17, b"12\x00",
    ],
)  # fmt: skip
def test_anything_else_is_no_number(sent: bytes) -> None:
    assert number(sent) is None


# Times.


@pytest.mark.parametrize(
    ("sent", "zone", "expected"),
    [
        (b"261025021500S", AMSTERDAM, at(2026, 10, 25, 0, 15)),
        (b"261025021500W", AMSTERDAM, at(2026, 10, 25, 1, 15)),
        (b"261025011500S", DUBLIN, at(2026, 10, 25, 0, 15)),
        (b"261025011500W", DUBLIN, at(2026, 10, 25, 1, 15)),
        (b"261025021500S", REYKJAVIK, at(2026, 10, 25, 2, 15)),
        (b"261025021500W", REYKJAVIK, at(2026, 10, 25, 2, 15)),
    ],
)
def test_the_letter_resolves_the_double_hour_of_october(sent: bytes, zone: ZoneInfo, expected: float) -> None:
    assert timestamp(sent, zone) == expected


@pytest.mark.parametrize(
    "zone", [AMSTERDAM, DUBLIN, REYKJAVIK, SYDNEY, ZoneInfo("Europe/Helsinki"), ZoneInfo("Asia/Jerusalem")]
)
@settings(deadline=None)
@given(moment=st.datetimes(datetime(2010, 1, 1), datetime(2060, 1, 1)))  # noqa: DTZ001 - made UTC below
@example(moment=datetime(2026, 10, 25, 0, 59, 59))  # noqa: DTZ001 - as above
@example(moment=datetime(2026, 10, 25, 1, 0, 0))  # noqa: DTZ001 - as above
@example(moment=datetime(2028, 2, 29, 23, 30, 0))  # noqa: DTZ001 - as above
def test_every_moment_comes_back_from_the_stamp_that_a_meter_writes_for_it(
    moment: datetime, zone: ZoneInfo
) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    local = moment.astimezone(zone)
    offsets = {datetime(local.year, month, 1, tzinfo=zone).utcoffset() or timedelta() for month in (1, 7)}
    letter = "W" if local.utcoffset() == min(offsets) else "S"
    assert timestamp(f"{local:%y%m%d%H%M%S}{letter}".encode(), zone) == moment.timestamp()


@settings(deadline=None)
@given(moment=st.datetimes(datetime(2010, 1, 1), datetime(2060, 1, 1)))  # noqa: DTZ001 - local time of the meter
def test_a_meter_may_keep_winter_time_all_year(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    expected = (moment.replace(tzinfo=UTC) - timedelta(hours=1)).timestamp()
    assert timestamp(f"{moment:%y%m%d%H%M%S}W".encode(), AMSTERDAM) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"260701120000", at(2026, 7, 1, 10)),
        (b"260101120000", at(2026, 1, 1, 11)),
        (b"20260701 12:00:00", at(2026, 7, 1, 10)),
        (b"2026-07-01 12:00:00", at(2026, 7, 1, 10)),
        (b"26-07-01 12:00:00", at(2026, 7, 1, 10)),
        (b"20-07-26 12:00:00", at(2020, 7, 26, 10)),
        (b"260701 12:00:00", at(2026, 7, 1, 10)),
    ],
)
def test_without_a_letter_the_zone_decides(sent: bytes, expected: float) -> None:
    assert timestamp(sent, AMSTERDAM) == expected


def test_without_a_letter_the_double_hour_is_one_of_its_two_meanings() -> None:
    assert timestamp(b"261025021500", AMSTERDAM) in {at(2026, 10, 25, 0, 15), at(2026, 10, 25, 1, 15)}


def test_the_letter_may_be_small() -> None:
    assert timestamp(b"260701120000s", AMSTERDAM) == at(2026, 7, 1, 10)
    assert timestamp(b"260701120000w", AMSTERDAM) == at(2026, 7, 1, 11)


def test_a_year_of_70_is_that_of_a_clock_at_zero() -> None:
    assert timestamp(b"700101010000W", AMSTERDAM) == 0.0
    assert timestamp(b"690101010000W", AMSTERDAM) == at(2069, 1, 1, 0)
    assert timestamp(b"000101000001W", AMSTERDAM) == at(1999, 12, 31, 23, 0, 1)


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"S", b"26070112000S", b"2607011200000S", b"260701120000X", b"260701120000 ", b"261301000000W",
        b"260732000000S", b"260701240000S", b"260701006000S", b"260701000060S", b"250229000000W", b"000000000000W",
        b"632525252525S", b"632525252525W", b"2607-01 12:00:00S", b"26\xb2701120000S", b"\xff" * 12,
    ],
)  # fmt: skip
def test_a_stamp_that_is_no_time_gives_none(sent: bytes) -> None:
    assert timestamp(sent, AMSTERDAM) is None


@pytest.mark.parametrize("sent", [b"632525252525S", b"632525252525W", b"632525252525"])
def test_the_stamp_of_bytes_ffh_says_that_there_is_no_value(sent: bytes) -> None:
    assert says_no_value(sent)
    assert is_unset(sent)


@pytest.mark.parametrize("sent", [b"", b"000000000000W", b"000000000000"])
def test_empty_and_zero_stamps_are_unset_but_do_not_deny_the_value(sent: bytes) -> None:
    assert is_unset(sent)
    assert not says_no_value(sent)


def test_a_stamp_of_the_year_2000_is_set() -> None:
    assert not is_unset(b"000101000000W")


@given(text=st.binary(max_size=40) | st.from_regex(rb"[0-9]{12}[SWsw]?", fullmatch=True))
def test_no_bytes_raise(text: bytes) -> None:
    parsed = number(text)
    assert parsed is None or isinstance(parsed.digits, int)
    time = timestamp(text, AMSTERDAM)
    assert time is None or at(1969, 12, 30, 0) < time < at(2070, 1, 2, 0)
    assert unit_of(text) is None or unit_of(text) == unit_of(text.lower())
