from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.telegram.decoder import Decoder
from p1_exporter.telegram.obis import REGISTRY
from p1_exporter.telegram.samples import MAX_OBIS_VALUES, Samples, redacted, samples
from tests.telegram.telegrams import (
    AMSTERDAM,
    AUSTRIAN,
    BELGIAN,
    FAILURES,
    HUNGARIAN,
    LUXEMBOURG,
    POLISH,
    as_text,
    decoded,
    exported,
    samples_of,
    with_lines,
)

READING = b"(261123101000W)(00123.456*m3)"


def all_of(found: Samples) -> list[str]:
    return [as_text(sample) for line in (*found.by_line, found.of_telegram) for sample in line]


# Names that dashboards and alerts depend on.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1-0:1.8.1(1*kWh)", 'p1_electricity_import_joules_total{tariff="1"}'),
        ("1-0:1.8.16(1*kWh)", 'p1_electricity_import_joules_total{tariff="16"}'),
        ("1-0:2.8.2(1*kWh)", 'p1_electricity_export_joules_total{tariff="2"}'),
        ("1-0:1.8.0(1*kWh)", "p1_electricity_import_all_tariffs_joules_total"),
        ("1-0:2.8.0(1*kWh)", "p1_electricity_export_all_tariffs_joules_total"),
        ("1-1:1.8.1(1*kWh)", 'p1_electricity_import_joules_total{tariff="1"}'),
        ("1-3:1.8.0(1*kWh)", "p1_electricity_import_all_tariffs_joules_total"),
        ("1-5:2.8.1(1*kWh)", 'p1_electricity_export_joules_total{tariff="1"}'),
        ("1-0:1.7.0(1*kW)", "p1_power_import_watts"),
        ("1-0:2.7.0(1*kW)", "p1_power_export_watts"),
        ("1-0:21.7.0(1*kW)", 'p1_phase_power_import_watts{phase="l1"}'),
        ("1-0:41.7.0(1*kW)", 'p1_phase_power_import_watts{phase="l2"}'),
        ("1-0:61.7.0(1*kW)", 'p1_phase_power_import_watts{phase="l3"}'),
        ("1-0:22.7.0(1*kW)", 'p1_phase_power_export_watts{phase="l1"}'),
        ("1-0:42.7.0(1*kW)", 'p1_phase_power_export_watts{phase="l2"}'),
        ("1-0:62.7.0(1*kW)", 'p1_phase_power_export_watts{phase="l3"}'),
        ("1-0:32.7.0(1*V)", 'p1_voltage_volts{phase="l1"}'),
        ("1-0:52.7.0(1*V)", 'p1_voltage_volts{phase="l2"}'),
        ("1-0:72.7.0(1*V)", 'p1_voltage_volts{phase="l3"}'),
        ("1-0:31.7.0(1*A)", 'p1_current_amperes{phase="l1"}'),
        ("1-0:51.7.0(1*A)", 'p1_current_amperes{phase="l2"}'),
        ("1-0:71.7.0(1*A)", 'p1_current_amperes{phase="l3"}'),
        ("1-0:32.32.0(1)", 'p1_voltage_sags_total{phase="l1"}'),
        ("1-0:52.32.0(1)", 'p1_voltage_sags_total{phase="l2"}'),
        ("1-0:72.36.0(1)", 'p1_voltage_swells_total{phase="l3"}'),
        ("0-0:96.7.21(1)", "p1_power_failures_total"),
        ("0-0:96.7.9(1)", "p1_long_power_failures_total"),
        ("0-0:96.14.0(0001)", "p1_tariff_indicator"),
        ("0-0:1.0.0(261123101500W)", "p1_meter_timestamp_seconds"),
        ("1-0:3.7.0(1*kvar)", "p1_reactive_power_import_vars"),
        ("1-0:4.7.0(1*kvar)", "p1_reactive_power_export_vars"),
        ("1-0:3.8.0(1*kvarh)", "p1_reactive_energy_import_varh_total"),
        ("1-0:4.8.0(1*kvarh)", "p1_reactive_energy_export_varh_total"),
        ("1-0:1.4.0(1*kW)", "p1_demand_import_watts"),
        ("1-0:1.6.0(1*kW)", "p1_demand_import_month_max_watts"),
        ("0-0:17.0.0(1*kW)", "p1_limiter_threshold_watts"),
        ("0-0:17.0.0(1*A)", "p1_limiter_threshold_amperes"),
        ("0-0:96.3.10(1)", "p1_breaker_state"),
        ("0-3:24.4.0(1)", 'p1_mbus_valve_state{channel="3"}'),
        ("1-3:0.2.8(50)", 'p1_meter_info{model="TST5\\2M550T-1011",version="50"}'),
        ("0-0:96.1.4(50217)", 'p1_meter_info{model="TST5\\2M550T-1011",version="50217"}'),
        ("0-2:24.1.0(007)", 'p1_mbus_device_info{channel="2",type="water"}'),
        ("1-0:99.9.9(1*x)", 'p1_obis_value{obis="1-0:99.9.9",unit="x",index="0"}'),
    ],
)
def test_a_code_has_the_metric_that_is_promised(line: str, expected: str) -> None:
    assert list(exported(line.encode())) == [expected]


