"""The registry of OBIS codes: one line a code, from which metrics, HELP texts and the page of metrics come.

Units are not taken from here but from the telegram. Where a code means different things in different countries,
it has several lines, and the unit that the telegram gives decides.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple


class Kind(Enum):
    """What the values of a code are."""

    COUNTER = "counter"
    """A register that only rises."""
    GAUGE = "gauge"
    ENUM = "enum"
    """A number that stands for a state; some meters print the state in words."""
    TIME = "time"
    HOURLY = "hourly"
    """The two-line reading of DSMR 2.2 and 3.0: time, status, period, count, code, unit, value."""
    PEAKS = "peaks"
    """The Belgian history of monthly peaks; other countries use the code for other lists."""
    FAILURES = "failures"
    """The log of long power failures: count, code, then pairs of end and duration."""
    PROFILE = "profile"
    """A list of values with a header of codes."""
    DEVICE = "device"
    """The type of an M-Bus device."""
    VERSION = "version"
    IDENTITY = "identity"
    """Personal data: serial numbers and EAN codes."""
    MESSAGE = "message"
    """Personal data: text for the customer."""
    TEXT = "text"


COUNTER, GAUGE, ENUM, TIME, HOURLY = Kind.COUNTER, Kind.GAUGE, Kind.ENUM, Kind.TIME, Kind.HOURLY
PEAKS, FAILURES, PROFILE, DEVICE = Kind.PEAKS, Kind.FAILURES, Kind.PROFILE, Kind.DEVICE
VERSION, IDENTITY, MESSAGE, TEXT = Kind.VERSION, Kind.IDENTITY, Kind.MESSAGE, Kind.TEXT


class Entry(NamedTuple):
    """One line of the registry."""

    code: str
    """A-B:C.D.E; ``n`` stands for an M-Bus channel, ``t`` for a tariff."""
    kind: Kind
    metric: str
    """Name without unit and ``_total``; ``{device}`` is the kind of M-Bus device; empty: `p1_obis_value`."""
    units: str
    """Base units that the metric may have, by ``|``; empty: a number without unit."""
    label: str
    """``name=value``; a value ``n`` or ``t`` is taken from the code."""
    meaning: str
    source: str

    def name(self, base_unit: str) -> str:
        """Return the full name of the metric for values in `base_unit`."""
        return "".join(
            (self.metric, base_unit and "_" + base_unit, "_total" if self.kind in _COUNTING else "")
        )


_COUNTING: Final = {COUNTER, HOURLY}

# M-Bus device types (EN 13757-3), as 0-n:24.1.0 prints them, and the names of their metrics and labels.
DEVICES: Final = {
    1: "oil",
    2: "slave_electricity",
    3: "gas",
    4: "heat",
    5: "steam",
    6: "warm_water",
    7: "water",
    8: "heat_cost_allocator",
    9: "compressed_air",
    10: "cooling",
    11: "cooling",
    12: "heat",
    13: "heat_and_cooling",
    21: "hot_water",
    22: "cold_water",
    23: "dual_water",
    32: "breaker",
    33: "valve",
    40: "waste_water",
}
UNKNOWN_DEVICE: Final = "mbus"

STATES: Final = {"OFF": 0, "ON": 1}
"""States that meters in Hungary print in words."""

# fmt: off
REGISTRY: Final = (
    Entry("0-n:24.1.0", DEVICE, "p1_mbus_device", "", "channel=n", "M-Bus device type, three decimal digits in 4.0+ (003), 1-2 digits in 2.2/3.0 (3, 03); n = 1..4 in order of installation", "DSMR 3.0 P1; DSMR 5.0.2 P1"),
    Entry("0-n:24.2.1", COUNTER, "p1_{device}", "joules|cubic_meters", "channel=n", "Last reading with capture time: NL temperature-converted gas m3, water m3, heat/cold GJ, slave kWh; 5.0 every 5 minutes, 4.x hourly; BE water (1.7) ; IS value only, no time", "DSMR 4.0 P1; DSMR 5.0.2 P1"),
    Entry("0-n:24.2.2", GAUGE, "p1_mbus_flow", "cubic_meters_per_hour", "channel=n", "IS: heat meter flow m3/h; in DLMS profiles: gas not corrected", "telegrams seen IS"),
    Entry("0-n:24.2.3", COUNTER, "p1_{device}", "joules|cubic_meters", "channel=n", "BE: gas volume NOT temperature-corrected with time (2.1.1 example also for water); IS: supply temperature degC", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams); ndokter obis_references.py"),
    Entry("0-n:24.2.3", GAUGE, "p1_mbus_supply_temperature", "celsius", "channel=n", "Supply temperature of a heat meter (Iceland)", "telegrams seen IS"),
    Entry("0-n:24.2.4", GAUGE, "p1_mbus_return_temperature", "celsius", "channel=n", "IS heat submeter: return temperature (degC)", "telegrams seen IS"),
    Entry("0-n:24.2.5", GAUGE, "", "", "", "IS heat submeter: energy (printed Wh)", "telegrams seen IS"),
    Entry("0-n:24.2.6", GAUGE, "", "", "", "IS heat submeter: energy (printed Wh)", "telegrams seen IS"),
    Entry("0-n:24.2.10", GAUGE, "", "", "", "IS heat submeter: status digits", "telegrams seen IS"),
    Entry("0-n:24.3.0", HOURLY, "p1_{device}", "joules|cubic_meters", "channel=n", "2.2/3.0 hourly reading in two lines: (TST12)(status)(period min)(count)(0-n:24.2.1)(unit) CRLF (value)", "DSMR 3.0 P1"),
    Entry("0-n:24.3.1", COUNTER, "p1_{device}", "joules|cubic_meters", "channel=n", "3.0: last hourly reading cold", "DSMR 3.0 P1"),
    Entry("0-n:24.4.0", ENUM, "p1_mbus_valve_state", "", "channel=n", "Valve or switch position of the M-Bus device: on/off/released (1/0/..); removed in NL 4.0.7+, kept in BE and LU", "DSMR 3.0 P1; e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("0-n:96.1.0", IDENTITY, "", "", "", "M-Bus equipment identifier, hex octet string; empty or all zeros when not yet read; heat devices may print it unencoded", "DSMR 3.0 P1; DSMR 5.0.2 P1"),
    Entry("0-n:96.1.1", IDENTITY, "", "", "", "M-Bus equipment identifier (Belgium)", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("0-n:96.1.2", IDENTITY, "", "", "", "EAN code of the M-Bus device access point (BE 2.x)", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("0-n:96.3.10", ENUM, "p1_relay_state", "", "channel=n", "Relay n control state (LU n=1,2; BE 2.x n=1..4)", "Luxmetering P1 1.1.3; e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("0-0:0.0.0", IDENTITY, "", "", "", "Meter number in plain digits", "telegrams seen CH"),
    Entry("0-0:1.0.0", TIME, "p1_meter_timestamp", "seconds", "", "Date-time of the telegram (NES: YYYYMMDD hh:mm:ss instead)", "DSMR 4.0 P1; Swedenergy H1 2.0"),
    Entry("0-0:17.0.0", GAUGE, "p1_limiter_threshold", "watts|amperes|volt_amperes", "", "Limiter threshold. 2.2/3.0 in A (I3) though many meters print kW; 4.0 kW F4(1,1), removed in 4.0.7/4.2.2/5.0; LU kVA; BE kW, 999.9 or 99.999 = disabled; HU kW or W; PL bare number three times", "DSMR 3.0 P1; DSMR 4.0 P1; Luxmetering P1 1.1.3; e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("0-0:24.4.0", ENUM, "p1_breaker_state", "", "", "Electricity switch position", "DSMR 2.2 P1"),
    Entry("0-0:42.0.0", IDENTITY, "", "", "", "Equipment identifier (2.2) or COSEM logical device name; hex octet string in LU and Sagem HU, plain text in Sanxing/Wasion HU", "DSMR 2.2 P1; Luxmetering P1 1.1.3; E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("0-0:94.98.31", TEXT, "", "", "", "Proprietary, PL Elgama", "telegrams seen PL"),
    Entry("0-0:94.98.32", TEXT, "", "", "", "Proprietary, PL Elgama", "telegrams seen PL"),
    Entry("0-0:94.98.33", TEXT, "", "", "", "Proprietary, PL Elgama", "telegrams seen PL"),
    Entry("0-0:96.1.0", IDENTITY, "", "", "", "Equipment identifier or manufacturer serial; hex or plain digits", "telegrams seen"),
    Entry("0-0:96.1.1", IDENTITY, "", "", "", "Equipment identifier of the electricity meter, hex octet string (DSMR: 17 chars such as E0044...); AT list uses it for time", "DSMR 3.0 P1; DSMR 5.0.2 P1"),
    Entry("0-0:96.1.2", IDENTITY, "", "", "", "EAN code of the access point, hex octet string (18 digits); may be empty; CH: blank-filled hex", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("0-0:96.1.4", VERSION, "p1_meter", "", "", "Version information, five digits: 502 + e-MUCS edition, e.g. 50213, 50215, 50216, 50217 (1.7.x), 50221 (2.1.x); CH: operator value", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("0-0:96.1.255", IDENTITY, "", "", "", "Serial number, D0 meters", "ndokter Q3D"),
    Entry("0-0:96.3.10", ENUM, "p1_breaker_state", "", "", "Breaker/switch state: 0 disconnected, 1 connected, 2 ready for reconnection; HU also ON/OFF text; removed in NL 4.0.7+", "DSMR 3.0 P1; e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("0-0:96.7.9", COUNTER, "p1_long_power_failures", "", "", "Number of long power failures in any phase", "DSMR 4.0 P1"),
    Entry("0-0:96.7.19", GAUGE, "", "", "", "Duration of power failure, captured inside 99.97.0", "DSMR 4.0 P1"),
    Entry("0-0:96.7.21", COUNTER, "p1_power_failures", "", "", "Number of power failures in any phase", "DSMR 4.0 P1; Luxmetering P1 1.1.3"),
    Entry("0-0:96.10.7", TEXT, "", "", "", "Profile status, captured inside 99.1.0", "telegrams seen IL"),
    Entry("0-0:96.11.63", TEXT, "", "", "", "Alternative captured object reported in an MSZ314X failure log", "ebaauw/homebridge-p1 issue 43"),
    Entry("0-0:96.13.0", MESSAGE, "", "", "", "Consumer text message, hex octet string up to 1024 characters (2048 hex); empty parentheses when none; Sanxing HU sends 1024 bytes 0xFF raw; LT hex names the data model", "DSMR 2.2 P1; DSMR 5.0.2 P1"),
    Entry("0-0:96.13.1", MESSAGE, "", "", "", "Consumer text message code, 8 digits, hex octet string (absent in 5.0)", "DSMR 2.2 P1; DSMR 4.2.2 P1"),
    Entry("0-0:96.13.2", MESSAGE, "", "", "", "Long text message of channel 1", "Luxmetering P1 1.1.3"),
    Entry("0-0:96.13.3", MESSAGE, "", "", "", "Long text message of channel 2", "Luxmetering P1 1.1.3"),
    Entry("0-0:96.13.4", MESSAGE, "", "", "", "Long text message of channel 3", "Luxmetering P1 1.1.3"),
    Entry("0-0:96.13.5", MESSAGE, "", "", "", "Long text message of channel 4", "Luxmetering P1 1.1.3"),
    Entry("0-0:96.14.0", ENUM, "p1_tariff_indicator", "", "", "Active tariff indicator: NL 0001 low, 0002 normal; BE 0001 day, 0002 night; HU up to 4 or text (TARIFF 1); ACE4000 two digits", "DSMR 5.0.2 P1; telegrams seen"),
    Entry("0-0:96.14.1", ENUM, "p1_tariff_indicator", "", "", "Active tariff indicator, two digits", "esphome-libs dsmr_parser fields.h; telegrams seen IL"),
    Entry("0-0:96.50.68", ENUM, "p1_breaker_state", "", "", "Breaker state as text ON/OFF", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("0-0:97.97.0", TEXT, "", "", "", "Error register, hex 4 bytes", "telegrams seen SI"),
    Entry("0-0:98.1.0", PEAKS, "p1_peak_demand", "watts", "entry", "BE: monthly peak history, (count)(1-0:1.6.0)(1-0:1.6.0) then per month (capture TST)(peak TST)(kW), up to 13; HU: previous-month billing profile (TST) then ~19 values without object list; CH: bare count", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams); E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("0-0:C.1.0", IDENTITY, "", "", "", "Meter serial number (letter group C)", "Oesterreichs Energie interface overview"),
    Entry("1-0:0.0.0", IDENTITY, "", "", "", "Meter or customer number", "telegrams seen"),
    Entry("1-0:0.2.0", TEXT, "", "", "", "Active firmware identifier", "ESO p1-duomenu-modelis"),
    Entry("1-0:0.2.8", TEXT, "", "", "", "Active firmware signature", "ESO p1-duomenu-modelis"),
    Entry("1-0:0.3.0", GAUGE, "", "", "", "Pulse or transformer constant", "telegrams seen SI"),
    Entry("1-0:0.3.1", GAUGE, "", "", "", "Pulse or transformer constant", "telegrams seen SI"),
    Entry("1-0:0.8.0", GAUGE, "p1_measurement_period", "seconds", "period=1", "Length of measurement period 1", "telegrams seen SI"),
    Entry("1-0:0.8.2", GAUGE, "p1_measurement_period", "seconds", "period=3", "Length of measurement period 3", "ESO p1-duomenu-modelis"),
    Entry("1-0:0.9.1", TEXT, "", "", "", "Local time, digits hhmmss", "telegrams seen SI/IS; Oesterreichs Energie interface overview"),
    Entry("1-0:0.9.2", TEXT, "", "", "", "Local date, digits YYMMDD", "telegrams seen SI/IS; Oesterreichs Energie interface overview"),
    Entry("1-0:1.4.0", GAUGE, "p1_demand_import", "watts", "", "Current average import demand of the running quarter hour (LT: demand register)", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams); ESO p1-duomenu-modelis"),
    Entry("1-0:1.5.0", GAUGE, "p1_last_demand_import", "watts", "", "Demand of the last completed period", "esphome-libs dsmr_parser fields.h"),
    Entry("1-0:1.6.0", GAUGE, "p1_demand_import_month_max", "watts", "", "Maximum quarter-hour import demand of the running month, with its time: (TST)(value*kW)", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("1-0:1.7.0", GAUGE, "p1_power_import", "watts", "", "Instantaneous active power imported, all phases; 3.0 10 W resolution, 4.0+ 1 W, AT integer W", "DSMR 3.0 P1; DSMR 5.0.2 P1; Swedenergy H1 2.0"),
    Entry("1-0:1.8.0", COUNTER, "p1_electricity_import_all_tariffs", "joules", "", "Active energy imported (delivered to client), total of all tariffs", "Luxmetering P1 1.1.3; Swedenergy H1 2.0; ESO p1-duomenu-modelis"),
    Entry("1-0:1.8.1", COUNTER, "p1_electricity_import", "joules", "tariff=1", "Active energy imported, tariff 1 (NL low/night, BE day, 2.2/3.0 note says normal)", "DSMR 2.2 P1; DSMR 3.0 P1; DSMR 5.0.2 P1"),
    Entry("1-0:1.8.2", COUNTER, "p1_electricity_import", "joules", "tariff=2", "Active energy imported, tariff 2 (NL normal/day, BE night)", "DSMR 5.0.2 P1"),
    Entry("1-0:1.8.3", COUNTER, "p1_electricity_import", "joules", "tariff=3", "Active energy imported, tariff 3", "ESO p1-duomenu-modelis; E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:1.8.4", COUNTER, "p1_electricity_import", "joules", "tariff=4", "Active energy imported, tariff 4 (DSMR foresees up to 4, 5.0 up to 16 tariffs)", "ESO p1-duomenu-modelis; E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:1.8.11", COUNTER, "p1_electricity_import", "joules", "tariff=11", "Active energy imported, Israeli time-of-use tariff 1", "esphome-libs dsmr_parser fields.h; telegrams seen IL"),
    Entry("1-0:1.8.12", COUNTER, "p1_electricity_import", "joules", "tariff=12", "Active energy imported, Israeli time-of-use tariff 2", "esphome-libs dsmr_parser fields.h; telegrams seen IL"),
    Entry("1-0:1.8.13", COUNTER, "p1_electricity_import", "joules", "tariff=13", "Active energy imported, Israeli time-of-use tariff 3", "esphome-libs dsmr_parser fields.h; telegrams seen IL"),
    Entry("1-0:1.8.t", COUNTER, "p1_electricity_import", "joules", "tariff=t", "Active energy imported, any other tariff", "DSMR 5.0.2 P1"),
    Entry("1-0:1.24.0", GAUGE, "p1_average_power_import", "watts", "", "Average import power over measurement period 3", "ESO p1-duomenu-modelis"),
    Entry("1-0:1.29.0", GAUGE, "", "", "", "Interval import energy, captured inside 99.1.0", "telegrams seen IL"),
    Entry("1-0:2.4.0", GAUGE, "p1_demand_export", "watts", "", "Current average export demand of the running period", "ESO p1-duomenu-modelis"),
    Entry("1-0:2.5.0", GAUGE, "p1_last_demand_export", "watts", "", "Demand of the last completed period", "esphome-libs dsmr_parser fields.h"),
    Entry("1-0:2.7.0", GAUGE, "p1_power_export", "watts", "", "Instantaneous active power exported, all phases (absent in DSMR 2.2 spec)", "DSMR 3.0 P1; DSMR 5.0.2 P1"),
    Entry("1-0:2.8.0", COUNTER, "p1_electricity_export_all_tariffs", "joules", "", "Active energy exported (delivered by client), total of all tariffs", "Luxmetering P1 1.1.3; Swedenergy H1 2.0; ESO p1-duomenu-modelis"),
    Entry("1-0:2.8.1", COUNTER, "p1_electricity_export", "joules", "tariff=1", "Active energy exported, tariff 1", "DSMR 5.0.2 P1"),
    Entry("1-0:2.8.2", COUNTER, "p1_electricity_export", "joules", "tariff=2", "Active energy exported, tariff 2", "DSMR 5.0.2 P1"),
    Entry("1-0:2.8.3", COUNTER, "p1_electricity_export", "joules", "tariff=3", "Active energy exported, tariff 3", "ESO p1-duomenu-modelis; E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:2.8.4", COUNTER, "p1_electricity_export", "joules", "tariff=4", "Active energy exported, tariff 4", "ESO p1-duomenu-modelis; E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:2.8.11", COUNTER, "p1_electricity_export", "joules", "tariff=11", "Active energy exported, Israeli time-of-use tariff 1", "esphome-libs dsmr_parser fields.h; telegrams seen IL"),
    Entry("1-0:2.8.12", COUNTER, "p1_electricity_export", "joules", "tariff=12", "Active energy exported, Israeli time-of-use tariff 2", "esphome-libs dsmr_parser fields.h; telegrams seen IL"),
    Entry("1-0:2.8.13", COUNTER, "p1_electricity_export", "joules", "tariff=13", "Active energy exported, Israeli time-of-use tariff 3", "esphome-libs dsmr_parser fields.h; telegrams seen IL"),
    Entry("1-0:2.8.t", COUNTER, "p1_electricity_export", "joules", "tariff=t", "Active energy exported, any other tariff", "DSMR 5.0.2 P1"),
    Entry("1-0:2.29.0", GAUGE, "", "", "", "Interval export energy, captured inside 99.1.0", "telegrams seen IL"),
    Entry("1-0:3.4.0", GAUGE, "p1_reactive_demand_import", "vars", "", "Current average reactive import demand", "ESO p1-duomenu-modelis"),
    Entry("1-0:3.5.0", GAUGE, "p1_last_reactive_demand_import", "vars", "", "Demand of the last completed period", "esphome-libs dsmr_parser fields.h"),
    Entry("1-0:3.7.0", GAUGE, "p1_reactive_power_import", "vars", "", "Instantaneous reactive power imported, all phases", "Luxmetering P1 1.1.3; Swedenergy H1 2.0"),
    Entry("1-0:3.8.0", COUNTER, "p1_reactive_energy_import", "varh", "", "Reactive energy imported (+R, QI+QII), total", "Luxmetering P1 1.1.3; Swedenergy H1 2.0; ESO p1-duomenu-modelis"),
    Entry("1-0:3.8.1", COUNTER, "p1_reactive_energy_import_tariff", "varh", "tariff=1", "Reactive energy imported (+R, QI+QII), tariff 1", "ESO p1-duomenu-modelis; Oesterreichs Energie interface overview"),
    Entry("1-0:3.8.2", COUNTER, "p1_reactive_energy_import_tariff", "varh", "tariff=2", "Reactive energy imported (+R, QI+QII), tariff 2", "ESO p1-duomenu-modelis; Oesterreichs Energie interface overview"),
    Entry("1-0:3.8.3", COUNTER, "p1_reactive_energy_import_tariff", "varh", "tariff=3", "Reactive energy imported (+R, QI+QII), tariff 3", "ESO p1-duomenu-modelis; Oesterreichs Energie interface overview"),
    Entry("1-0:3.8.4", COUNTER, "p1_reactive_energy_import_tariff", "varh", "tariff=4", "Reactive energy imported (+R, QI+QII), tariff 4", "ESO p1-duomenu-modelis; Oesterreichs Energie interface overview"),
    Entry("1-0:4.4.0", GAUGE, "p1_reactive_demand_export", "vars", "", "Current average reactive export demand", "ESO p1-duomenu-modelis"),
    Entry("1-0:4.5.0", GAUGE, "p1_last_reactive_demand_export", "vars", "", "Demand of the last completed period", "esphome-libs dsmr_parser fields.h"),
    Entry("1-0:4.7.0", GAUGE, "p1_reactive_power_export", "vars", "", "Instantaneous reactive power exported, all phases", "Luxmetering P1 1.1.3; Swedenergy H1 2.0"),
    Entry("1-0:4.8.0", COUNTER, "p1_reactive_energy_export", "varh", "", "Reactive energy exported (-R, QIII+QIV), total", "Luxmetering P1 1.1.3; Swedenergy H1 2.0; ESO p1-duomenu-modelis"),
    Entry("1-0:4.8.1", COUNTER, "p1_reactive_energy_export_tariff", "varh", "tariff=1", "Reactive energy exported (-R, QIII+QIV), tariff 1 (Holley HU sends 4.8.1 as the total)", "ESO p1-duomenu-modelis; Oesterreichs Energie interface overview"),
    Entry("1-0:4.8.2", COUNTER, "p1_reactive_energy_export_tariff", "varh", "tariff=2", "Reactive energy exported (-R, QIII+QIV), tariff 2", "ESO p1-duomenu-modelis; Oesterreichs Energie interface overview"),
    Entry("1-0:4.8.3", COUNTER, "p1_reactive_energy_export_tariff", "varh", "tariff=3", "Reactive energy exported (-R, QIII+QIV), tariff 3", "ESO p1-duomenu-modelis; Oesterreichs Energie interface overview"),
    Entry("1-0:4.8.4", COUNTER, "p1_reactive_energy_export_tariff", "varh", "tariff=4", "Reactive energy exported (-R, QIII+QIV), tariff 4", "ESO p1-duomenu-modelis; Oesterreichs Energie interface overview"),
    Entry("1-0:5.7.0", GAUGE, "p1_reactive_power_quadrant", "vars", "quadrant=1", "Instantaneous reactive power in quadrant I", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:5.8.0", COUNTER, "p1_reactive_energy_quadrant", "varh", "quadrant=1", "Reactive energy in quadrant I", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:6.7.0", GAUGE, "p1_reactive_power_quadrant", "vars", "quadrant=2", "Instantaneous reactive power in quadrant II", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:6.8.0", COUNTER, "p1_reactive_energy_quadrant", "varh", "quadrant=2", "Reactive energy in quadrant II", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:7.7.0", GAUGE, "p1_reactive_power_quadrant", "vars", "quadrant=3", "Instantaneous reactive power in quadrant III", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:7.8.0", COUNTER, "p1_reactive_energy_quadrant", "varh", "quadrant=3", "Reactive energy in quadrant III", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:8.7.0", GAUGE, "p1_reactive_power_quadrant", "vars", "quadrant=4", "Instantaneous reactive power in quadrant IV", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:8.8.0", COUNTER, "p1_reactive_energy_quadrant", "varh", "quadrant=4", "Reactive energy in quadrant IV", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:9.4.0", GAUGE, "p1_apparent_demand_import", "volt_amperes", "", "Current average apparent import demand", "ESO p1-duomenu-modelis"),
    Entry("1-0:9.5.0", GAUGE, "p1_last_apparent_demand_import", "volt_amperes", "", "Demand of the last completed period", "esphome-libs dsmr_parser fields.h"),
    Entry("1-0:9.7.0", GAUGE, "p1_apparent_power_import", "volt_amperes", "", "Instantaneous apparent power imported", "Luxmetering P1 1.1.3; ESO p1-duomenu-modelis"),
    Entry("1-0:10.4.0", GAUGE, "p1_apparent_demand_export", "volt_amperes", "", "Current average apparent export demand", "ESO p1-duomenu-modelis"),
    Entry("1-0:10.5.0", GAUGE, "p1_last_apparent_demand_export", "volt_amperes", "", "Demand of the last completed period", "esphome-libs dsmr_parser fields.h"),
    Entry("1-0:10.7.0", GAUGE, "p1_apparent_power_export", "volt_amperes", "", "Instantaneous apparent power exported", "Luxmetering P1 1.1.3; ESO p1-duomenu-modelis"),
    Entry("1-0:11.7.0", GAUGE, "p1_any_phase_current", "amperes", "", "Instantaneous current, any phase", "ESO p1-duomenu-modelis"),
    Entry("1-0:12.7.0", GAUGE, "p1_any_phase_voltage", "volts", "", "Instantaneous voltage, any phase", "ESO p1-duomenu-modelis"),
    Entry("1-0:13.3.0", GAUGE, "p1_power_factor_min_ratio", "", "", "Minimum power factor", "ESO p1-duomenu-modelis"),
    Entry("1-0:13.7.0", GAUGE, "p1_power_factor_ratio", "", "", "Instantaneous power factor, total", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY; ESO p1-duomenu-modelis"),
    Entry("1-0:14.7.0", GAUGE, "p1_frequency", "hertz", "", "Mains frequency; HU two decimals, LT one decimal, LT (kV variant) kHz", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY; ESO p1-duomenu-modelis"),
    Entry("1-0:15.7.0", GAUGE, "p1_power_absolute", "watts", "", "Instantaneous active power |+A|+|-A| (ACE4000: power in W)", "ESO p1-duomenu-modelis; openHAB ace4000.telegram"),
    Entry("1-0:15.8.0", COUNTER, "p1_electricity_absolute_all_tariffs", "joules", "", "Active energy, sum of magnitudes |+A|+|-A| (Holley: unit with trailing blank 'kWh ')", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:15.8.1", COUNTER, "p1_electricity_absolute", "joules", "tariff=1", "Active energy |+A|+|-A|, tariff 1", "Oesterreichs Energie interface overview"),
    Entry("1-0:15.8.2", COUNTER, "p1_electricity_absolute", "joules", "tariff=2", "Active energy |+A|+|-A|, tariff 2", "Oesterreichs Energie interface overview"),
    Entry("1-0:15.8.3", COUNTER, "p1_electricity_absolute", "joules", "tariff=3", "Active energy |+A|+|-A|, tariff 3", "Oesterreichs Energie interface overview"),
    Entry("1-0:15.8.4", COUNTER, "p1_electricity_absolute", "joules", "tariff=4", "Active energy |+A|+|-A|, tariff 4", "Oesterreichs Energie interface overview"),
    Entry("1-0:15.24.0", GAUGE, "p1_average_power_absolute", "watts", "", "Average |+A|+|-A| power over period 3", "ESO p1-duomenu-modelis"),
    Entry("1-0:15.35.0", GAUGE, "p1_power_over_limit", "watts", "", "Power over limit threshold", "Oesterreichs Energie interface overview"),
    Entry("1-0:16.7.0", GAUGE, "p1_power_net", "watts", "", "Instantaneous net active power (signed); not seen on P1 here", "esphome feature-requests 2569"),
    Entry("1-0:16.24.0", GAUGE, "p1_average_power_net", "watts", "", "Average net power |+A|-|-A| over period 3 (signed)", "ESO p1-duomenu-modelis"),
    Entry("1-0:21.7.0", GAUGE, "p1_phase_power_import", "watts", "phase=l1", "Instantaneous active power imported in phase L1", "DSMR 4.0 P1; Swedenergy H1 2.0"),
    Entry("1-0:22.7.0", GAUGE, "p1_phase_power_export", "watts", "phase=l1", "Instantaneous active power exported in phase L1", "DSMR 4.0 P1; Swedenergy H1 2.0"),
    Entry("1-0:23.7.0", GAUGE, "p1_phase_reactive_power_import", "vars", "phase=l1", "Instantaneous reactive power imported in phase L1", "Luxmetering P1 1.1.3; Swedenergy H1 2.0"),
    Entry("1-0:24.7.0", GAUGE, "p1_phase_reactive_power_export", "vars", "phase=l1", "Instantaneous reactive power exported in phase L1", "Luxmetering P1 1.1.3; Swedenergy H1 2.0"),
    Entry("1-0:29.7.0", GAUGE, "p1_phase_apparent_power_import", "volt_amperes", "phase=l1", "Instantaneous apparent power imported in phase L1", "ESO p1-duomenu-modelis"),
    Entry("1-0:30.7.0", GAUGE, "p1_phase_apparent_power_export", "volt_amperes", "phase=l1", "Instantaneous apparent power exported in phase L1", "ESO p1-duomenu-modelis"),
    Entry("1-0:31.4.0", GAUGE, "p1_current_threshold", "amperes", "phase=l1", "Current limit or fuse supervision threshold of phase L1: 999*A (BE 1.7) / 999.99*A (BE 2.x) mean disabled; HU limit; LT (kV variant) prints a demand current", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams); E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:31.7.0", GAUGE, "p1_current", "amperes", "phase=l1", "Instantaneous current of phase L1; NL whole amperes, BE two decimals, SE one; LT may use kA", "DSMR 4.0 P1; e-MUCS P1 1.7.1/2.1.1 examples (telegrams); Swedenergy H1 2.0"),
    Entry("1-0:32.7.0", GAUGE, "p1_voltage", "volts", "phase=l1", "Instantaneous voltage of phase L1; SI 5.1 digits; LT may use kV", "DSMR 5.0.2 P1; Swedenergy H1 2.0"),
    Entry("1-0:32.24.0", GAUGE, "p1_average_voltage", "volts", "phase=l1", "Average voltage of phase L1 over the measurement period", "ESO p1-duomenu-modelis"),
    Entry("1-0:32.32.0", COUNTER, "p1_voltage_sags", "", "phase=l1", "Number of voltage sags in phase L1 (wraps or clips at 5 digits)", "DSMR 4.0 P1; ESO p1-duomenu-modelis"),
    Entry("1-0:32.33.0", GAUGE, "p1_last_voltage_sag_duration", "seconds", "phase=l1", "Duration of last voltage sag in phase L1", "ESO p1-duomenu-modelis"),
    Entry("1-0:32.34.0", GAUGE, "p1_last_voltage_sag", "volts", "phase=l1", "Magnitude of last voltage sag in phase L1", "ESO p1-duomenu-modelis"),
    Entry("1-0:32.36.0", COUNTER, "p1_voltage_swells", "", "phase=l1", "Number of voltage swells in phase L1", "DSMR 4.0 P1; ESO p1-duomenu-modelis"),
    Entry("1-0:32.37.0", GAUGE, "p1_last_voltage_swell_duration", "seconds", "phase=l1", "Duration of last voltage swell in phase L1", "ESO p1-duomenu-modelis"),
    Entry("1-0:32.38.0", GAUGE, "p1_last_voltage_swell", "volts", "phase=l1", "Magnitude of last voltage swell in phase L1", "ESO p1-duomenu-modelis"),
    Entry("1-0:33.7.0", GAUGE, "p1_phase_power_factor_ratio", "", "phase=l1", "Instantaneous power factor of phase L1; LT signed; values above 1 seen (Sagem MA309M 4.556); ESO also prints 00998 for 0.998", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY; ESO p1-duomenu-modelis"),
    Entry("1-0:41.7.0", GAUGE, "p1_phase_power_import", "watts", "phase=l2", "Instantaneous active power imported in phase L2", "DSMR 4.0 P1; Swedenergy H1 2.0"),
    Entry("1-0:42.7.0", GAUGE, "p1_phase_power_export", "watts", "phase=l2", "Instantaneous active power exported in phase L2", "DSMR 4.0 P1; Swedenergy H1 2.0"),
    Entry("1-0:43.7.0", GAUGE, "p1_phase_reactive_power_import", "vars", "phase=l2", "Instantaneous reactive power imported in phase L2", "Luxmetering P1 1.1.3; Swedenergy H1 2.0"),
    Entry("1-0:44.7.0", GAUGE, "p1_phase_reactive_power_export", "vars", "phase=l2", "Instantaneous reactive power exported in phase L2", "Luxmetering P1 1.1.3; Swedenergy H1 2.0"),
    Entry("1-0:49.7.0", GAUGE, "p1_phase_apparent_power_import", "volt_amperes", "phase=l2", "Instantaneous apparent power imported in phase L2", "ESO p1-duomenu-modelis"),
    Entry("1-0:50.7.0", GAUGE, "p1_phase_apparent_power_export", "volt_amperes", "phase=l2", "Instantaneous apparent power exported in phase L2", "ESO p1-duomenu-modelis"),
    Entry("1-0:51.4.0", GAUGE, "p1_current_threshold", "amperes", "phase=l2", "Current limit or fuse supervision threshold of phase L2: 999*A (BE 1.7) / 999.99*A (BE 2.x) mean disabled; HU limit; LT (kV variant) prints a demand current", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams); E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:51.7.0", GAUGE, "p1_current", "amperes", "phase=l2", "Instantaneous current of phase L2; NL whole amperes, BE two decimals, SE one; LT may use kA", "DSMR 4.0 P1; e-MUCS P1 1.7.1/2.1.1 examples (telegrams); Swedenergy H1 2.0"),
    Entry("1-0:52.7.0", GAUGE, "p1_voltage", "volts", "phase=l2", "Instantaneous voltage of phase L2; SI 5.1 digits; LT may use kV", "DSMR 5.0.2 P1; Swedenergy H1 2.0"),
    Entry("1-0:52.24.0", GAUGE, "p1_average_voltage", "volts", "phase=l2", "Average voltage of phase L2 over the measurement period", "ESO p1-duomenu-modelis"),
    Entry("1-0:52.32.0", COUNTER, "p1_voltage_sags", "", "phase=l2", "Number of voltage sags in phase L2 (wraps or clips at 5 digits)", "DSMR 4.0 P1; ESO p1-duomenu-modelis"),
    Entry("1-0:52.33.0", GAUGE, "p1_last_voltage_sag_duration", "seconds", "phase=l2", "Duration of last voltage sag in phase L2", "ESO p1-duomenu-modelis"),
    Entry("1-0:52.34.0", GAUGE, "p1_last_voltage_sag", "volts", "phase=l2", "Magnitude of last voltage sag in phase L2", "ESO p1-duomenu-modelis"),
    Entry("1-0:52.36.0", COUNTER, "p1_voltage_swells", "", "phase=l2", "Number of voltage swells in phase L2", "DSMR 4.0 P1; ESO p1-duomenu-modelis"),
    Entry("1-0:52.37.0", GAUGE, "p1_last_voltage_swell_duration", "seconds", "phase=l2", "Duration of last voltage swell in phase L2", "ESO p1-duomenu-modelis"),
    Entry("1-0:52.38.0", GAUGE, "p1_last_voltage_swell", "volts", "phase=l2", "Magnitude of last voltage swell in phase L2", "ESO p1-duomenu-modelis"),
    Entry("1-0:53.7.0", GAUGE, "p1_phase_power_factor_ratio", "", "phase=l2", "Instantaneous power factor of phase L2; LT signed; values above 1 seen (Sagem MA309M 4.556); ESO also prints 00998 for 0.998", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY; ESO p1-duomenu-modelis"),
    Entry("1-0:61.7.0", GAUGE, "p1_phase_power_import", "watts", "phase=l3", "Instantaneous active power imported in phase L3", "DSMR 4.0 P1; Swedenergy H1 2.0"),
    Entry("1-0:62.7.0", GAUGE, "p1_phase_power_export", "watts", "phase=l3", "Instantaneous active power exported in phase L3", "DSMR 4.0 P1; Swedenergy H1 2.0"),
    Entry("1-0:63.7.0", GAUGE, "p1_phase_reactive_power_import", "vars", "phase=l3", "Instantaneous reactive power imported in phase L3", "Luxmetering P1 1.1.3; Swedenergy H1 2.0"),
    Entry("1-0:64.7.0", GAUGE, "p1_phase_reactive_power_export", "vars", "phase=l3", "Instantaneous reactive power exported in phase L3", "Luxmetering P1 1.1.3; Swedenergy H1 2.0"),
    Entry("1-0:69.7.0", GAUGE, "p1_phase_apparent_power_import", "volt_amperes", "phase=l3", "Instantaneous apparent power imported in phase L3", "ESO p1-duomenu-modelis"),
    Entry("1-0:70.7.0", GAUGE, "p1_phase_apparent_power_export", "volt_amperes", "phase=l3", "Instantaneous apparent power exported in phase L3", "ESO p1-duomenu-modelis"),
    Entry("1-0:71.4.0", GAUGE, "p1_current_threshold", "amperes", "phase=l3", "Current limit or fuse supervision threshold of phase L3: 999*A (BE 1.7) / 999.99*A (BE 2.x) mean disabled; HU limit; LT (kV variant) prints a demand current", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams); E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY"),
    Entry("1-0:71.7.0", GAUGE, "p1_current", "amperes", "phase=l3", "Instantaneous current of phase L3; NL whole amperes, BE two decimals, SE one; LT may use kA", "DSMR 4.0 P1; e-MUCS P1 1.7.1/2.1.1 examples (telegrams); Swedenergy H1 2.0"),
    Entry("1-0:72.7.0", GAUGE, "p1_voltage", "volts", "phase=l3", "Instantaneous voltage of phase L3; SI 5.1 digits; LT may use kV", "DSMR 5.0.2 P1; Swedenergy H1 2.0"),
    Entry("1-0:72.24.0", GAUGE, "p1_average_voltage", "volts", "phase=l3", "Average voltage of phase L3 over the measurement period", "ESO p1-duomenu-modelis"),
    Entry("1-0:72.32.0", COUNTER, "p1_voltage_sags", "", "phase=l3", "Number of voltage sags in phase L3 (wraps or clips at 5 digits)", "DSMR 4.0 P1; ESO p1-duomenu-modelis"),
    Entry("1-0:72.33.0", GAUGE, "p1_last_voltage_sag_duration", "seconds", "phase=l3", "Duration of last voltage sag in phase L3", "ESO p1-duomenu-modelis"),
    Entry("1-0:72.34.0", GAUGE, "p1_last_voltage_sag", "volts", "phase=l3", "Magnitude of last voltage sag in phase L3", "ESO p1-duomenu-modelis"),
    Entry("1-0:72.36.0", COUNTER, "p1_voltage_swells", "", "phase=l3", "Number of voltage swells in phase L3", "DSMR 4.0 P1; ESO p1-duomenu-modelis"),
    Entry("1-0:72.37.0", GAUGE, "p1_last_voltage_swell_duration", "seconds", "phase=l3", "Duration of last voltage swell in phase L3", "ESO p1-duomenu-modelis"),
    Entry("1-0:72.38.0", GAUGE, "p1_last_voltage_swell", "volts", "phase=l3", "Magnitude of last voltage swell in phase L3", "ESO p1-duomenu-modelis"),
    Entry("1-0:73.7.0", GAUGE, "p1_phase_power_factor_ratio", "", "phase=l3", "Instantaneous power factor of phase L3; LT signed; values above 1 seen (Sagem MA309M 4.556); ESO also prints 00998 for 0.998", "E.ON/ELMU HU telegrams (telegrams); ndokter EON_HUNGARY; ESO p1-duomenu-modelis"),
    Entry("1-0:81.7.40", GAUGE, "p1_phase_angle", "degrees", "phase=l1", "Phase angle U to I", "Oesterreichs Energie interface overview"),
    Entry("1-0:81.7.51", GAUGE, "p1_phase_angle", "degrees", "phase=l2", "Phase angle U to I", "Oesterreichs Energie interface overview"),
    Entry("1-0:81.7.62", GAUGE, "p1_phase_angle", "degrees", "phase=l3", "Phase angle U to I", "Oesterreichs Energie interface overview"),
    Entry("1-0:90.7.0", GAUGE, "p1_phase_current_sum", "amperes", "", "Sum of the phase currents", "ESO p1-duomenu-modelis"),
    Entry("1-0:91.7.0", GAUGE, "p1_neutral_current", "amperes", "", "Current in the neutral", "ESO p1-duomenu-modelis"),
    Entry("1-0:94.32.1", GAUGE, "", "", "", "Value 400 in the three-phase example; meaning not confirmed (presumably nominal supply voltage)", "e-MUCS P1 1.7.1/2.1.1 examples (telegrams)"),
    Entry("1-0:96.5.5", TEXT, "", "", "", "Device status, hex byte (bit 0 error, bit 3-5 phase loss)", "EasyMeter/Voltcraft manual"),
    Entry("1-0:99.1.0", PROFILE, "", "", "", "Load profile, last interval: (n)(status id)(ids...)(TST)(status)(kWh)(kWh)", "esphome-libs dsmr_parser fields.h; telegrams seen IL"),
    Entry("1-0:99.97.0", FAILURES, "p1_long_power_failure", "seconds", "entry", "Power failure event log: (count)(0-0:96.7.19) then per event (end TST)(duration*s), at most 10", "DSMR 5.0.2 P1"),
    Entry("1-1:0.2.0", TEXT, "", "", "", "Active firmware identifier, second image", "ESO p1-duomenu-modelis"),
    Entry("1-1:0.2.8", TEXT, "", "", "", "Active firmware signature, second image", "ESO p1-duomenu-modelis"),
    Entry("1-1:1.6.0", GAUGE, "p1_demand_import_month_max", "watts", "", "Maximum import demand with time (CH)", "telegrams seen CH"),
    Entry("1-1:1.7.0", GAUGE, "p1_power_import", "watts", "", "Instantaneous active power imported (B=1)", "telegrams seen CH; Oesterreichs Energie interface overview"),
    Entry("1-1:1.8.0", COUNTER, "p1_electricity_import_all_tariffs", "joules", "", "Active energy imported, total (Swiss metering code: B is 1, 3 or 5)", "esphome-libs pull 19; telegrams seen CH"),
    Entry("1-1:1.8.1", COUNTER, "p1_electricity_import", "joules", "tariff=1", "Active energy imported, tariff 1 (Swiss metering code: B is 1, 3 or 5)", "esphome-libs pull 19; telegrams seen CH"),
    Entry("1-1:1.8.2", COUNTER, "p1_electricity_import", "joules", "tariff=2", "Active energy imported, tariff 2 (Swiss metering code: B is 1, 3 or 5)", "esphome-libs pull 19; telegrams seen CH"),
    Entry("1-1:2.7.0", GAUGE, "p1_power_export", "watts", "", "Instantaneous active power exported (B=1)", "telegrams seen CH; Oesterreichs Energie interface overview"),
    Entry("1-1:2.8.0", COUNTER, "p1_electricity_export_all_tariffs", "joules", "", "Active energy exported, total (Swiss metering code: B is 1, 3 or 5)", "esphome-libs pull 19; telegrams seen CH"),
    Entry("1-1:2.8.1", COUNTER, "p1_electricity_export", "joules", "tariff=1", "Active energy exported, tariff 1 (Swiss metering code: B is 1, 3 or 5)", "esphome-libs pull 19; telegrams seen CH"),
    Entry("1-1:2.8.2", COUNTER, "p1_electricity_export", "joules", "tariff=2", "Active energy exported, tariff 2 (Swiss metering code: B is 1, 3 or 5)", "esphome-libs pull 19; telegrams seen CH"),
    Entry("1-1:3.7.0", GAUGE, "p1_reactive_power_import", "vars", "", "Instantaneous reactive power imported (B=1)", "telegrams seen CH; Oesterreichs Energie interface overview"),
    Entry("1-1:3.8.1", COUNTER, "p1_reactive_energy_import_tariff", "varh", "tariff=1", "Reactive energy imported", "Oesterreichs Energie interface overview"),
    Entry("1-1:4.7.0", GAUGE, "p1_reactive_power_export", "vars", "", "Instantaneous reactive power exported (B=1)", "telegrams seen CH; Oesterreichs Energie interface overview"),
    Entry("1-1:4.8.1", COUNTER, "p1_reactive_energy_export_tariff", "varh", "tariff=1", "Reactive energy exported", "Oesterreichs Energie interface overview"),
    Entry("1-1:5.8.0", COUNTER, "p1_reactive_energy_quadrant", "varh", "quadrant=1", "Reactive energy in quadrant I (CH metering code uses B=1)", "Regionalwerke Baden E450 manual"),
    Entry("1-1:6.8.0", COUNTER, "p1_reactive_energy_quadrant", "varh", "quadrant=2", "Reactive energy in quadrant II (CH metering code uses B=1)", "Regionalwerke Baden E450 manual"),
    Entry("1-1:7.8.0", COUNTER, "p1_reactive_energy_quadrant", "varh", "quadrant=3", "Reactive energy in quadrant III (CH metering code uses B=1)", "Regionalwerke Baden E450 manual"),
    Entry("1-1:8.8.0", COUNTER, "p1_reactive_energy_quadrant", "varh", "quadrant=4", "Reactive energy in quadrant IV (CH metering code uses B=1)", "Regionalwerke Baden E450 manual"),
    Entry("1-1:31.4.0", GAUGE, "p1_current_threshold", "amperes", "phase=l1", "Current threshold, two groups: import and (negative) export: (100*A)(-100*A); spec table prints 1-1:34.4.0", "Luxmetering P1 1.1.3 (table vs appendix A)"),
    Entry("1-3:0.2.8", VERSION, "p1_meter", "", "", "P1 telegram version, two digits: 40, 42, 50 (LU sends 42, AT 50)", "DSMR 4.0 P1; DSMR 5.0.2 P1"),
    Entry("5-0:0.0.0", IDENTITY, "", "", "", "Heat or cooling meter identifier (x=5 heat, 6 cooling in that specification)", "DSMR 2.2 P1"),
    Entry("5-0:1.0.0", COUNTER, "p1_heat", "joules", "channel=0", "Heat reading, 0.01 GJ", "DSMR 2.2 P1"),
    Entry("6-0:0.0.0", IDENTITY, "", "", "", "as 5-0:0.0.0", "DSMR 2.2 P1"),
    Entry("6-0:1.0.0", COUNTER, "p1_cooling", "joules", "channel=0", "Cold reading, 0.01 GJ", "DSMR 2.2 P1"),
    Entry("7-0:0.0.0", IDENTITY, "", "", "", "Gas meter identifier", "DSMR 2.2 P1"),
    Entry("7-0:23.1.0", COUNTER, "p1_gas", "cubic_meters", "channel=0", "24 hourly gas readings, uncorrected, with date and time (ACE4000: (value*m3)(YY-MM-DD hh:mm:ss) per line)", "DSMR 2.2 P1; openHAB ace4000.telegram"),
    Entry("7-0:23.2.0", COUNTER, "p1_gas", "cubic_meters", "channel=0", "24 hourly gas readings, temperature compensated", "DSMR 2.2 P1"),
    Entry("7-0:24.4.0", ENUM, "p1_gas_valve_state", "", "", "Gas valve position", "DSMR 2.2 P1"),
    Entry("8-0:0.0.0", IDENTITY, "", "", "", "Water meter identifier", "DSMR 2.2 P1"),
    Entry("8-0:1.0.0", COUNTER, "p1_water", "cubic_meters", "channel=0", "Water reading, 0.001 m3", "DSMR 2.2 P1"),
)
# fmt: on

_BY_CODE: Final[dict[str, list[Entry]]] = {}
for _entry in REGISTRY:
    _BY_CODE.setdefault(_entry.code, []).append(_entry)

# Media that Swiss and Luxembourg meters print in place of 1-0.
_ELECTRICITY: Final = {"1-1", "1-3", "1-5"}


class Found(NamedTuple):
    """The lines of the registry for one code of a telegram, and what its placeholders stand for."""

    entries: tuple[Entry, ...]
    channel: str
    tariff: str

    def label(self, entry: Entry) -> tuple[tuple[str, str], ...]:
        """Return the labels of the entry's metric, with the placeholders filled in."""
        name, _, value = entry.label.partition("=")
        value = {"n": self.channel, "t": self.tariff}.get(value, value)
        return ((name, value),) if value else ()


