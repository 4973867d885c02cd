"""Names, types, units and HELP texts of all metrics that there can be."""

from __future__ import annotations

import re

import pytest

from p1_exporter.exposition.families import LINK, Family, meter_family
from p1_exporter.telegram.obis import DEVICES, HELP_OF_TIMES, REGISTRY, UNKNOWN_DEVICE, Kind, time_metric


def _meter_samples() -> set[str]:
    """Return the names of all samples that the registry can lead to."""
    names = {"p1_obis_value", "p1_meter_info", *HELP_OF_TIMES}
    for entry in REGISTRY:
        if entry.kind in {Kind.DEVICE, Kind.VERSION}:
            names.add(entry.metric + "_info")
        elif entry.metric:
            for device in (*DEVICES.values(), UNKNOWN_DEVICE):
                names |= {entry.name(unit).replace("{device}", device) for unit in entry.units.split("|")}
    return names


METER = {name: meter_family(name) for name in sorted(_meter_samples())}
ALL = {**LINK, **METER}
BASE_UNITS = {
    "amperes",
    "bytes",
    "celsius",
    "cubic_meters",
    "cubic_meters_per_hour",
    "degrees",
    "hertz",
    "joules",
    "ratio",
    "seconds",
    "varh",
    "vars",
    "volt_amperes",
    "volts",
    "watts",
}
# Words that name a unit which is no base unit, or a power of ten.
NO_BASE_UNITS = re.compile(
    r"_(k?wh|kw|mw|kv|ka|mj|gj|m3|dm3|lit(er|re)s?|minutes?|ms|milli\w*|micro\w*|kilo\w*|mega\w*|giga\w*|percent|bits?)(_|$)"
)
# A thing that is counted one by one; only an amount of data would be in bytes.
COUNTED = "p1_damage_flipped_bits"

LINK_TYPES = {
    "p1_up": "gauge",
    "p1_telegrams_total": "counter",
    "p1_telegrams_accepted_total": "counter",
    "p1_telegram_errors_total": "counter",
    "p1_telegrams_pending": "gauge",
    "p1_telegrams_missed_total": "counter",
    "p1_received_bytes_total": "counter",
    "p1_accepted_bytes_total": "counter",
    "p1_dropped_bytes_total": "counter",
    "p1_pending_bytes": "gauge",
    "p1_telegram_interval_seconds": "histogram",
    "p1_telegram_size_bytes": "gauge",
    "p1_last_telegram_timestamp_seconds": "gauge",
    "p1_reachability_ratio": "gauge",
    "p1_line_errors_total": "counter",
    "p1_line_errors_supported": "gauge",
    "p1_damage_flipped_bits_total": "counter",
    "p1_damage_lost_bytes_total": "counter",
    "p1_damage_inserted_bytes_total": "counter",
    "p1_link_fault": "gauge",
    "p1_link_state": "stateset",
    "p1_port_open": "gauge",
    "p1_port_opens_total": "counter",
    "p1_port_errors_total": "counter",
    "p1_request_line_asserted": "gauge",
    "p1_meter_clock_offset_seconds": "gauge",
    "p1_port_info": "info",
    "p1_malformed_values_total": "counter",
    "p1_obis_values_dropped_total": "counter",
    "p1_exporter_build_info": "info",
}


def test_the_link_has_the_metrics_of_the_contract_with_their_types() -> None:
    assert {name: family.type for name, family in LINK.items()} == LINK_TYPES