def test_the_model_is_told_also_where_no_line_gives_a_version() -> None:
    assert exported(b"1-0:1.7.0(00.345*kW)", whole=True) == {
        "p1_power_import_watts": 345,
        'p1_meter_info{model="TST5\\2M550T-1011",version=""}': 1,
    }


def test_the_model_is_told_once() -> None:
    assert [name for name in exported(*BELGIAN, whole=True) if name.startswith("p1_meter_info")] == [
        'p1_meter_info{model="TST5\\2M550T-1011",version="50217"}'
    ]


# Devices on the M-Bus.


@pytest.mark.parametrize(
    ("type_", "value", "name"),
    [
        (b"002", b"00123.456*kWh", 'p1_slave_electricity_joules_total{channel="1"}'),
        (b"003", b"00123.456*m3", 'p1_gas_cubic_meters_total{channel="1"}'),
        (b"3", b"00123.456*m\xb3", 'p1_gas_cubic_meters_total{channel="1"}'),
        (b"03", b"00123.456*m3", 'p1_gas_cubic_meters_total{channel="1"}'),
        (b"004", b"012.345*GJ", 'p1_heat_joules_total{channel="1"}'),
        (b"012", b"012.345*GJ", 'p1_heat_joules_total{channel="1"}'),
        (b"007", b"00123.456*m3", 'p1_water_cubic_meters_total{channel="1"}'),
        (b"010", b"012.345*GJ", 'p1_cooling_joules_total{channel="1"}'),
        (b"303", b"00123.456*m3", 'p1_mbus_cubic_meters_total{channel="1"}'),
        (b"909", b"012.345*GJ", 'p1_mbus_joules_total{channel="1"}'),
        (b"000", b"00123.456*m3", 'p1_mbus_cubic_meters_total{channel="1"}'),
        (b"", b"00123.456*m3", 'p1_mbus_cubic_meters_total{channel="1"}'),
    ],
)
def test_the_type_of_the_device_names_its_register(type_: bytes, value: bytes, name: str) -> None:
    found = exported(b"0-1:24.1.0(" + type_ + b")", b"0-1:24.2.1(261123101000W)(" + value + b")")
    assert name in found
    assert 'p1_mbus_reading_timestamp_seconds{channel="1"}' in found


@pytest.mark.parametrize(
    ("sent", "shown"), [(b"003", "gas"), (b"12", "heat"), (b"0", "0"), (b"303", "303"), (b"0909", "909")]
)
def test_the_type_of_a_device_is_its_name_or_else_its_number(sent: bytes, shown: str) -> None:
    found = exported(b"0-1:24.1.0(" + sent + b")")
    assert found == {f'p1_mbus_device_info{{channel="1",type="{shown}"}}': 1}


@pytest.mark.parametrize("code", [b"0-1:24.2.1", b"0-1:24.2.3"])
def test_a_device_without_type_has_a_register_all_the_same(code: bytes) -> None:
    assert exported(code + READING)['p1_mbus_cubic_meters_total{channel="1"}'] == 123.456


def test_the_type_may_follow_the_reading() -> None:
    before = exported(b"0-1:24.1.0(003)", b"0-1:96.1.0(4730)", b"0-1:24.2.1" + READING)
    after = exported(b"0-1:24.2.1" + READING, b"0-1:96.1.0(4730)", b"0-1:24.1.0(003)")
    assert before == after
    assert 'p1_gas_cubic_meters_total{channel="1"}' in after


