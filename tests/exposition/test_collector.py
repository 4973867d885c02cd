"""What a scrape shows of meters: every series of the contract, and nothing that is not so."""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from p1_exporter import __version__
from p1_exporter.exposition.collector import MeterCollector
from p1_exporter.exposition.families import LINK
from p1_exporter.exposition.negotiation import Format, encode
from p1_exporter.link.counters import Counters
from p1_exporter.link.diagnosis import Diagnosis
from p1_exporter.link.faults import faults
from p1_exporter.link.reception import Accepted, Reception, Understanding
from p1_exporter.link.record import LinkRecord, PortInfo
from p1_exporter.link.watch import DamageTotals, WatchSnapshot
from p1_exporter.meter import MeterSnapshot, NewestTelegram
from p1_exporter.simulator.models import MODELS, telegram
from tests.telegram.telegrams import HEADER, LINES, OLD_TELEGRAM, TELEGRAM, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

PORT = PortInfo("/dev/ttyUSB0", "ftdi_sio", 115_200, "8N1", "none")
METER_TIME = 1_795_425_300.0
"""The time in TELEGRAM, 2026-11-23 10:15:00 in Amsterdam."""
WALL = METER_TIME + 2.5
"""When it was received."""
STALE = 100.0 + 30.1
"""A time of the monotonic clock when TELEGRAM, received at 100, is no longer fresh."""
REASONS = ("crc", "truncated", "too_long", "malformed", "parity", "implausible", "decrypt")
PORT_REASONS = (
    "missing",
    "busy",
    "forbidden",
    "settings",
    "vanished",
    "refused",
    "timeout",
    "closed",
    "other",
)


LINE_ERRORS = ("framing", "parity", "break", "overrun", "buffer_overrun")


OTHER_TELEGRAM = sealed(HEADER + LINES.replace(b"00.345", b"02.718"))


NOTHING_SEEN = WatchSnapshot()


def snapshot(
    record: LinkRecord,
    name: str = "main",
    telegram: NewestTelegram | None = None,
    *,
    watch: WatchSnapshot = NOTHING_SEEN,
    pending_bytes: int = 0,
) -> MeterSnapshot:
    link = record.snapshot(pending_bytes=pending_bytes, pending=pending_bytes > 0)
    return MeterSnapshot(name, link, watch, "cable", telegram)


def silent_meter(name: str = "main") -> MeterSnapshot:
    """A meter of which nothing was seen yet."""
    return snapshot(LinkRecord(0.0, PORT), name)


def good_meter(data: bytes = TELEGRAM, name: str = "main", *, identities: bool = False) -> MeterSnapshot:
    """A meter whose telegrams come every ten seconds, the last of them, `data`, at 100 s."""
    record = LinkRecord(0.0, PORT)
    record.port_opened(PORT, request_asserted=None)
    for began in range(10, 101, 10):
        record.received(len(data), began)
        record.accepted(began * 1000, len(data), began, WALL - 100 + began)
    return snapshot(record, name, NewestTelegram(accepted(data, identities=identities), WALL))


def accepted(data: bytes, *, identities: bool) -> Accepted:
    """`data` as the reception accepts it: without checksum, at the second time."""
    reception = Reception(Understanding(identities=identities))
    *_, newest = [*reception.received(data, 90.0), *reception.received(data, 100.0)]
    assert isinstance(newest, Accepted)
    return newest


def families(*meters: MeterSnapshot, now: float = 100.0, openmetrics: bool = False) -> list[Metric]:
    """Return what the parser of prometheus_client reads in a scrape."""
    collector = MeterCollector(lambda: meters, lambda: now)
    text = encode(collector.collect(), Format(openmetrics=openmetrics, gzip=False)).decode()
    # One of the two parsers has no types in some releases.
    parse = cast("Callable[[str], Iterable[Metric]]", parse_openmetrics if openmetrics else parse_text)
    return list(parse(text))


def samples_of(parsed: Iterable[Metric]) -> Samples:
    """Return all samples by name and labels, but for those of the program's own info."""
    found = [sample for family in parsed for sample in family.samples]
    counted = Counter((sample.name, tuple(sorted(sample.labels.items()))) for sample in found)
    assert max(counted.values()) == 1, "a label set was sent twice"
    assert all(sample.timestamp is None for sample in found)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for sample in found
        if sample.name != "p1_exporter_build_info"
    }