@pytest.mark.parametrize(
    ("sample", "type_", "unit"),
    [
        ("p1_electricity_import_joules_total", "counter", "joules"),
        ("p1_electricity_export_joules_total", "counter", "joules"),
        ("p1_electricity_import_all_tariffs_joules_total", "counter", "joules"),
        ("p1_electricity_export_all_tariffs_joules_total", "counter", "joules"),
        ("p1_power_import_watts", "gauge", "watts"),
        ("p1_power_export_watts", "gauge", "watts"),
        ("p1_phase_power_import_watts", "gauge", "watts"),
        ("p1_phase_power_export_watts", "gauge", "watts"),
        ("p1_voltage_volts", "gauge", "volts"),
        ("p1_current_amperes", "gauge", "amperes"),
        ("p1_voltage_sags_total", "counter", ""),
        ("p1_voltage_swells_total", "counter", ""),
        ("p1_power_failures_total", "counter", ""),
        ("p1_long_power_failures_total", "counter", ""),
        ("p1_tariff_indicator", "gauge", ""),
        ("p1_meter_timestamp_seconds", "gauge", "seconds"),
        ("p1_gas_cubic_meters_total", "counter", "cubic_meters"),
        ("p1_water_cubic_meters_total", "counter", "cubic_meters"),
        ("p1_heat_joules_total", "counter", "joules"),
        ("p1_mbus_reading_timestamp_seconds", "gauge", "seconds"),
        ("p1_reactive_power_import_vars", "gauge", "vars"),
        ("p1_reactive_power_export_vars", "gauge", "vars"),
        ("p1_reactive_energy_import_varh_total", "counter", "varh"),
        ("p1_reactive_energy_export_varh_total", "counter", "varh"),
        ("p1_demand_import_watts", "gauge", "watts"),
        ("p1_demand_import_month_max_watts", "gauge", "watts"),
        ("p1_peak_demand_watts", "gauge", "watts"),
        ("p1_peak_demand_timestamp_seconds", "gauge", "seconds"),
        ("p1_long_power_failure_seconds", "gauge", "seconds"),
        ("p1_long_power_failure_timestamp_seconds", "gauge", "seconds"),
        ("p1_limiter_threshold_watts", "gauge", "watts"),
        ("p1_limiter_threshold_amperes", "gauge", "amperes"),
        ("p1_breaker_state", "gauge", ""),
        ("p1_mbus_valve_state", "gauge", ""),
        ("p1_meter_info", "info", ""),
        ("p1_mbus_device_info", "info", ""),
        ("p1_obis_value", "gauge", ""),
    ],
)
def test_the_meter_has_the_metrics_of_the_contract(sample: str, type_: str, unit: str) -> None:
    family = METER[sample]
    assert (family.sample, family.type, family.unit) == (sample, type_, unit)


def test_every_metric_that_the_registry_can_lead_to_has_a_family() -> None:
    times = {time_metric(entry) for entry in REGISTRY if time_metric(entry)}
    assert times <= METER.keys()
    assert len(METER) > 100


@pytest.mark.parametrize("family", ALL.values(), ids=lambda family: family.sample)
def test_every_family_keeps_the_rules_of_names(family: Family) -> None:
    assert re.fullmatch(r"p1_[a-z0-9]+(_[a-z0-9]+)*", family.name)
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    assert family.sample == family.name + suffix
    # OpenMetrics keeps these for the samples of other types.
    assert not family.name.endswith(("_total", "_info", "_count", "_sum", "_bucket", "_created"))
    assert not NO_BASE_UNITS.search(family.name.replace(COUNTED, "p1_damage_flips"))


@pytest.mark.parametrize("family", ALL.values(), ids=lambda family: family.sample)
def test_a_unit_is_a_base_unit_and_ends_the_name(family: Family) -> None:
    if family.unit:
        assert family.unit in BASE_UNITS
        assert family.name.endswith("_" + family.unit)
    else:
        assert not family.name.endswith(tuple("_" + unit for unit in BASE_UNITS))


@pytest.mark.parametrize("family", ALL.values(), ids=lambda family: family.sample)
def test_every_family_says_what_it_means_in_one_line(family: Family) -> None:
    assert len(family.help) > len("Power.")
    assert family.help.endswith(".")
    assert not family.help.endswith("..")
    assert "\n" not in family.help


def test_no_name_stands_for_two_families() -> None:
    families = [*LINK.values(), *METER.values()]
    assert len({family.name for family in families}) == len(families)
    # A sample of one family must not look like another family: `x_total` of the counter x, and a gauge x_total.
    assert not {family.sample for family in families if family.sample != family.name} & {
        family.name for family in families
    }


def test_only_counters_count() -> None:
    registers = {Kind.COUNTER, Kind.HOURLY}
    for entry in REGISTRY:
        if entry.metric and entry.kind not in {Kind.DEVICE, Kind.VERSION} and "{device}" not in entry.metric:
            for unit in entry.units.split("|"):
                assert METER[entry.name(unit)].type == ("counter" if entry.kind in registers else "gauge")
