from __future__ import annotations

import re
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.telegram.obis import DEVICES, REGISTRY, UNKNOWN_DEVICE, Entry, Kind, find, time_metric
from p1_exporter.telegram.values import BASE_UNITS

NUMBERS = {Kind.COUNTER, Kind.GAUGE, Kind.ENUM, Kind.HOURLY, Kind.PEAKS, Kind.FAILURES}


def code_of(entry: Entry, channel: str = "3", tariff: str = "7") -> str:
    """Return a code that an entry of the registry is about."""
    return entry.code.replace("0-n", "0-" + channel).replace(".t", "." + tariff)


def names_of(entry: Entry) -> list[str]:
    return [entry.name(unit) for unit in entry.units.split("|")] if entry.metric else []


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: f"{entry.code}-{entry.metric}")
def test_every_line_of_the_registry_is_found_by_its_code(entry: Entry) -> None:
    assert entry in find(code_of(entry)).entries


def test_a_line_without_placeholders_is_preferred_to_one_with() -> None:
    assert find("1-0:1.8.3").entries[0].code == "1-0:1.8.3"
    assert find("1-0:1.8.7").entries[0].code == "1-0:1.8.t"
    assert find("0-0:96.3.10").entries[0].metric == "p1_breaker_state"
    assert find("0-1:96.3.10").entries[0].metric == "p1_relay_state"


@pytest.mark.parametrize("channel", ["1", "2", "3", "4", "12"])
def test_the_channel_of_an_m_bus_device_becomes_a_label(channel: str) -> None:
    found = find(f"0-{channel}:24.2.1")
    assert found.label(found.entries[0]) == (("channel", channel),)


@pytest.mark.parametrize("register", ["1-0:1.8", "1-0:2.8", "1-1:1.8", "1-3:2.8"])
@pytest.mark.parametrize("tariff", ["1", "2", "4", "9", "16"])
def test_the_tariff_of_a_register_becomes_a_label(register: str, tariff: str) -> None:
    found = find(f"{register}.{tariff}")
    assert found.label(found.entries[0]) == (("tariff", tariff),)


@pytest.mark.parametrize("register", ["1-0:1.8.0", "1-0:2.8.0", "1-5:1.8.0"])
def test_tariff_0_is_the_sum_and_a_metric_of_its_own(register: str) -> None:
    found = find(register)
    assert found.entries[0].metric.endswith("_all_tariffs")
    assert found.label(found.entries[0]) == ()


@pytest.mark.parametrize("medium", ["1-1", "1-3", "1-5"])
def test_swiss_and_luxembourg_media_map_like_1_0(medium: str) -> None:
    for entry in REGISTRY:
        if entry.code.startswith("1-0:") and entry.kind in NUMBERS:
            usual, other = find(code_of(entry)), find(code_of(entry).replace("1-0:", medium + ":"))
            assert [(one.kind, one.metric, one.units, other.label(one)) for one in other.entries] == [
                (one.kind, one.metric, one.units, usual.label(one)) for one in usual.entries
            ]


@pytest.mark.parametrize(
    "code",
    [
        "",
        "1-0",
        "1-0:",
        ":",
        ".",
        "1-0:99.99.9",
        "1-2:1.8.1",
        "2-0:1.8.1",
        "1-0:1.8",
        "0-0:24.2.1",
        "0-1:1.8.1",
        "F.F",
    ],
)
def test_other_codes_are_unknown(code: str) -> None:
    assert find(code).entries == ()


@given(code=st.text(max_size=30) | st.from_regex(r"[0-9]{1,3}-[0-9]{1,3}:[0-9.]{1,9}", fullmatch=True))
def test_no_code_raises(code: str) -> None:
    found = find(code)
    assert all(isinstance(found.label(entry), tuple) for entry in found.entries)


def test_where_a_code_has_several_lines_their_units_differ() -> None:
    units: dict[str, list[str]] = defaultdict(list)
    for entry in REGISTRY:
        units[entry.code] += entry.units.split("|")
    assert all(len(given) == len(set(given)) for given in units.values())


def test_names_and_units_are_those_of_prometheus() -> None:
    for entry in REGISTRY:
        assert set(entry.units.split("|")) <= BASE_UNITS
        for name in names_of(entry):
            assert re.fullmatch(r"p1_[a-z0-9_]+", name.replace("{device}", "gas"))
            assert name.endswith("_total") == (entry.kind in {Kind.COUNTER, Kind.HOURLY})
    for device in (*DEVICES.values(), UNKNOWN_DEVICE):
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", device)


def test_a_metric_has_one_type_and_one_label_wherever_it_comes_from() -> None:
    types: dict[str, set[tuple[bool, str]]] = defaultdict(set)
    for entry in REGISTRY:
        label = entry.label.partition("=")[0]
        counts = entry.kind in {Kind.COUNTER, Kind.HOURLY}
        for name in names_of(entry):
            devices = (*DEVICES.values(), UNKNOWN_DEVICE) if "{device}" in name else ("",)
            for device in devices:
                types[name.replace("{device}", device)].add((counts, label))
        if time_metric(entry):
            types[time_metric(entry)].add((False, label))
    assert {name: found for name, found in types.items() if len(found) > 1} == {}


def test_every_line_of_the_registry_says_what_it_is_and_where_that_comes_from() -> None:
    assert all(entry.meaning and entry.source for entry in REGISTRY)


def test_identities_and_messages_have_no_metric() -> None:
    personal = [entry for entry in REGISTRY if entry.kind in {Kind.IDENTITY, Kind.MESSAGE}]
    assert len(personal) > 10
    assert all(not entry.metric for entry in personal)
