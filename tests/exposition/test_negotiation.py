from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from p1_exporter.exposition.negotiation import OPENMETRICS, TEXT, Format, encode, negotiate

# As sent by Prometheus 2.42 (Debian 12), 2.53 (Debian 13) and 3.5.
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_53 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_5 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS_2_42,
        PROMETHEUS_2_53,
        PROMETHEUS_3_5,
        "application/openmetrics-text",
        "application/openmetrics-text; version=0.0.1",
        "application/openmetrics-text; version=2.0.0",
        "application/openmetrics-text; version=9.9.9; escaping=dots",
        "APPLICATION/OpenMetrics-Text ; Q=0.7, text/plain;q=0.3",
        "text/plain, application/openmetrics-text",
        "text/plain;q=0, application/openmetrics-text;q=0.1",
        "application/openmetrics-text;q=0.1, application/openmetrics-text;q=0.9, text/plain;q=0.5",
    ],
)
def test_who_names_openmetrics_gets_1_0_0_whatever_version_was_asked(accept: str) -> None:
    assert negotiate(accept, "").content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/*",
        "application/*",
        "text/plain",
        "text/plain; version=1.0.0; escaping=allow-utf-8",
        "text/plain; version=9.9.9",
        BROWSER,
        "application/json",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0.3, text/plain;q=0.5",
        "application/openmetrics-text;q=0.3, text/*;q=0.5",
        "application/openmetrics-text;q=0.3, */*",
        "application/openmetrics-text;q=2",
        "application/openmetrics-text;q=-1",
        "application/openmetrics-text;q=nan",
        "application/openmetrics-text;q=",
        "x-application/openmetrics-text",
        ",,;;=,q=1;",
        "\x00\xff",
    ],
)
def test_all_others_get_text_0_0_4(accept: str) -> None:
    assert negotiate(accept, "").content_type == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP;q=0.1", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("x-gzip", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0.3, identity;q=0.9", False),
        ("identity", False),
        ("deflate, br", False),
        ("notgzip", False),
    ],
)
def test_gzip_is_for_those_who_accept_it(accept_encoding: str, *, compressed: bool) -> None:
    assert negotiate("", accept_encoding).gzip is compressed


@given(accept=st.text(), accept_encoding=st.text())
def test_there_are_two_content_types_whatever_the_headers(accept: str, accept_encoding: str) -> None:
    assert negotiate(accept, accept_encoding).content_type in {OPENMETRICS, TEXT}


def families() -> list[Metric]:
    energy = CounterMetricFamily(
        "p1_electricity_import", "Energy taken.", labels=["meter", "tariff"], unit="joules"
    )
    energy.add_metric(["main", "1"], 4_444_441_600.0)
    energy.add_metric(["main", "2"], 12.0)
    voltage = GaugeMetricFamily("p1_voltage_volts", 'Voltage; "é" \\ too.', labels=["meter", "phase"])
    voltage.add_metric(['a"b\\c\n', "l1"], 230.1)
    info = InfoMetricFamily("p1_meter", "The meter.", labels=["meter"])
    info.add_metric(["main"], {"model": "T211"})
    state = StateSetMetricFamily("p1_link_state", "The link.", labels=["meter"])
    state.add_metric(["main"], {"ok": True, "silent": False})
    return [energy, voltage, info, state]


def samples(parsed: object) -> set[tuple[str, frozenset[tuple[str, str]], float]]:
    assert isinstance(parsed, list)
    return {(s.name, frozenset(s.labels.items()), s.value) for family in parsed for s in family.samples}


@pytest.mark.parametrize("compressed", [False, True])
def test_both_bodies_parse_to_the_same_samples(*, compressed: bool) -> None:
    bodies = [encode(families(), Format(openmetrics=form, gzip=compressed)) for form in (True, False)]
    if compressed:
        bodies = [gzip.decompress(body) for body in bodies]
    openmetrics, text = (body.decode() for body in bodies)

    expected = {
        (s.name, frozenset(s.labels.items()), s.value) for family in families() for s in family.samples
    }
    parsed = list(parse_openmetrics(openmetrics))  # type: ignore[no-untyped-call] # the library has no types here
    assert samples(parsed) == expected
    assert samples(list(parse_text(text))) == expected
    assert (
        "p1_electricity_import_joules_total",
        frozenset({("meter", "main"), ("tariff", "2")}),
        12.0,
    ) in expected


def test_openmetrics_is_that_of_1_0_0() -> None:
    lines = encode(families(), Format(openmetrics=True, gzip=False)).decode().splitlines()
    assert "# TYPE p1_electricity_import_joules counter" in lines
    assert "# UNIT p1_electricity_import_joules joules" in lines
    assert "# TYPE p1_link_state stateset" in lines
    assert lines[-1] == "# EOF"


def test_text_is_that_of_0_0_4() -> None:
    lines = encode(families(), Format(openmetrics=False, gzip=False)).decode().splitlines()
    assert "# TYPE p1_electricity_import_joules_total counter" in lines
    assert "# TYPE p1_meter_info gauge" in lines
    assert not [line for line in lines if line.startswith("# UNIT") or line == "# EOF"]


def test_the_same_families_give_the_same_compressed_bytes() -> None:
    form = Format(openmetrics=True, gzip=True)
    assert encode(families(), form) == encode(families(), form)
    assert encode(families(), form)[4:8] == bytes(4), "the time of compression is none of a scraper's affair"


def test_families_may_come_from_a_generator() -> None:
    form = Format(openmetrics=False, gzip=False)
    assert encode((family for family in families()), form) == encode(families(), form)