def scrape(*meters: MeterSnapshot, now: float = 100.0) -> Samples:
    text = samples_of(families(*meters, now=now))
    assert samples_of(families(*meters, now=now, openmetrics=True)) == text
    return text


def named(name: str, value: float, **labels: str) -> Samples:
    return {(name, tuple(sorted({"meter": "main", **labels}.items()))): value}


def merged(*parts: Samples) -> Samples:
    whole = {key: value for part in parts for key, value in part.items()}
    assert len(whole) == sum(len(part) for part in parts)
    return whole


def each(name: str, label: str, names: Iterable[str], **values: float) -> Samples:
    """Samples of one metric for all values of a label, 0 unless named."""
    return merged(*(named(name, values.get(one, 0.0), **{label: one}) for one in names))


def histogram(name: str, total: float, *cumulated: float) -> Samples:
    bounds = (
        "0.5",
        "0.9",
        "1.1",
        "1.5",
        "2.5",
        "5.0",
        "9.0",
        "11.0",
        "15.0",
        "25.0",
        "60.0",
        "300.0",
        "+Inf",
    )
    buckets = [named(f"{name}_bucket", count, le=le) for le, count in zip(bounds, cumulated, strict=True)]
    return merged(*buckets, named(f"{name}_count", cumulated[-1]), named(f"{name}_sum", total))


FAULTS = (
    "disconnected",
    "silent",
    "stuck_low",
    "inverted",
    "wrong_speed",
    "wrong_format",
    "clock",
    "slow_fall",
    "slow_rise",
    "noise",
    "hum",
    "intermittent",
    "overrun",
    "lost_characters",
    "second_reader",
    "request_drop",
    "checksum",
    "unclear",
)
STATES = ("disconnected", "starting", "silent", "failing", "degraded", "ok")
FIRST_SCRAPE = merged(
    named("p1_up", 0),
    named("p1_telegrams_total", 0),
    named("p1_telegrams_accepted_total", 0),
    each("p1_telegram_errors_total", "reason", REASONS),
    named("p1_telegrams_pending", 0),
    named("p1_telegrams_missed_total", 0),
    named("p1_received_bytes_total", 0),
    named("p1_accepted_bytes_total", 0),
    each("p1_dropped_bytes_total", "reason", ("noise", *REASONS)),
    named("p1_pending_bytes", 0),
    histogram("p1_telegram_interval_seconds", 0, *[0] * 13),
    each("p1_line_errors_supported", "error", LINE_ERRORS),
    each("p1_damage_flipped_bits_total", "direction", ("0_to_1", "1_to_0")),
    named("p1_damage_lost_bytes_total", 0),
    named("p1_damage_inserted_bytes_total", 0),
    each("p1_link_fault", "fault", FAULTS),
    each("p1_link_state", "p1_link_state", STATES, disconnected=1),
    named("p1_port_open", 0),
    named("p1_port_opens_total", 0),
    each("p1_port_errors_total", "reason", PORT_REASONS),
    named(
        "p1_port_info",
        1,
        port="/dev/ttyUSB0",
        driver="ftdi_sio",
        baudrate="115200",
        format="8N1",
        request_line="none",
    ),
    named("p1_malformed_values_total", 0),
    named("p1_obis_values_dropped_total", 0),
)
METER_VALUES = merged(
    named("p1_meter_info", 1, model="TST5\\2M550T-1011", version="50"),
    named("p1_meter_timestamp_seconds", METER_TIME),
    named("p1_electricity_import_joules_total", 4_444_441_200, tariff="1"),
    named("p1_power_import_watts", 345),
    named("p1_mbus_device_info", 1, channel="1", type="gas"),
    named("p1_gas_cubic_meters_total", 123.456, channel="1"),
    named("p1_mbus_reading_timestamp_seconds", METER_TIME - 300, channel="1"),
)
FROM_THE_FIRST_TELEGRAM_ON = merged(
    named("p1_telegram_size_bytes", len(TELEGRAM)),
    named("p1_last_telegram_timestamp_seconds", WALL),
    named("p1_reachability_ratio", 1),
    named("p1_meter_clock_offset_seconds", -2.5),
)
LINK_VALUES = {
    **FIRST_SCRAPE,
    **FROM_THE_FIRST_TELEGRAM_ON,
    **named("p1_up", 1),
    **named("p1_telegrams_total", 10),
    **named("p1_telegrams_accepted_total", 10),
    **named("p1_received_bytes_total", 10 * len(TELEGRAM)),
    **named("p1_accepted_bytes_total", 10 * len(TELEGRAM)),
    **histogram("p1_telegram_interval_seconds", 90, *[0] * 7, *[9] * 6),
    **each("p1_link_state", "p1_link_state", STATES, ok=1),
    **named("p1_port_open", 1),
    **named("p1_port_opens_total", 1),
}