def test_the_type_may_follow_a_reading_of_two_lines() -> None:
    lines = (b"0-1:24.3.0(120517020000)(08)(60)(1)(0-1:24.2.1)(m3)", b"(00124.477)", b"0-1:24.1.0(3)")
    assert exported(*lines)['p1_gas_cubic_meters_total{channel="1"}'] == 124.477


def test_a_device_may_change_its_type_without_its_reading_changing() -> None:
    decoder = Decoder(AMSTERDAM)
    for type_, name in ((b"003", "p1_gas_cubic_meters_total"), (b"007", "p1_water_cubic_meters_total")):
        data = with_lines(b"0-1:24.1.0(" + type_ + b")", b"0-1:24.2.1" + READING)
        assert name in {sample.name for line in samples(decoder.decode(data)).by_line for sample in line}


def test_four_devices_in_mixed_order_are_told_apart() -> None:
    found = exported(
        b"0-3:24.2.1(261123101000W)(00003.000*m3)",
        b"0-1:24.1.0(003)",
        b"0-4:24.1.0(003)",
        b"0-2:24.2.1(261123101000W)(002.000*GJ)",
        b"0-4:24.2.3(261123101000W)(00004.000*m3)",
        b"0-2:24.1.0(004)",
        b"0-1:24.2.1(261123101000W)(00001.000*m3)",
        b"0-3:24.1.0(007)",
    )
    assert {name: value for name, value in found.items() if name.endswith('"}') and "total" in name} == {
        'p1_water_cubic_meters_total{channel="3"}': 3,
        'p1_heat_joules_total{channel="2"}': 2e9,
        'p1_gas_cubic_meters_total{channel="4"}': 4,
        'p1_gas_cubic_meters_total{channel="1"}': 1,
    }
    assert len([name for name in found if name.startswith("p1_mbus_reading_timestamp_seconds")]) == 4


def test_a_dead_slot_exports_no_reading() -> None:
    found = exported(b"0-2:24.1.0(007)", b"0-2:96.1.0()", b"0-2:24.2.1(632525252525S)(00000.000)")
    assert found == {'p1_mbus_device_info{channel="2",type="water"}': 1}


def test_a_dead_slot_of_1970_exports_its_number_as_sent() -> None:
    found = exported(b"0-1:24.1.0(003)", b"0-1:24.2.1(700101010000W)(00000000)")
    assert found == {
        'p1_mbus_device_info{channel="1",type="gas"}': 1,
        'p1_obis_value{obis="0-1:24.2.1",unit="",index="0"}': 0,
    }


def test_belgian_water_is_no_gas() -> None:
    found = exported(*BELGIAN)
    assert found['p1_gas_cubic_meters_total{channel="1"}'] == 317.902
    assert found['p1_water_cubic_meters_total{channel="2"}'] == 51.377


# No label set twice.


def test_where_a_code_comes_twice_the_later_ones_are_exported_as_sent() -> None:
    assert exported(b"1-0:1.7.0(00.345*kW)", b"1-0:1.7.0(00.346*kW)", b"1-0:1.7.0(00.345*kW)") == {
        "p1_power_import_watts": 345,
        'p1_obis_value{obis="1-0:1.7.0",unit="kW",index="0"}': 0.346,
        'p1_obis_value{obis="1-0:1.7.0",unit="kW",index="1"}': 0.345,
    }


def test_where_two_codes_have_one_metric_the_later_one_is_exported_as_sent() -> None:
    assert exported(b"1-1:1.8.1(000001.000*kWh)", b"1-0:1.8.1(000002.000*kWh)") == {
        'p1_electricity_import_joules_total{tariff="1"}': 3_600_000,
        'p1_obis_value{obis="1-0:1.8.1",unit="kWh",index="0"}': 2,
    }


def test_the_second_value_of_a_line_is_exported_as_sent() -> None:
    found = exported(*LUXEMBOURG)
    assert found['p1_current_threshold_amperes{phase="l1"}'] == 40
    assert found['p1_obis_value{obis="1-1:31.4.0",unit="A",index="0"}'] == -40


def test_a_code_sent_three_times_without_unit_is_exported_three_times() -> None:
    found = exported(*POLISH)
    assert [name for name in found if "17.0.0" in name] == [
        f'p1_obis_value{{obis="0-0:17.0.0",unit="",index="{index}"}}' for index in range(3)
    ]


