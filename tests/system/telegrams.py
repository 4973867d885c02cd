"""Telegrams of simulated meters, and what an exporter must make of them, worked out here once more.

Only what the contract says of the telegrams of the simulated DSMR 5 meter stands here, so that a mistake in the
program's own decoder is not made twice.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from p1_exporter.simulator.models import MODELS, telegram, wire_bytes
from tests.system.scrape import Series, series

if TYPE_CHECKING:
    from collections.abc import Iterator

AFTERNOON = 1_750_000_000
"""15 June 2025, 17:06:40 in Amsterdam: both sun and people are up, so that most values change all the time."""

_PHASES = {"l1": 20, "l2": 40, "l3": 60}

# OBIS code: metric, labels, and how many of its base unit the telegram's unit is.
_PLAIN: dict[str, tuple[str, dict[str, str], int]] = {
    "1-0:1.8.1": ("p1_electricity_import_joules_total", {"tariff": "1"}, 3_600_000),
    "1-0:1.8.2": ("p1_electricity_import_joules_total", {"tariff": "2"}, 3_600_000),
    "1-0:2.8.1": ("p1_electricity_export_joules_total", {"tariff": "1"}, 3_600_000),
    "1-0:2.8.2": ("p1_electricity_export_joules_total", {"tariff": "2"}, 3_600_000),
    "0-0:96.14.0": ("p1_tariff_indicator", {}, 1),
    "1-0:1.7.0": ("p1_power_import_watts", {}, 1000),
    "1-0:2.7.0": ("p1_power_export_watts", {}, 1000),
    "0-0:96.7.21": ("p1_power_failures_total", {}, 1),
    "0-0:96.7.9": ("p1_long_power_failures_total", {}, 1),
}
for _phase, _base in _PHASES.items():
    _PLAIN |= {
        f"1-0:{_base + 12}.32.0": ("p1_voltage_sags_total", {"phase": _phase}, 1),
        f"1-0:{_base + 12}.36.0": ("p1_voltage_swells_total", {"phase": _phase}, 1),
        f"1-0:{_base + 12}.7.0": ("p1_voltage_volts", {"phase": _phase}, 1),
        f"1-0:{_base + 11}.7.0": ("p1_current_amperes", {"phase": _phase}, 1),
        f"1-0:{_base + 1}.7.0": ("p1_phase_power_import_watts", {"phase": _phase}, 1000),
        f"1-0:{_base + 2}.7.0": ("p1_phase_power_export_watts", {"phase": _phase}, 1000),
    }
# Serial numbers and messages, which nobody gets to see.
_PERSONAL = {"0-0:96.1.1", "0-1:96.1.0", "0-0:96.13.0"}


@cache
def simulated(model: str, count: int, seed: int = 0) -> tuple[bytes, ...]:
    """Return consecutive telegrams of a simulated meter; those of 7E1 meters have no parity bits."""
    meter = MODELS[model]
    household = meter.household(seed)
    return tuple(telegram(meter, household, AFTERNOON + number * meter.interval) for number in range(count))


@cache
def on_the_wire(model: str, count: int, seed: int = 0) -> tuple[bytes, ...]:
    """Return the same as an adapter receives them: encrypted, or with parity bits."""
    meter = MODELS[model]
    household = meter.household(seed)
    return tuple(wire_bytes(meter, household, AFTERNOON + number * meter.interval) for number in range(count))


def expected(telegram: bytes) -> dict[Series, float]:
    """Return every sample that an exporter must make of a telegram of the simulated DSMR 5 meter."""
    return dict(_samples(telegram.decode("ascii")))


def _samples(text: str) -> Iterator[tuple[Series, float]]:
    header, _, body = text.removeprefix("/").partition("\r\n")
    for line in body.partition("!")[0].split():
        code, _, rest = line.partition("(")
        groups = rest.removesuffix(")").split(")(")
        if code in _PLAIN:
            name, labels, scale = _PLAIN[code]
            yield series(name, **labels), _number(groups[0], scale)
        elif code == "1-3:0.2.8":
            yield series("p1_meter_info", model=header, version=groups[0]), 1.0
        elif code == "0-0:1.0.0":
            yield series("p1_meter_timestamp_seconds"), _seconds(groups[0])
        elif code == "1-0:99.97.0":
            for entry, (end, duration) in enumerate(zip(groups[2::2], groups[3::2], strict=True)):
                yield series("p1_long_power_failure_timestamp_seconds", entry=str(entry)), _seconds(end)
                yield series("p1_long_power_failure_seconds", entry=str(entry)), _number(duration, 1)
        elif code == "0-1:24.1.0":
            assert groups == ["003"]
            yield series("p1_mbus_device_info", channel="1", type="gas"), 1.0
        elif code == "0-1:24.2.1":
            yield series("p1_mbus_reading_timestamp_seconds", channel="1"), _seconds(groups[0])
            yield series("p1_gas_cubic_meters_total", channel="1"), _number(groups[1], 1)
        else:
            assert code in _PERSONAL, f"{line} is not known here"


def _number(text: str, scale: int) -> float:
    return float(Decimal(re.sub(r"\*.*", "", text)) * scale)


def _seconds(stamp: str) -> float:
    """Return the seconds since 1970 UTC; the last letter is S in summer and W in winter."""
    offset = dt.timezone(dt.timedelta(hours={"S": 2, "W": 1}[stamp[-1]]))
    return dt.datetime.strptime(stamp[:-1], "%y%m%d%H%M%S").replace(tzinfo=offset).timestamp()