def test_every_link_series_is_there_from_the_first_scrape_on() -> None:
    assert scrape(silent_meter(), now=0.0) == FIRST_SCRAPE


def test_the_samples_of_a_known_telegram_are_exactly_these() -> None:
    assert scrape(good_meter()) == merged(LINK_VALUES, METER_VALUES)


def test_what_there_cannot_be_before_the_first_telegram_is_absent_and_not_zero() -> None:
    rejected = LinkRecord(0.0, PORT)
    rejected.rejected(0, 100, 10.0, "crc")
    meter = snapshot(rejected)
    values = scrape(meter)
    assert named("p1_reachability_ratio", 0).items() <= values.items()
    assert not values.keys() & FROM_THE_FIRST_TELEGRAM_ON.keys() - named("p1_reachability_ratio", 0).keys()


def test_meter_values_vanish_when_they_are_stale_and_link_series_stay() -> None:
    values = scrape(good_meter(), now=STALE)
    assert not METER_VALUES.keys() & values.keys()
    # Whether the difference of a clock seen long ago is a meter's value or the link's is left open here.
    assert values.keys() | named("p1_meter_clock_offset_seconds", 0).keys() == LINK_VALUES.keys()
    changed = {key for key, value in values.items() if value != LINK_VALUES[key]}
    up, state = named("p1_up", 0), each("p1_link_state", "p1_link_state", ("ok", "silent"))
    assert changed == up.keys() | state.keys()


def test_a_telegram_is_shown_until_the_expiry() -> None:
    at_the_expiry = scrape(good_meter(), now=130.0)
    assert at_the_expiry == merged(LINK_VALUES, METER_VALUES)


def test_a_meter_without_a_clock_has_no_clock_offset() -> None:
    assert "p1_meter_clock_offset_seconds" not in {name for name, _ in scrape(good_meter(OLD_TELEGRAM))}


def test_the_time_that_the_meters_clock_is_ahead_is_positive() -> None:
    meter = good_meter()
    assert meter.telegram
    late = replace(meter, telegram=replace(meter.telegram, received=METER_TIME - 60))
    assert named("p1_meter_clock_offset_seconds", 60).items() <= scrape(late).items()


def test_the_two_line_reading_of_old_meters_has_value_and_time() -> None:
    values = scrape(good_meter(OLD_TELEGRAM))
    # 2012-05-17 02:00:00 in Amsterdam, summer time.
    expected = merged(
        named("p1_meter_info", 1, model="TST5 OLD0001", version=""),
        named("p1_electricity_import_joules_total", 666_000_000, tariff="1"),
        named("p1_power_import_watts", 980),
        named("p1_mbus_device_info", 1, channel="1", type="gas"),
        named("p1_gas_cubic_meters_total", 124.477, channel="1"),
        named("p1_mbus_reading_timestamp_seconds", 1_337_212_800, channel="1"),
    )
    assert expected == {key: value for key, value in values.items() if key not in LINK_VALUES}


@pytest.mark.parametrize("reason", PORT_REASONS)
def test_port_errors_are_shown_by_reason(reason: str) -> None:
    record = LinkRecord(0.0, PORT)
    record.port_failed(reason)
    meter = snapshot(record)
    assert scrape(meter) == {
        **FIRST_SCRAPE,
        **named("p1_port_errors_total", 1, reason=reason),
    }


def test_the_request_line_is_shown_where_there_is_one() -> None:
    name = "p1_request_line_asserted"
    record = LinkRecord(0.0, PORT)
    shown = []
    record.port_opened(PORT, request_asserted=True)
    shown.append(snapshot(record))
    record.port_closed()
    shown.append(snapshot(record))
    assert [scrape(meter)[name, (("meter", "main"),)] for meter in shown] == [1, 0]


def test_line_errors_are_shown_where_the_driver_can_tell_them_and_absent_elsewhere() -> None:
    record = LinkRecord(0.0, PORT)
    record.port_opened(
        PORT,
        request_asserted=None,
        line_errors_supported=frozenset({"framing", "break"}),
        counters=Counters(framing=3, break_=0),
    )
    meter = snapshot(record)
    assert {key: value for key, value in scrape(meter).items() if "p1_line_errors" in key[0]} == merged(
        named("p1_line_errors_total", 3, error="framing"),
        named("p1_line_errors_total", 0, error="break"),
        each("p1_line_errors_supported", "error", LINE_ERRORS, framing=1, **{"break": 1}),
    )