def test_a_time_and_a_fact_that_come_twice_are_told_once() -> None:
    assert exported(
        b"0-0:1.0.0(261123101500W)", b"0-0:1.0.0(261123101501W)", b"1-3:0.2.8(50)", b"1-3:0.2.8(50)"
    ) == {
        "p1_meter_timestamp_seconds": 1795425300,
        'p1_meter_info{model="TST5\\2M550T-1011",version="50"}': 1,
    }


def test_the_index_counts_the_values_of_one_code() -> None:
    found = exported(b"1-0:99.9.9(1*a)(2*b)", b"1-0:99.9.8(3*a)", b"1-0:99.9.9(4*a)")
    assert list(found) == [
        'p1_obis_value{obis="1-0:99.9.9",unit="a",index="0"}',
        'p1_obis_value{obis="1-0:99.9.9",unit="b",index="1"}',
        'p1_obis_value{obis="1-0:99.9.8",unit="a",index="0"}',
        'p1_obis_value{obis="1-0:99.9.9",unit="a",index="2"}',
    ]


def test_values_without_a_metric_are_bounded_and_those_beyond_are_counted() -> None:
    within = samples_of(*[b"1-0:99.9.9(%d)" % number for number in range(MAX_OBIS_VALUES)])
    assert within.dropped == 0
    assert len(all_of(within)) == MAX_OBIS_VALUES + 1
    lines = [b"1-0:99.9.9(%d)" % number for number in range(MAX_OBIS_VALUES + 44)]
    beyond = samples_of(*lines, b"1-0:1.7.0(00.345*kW)")
    assert MAX_OBIS_VALUES == 256
    assert beyond.dropped == 44
    assert all_of(beyond).count("p1_power_import_watts") == 1
    assert len(all_of(beyond)) == MAX_OBIS_VALUES + 2


CODES = sorted({entry.code.replace("0-n", "0-1").replace(".t", ".5") for entry in REGISTRY})
GROUPS = (
    b"(00.345*kW)", b"(001234.567*kWh)", b"(00123.456*m3)", b"(012.345*GJ)", b"(16500)", b"(003)", b"(-063*A)",
    b"(261123101000W)", b"(632525252525W)", b"(261123101000W)(00123.456*m3)", b"()", b"(0)(1-0:1.6.0)(1-0:1.6.0)()",
    b"(1)(1-0:1.6.0)(1-0:1.6.0)(260801000000S)(260718074500S)(05.250*kW)", b"(4730303132)", b"(ON)", b"(\xff\xfe)",
    b"(60.5*degC)", b"(1)(0-0:96.7.19)(260523144934S)(0000000240*s)", b"(0.8*foo)(1.0)",
    b"(120517020000)(08)(60)(1)(0-1:24.2.1)(m3)(00124.477)",
)  # fmt: skip
lines_of_all_kinds = st.one_of(
    st.builds(bytes.__add__, st.sampled_from(CODES).map(str.encode), st.sampled_from(GROUPS)),
    st.sampled_from([*BELGIAN, *LUXEMBOURG, *HUNGARIAN, *POLISH, *AUSTRIAN, FAILURES]),
    st.binary(max_size=30),
)


@settings(deadline=None)
@given(lines=st.lists(lines_of_all_kinds, max_size=30), identities=st.booleans())
def test_no_label_set_is_ever_sent_twice(lines: list[bytes], *, identities: bool) -> None:
    found = samples_of(*lines, identities=identities)
    every = [sample for line in (*found.by_line, found.of_telegram) for sample in line]
    keys = [(sample.name, frozenset(sample.labels)) for sample in every]
    assert len(keys) == len(set(keys))
    names: dict[str, list[str]] = {}
    for sample in every:
        labels = [name for name, _ in sample.labels if name != "equipment_id"]
        assert names.setdefault(sample.name, labels) == labels
        assert len(labels) == len(set(labels))


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    found = samples(Decoder(AMSTERDAM).decode(data))
    assert [sample.name for sample in found.of_telegram] == ["p1_meter_info"] or found.by_line


# Personal data.

