"""Numbers, units and times as P1 telegrams write them.

Numbers are kept as integers in the smallest digit printed, and multiplied into base units before the one division:
``float("12345.678") * 3.6e6`` differs from the exact joules for 7 % of registers.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from datetime import tzinfo


class Unit(NamedTuple):
    """A unit of a telegram in base units: one of it is `numerator / denominator` of `base`."""

    base: str
    numerator: int = 1
    denominator: int = 1


NO_UNIT: Final = Unit("")

# By lower-case spelling without blanks: meters differ in case (kVArh, kvarh) and pad ("kWh ").
_UNITS: Final = {
    "": NO_UNIT,
    "wh": Unit("joules", 3600),
    "kwh": Unit("joules", 3_600_000),
    "mwh": Unit("joules", 3_600_000_000),
    "j": Unit("joules"),
    "kj": Unit("joules", 1000),
    "mj": Unit("joules", 1_000_000),
    "gj": Unit("joules", 1_000_000_000),
    "w": Unit("watts"),
    "kw": Unit("watts", 1000),
    "mw": Unit("watts", 1_000_000),
    "varh": Unit("varh"),
    "kvarh": Unit("varh", 1000),
    "mvarh": Unit("varh", 1_000_000),
    "var": Unit("vars"),
    "kvar": Unit("vars", 1000),
    "mvar": Unit("vars", 1_000_000),
    "va": Unit("volt_amperes"),
    "kva": Unit("volt_amperes", 1000),
    "v": Unit("volts"),
    "kv": Unit("volts", 1000),
    "a": Unit("amperes"),
    "ka": Unit("amperes", 1000),
    "hz": Unit("hertz"),
    "khz": Unit("hertz", 1000),
    "s": Unit("seconds"),
    "min": Unit("seconds", 60),
    "m3": Unit("cubic_meters"),
    "m\u00b3": Unit("cubic_meters"),  # one byte, B3h
    "m\u00e2\u00b3": Unit("cubic_meters"),  # the same in UTF-8, read byte by byte and in lower case
    "dm3": Unit("cubic_meters", 1, 1000),
    "l": Unit("cubic_meters", 1, 1000),
    "m3/h": Unit("cubic_meters_per_hour"),
    "degc": Unit("celsius"),
    "deg": Unit("degrees"),
}
BASE_UNITS: Final = frozenset(unit.base for unit in _UNITS.values())

_MOST_DECIMALS: Final = 16
_POWERS: Final[tuple[int, ...]] = tuple(10**exponent for exponent in range(_MOST_DECIMALS + 1))
_NUMBER: Final = re.compile(rb" *([+-]?)([0-9]{1,32})(?:\.([0-9]{0,16}))? *")


def unit_of(text: bytes) -> Unit | None:
    """Return the unit that `text` spells, None if it is not known."""
    return _UNITS.get(text.decode("latin-1").strip().lower())


class Number(NamedTuple):
    """A decimal number: `digits / 10**decimals`."""

    digits: int
    decimals: int

    def in_base(self, unit: Unit) -> float:
        """Return the number, which counts `unit`, in base units: the nearest float to the exact product."""
        return self.digits * unit.numerator / (_POWERS[self.decimals] * unit.denominator)


def number(text: bytes) -> Number | None:
    """Return the number that `text` writes with digits, sign and point; None if it is none."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction = found.groups(b"")
    digits = int(whole + fraction)
    return Number(-digits if sign == b"-" else digits, len(fraction))


_TIME: Final = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)([SWsw]?)")
# NES meters: YYYYMMDD hh:mm:ss; ACE4000: YY-MM-DD hh:mm:ss.
_TIME_OTHER: Final = re.compile(rb"(?:20)?(\d\d)-?(\d\d)-?(\d\d) (\d\d):(\d\d):(\d\d)()")
_NO_VALUE: Final = b"632525252525"  # bytes FFh, each printed as the remainder of a division
_UNSET: Final = b"000000000000"


def says_no_value(text: bytes) -> bool:
    """Whether the time stamp `text` is the meter's way to say that there is no reading."""
    return text.startswith(_NO_VALUE)


def is_unset(text: bytes) -> bool:
    """Whether the time stamp `text` is empty, all zeros or says that there is no value."""
    return not text or text[:12] == _UNSET or says_no_value(text)


@lru_cache(maxsize=64)
def _offsets(zone: tzinfo, year: int) -> tuple[int, int]:
    """Return the smaller and the larger offset of the year, in seconds east of Greenwich."""
    midwinter = datetime(year, 1, 1, tzinfo=zone).utcoffset()
    midsummer = datetime(year, 7, 1, tzinfo=zone).utcoffset()
    offsets = sorted(int((offset or timedelta()).total_seconds()) for offset in (midwinter, midsummer))
    return offsets[0], offsets[1]


def timestamp(text: bytes, zone: tzinfo) -> float | None:
    """Return the time that a stamp YYMMDDhhmmssX means, in seconds since 1970 UTC; None if it is no time.

    X is S in summer time and W in winter time (DSMR 5.0.2 P1, 6.4): it resolves the double hour of October, and
    decides where a meter keeps winter time all year. Without X (DSMR 3.0) the zone decides. Two-digit years from
    70 on are those of the last century: a meter's 1970 means that its clock is at zero.
    """
    found = _TIME.fullmatch(text) or _TIME_OTHER.fullmatch(text)
    if found is None:
        return None
    *date, second, letter = found.groups()
    minute = _minute(tuple(date), letter, zone)
    return None if minute is None or second >= b"60" else minute + int(second)


@lru_cache(maxsize=128)
def _minute(date: tuple[bytes, ...], letter: bytes, zone: tzinfo) -> float | None:
    """Return the beginning of a minute, from the digits of its year, month, day, hour and minute."""
    year, month, day, hour, minute = (int(part) for part in date)
    year += 1900 if year >= 70 else 2000  # noqa: PLR2004 - the convention of POSIX, named above
    try:
        local = datetime(year, month, day, hour, minute, tzinfo=zone)
    except ValueError:
        return None
    if letter:
        offset = _offsets(zone, year)[letter in b"Ss"]
    else:
        offset = int((local.utcoffset() or timedelta()).total_seconds())
    return float(timegm(local.timetuple()) - offset)