def faulty_meter(*names: str) -> MeterSnapshot:
    """The good meter, but that these faults are named."""
    found = tuple(Diagnosis(fault, 0.9, "It was seen.") for fault in names)
    good = good_meter()
    return replace(good, watch=good.watch._replace(faults=found))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_is_named_is_1_and_all_others_are_0(fault: str) -> None:
    assert scrape(faulty_meter(fault)) == merged(
        {**LINK_VALUES, **each("p1_link_fault", "fault", FAULTS, **{fault: 1})}, METER_VALUES
    )


def test_more_than_one_fault_may_be_named() -> None:
    values = scrape(faulty_meter("noise", "overrun"))
    assert each("p1_link_fault", "fault", FAULTS, noise=1, overrun=1).items() <= values.items()


def test_every_fault_of_the_table_of_advice_has_its_series_and_no_other() -> None:
    assert set(faults()) == set(FAULTS)


def test_the_faults_of_one_meter_are_not_those_of_another() -> None:
    values = scrape(faulty_meter("hum"), good_meter(name="garage"))
    shown = {labels for (name, labels), value in values.items() if name == "p1_link_fault" and value}
    assert shown == {(("fault", "hum"), ("meter", "main"))}


def test_the_damage_of_all_rejected_telegrams_is_shown() -> None:
    watch = WatchSnapshot(damage=DamageTotals(up=3, down=5, lost=7, foreign=11))
    values = scrape(snapshot(LinkRecord(0.0, PORT), watch=watch), now=0.0)
    assert values == {
        **FIRST_SCRAPE,
        **named("p1_damage_flipped_bits_total", 3, direction="0_to_1"),
        **named("p1_damage_flipped_bits_total", 5, direction="1_to_0"),
        **named("p1_damage_lost_bytes_total", 7),
        **named("p1_damage_inserted_bytes_total", 11),
    }


def test_what_is_pending_rejected_and_missed_is_shown() -> None:
    record = LinkRecord(0.0, PORT)
    record.received(1000, 10.0)
    record.noise(30)
    record.rejected(30, 200, 10.0, "crc")
    record.accepted(230, 300, 20.0, WALL)
    record.accepted(530, 300, 30.0, WALL)
    record.passed(62.0)
    record.values(malformed=3, dropped=4)
    meter = snapshot(record, pending_bytes=170)
    expected = merged(
        named("p1_telegrams_total", 4),
        named("p1_telegrams_accepted_total", 2),
        named("p1_telegram_errors_total", 1, reason="crc"),
        named("p1_telegrams_pending", 1),
        named("p1_telegrams_missed_total", 2),
        named("p1_received_bytes_total", 1000),
        named("p1_accepted_bytes_total", 600),
        named("p1_dropped_bytes_total", 30, reason="noise"),
        named("p1_dropped_bytes_total", 200, reason="crc"),
        named("p1_pending_bytes", 170),
        named("p1_reachability_ratio", 2 / 5),
        named("p1_malformed_values_total", 3),
        named("p1_obis_values_dropped_total", 4),
    )
    assert expected.items() <= scrape(meter, now=62.0).items()


def test_two_meters_share_families_and_differ_by_their_label() -> None:
    one, other = good_meter(name="main"), good_meter(OTHER_TELEGRAM, name="garage")
    for openmetrics in (False, True):
        together = families(one, other, openmetrics=openmetrics)
        alone = families(one, openmetrics=openmetrics)
        assert [family.name for family in together] == [family.name for family in alone]
    both = scrape(one, other)
    of_main = {key: value for key, value in both.items() if ("meter", "main") in key[1]}
    of_garage = {key: value for key, value in both.items() if ("meter", "garage") in key[1]}
    assert of_main == scrape(one)
    assert of_garage == scrape(other)
    assert len(both) == 2 * len(of_main)


def test_a_stale_meter_does_not_take_the_values_of_another_with_it() -> None:
    both = scrape(good_meter(name="main"), silent_meter("garage"))
    assert METER_VALUES.items() <= both.items()
    assert not {name for name, labels in both if ("meter", "garage") in labels} & {
        name for name, _ in METER_VALUES
    }


