"""The samples of one telegram: readings under their final names, no label set twice, bounded in number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.telegram.obis import DEVICES, UNKNOWN_DEVICE, Kind, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p1_exporter.telegram.decoder import Decoded
    from p1_exporter.telegram.readings import Labels, Line, Reading

MAX_OBIS_VALUES: Final = 256
"""Series of `p1_obis_value` that one meter may have."""

OBIS_VALUE: Final = "p1_obis_value"
METER_INFO: Final = "p1_meter_info"
DEVICE_INFO: Final = "p1_mbus_device_info"


class Sample(NamedTuple):
    """One sample of a metric, without the ``meter`` label."""

    name: str
    labels: Labels
    value: float


class Samples(NamedTuple):
    """The samples of one telegram."""

    by_line: tuple[tuple[Sample, ...], ...]
    """Those of each line of the telegram, in its order."""
    of_telegram: tuple[Sample, ...]
    """Those of no single line."""
    dropped: int
    """Values beyond `MAX_OBIS_VALUES`."""


def samples(decoded: Decoded, *, identities: bool = False) -> Samples:
    """Return the samples of a telegram.

    Args: `identities`, whether serial numbers may appear, as labels of the info metrics.
    """
    assembly = _Assembly(decoded, identities=identities)
    by_line = tuple([tuple(assembly.line(line)) for line in decoded.lines])
    return Samples(by_line, assembly.rest(), assembly.dropped)


class _Assembly:
    def __init__(self, decoded: Decoded, *, identities: bool) -> None:
        self._taken: set[tuple[str, Labels]] = set()
        self._values: dict[str, int] = {}
        self._devices = _devices(decoded.lines)
        self._identities = _identities(decoded.lines) if identities else {}
        self._model = decoded.header if identities else redacted(decoded.header)
        self._value_count = 0
        self.dropped = 0

    def line(self, line: Line) -> list[Sample]:
        taken = self._taken
        result = []
        for reading in line.readings:
            name, labels = reading.name, reading.labels
            if line.device:
                name = name.replace("{device}", self._devices.get(_channel(line.obis), UNKNOWN_DEVICE))
            elif not reading.is_number:
                labels = self._labels(name, labels, line.obis)
            if name and (name, labels) not in taken:
                taken.add((name, labels))
                result.append(Sample(name, labels, reading.value))
            elif reading.is_number:
                self._obis_value(line.obis, reading, result)
        return result

    def _labels(self, name: str, labels: Labels, obis: str) -> Labels:
        """Return the labels of an info metric, whole."""
        if name == METER_INFO:
            return self._identified((("model", self._model), *labels), "0")
        if name == DEVICE_INFO:
            return self._identified(labels, _channel(obis))
        return labels

    def _identified(self, labels: Labels, channel: str) -> Labels:
        identity = self._identities.get(channel)
        return (*labels, ("equipment_id", identity)) if identity else labels

    def _obis_value(self, obis: str, reading: Reading, result: list[Sample]) -> None:
        if self._value_count == MAX_OBIS_VALUES:
            self.dropped += 1
            return
        self._value_count += 1
        index = self._values.get(obis, 0)
        self._values[obis] = index + 1
        labels = (("obis", obis), ("unit", reading.unit), ("index", str(index)))
        result.append(Sample(OBIS_VALUE, labels, reading.raw))

    def rest(self) -> tuple[Sample, ...]:
        """The facts about the meter, where no line gave them."""
        if any(name == METER_INFO for name, _ in self._taken):
            return ()
        labels = self._identified((("model", self._model), ("version", "")), "0")
        return (Sample(METER_INFO, labels, 1.0),)


def _channel(obis: str) -> str:
    return obis.partition("-")[2].partition(":")[0]


def _devices(lines: Sequence[Line]) -> dict[str, str]:
    """Return the kind of M-Bus device on each channel that names one; the order of the lines does not matter."""
    return {
        _channel(line.obis): dict(reading.labels)["type"]
        for line in lines
        for reading in line.readings
        if reading.name == DEVICE_INFO and dict(reading.labels)["type"] in DEVICES.values()
    }


def _identities(lines: Sequence[Line]) -> dict[str, str]:
    """Return the first identifier of each channel, 0 being the meter itself."""
    identities: dict[str, str] = {}
    for line in lines:
        entries = find(line.obis).entries
        if entries and entries[0].kind is Kind.IDENTITY and line.raw[0]:
            identities.setdefault(_channel(line.obis), _text(line.raw[0]))
    return identities


_HEX_TEXT: Final = re.compile(rb"(?:[2-7][0-9A-Fa-f]){4,}")


def _text(raw: bytes) -> str:
    """Return an octet string as text, where it is one."""
    if _HEX_TEXT.fullmatch(raw):
        raw = bytes.fromhex(raw.decode())
    return raw.decode("latin-1").strip()


_SERIAL: Final = re.compile(r"[0-9]{5,}")


def redacted(header: str) -> str:
    """Return the identification of a meter without the serial number that some print in it."""
    return _SERIAL.sub("#", header)
