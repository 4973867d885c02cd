"""The values of one object line: pure functions from its groups to readings, by the kind of its code."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.telegram.obis import DEVICES, STATES, Entry, Found, Kind, find, time_metric
from p1_exporter.telegram.values import (
    NO_UNIT,
    Number,
    Unit,
    is_unset,
    number,
    says_no_value,
    timestamp,
    unit_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

Labels = tuple[tuple[str, str], ...]


class Reading(NamedTuple):
    """One value, before it is known whether the telegram holds the same twice."""

    name: str
    """Metric; empty: the value goes to `p1_obis_value`. ``{device}`` is filled in from the telegram."""
    labels: Labels
    value: float
    """In base units; a reading without name has its raw value here."""
    unit: str = ""
    """Unit as sent."""
    raw: float = 0.0
    """Value as sent."""
    is_number: bool = True
    """False for times and facts, which a second one of the same code does not send to `p1_obis_value`."""


class Malformed(NamedTuple):
    """What could not be read."""

    line: str
    why: str


class Line:
    """One object line of a telegram, with the lines that continue it; immutable."""

    __slots__ = ("malformed", "obis", "raw", "readings")

    def __init__(
        self,
        obis: str,
        raw: tuple[bytes, ...],
        readings: tuple[Reading, ...],
        malformed: tuple[Malformed, ...],
    ) -> None:
        self.obis = obis
        """The code, without group F."""
        self.raw = raw
        """The content of each group."""
        self.readings = readings
        self.malformed = malformed

    @property
    def device(self) -> bool:
        """Whether what the readings are called depends on another line."""
        return any("{device}" in reading.name for reading in self.readings)


# The one shape that nearly all lines have: a code, and one number with a unit.
_SIMPLE: Final = re.compile(
    rb"([0-9]{1,3}-[0-9]{1,3}:[0-9.]{5,11})\(([0-9]{1,12})\.([0-9]{1,4})\*([A-Za-z0-9]{1,8})\)"
)
_TIME: Final = re.compile(rb"([0-9]{1,3}-[0-9]{1,3}:[0-9.]{5,11})\(([0-9]{12}[SW])\)")


class _Plan(NamedTuple):
    """What becomes of the number in a simple line with a certain code and unit."""

    obis: str
    name: str
    labels: Labels
    unit: str
    numerator: int
    denominator: int


@lru_cache(maxsize=256)
def _plan(code: bytes, unit_text: bytes) -> _Plan | None:
    """Return the plan for a code, as sent, and a unit, as sent; None where the general way must be gone."""
    unit = unit_of(unit_text)
    obis = code.decode("latin-1")
    found = find(obis)
    for entry in found.entries:
        if (
            unit
            and entry.kind in _SIMPLE_KINDS
            and unit.base in entry.units.split("|")
            and "{" not in entry.metric
        ):
            name = entry.name(unit.base)
            return _Plan(obis, name, found.label(entry), unit_text.decode(), unit.numerator, unit.denominator)
    return None


def read_simple_line(text: bytes, zone: tzinfo) -> Line | None:
    """Return what `read_line` would, for a line of the most usual shapes and without anything to object to.

    That is one number with the unit that is expected, or one time; None for any other line.
    """
    found = _SIMPLE.fullmatch(text)
    if found is None:
        return _read_time_line(text, zone)
    code, whole, fraction, unit = found.groups()
    plan = _plan(code, unit)
    if plan is None:
        return None
    digits = int(whole + fraction)
    power = _POWERS[len(fraction)]
    value = digits * plan.numerator / (power * plan.denominator)
    reading = Reading(plan.name, plan.labels, value, plan.unit, digits / power)
    return Line(plan.obis, (text[len(code) + 1 : -1],), (reading,), ())


_STAMP: Final = re.compile(rb"\d{12}[SWsw]?|(?:20)?\d\d-?\d\d-?\d\d \d\d:\d\d:\d\d")
_CODE: Final = re.compile(rb"\d+-\d+:\d+\.\d+\.\d+")
_DIGITS_OF_A_NUMBER: Final = 8


def read_line(text: bytes, obis: str, groups: list[bytes], zone: tzinfo) -> Line:
    """Return the readings of an object line.

    Args: `text`, the line as sent; `obis`, its code without group F; `groups`, the content of its parentheses;
    `zone`, the time zone of the meter's clock.
    """
    found = find(obis)
    reader = _Reader(found, zone)
    if found.entries:
        _READERS[found.entries[0].kind](reader, groups)
    else:
        reader.unknown(groups)
    line = text.decode("latin-1")
    return Line(
        obis,
        tuple(groups),
        tuple(reader.readings),
        tuple(Malformed(line, problem) for problem in reader.problems),
    )


def _read_time_line(text: bytes, zone: tzinfo) -> Line | None:
    found = _TIME.fullmatch(text)
    metric = _time_of(found[1]) if found else ""
    time = timestamp(found[2], zone) if found and metric else None
    if found is None or time is None:
        return None
    return Line(found[1].decode(), (found[2],), (Reading(metric, (), time, is_number=False),), ())


@lru_cache(maxsize=256)
def _time_of(code: bytes) -> str:
    """Return the metric of a code, as sent, whose value is a time; empty if it is none."""
    entries = find(code.decode("latin-1")).entries
    return next((entry.name("seconds") for entry in entries if entry.kind is Kind.TIME), "")


class _Reader:
    """Gathers the readings of one line; a method for each kind of code."""

    def __init__(self, found: Found, zone: tzinfo) -> None:
        self.readings: list[Reading] = []
        self.problems: list[str] = []
        self._found = found
        self._zone = zone

    def value(self, groups: list[bytes]) -> None:
        """A value; with a time stamp before it where the device has a clock of its own. More values may follow."""
        stamp = b""
        # What stands before a value and is no number is meant as a time.
        if len(groups) > 1 and groups[0] and (_STAMP.fullmatch(groups[0]) or _split(groups[0])[0] is None):
            stamp, *groups = groups
        if not says_no_value(stamp):
            for group in filter(None, groups):
                self._number(group, stamp)

    def state(self, groups: list[bytes]) -> None:
        """A state: a number, or a word such as ON or TARIFF 1."""
        entry = self._found.entries[0]
        for group in groups:
            word = group.strip().upper()
            state = STATES.get(word.decode("latin-1"))
            parsed = Number(state, 0) if state is not None else number(word.removeprefix(b"TARIFF"))
            if parsed is None and group:
                self.problems.append(f"{_shown(group)} is neither a number nor a known state")
            elif parsed is not None:
                self._add(entry, parsed, NO_UNIT, "")

    def time(self, groups: list[bytes]) -> None:
        """A time of the meter's clock."""
        entry = self._found.entries[0]
        for group in groups:
            self._time(entry.name("seconds"), (), group)

    def hourly(self, groups: list[bytes]) -> None:
        """The reading of DSMR 3.0 P1, 5.10: time, status, period, count, code, unit, then values."""
        if not any(groups):
            return
        if len(groups) <= _HOURLY_VALUE:
            self.problems.append("the line with the value is missing")
        elif not says_no_value(groups[0]):
            unit = b"*" + groups[_HOURLY_VALUE - 1]
            values = [group if b"*" in group else group + unit for group in groups[_HOURLY_VALUE:]]
            self._number(values[0], groups[0])
            self.unknown(values[1:])

    def peaks(self, groups: list[bytes]) -> None:
        """The Belgian history of monthly peaks: count, two codes, then (month's end, time of peak, peak) each.

        Hungary sends a list of values under the same code, Switzerland a bare count: those are read as unknown.
        """
        if len(groups) < _PEAKS_HEADER or not _CODE.fullmatch(groups[1]):
            self.unknown(groups)
            return
        entry = self._found.entries[0]
        months = [groups[i : i + 3] for i in range(_PEAKS_HEADER, len(groups), 3)]
        if len(months[-1:]) and len(months[-1]) < _PEAKS_HEADER:
            incomplete = months.pop()
            if any(incomplete):
                self.problems.append("the last month is incomplete")
        # Real meters print the oldest first, the specification the newest: the month's end tells.
        oldest_first = sorted(months, key=lambda month: timestamp(month[0], self._zone) or 0.0)
        for number_of_entry, (_, when, peak) in enumerate(reversed(oldest_first)):
            if peak and not says_no_value(when):
                labels = (("entry", str(number_of_entry)),)
                if self._number(peak, b"", labels):
                    self._time(time_metric(entry), labels, when)

    def failures(self, groups: list[bytes]) -> None:
        """The log of long power failures: count, code, then (end, duration) each (DSMR 5.0.2 P1, 6.11)."""
        entry = self._found.entries[0]
        events = groups[2:]
        pairs = [(events[i], events[i + 1]) for i in range(0, len(events) - 1, 2)]
        if len(events) % 2 and events[-1]:
            self.problems.append("the last failure has no duration")
        pairs = [pair for pair in pairs if pair[1] and not says_no_value(pair[0])]
        newest_first = sorted(pairs, key=lambda pair: timestamp(pair[0], self._zone) or 0.0, reverse=True)
        for number_of_entry, (end, duration) in enumerate(newest_first):
            labels = (("entry", str(number_of_entry)),)
            # Some meters leave the unit away; the standard allows none but seconds.
            if self._number(duration + b"*s" if number(duration) else duration, b"", labels):
                self._time(time_metric(entry), labels, end)

    def profile(self, groups: list[bytes]) -> None:
        """A list whose first groups are counts, codes, times and states: only what has a unit is a value."""
        self.unknown([group for group in groups if b"*" in group])

    def device(self, groups: list[bytes]) -> None:
        """The type of an M-Bus device."""
        if groups[0]:
            kind = number(groups[0])
            name = groups[0].decode("latin-1") if kind is None else DEVICES.get(kind.digits, str(kind.digits))
            self._fact("type", name)

    def version(self, groups: list[bytes]) -> None:
        """The version of the telegram."""
        if groups[0]:
            self._fact("version", groups[0].decode("latin-1"))

    def nothing(self, groups: list[bytes]) -> None:
        """Text, which has no place among numbers."""

    def unknown(self, groups: list[bytes]) -> None:
        """What the registry does not know: a number has a unit, a decimal point, or few digits."""
        if says_no_value(groups[0] if groups else b""):
            return
        for group in groups:
            parsed, unit = _split(group)
            if b"*" in group:
                if parsed is None:
                    self.problems.append(f"{_shown(group.partition(b'*')[0])} is not a number")
                else:
                    self._raw(parsed, unit)
            elif parsed and (b"." in group or (not unit and len(group.strip()) <= _DIGITS_OF_A_NUMBER)):
                self._raw(parsed, unit)

    def _number(self, group: bytes, stamp: bytes, labels: Labels | None = None) -> bool:
        """Add a number under the metric that its unit decides; return whether it is one."""
        parsed, unit_text = _split(group)
        unit = unit_of(unit_text)
        if parsed is None:
            self.problems.append(f"{_shown(group.partition(b'*')[0])} is not a number")
            return False
        for entry in self._found.entries:
            if unit and entry.metric and unit.base in entry.units.split("|"):
                self._add(entry, parsed, unit, unit_text.decode("latin-1").strip(), labels)
                if stamp and time_metric(entry):
                    self._time(time_metric(entry), self._found.label(entry), stamp)
                return True
        self._raw(parsed, unit_text)
        return False

    def _add(self, entry: Entry, parsed: Number, unit: Unit, sent: str, labels: Labels | None = None) -> None:
        raw = parsed.in_base(NO_UNIT)
        value = parsed.in_base(unit)
        labels = self._found.label(entry) if labels is None else labels
        self.readings.append(Reading(entry.name(unit.base), labels, value, sent, raw))

    def _raw(self, parsed: Number, unit: bytes) -> None:
        value = parsed.in_base(NO_UNIT)
        self.readings.append(Reading("", (), value, unit.decode("latin-1").strip(), value))

    def _time(self, name: str, labels: Labels, stamp: bytes) -> None:
        if is_unset(stamp):
            return
        time = timestamp(stamp, self._zone)
        if time is None:
            self.problems.append(f"{_shown(stamp)} is not a time")
        else:
            self.readings.append(Reading(name, labels, time, is_number=False))

    def _fact(self, label: str, value: str) -> None:
        entry = self._found.entries[0]
        labels = (*self._found.label(entry), (label, value))
        self.readings.append(Reading(entry.metric + "_info", labels, 1.0, is_number=False))


