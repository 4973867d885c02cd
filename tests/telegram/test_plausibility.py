from __future__ import annotations

import pytest

from p1_exporter.telegram.acceptance import objection
from p1_exporter.telegram.decoder import Decoder
from p1_exporter.telegram.events import Telegram, Verdict
from p1_exporter.telegram.parity import parity_errors, with_parity, without_parity
from p1_exporter.telegram.plausibility import Plausibility, Registers, registers
from p1_exporter.telegram.samples import Sample
from tests.telegram.telegrams import AMSTERDAM, samples_of

MAX_POWER = 17_250.0  # 3 x 25 A
KWH = 3_600_000


def at_kwh(*kwh: float) -> Registers:
    """Return registers of electricity, one a tariff."""
    return {
        ("p1_electricity_import_joules_total", (("tariff", str(tariff)),)): value * KWH
        for tariff, value in enumerate(kwh, 1)
    }


def gas(cubic_meters: float) -> Registers:
    return {("p1_gas_cubic_meters_total", (("channel", "1"),)): cubic_meters}


def heat(joules: float) -> Registers:
    return {("p1_heat_joules_total", (("channel", "1"),)): joules}


def started(values: Registers) -> Plausibility:
    """Return a check that has accepted `values` at the time 0."""
    check = Plausibility(MAX_POWER)
    check.accepts(values, -10.0)
    assert check.accepts(values, 0.0)
    return check


# At start.


def test_at_start_two_telegrams_must_agree() -> None:
    check = Plausibility(MAX_POWER)
    assert not check.accepts(at_kwh(100), 0.0)
    assert check.accepts(at_kwh(100.001), 10.0)
    assert check.accepts(at_kwh(100.002), 20.0)


def test_at_start_a_damaged_telegram_is_not_what_others_are_measured_by() -> None:
    check = Plausibility(MAX_POWER)
    assert not check.accepts(at_kwh(900), 0.0)
    assert not check.accepts(at_kwh(100), 10.0)
    assert check.accepts(at_kwh(100.001), 20.0)


# Falls and leaps.


@pytest.mark.parametrize("damaged", [99.999, 0.0, 100.25, 900.0])
def test_a_register_that_falls_or_leaps_is_rejected_and_the_next_good_telegram_accepted(
    damaged: float,
) -> None:
    check = started(at_kwh(100, 200))
    assert not check.accepts(at_kwh(damaged, 200), 10.0)
    assert check.accepts(at_kwh(100.002, 200), 20.0)


def test_one_register_out_of_many_is_enough() -> None:
    check = started(at_kwh(100, 200, 300))
    assert not check.accepts(at_kwh(100, 200, 299), 10.0)


def test_registers_that_stand_still_are_plausible() -> None:
    assert started(at_kwh(100)).accepts(at_kwh(100), 10.0)


def test_a_register_may_rise_as_fast_as_the_connection_carries_power() -> None:
    hour = MAX_POWER / 1000
    assert started(at_kwh(100)).accepts(at_kwh(100 + hour), 3600.0)
    assert not started(at_kwh(100)).accepts(at_kwh(100 + 1.1 * hour), 3600.0)


def test_a_larger_connection_may_be_configured() -> None:
    values = at_kwh(100)
    for power, expected in ((MAX_POWER, False), (10 * MAX_POWER, True)):
        check = Plausibility(power)
        check.accepts(values, -10.0)
        check.accepts(values, 0.0)
        assert check.accepts(at_kwh(100.5), 60.0) is expected


def test_the_time_counts_since_the_last_accepted_telegram() -> None:
    check = started(at_kwh(100))
    assert not check.accepts(at_kwh(50), 10.0)
    assert check.accepts(at_kwh(110), 3600.0)


def test_the_second_telegram_that_agrees_is_accepted() -> None:
    check = started(at_kwh(5000))
    assert not check.accepts(at_kwh(3), 10.0)
    assert check.accepts(at_kwh(3.001), 20.0)
    assert check.accepts(at_kwh(3.002), 30.0)
    assert not check.accepts(at_kwh(5000), 40.0)