def test_the_labels_are_those_that_the_table_of_families_names() -> None:
    found = {
        (sample.name, *sorted(sample.labels.keys() - {"meter"}))
        for family in families(good_meter())
        for sample in family.samples
        if sample.name in LINK
    }
    assert found == {
        (name, *sorted(filter(None, family.label.split(","))))
        for name, family in LINK.items()
        if name not in {"p1_telegram_interval_seconds", "p1_request_line_asserted", "p1_line_errors_total"}
    }


def test_each_scrape_takes_the_newest_snapshots() -> None:
    meters = [silent_meter()]
    collector = MeterCollector(lambda: meters, lambda: 100.0)
    before = {metric.name for metric in collector.collect()}
    meters[:] = [good_meter()]
    after = {metric.name for metric in collector.collect()}
    assert "p1_power_import_watts" not in before
    assert "p1_power_import_watts" in after


def test_the_program_is_named_once_whatever_the_number_of_meters() -> None:
    (info,) = [
        sample
        for family in families(silent_meter("a"), silent_meter("b"))
        for sample in family.samples
        if sample.name == "p1_exporter_build_info"
    ]
    assert info.labels == {"version": __version__, "python_version": platform.python_version()}
    assert info.value == 1


def test_equipment_identifiers_appear_only_where_they_are_wanted() -> None:
    assert "E0000000" not in str(scrape(good_meter()))
    assert (
        named(
            "p1_meter_info", 1, model="TST5\\2M550T-1011", version="50", equipment_id="E0000000000000000"
        ).items()
        <= scrape(good_meter(identities=True)).items()
    )


@pytest.mark.parametrize("openmetrics", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_every_family_is_complete_and_well_formed(name: str, *, openmetrics: bool) -> None:
    model = MODELS[name]
    data = telegram(model, model.household(1), int(METER_TIME))
    parsed = families(good_meter(data), openmetrics=openmetrics)
    samples_of(parsed)
    assert len(parsed) > 24
    for family in parsed:
        assert family.name.startswith("p1_")
        assert family.documentation.endswith(".")
        assert family.type in {"counter", "gauge", "histogram", "info", "stateset"}
        if openmetrics and family.unit:
            assert family.name.endswith("_" + family.unit)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert "meter" in sample.labels or sample.name == "p1_exporter_build_info"


def test_openmetrics_knows_type_and_unit() -> None:
    found = {family.name: (family.type, family.unit) for family in families(good_meter(), openmetrics=True)}
    assert found["p1_electricity_import_joules"] == ("counter", "joules")
    assert found["p1_gas_cubic_meters"] == ("counter", "cubic_meters")
    assert found["p1_power_import_watts"] == ("gauge", "watts")
    assert found["p1_telegram_interval_seconds"] == ("histogram", "seconds")
    assert found["p1_received_bytes"] == ("counter", "bytes")
    assert found["p1_reachability_ratio"] == ("gauge", "ratio")
    assert found["p1_link_state"] == ("stateset", "")
    assert found["p1_meter"] == ("info", "")
    assert found["p1_up"] == ("gauge", "")


VALUES = st.text("0123456789.*kWhVAm3/+-() \"\\{}'é\x7f\x85", max_size=16)
LINES_OF_ANY_KIND = st.builds(
    "{}-{}:{}.{}.{}({})\r\n".format,
    st.integers(0, 1),
    st.integers(0, 4),
    st.integers(0, 99),
    st.integers(0, 36),
    st.integers(0, 10),
    VALUES,
)


@given(
    header=st.binary(max_size=20).filter(lambda text: not set(text) & set(b"\r\n")),
    lines=st.lists(LINES_OF_ANY_KIND, max_size=20),
    name=st.text('abcXYZ0189_-. "\\\n{}é', min_size=1, max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_whatever_a_meter_prints_both_parsers_read_the_same(
    header: bytes, lines: list[str], name: str
) -> None:
    body = b"/TST5" + header + b"\r\n\r\n" + "".join(lines).encode("latin-1") + LINES
    assert len(scrape(good_meter(sealed(body), name))) > len(LINK_VALUES)


def test_a_telegram_with_very_many_numbers_has_a_bounded_number_of_series() -> None:
    many = b"".join(b"1-0:200.%d.%d(%d*kWh)\r\n" % (n // 100, n % 100, n) for n in range(500))
    values = scrape(good_meter(sealed(HEADER + many)))
    assert sum(name == "p1_obis_value" for name, _ in values) == 256