def _split(group: bytes) -> tuple[Number | None, bytes]:
    """Return the number in a group, None if it holds none, and its unit as sent."""
    text, asterisk, unit = group.partition(b"*")
    parsed = number(text)
    if parsed is None and not asterisk and (joined := _UNIT_JOINED.fullmatch(group)) and unit_of(joined[2]):
        # Some gateways strip the asterisk.
        return number(joined[1]), joined[2]
    return parsed, unit


def _shown(text: bytes) -> str:
    shown = text[:_LONGEST_SHOWN].decode("latin-1")
    return repr(shown) + ("..." if len(text) > _LONGEST_SHOWN else "")


_LONGEST_SHOWN: Final = 40
_UNIT_JOINED: Final = re.compile(rb"( *[+-]?[0-9]+\.?[0-9]*)([A-Za-z]\S*) *")
_POWERS: Final = tuple(10**exponent for exponent in range(5))
_HOURLY_VALUE: Final = 6
_PEAKS_HEADER: Final = 3
_SIMPLE_KINDS: Final = {Kind.COUNTER, Kind.GAUGE}

_READERS: Final[dict[Kind, Callable[[_Reader, list[bytes]], None]]] = {
    Kind.COUNTER: _Reader.value,
    Kind.GAUGE: _Reader.value,
    Kind.ENUM: _Reader.state,
    Kind.TIME: _Reader.time,
    Kind.HOURLY: _Reader.hourly,
    Kind.PEAKS: _Reader.peaks,
    Kind.FAILURES: _Reader.failures,
    Kind.PROFILE: _Reader.profile,
    Kind.DEVICE: _Reader.device,
    Kind.VERSION: _Reader.version,
    Kind.IDENTITY: _Reader.nothing,
    Kind.MESSAGE: _Reader.nothing,
    Kind.TEXT: _Reader.nothing,
}