def test_telegrams_that_contradict_each_other_are_all_rejected() -> None:
    check = started(at_kwh(100))
    assert [
        check.accepts(at_kwh(value), 10.0 * number) for number, value in enumerate((50, 40, 30, 900), 1)
    ] == [False] * 4
    assert check.accepts(at_kwh(100.01), 60.0)


def test_an_accepted_telegram_ends_the_wait_of_the_one_before() -> None:
    check = started(at_kwh(100))
    assert not check.accepts(at_kwh(50), 10.0)
    assert check.accepts(at_kwh(100), 20.0)
    assert not check.accepts(at_kwh(50.001), 30.0)


def test_a_register_that_is_new_or_gone_is_no_contradiction() -> None:
    check = started(at_kwh(100))
    assert check.accepts({**at_kwh(100), **gas(7700)}, 10.0)
    assert check.accepts(gas(7700), 20.0)


# Devices on the M-Bus.


def test_gas_is_read_now_and_then_and_rises_in_steps() -> None:
    check = started(gas(1000))
    assert check.accepts(gas(1004), 10.0)
    assert not check.accepts(gas(1400), 20.0)
    assert not check.accepts(gas(1003.9), 30.0)
    assert check.accepts(gas(1004), 40.0)


def test_heat_rises_in_steps_too() -> None:
    hour = MAX_POWER * 3600
    assert started(heat(5e9)).accepts(heat(5e9 + 0.9 * hour), 10.0)
    assert not started(heat(5e9)).accepts(heat(5e9 + 2 * hour), 10.0)


def test_reactive_energy_is_bounded_by_the_same_power() -> None:
    register = ("p1_reactive_energy_import_varh_total", ())
    assert started({register: 1000.0}).accepts({register: 1000.0 + MAX_POWER}, 3600.0)
    assert not started({register: 1000.0}).accepts({register: 1000.0 + 2 * MAX_POWER}, 3600.0)


# What is judged.


def test_registers_are_the_totals_of_energy_and_volume_and_nothing_else() -> None:
    found = samples_of(
        b"1-0:1.8.1(000001.000*kWh)",
        b"1-0:3.8.0(000002.000*kvarh)",
        b"1-0:1.7.0(00.345*kW)",
        b"0-0:96.7.21(00003)",
        b"1-0:99.9.9(4.0*kWh)",
        b"0-1:24.1.0(003)",
        b"0-1:24.2.1(261123101000W)(00005.000*m3)",
    )
    every = [sample for line in (*found.by_line, found.of_telegram) for sample in line]
    assert registers(every) == {
        ("p1_electricity_import_joules_total", (("tariff", "1"),)): KWH,
        ("p1_reactive_energy_import_varh_total", ()): 2000,
        ("p1_gas_cubic_meters_total", (("channel", "1"),)): 5,
    }
    assert registers([Sample("p1_power_failures_total", (), 1.0)]) == {}


# Parity, and what disqualifies a telegram by itself.


def objection_to(data: bytes, checksum: Verdict, errors: int) -> str | None:
    telegram = Telegram(0, len(data), data, checksum, errors)
    return objection(telegram, Decoder(AMSTERDAM).decode(data))


def test_a_telegram_without_any_object_line_is_malformed() -> None:
    empty = b"/TST5X\r\n\r\nhello\r\n!ABCD\r\n"
    for verdict in ("valid", "absent"):
        assert objection_to(empty, verdict, 0) == "malformed"


def test_a_parity_error_counts_only_where_there_is_no_checksum() -> None:
    data = b"/TST5X\r\n\r\n1-0:1.7.0(00.345*kW)\r\n!\r\n"
    assert objection_to(data, "absent", 1) == "parity"
    assert objection_to(data, "absent", 0) is None
    assert objection_to(data, "valid", 1) is None


def test_the_parity_bit_makes_the_number_of_ones_even() -> None:
    characters = bytes(range(128))
    sent = with_parity(characters)
    assert all(byte.bit_count() % 2 == 0 for byte in sent)
    assert without_parity(sent) == characters
    assert parity_errors(sent) == 0
    assert parity_errors(characters) == 64
    assert parity_errors(bytearray(byte ^ 0x10 for byte in sent)) == 128