METER, GAS, EAN = (
    b"4530303434303037313233343536",
    b"4730303332353631323334353637",
    b"353431343430303132333435363738",
)
IDENTITIES = (
    b"1-3:0.2.8(50)",
    b"0-0:96.1.1(" + METER + b")",
    b"0-0:96.1.2(" + EAN + b")",
    b"0-0:42.0.0(TST1030300000001)",
    b"0-0:96.13.0(48656C6C6F20776F726C64)",
    b"0-0:96.13.1(3031203631203831)",
    b"1-0:0.0.0(12345678)",
    b"0-1:24.1.0(003)",
    b"0-1:96.1.0(" + GAS + b")",
    b"0-1:96.1.2(" + EAN + b")",
    b"0-1:24.2.1(261123101000W)(00123.456*m3)",
    b"0-2:24.1.0(007)",
    b"0-2:96.1.1(98765432)",
)
SERIAL_HEADER = b"/TST5\\253769484_A\r\n\r\n"


def test_serial_numbers_and_messages_appear_nowhere() -> None:
    assert all_of(samples_of(*IDENTITIES, header=SERIAL_HEADER)) == [
        'p1_meter_info{model="TST5\\#_A",version="50"}',
        'p1_mbus_device_info{channel="1",type="gas"}',
        'p1_gas_cubic_meters_total{channel="1"}',
        'p1_mbus_reading_timestamp_seconds{channel="1"}',
        'p1_mbus_device_info{channel="2",type="water"}',
    ]


def test_serial_numbers_are_labels_where_somebody_asks_for_them() -> None:
    found = all_of(samples_of(*IDENTITIES, header=SERIAL_HEADER, identities=True))
    assert found == [
        'p1_meter_info{model="TST5\\253769484_A",version="50",equipment_id="E0044007123456"}',
        'p1_mbus_device_info{channel="1",type="gas",equipment_id="G0032561234567"}',
        'p1_gas_cubic_meters_total{channel="1"}',
        'p1_mbus_reading_timestamp_seconds{channel="1"}',
        'p1_mbus_device_info{channel="2",type="water",equipment_id="98765432"}',
    ]


def test_a_meter_without_version_has_its_serial_number_too() -> None:
    found = exported(b"0-0:96.1.1(" + METER + b")", identities=True, whole=True)
    assert found == {'p1_meter_info{model="TST5\\2M550T-1011",version="",equipment_id="E0044007123456"}': 1}


@pytest.mark.parametrize("identity", [b"", b"()"])
def test_a_missing_serial_number_is_no_label(identity: bytes) -> None:
    lines = (b"0-1:24.1.0(003)", b"0-1:96.1.0" + (identity or b"()"))
    assert exported(*lines, identities=True) == {'p1_mbus_device_info{channel="1",type="gas"}': 1}


def test_the_first_serial_number_that_is_there_is_taken() -> None:
    lines = (b"0-0:42.0.0()", b"0-0:96.1.1(" + METER + b")", b"0-0:96.1.2(" + EAN + b")")
    (name,) = exported(*lines, identities=True, whole=True)
    assert 'equipment_id="E0044007123456"' in name


@pytest.mark.parametrize(
    ("header", "model"),
    [
        ("TST5\\253769484_A", "TST5\\#_A"),
        ("TST5 KA6U001660297912", "TST5 KA6U#"),
        ("TST5LGBBFFB231126481", "TST5LGBBFFB#"),
        ("TST59903218166", "TST#"),
        ("TST5\\12341234_A", "TST5\\#_A"),
        ("TST5 X12345", "TST5 X#"),
        ("TST5\\2M550T-1011", "TST5\\2M550T-1011"),
        ("TST5\\T210-D ESMR5.0", "TST5\\T210-D ESMR5.0"),
        ("TST9 6534", "TST9 6534"),
        ("TST5LGBBFG10", "TST5LGBBFG10"),
        ("", ""),
    ],
)
def test_the_serial_number_in_a_header_is_replaced(header: str, model: str) -> None:
    assert redacted(header) == model
    line = b"1-0:1.7.0(00.345*kW)"
    found = all_of(samples_of(line, header=b"/" + header.encode() + b"\r\n\r\n"))
    assert f'p1_meter_info{{model="{model}",version=""}}' in found


def test_samples_stand_at_the_line_that_gave_them() -> None:
    lines = decoded(*BELGIAN)
    found = samples(lines)
    assert len(found.by_line) == len(lines.lines) == len(BELGIAN)
    gas = [line.obis for line in lines.lines].index("0-1:24.2.3")
    assert [sample.name for sample in found.by_line[gas]] == [
        "p1_gas_cubic_meters_total",
        "p1_mbus_reading_timestamp_seconds",
    ]