_NOTHING: Final = Found((), "", "")


@lru_cache(maxsize=1024)
def find(code: str) -> Found:
    """Return what the registry has on `code` (A-B:C.D.E), with no entries if it does not know it."""
    medium, _, rest = code.partition(":")
    channel = medium.partition("-")[2]
    exact = _BY_CODE.get(code)
    if exact:
        return Found(tuple(exact), channel, "")
    if medium.startswith("0-") and channel != "0":
        mbus = _BY_CODE.get("0-n:" + rest)
        return Found(tuple(mbus), channel, "") if mbus else _unlisted(rest, channel)
    if medium in _ELECTRICITY:
        return find("1-0:" + rest)
    register, _, tariff = rest.rpartition(".")
    generic = _BY_CODE.get(f"{medium}:{register}.t")
    return Found(tuple(generic), channel, tariff) if generic else _unlisted(rest, channel)


def _unlisted(rest: str, channel: str) -> Found:
    """Return what a code is that no line names: an identifier by its C.D, whatever the medium, or nothing known."""
    if rest.startswith(("0.0.", "42.0.", "96.1.", "C.1.")):
        return Found((Entry(rest, IDENTITY, "", "", "", "Identifier", ""),), channel, "")
    return _NOTHING


# The time stamps that come with the values of some codes: metric of the value, metric of the time, its label.
_TIMES: Final = {
    "p1_{device}": ("p1_mbus_reading_timestamp_seconds", "channel"),
    "p1_demand_import_month_max": ("p1_demand_import_month_max_timestamp_seconds", ""),
    "p1_peak_demand": ("p1_peak_demand_timestamp_seconds", "entry"),
    "p1_long_power_failure": ("p1_long_power_failure_timestamp_seconds", "entry"),
}
HELP_OF_TIMES: Final = {
    "p1_mbus_reading_timestamp_seconds": "When the device on the M-Bus was read",
    "p1_demand_import_month_max_timestamp_seconds": "When the maximum demand of this month was",
    "p1_peak_demand_timestamp_seconds": "When the peak was",
    "p1_long_power_failure_timestamp_seconds": "When the failure ended",
}


def time_metric(entry: Entry) -> str:
    """Return the metric of the time stamp that comes with the entry's value, empty if it has none."""
    time = _TIMES.get(entry.metric)
    return time[0] if time else ""
