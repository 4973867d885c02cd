"""How each kind of meter prints what a household's meters show: the lines of its telegrams.

The order of lines, the widths of numbers and the spelling of units are those of meters in the field; names
and numbers of equipment are made up. A layout takes the household, the moment (epoch seconds) and the seconds
from one telegram to the next, over which power is averaged. It yields the lines between header and ``!``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from p1_exporter.simulator.household import Household, Peak, Supply

    Layout = Callable[[Household, int, int], Iterator[str]]

_HOUR = 3600
_FIVE_MINUTES = 300
_NO_VALUE = "632525252525"
"""What meters print where there is no time: bytes FFh taken for decimal digits."""


def dsmr2(household: Household, when: int, over: int) -> Iterator[str]:
    """Yield the lines of a DSMR 2.2 meter: no time, no checksum, power in steps of 10 W, gas in two lines."""
    net = sum(household.supply(when, over).watts)
    yield f"0-0:96.1.1({_identifier(household, 'E', 1)})"
    yield from _tariff_registers(household, when, digits=5)
    yield f"0-0:96.14.0({household.tariff(when):04d})"
    yield f"1-0:1.7.0({_fixed(max(net, 0) // 10, 4, 2)}*kW)"
    yield f"1-0:2.7.0({_fixed(max(-net, 0) // 10, 4, 2)}*kW)"
    yield "0-0:17.0.0(0999.00*kW)"  # the standard says ampere; this is what Iskra meters print
    yield "0-0:96.3.10(1)"
    yield "0-0:96.13.1()"
    yield "0-0:96.13.0()"
    yield "0-1:24.1.0(3)"
    yield f"0-1:96.1.0({_identifier(household, 'G', 2)})"
    hour = household.local(when - when % _HOUR)
    yield f"0-1:24.3.0({hour:%y%m%d%H%M%S})(00)(60)(1)(0-1:24.2.1)(m3)"
    yield f"({_cubic_meters(household.totals(when - when % _HOUR).gas)})"
    yield "0-1:24.4.0(1)"


def dsmr4(household: Household, when: int, over: int) -> Iterator[str]:
    """Yield the lines of a DSMR 4.2 meter with three phases, and gas by the hour."""
    supply = household.supply(when, over)
    yield from _dutch_head(household, when, supply, version=42)
    yield "0-0:96.13.1()"
    yield "0-0:96.13.0()"
    yield from _per_phase("31.7.0", (f"{supply.amperes(phase):03.0f}*A" for phase in range(3)))
    yield from _phase_powers(supply)
    yield "0-1:24.1.0(003)"
    yield f"0-1:96.1.0({_identifier(household, 'G', 2)})"
    yield f"0-1:24.2.1{_gas(household, when, _HOUR)}"


def dsmr5(household: Household, when: int, over: int) -> Iterator[str]:
    """Yield the lines of a DSMR 5.0 meter with three phases, and gas every five minutes."""
    supply = household.supply(when, over)
    yield from _dutch_head(household, when, supply, version=50)
    yield "0-0:96.13.0()"
    yield from _voltages(supply)
    yield from _per_phase("31.7.0", (f"{supply.amperes(phase):03.0f}*A" for phase in range(3)))
    yield from _phase_powers(supply)
    yield "0-1:24.1.0(003)"
    yield f"0-1:96.1.0({_identifier(household, 'G', 2)})"
    yield f"0-1:24.2.1{_gas(household, when, _FIVE_MINUTES)}"


def belgium(household: Household, when: int, over: int) -> Iterator[str]:
    """Yield the lines of an e-MUCS 1.7 meter: demand and its peaks, gas on channel 1, water on channel 2."""
    supply = household.supply(when, over)
    yield "0-0:96.1.4(50217)"
    yield f"0-0:96.1.1({_identifier(household, '1SIM', 1)})"
    yield f"0-0:1.0.0({_stamp(household, when)})"
    yield from _tariff_registers(household, when, digits=6)
    yield f"0-0:96.14.0({household.tariff(when):04d})"
    yield f"1-0:1.4.0({_kilo(household.demand(when), 2)}*kW)"
    peak = household.month_peak(when)
    yield (
        f"1-0:1.6.0({_stamp(household, peak.time)})({_kilo(peak.watts, 2)}*kW)"
        if peak
        else (f"1-0:1.6.0({_NO_VALUE}W)(00.000*kW)")
    )
    history = household.peak_history(when)
    months = "".join(f"({_stamp(household, end)}){_peak(household, past)}" for end, past in history)
    yield f"0-0:98.1.0({len(history)})(1-0:1.6.0)(1-0:1.6.0){months}"
    yield from _powers(supply, 2)
    yield from _phase_powers(supply)
    yield from _voltages(supply)
    yield from _per_phase("31.7.0", (f"{supply.amperes(phase):06.2f}*A" for phase in range(3)))
    yield "0-0:96.3.10(1)"
    yield "0-0:17.0.0(999.9*kW)"
    yield "1-0:31.4.0(999*A)"
    yield "0-0:96.13.0()"
    yield "0-1:24.1.0(003)"
    yield f"0-1:96.1.1({_identifier(household, '7SIM', 2)})"
    yield "0-1:24.4.0(1)"
    yield f"0-1:24.2.3{_gas(household, when, _FIVE_MINUTES)}"
    yield "0-2:24.1.0(007)"
    yield f"0-2:96.1.1({_identifier(household, '8SIM', 3)})"
    time = when - when % _FIVE_MINUTES
    yield f"0-2:24.2.1({_stamp(household, time)})({_cubic_meters(household.totals(time).water)}*m3)"


def sweden(household: Household, when: int, over: int) -> Iterator[str]:
    """Yield the lines of a Swedish H1 meter: totals over all tariffs, reactive power and energy."""
    supply = household.supply(when, over)
    yield f"0-0:1.0.0({_stamp(household, when)})"
    yield from _total_registers(household, when, digits=8, reactive="kVArh")
    yield from _powers(supply, 4)
    yield from _reactive_powers(supply, 4, "kVAr")
    yield from _phase_powers(supply, digits=4)
    yield from _phase_reactive_powers(supply, 4, "kVAr")
    yield from _voltages(supply)
    yield from _per_phase("31.7.0", (f"{supply.amperes(phase):05.1f}*A" for phase in range(3)))


def luxembourg(household: Household, when: int, over: int) -> Iterator[str]:
    """Yield the lines of a Smarty meter: totals, apparent power, whole volts, an M-Bus slot left empty."""
    supply = household.supply(when, over)
    net, reactive = sum(supply.watts), sum(supply.vars)
    apparent = round(math.hypot(net, reactive))
    yield "1-3:0.2.8(42)"
    yield f"0-0:1.0.0({_stamp(household, when)})"
    yield f"0-0:42.0.0({_identifier(household, 'SIM', 1)})"
    yield from _total_registers(household, when, digits=6, reactive="kvarh")
    yield from _powers(supply, 2)
    yield from _reactive_powers(supply, 2, "kvar")
    yield "0-0:17.0.0(027.6*kVA)"
    yield f"1-0:9.7.0({_kilo(apparent if net > 0 else 0, 2)}*kVA)"
    yield f"1-0:10.7.0({_kilo(apparent if net < 0 else 0, 2)}*kVA)"
    yield "1-1:31.4.0(040*A)(-040*A)"
    yield "0-0:96.3.10(1)"
    yield "0-1:96.3.10(0)"
    yield "0-2:96.3.10(0)"
    yield from _failure_counter(household)
    yield from _sags_and_swells(household)
    for message in (0, 2, 3, 4, 5):
        yield f"0-0:96.13.{message}()"
    yield from _per_phase("32.7.0", (f"{round(decivolts / 10):03d}.0*V" for decivolts in supply.decivolts))
    yield from _per_phase("31.7.0", (f"{supply.amperes(phase):03.0f}*A" for phase in range(3)))
    yield from _phase_powers(supply)
    yield from _phase_reactive_powers(supply, 2, "kvar")
    yield "0-1:24.1.0(003)"
    yield f"0-1:96.1.0({_identifier(household, 'SIM', 2)})"
    yield f"0-1:24.2.1{_gas(household, when, _FIVE_MINUTES)}"
    yield "0-1:24.4.0(0)"
    yield "0-2:24.1.0(007)"
    yield "0-2:96.1.0()"
    yield f"0-2:24.2.1({_NO_VALUE}S)(00000.000)"
    yield "0-2:24.4.0(1)"


def _dutch_head(household: Household, when: int, supply: Supply, version: int) -> Iterator[str]:
    """Yield what DSMR 4 and 5 begin with."""
    yield f"1-3:0.2.8({version})"
    yield f"0-0:1.0.0({_stamp(household, when)})"
    yield f"0-0:96.1.1({_identifier(household, 'E', 1)})"
    yield from _tariff_registers(household, when, digits=6)
    yield f"0-0:96.14.0({household.tariff(when):04d})"
    yield from _powers(supply, 2)
    yield from _failure_counter(household)
    failures = household.long_failures
    log = "".join(f"({_stamp(household, failure.end)})({failure.seconds:010d}*s)" for failure in failures)
    yield f"0-0:96.7.9({len(failures):05d})"
    yield f"1-0:99.97.0({len(failures)})(0-0:96.7.19){log}"
    yield from _sags_and_swells(household)


def _tariff_registers(household: Household, when: int, digits: int) -> Iterator[str]:
    totals = household.totals(when)
    yield f"1-0:1.8.1({_kilo_hours(totals.import_1, digits)}*kWh)"
    yield f"1-0:1.8.2({_kilo_hours(totals.import_2, digits)}*kWh)"
    yield f"1-0:2.8.1({_kilo_hours(totals.export_1, digits)}*kWh)"
    yield f"1-0:2.8.2({_kilo_hours(totals.export_2, digits)}*kWh)"


def _total_registers(household: Household, when: int, digits: int, reactive: str) -> Iterator[str]:
    totals = household.totals(when)
    yield f"1-0:1.8.0({_kilo_hours(totals.import_1 + totals.import_2, digits)}*kWh)"
    yield f"1-0:2.8.0({_kilo_hours(totals.export_1 + totals.export_2, digits)}*kWh)"
    yield f"1-0:3.8.0({_kilo_hours(totals.reactive_import, digits)}*{reactive})"
    yield f"1-0:4.8.0({_kilo_hours(totals.reactive_export, digits)}*{reactive})"


def _powers(supply: Supply, digits: int) -> Iterator[str]:
    """Yield import and export of the house: what one phase feeds back, another may use."""
    net = sum(supply.watts)
    yield f"1-0:1.7.0({_kilo(max(net, 0), digits)}*kW)"
    yield f"1-0:2.7.0({_kilo(max(-net, 0), digits)}*kW)"


def _reactive_powers(supply: Supply, digits: int, unit: str) -> Iterator[str]:
    net = sum(supply.vars)
    yield f"1-0:3.7.0({_kilo(max(net, 0), digits)}*{unit})"
    yield f"1-0:4.7.0({_kilo(max(-net, 0), digits)}*{unit})"


def _phase_powers(supply: Supply, digits: int = 2) -> Iterator[str]:
    yield from _per_phase("21.7.0", (f"{_kilo(max(watts, 0), digits)}*kW" for watts in supply.watts))
    yield from _per_phase("22.7.0", (f"{_kilo(max(-watts, 0), digits)}*kW" for watts in supply.watts))


def _phase_reactive_powers(supply: Supply, digits: int, unit: str) -> Iterator[str]:
    yield from _per_phase("23.7.0", (f"{_kilo(max(var, 0), digits)}*{unit}" for var in supply.vars))
    yield from _per_phase("24.7.0", (f"{_kilo(max(-var, 0), digits)}*{unit}" for var in supply.vars))


def _voltages(supply: Supply) -> Iterator[str]:
    yield from _per_phase("32.7.0", (f"{_fixed(decivolts, 3, 1)}*V" for decivolts in supply.decivolts))


def _failure_counter(household: Household) -> Iterator[str]:
    yield f"0-0:96.7.21({household.short_failures + len(household.long_failures):05d})"


def _sags_and_swells(household: Household) -> Iterator[str]:
    yield from _per_phase("32.32.0", (f"{sags:05d}" for sags in household.sags))
    yield from _per_phase("32.36.0", (f"{swells:05d}" for swells in household.swells))


def _gas(household: Household, when: int, step: int) -> str:
    """Return time and value of the newest gas reading; there is one every `step` seconds."""
    time = when - when % step
    return f"({_stamp(household, time)})({_cubic_meters(household.totals(time).gas)}*m3)"


def _peak(household: Household, peak: Peak) -> str:
    return f"({_stamp(household, peak.time)})({_kilo(peak.watts, 2)}*kW)"


def _per_phase(code: str, values: Iterable[str]) -> Iterator[str]:
    """Yield a line for each phase from the code of L1: those of L2 and L3 are 20 and 40 higher."""
    group, rest = code.split(".", 1)
    for phase, value in enumerate(values):
        yield f"1-0:{int(group) + 20 * phase}.{rest}({value})"


def _stamp(household: Household, when: int) -> str:
    """Return local time as YYMMDDhhmmss, and S in summer or W in winter."""
    local = household.local(when)
    return f"{local:%y%m%d%H%M%S}{'S' if local.dst() else 'W'}"


def _identifier(household: Household, prefix: str, meter: int) -> str:
    """Return the hex digits of a made-up equipment number of 17 characters at most."""
    return f"{prefix}{meter}{household.seed:010d}".encode().hex().upper()


def _fixed(value: int, digits: int, decimals: int) -> str:
    """Return `value`, in units of the last decimal, with that many digits before the point; it rolls over."""
    whole, fraction = divmod(value, 10**decimals)
    return f"{whole % 10**digits:0{digits}d}" + f".{fraction:0{decimals}d}"


def _kilo(value: int, digits: int) -> str:
    """Return watts or vars in thousands."""
    return _fixed(value, digits, 3)


def _kilo_hours(joules: int, digits: int) -> str:
    """Return joules (or var seconds) in kilowatt hours: a register shows what is full."""
    return _fixed(joules // 3600, digits, 3)


def _cubic_meters(litres: int) -> str:
    return _fixed(litres, 5, 3)
