"""Names, types, units and HELP texts of all metrics."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.telegram.obis import DEVICES, HELP_OF_TIMES, REGISTRY, UNKNOWN_DEVICE, Kind
from p1_exporter.telegram.samples import OBIS_VALUE
from p1_exporter.telegram.values import BASE_UNITS

if TYPE_CHECKING:
    from p1_exporter.telegram.obis import Entry


class Family(NamedTuple):
    """A metric family, as OpenMetrics names it."""

    name: str
    """Without the suffix of its samples."""
    sample: str
    """Name of its samples."""
    type: str
    help: str
    unit: str
    label: str
    """Names of the labels that tell its samples apart, by commas; besides that of the meter."""


_UNITS: Final = sorted((BASE_UNITS | {"bytes", "seconds", "ratio"}) - {""}, key=len, reverse=True)
_SUFFIXES: Final = {"counter": "_total", "info": "_info"}


def _family(sample: str, type_: str, help_: str, label: str = "") -> Family:
    name = sample.removesuffix(_SUFFIXES.get(type_, ""))
    unit = next((unit for unit in _UNITS if name.endswith("_" + unit)), "")
    # An info metric has no unit (OpenMetrics 1.0).
    return Family(name, sample, type_, help_, "" if type_ == "info" else unit, label)


_LINK: Final = (
    ("p1_up", "gauge", "", "Whether the newest accepted telegram is fresh."),
    ("p1_telegrams_total", "counter", "", "Telegrams begun, whatever became of them."),
    ("p1_telegrams_accepted_total", "counter", "", "Telegrams accepted."),
    ("p1_telegram_errors_total", "counter", "reason", "Telegrams rejected, by reason."),
    ("p1_telegrams_pending", "gauge", "", "Whether a telegram is arriving."),
    ("p1_telegrams_missed_total", "counter", "", "Observed intervals in which no telegram began."),
    ("p1_received_bytes_total", "counter", "", "Characters received on the wire."),
    ("p1_accepted_bytes_total", "counter", "", "Characters received that are inside accepted telegrams."),
    (
        "p1_dropped_bytes_total",
        "counter",
        "reason",
        "Characters outside accepted telegrams, by what became of them.",
    ),
    ("p1_pending_bytes", "gauge", "", "Characters received that are not decided yet."),
    ("p1_telegram_interval_seconds", "histogram", "", "Time between accepted telegrams."),
    ("p1_telegram_size_bytes", "gauge", "", "Size of the last accepted telegram."),
    ("p1_last_telegram_timestamp_seconds", "gauge", "", "When the last telegram was accepted."),
    ("p1_reachability_ratio", "gauge", "", "Of the last 64 expected telegrams, the share accepted."),
    (
        "p1_line_errors_total",
        "counter",
        "error",
        "Errors of the line that the UART saw; absent where the driver cannot tell.",
    ),
    ("p1_line_errors_supported", "gauge", "error", "Whether the driver can tell errors of this kind."),
    (
        "p1_damage_flipped_bits_total",
        "counter",
        "direction",
        "Bits found flipped in rejected telegrams, as sent by the meter and as received.",
    ),
    (
        "p1_damage_lost_bytes_total",
        "counter",
        "",
        "Bytes found missing from rejected telegrams; an estimate.",
    ),
    (
        "p1_damage_inserted_bytes_total",
        "counter",
        "",
        "Bytes in rejected telegrams that the meter did not send; an estimate.",
    ),
    ("p1_link_fault", "gauge", "fault", "Whether the diagnosis of the link names this fault."),
    ("p1_link_state", "stateset", "p1_link_state", "State of the link."),
    ("p1_port_open", "gauge", "", "Whether the port is open."),
    ("p1_port_opens_total", "counter", "", "How often the port was opened."),
    ("p1_port_errors_total", "counter", "reason", "Failures to open or read the port, by reason."),
    ("p1_request_line_asserted", "gauge", "", "Whether data is requested from the meter."),
    (
        "p1_meter_clock_offset_seconds",
        "gauge",
        "",
        "Meter clock less system clock, when the telegram arrived.",
    ),
    ("p1_port_info", "info", "port,driver,baudrate,format,request_line", "What is being read."),
    ("p1_malformed_values_total", "counter", "", "Values in accepted telegrams that could not be read."),
    ("p1_obis_values_dropped_total", "counter", "", "Values beyond the bound on series of p1_obis_value."),
    ("p1_exporter_build_info", "info", "version,python_version", "The program."),
)
LINK: Final = {sample: _family(sample, type_, help_, label) for sample, type_, label, help_ in _LINK}
"""The metrics of the link, by the name of their samples."""


_FACTS: Final = {
    OBIS_VALUE: ("gauge", "A number of the telegram that has no metric of its own, value and unit as sent"),
    "p1_meter_info": ("info", "The meter: model as it identifies itself, and version of the telegram"),
    "p1_mbus_device_info": ("info", "The kind of device on each channel of the M-Bus"),
    **{name: ("gauge", text) for name, text in HELP_OF_TIMES.items()},
}


@lru_cache(maxsize=512)
def meter_family(sample: str) -> Family:
    """Return the family of a meter's metric, by the name of its samples."""
    # Looked for when it is first met: a table of all, with the devices multiplied out, would take 200 KiB.
    described = (_described(entry, sample) for entry in REGISTRY)
    type_, help_ = _FACTS.get(sample) or next(filter(None, described), ("gauge", "A value of the meter"))
    return _family(sample, type_, help_ if help_.endswith(".") else help_ + ".")


def _described(entry: Entry, sample: str) -> tuple[str, str] | None:
    """Return type and HELP of a metric if it is one of `entry`; the first line of the registry that has it decides."""
    if not entry.metric:
        return None
    type_ = "counter" if entry.kind in {Kind.COUNTER, Kind.HOURLY} else "gauge"
    for unit in entry.units.split("|"):
        before, placeholder, after = entry.name(unit).partition("{device}")
        if before + after == sample:
            return type_, entry.meaning
        if placeholder and sample.startswith(before) and sample.endswith(after):
            device = sample[len(before) : -len(after)]
            if device in DEVICES.values() or device == UNKNOWN_DEVICE:
                return type_, f"Register of the M-Bus device: {device.replace('_', ' ')}"
    return None
