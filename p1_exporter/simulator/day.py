"""One day of a household, as the clock on its wall counts it: 288 slots of five minutes.

A `Plan` says for every slot what each phase draws (or feeds back) and what flows through gas and water meter.
It is a pure function of a few small numbers, and days with the same numbers are the same day: that is what
makes years of registers cheap to add up. All amounts are integers, so that sums are exact.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import compress
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOT: Final = 300
"""Seconds of a slot: a part of the quarter hour of demand meters, and a multiple of the ten of a flicker."""
DAY: Final = 86400
"""Seconds of the wall clock."""
SLOTS: Final = DAY // SLOT
SLOTS_AN_HOUR: Final = 3600 // SLOT
QUARTER: Final = 900 // SLOT
"""Slots of a quarter hour."""
WEATHERS: Final = (1.0, 0.7, 0.25)
"""Share of the sunshine that reaches the roof: a clear, a changing and a grey day."""

# By month, at 52 degrees north: first and last hour of sunshine on the wall clock, its strength; heating.
_SEASONS: Final = (
    (8.6, 17.0, 0.25, 1.0),
    (7.8, 17.9, 0.40, 0.95),
    (6.9, 18.8, 0.60, 0.75),
    (6.7, 20.6, 0.80, 0.50),
    (5.8, 21.5, 0.92, 0.20),
    (5.3, 22.0, 1.00, 0.05),
    (5.6, 21.9, 0.97, 0.0),
    (6.3, 21.0, 0.88, 0.0),
    (7.2, 19.8, 0.70, 0.10),
    (8.0, 18.6, 0.48, 0.35),
    (7.9, 16.9, 0.28, 0.70),
    (8.6, 16.5, 0.20, 0.95),
)


class Totals(NamedTuple):
    """What registers count since some moment: joules by tariff, var seconds, litres."""

    import_1: int = 0
    import_2: int = 0
    export_1: int = 0
    export_2: int = 0
    reactive_import: int = 0
    reactive_export: int = 0
    gas: int = 0
    water: int = 0


@dataclass(frozen=True, slots=True)
class Equipment:
    """What stands in the house besides a fridge, a hob and a washing machine."""

    solar_watts: int = 0
    """Peak power of the panels on the roof; their inverter feeds all three phases alike."""
    car: bool = False
    """An electric car that charges on three phases at night."""
    heat_pump: bool = False
    """A heat pump on L3, instead of the gas boiler."""


@dataclass(frozen=True, slots=True)
class Tariffs:
    """Which tariff holds: `day` (1 or 2) on weekdays between two hours of the wall clock, else the other."""

    day: int
    first_hour: int
    last_hour: int

    def second(self, *, weekend: bool) -> list[bool]:
        """Return for each slot of a day whether tariff 2 holds."""
        by_night, by_day = (False, True) if self.day == 2 else (True, False)  # noqa: PLR2004 - the tariff's name
        begin, end = (0, 0) if weekend else (self.first_hour * SLOTS_AN_HOUR, self.last_hour * SLOTS_AN_HOUR)
        return [by_night] * begin + [by_day] * (end - begin) + [by_night] * (SLOTS - end)


@dataclass(frozen=True, slots=True)
class Plan:
    """Amounts for each slot: watts and vars of a phase are negative when they go out."""

    l1: list[int]
    l2: list[int]
    l3: list[int]
    var1: list[int]
    var2: list[int]
    var3: list[int]
    gas: list[int]
    """Litres within the slot, as is `water`."""
    water: list[int]
    tariff_2: list[bool]
    """Whether tariff 2 holds (else tariff 1)."""

    def in_order(self, slots: Sequence[int]) -> Plan:
        """Return the plan of a day on which the clock shows `slots` one after the other.

        When summer time begins or ends, an hour of the wall clock is left out or comes twice.
        """
        return Plan(*([getattr(self, field.name)[slot] for slot in slots] for field in fields(self)))

    def imports(self) -> list[int]:
        """Watts drawn in each slot, all phases together: what one phase feeds back, another may use."""
        phases = zip(self.l1, self.l2, self.l3, strict=True)
        return [net if (net := one + two + three) > 0 else 0 for one, two, three in phases]

    def totals(self, slots: int = 2 * SLOTS) -> Totals:
        """Return what the first `slots` slots add to the registers (by default the whole day)."""
        imports, tariff_2 = self.imports()[:slots], self.tariff_2[:slots]
        phases = (self.l1[:slots], self.l2[:slots], self.l3[:slots])
        reactive = [
            one + two + three
            for one, two, three in zip(self.var1[:slots], self.var2[:slots], self.var3[:slots], strict=True)
        ]
        drawn, drawn_2 = sum(imports), sum(compress(imports, tariff_2))
        # Net power is import less export: so is its sum.
        fed = drawn - sum(map(sum, phases))
        fed_2 = drawn_2 - sum(sum(compress(phase, tariff_2)) for phase in phases)
        inductive = sum(var for var in reactive if var > 0)
        return Totals(
            import_1=(drawn - drawn_2) * SLOT,
            import_2=drawn_2 * SLOT,
            export_1=(fed - fed_2) * SLOT,
            export_2=fed_2 * SLOT,
            reactive_import=inductive * SLOT,
            reactive_export=(inductive - sum(reactive)) * SLOT,
            gas=sum(self.gas[:slots]),
            water=sum(self.water[:slots]),
        )


class Kind(NamedTuple):
    """All that tells one day from another."""

    month: int
    weekend: bool
    weather: int
    """Index into `WEATHERS`."""


def plan(seed: int, kind: Kind, equipment: Equipment, tariffs: Tariffs) -> Plan:
    """Return the plan of days of this kind in the house `seed`."""
    house = random.Random(f"{seed}")  # noqa: S311 - a repeatable house, nothing secret
    chance = random.Random(f"{seed}/{kind}")  # noqa: S311 - a repeatable day, nothing secret
    l1, l2, l3 = ([house.randrange(low, low + 40)] * SLOTS for low in (60, 30, 15))
    # Electronics look like a capacitor to the mains, and so do the input filters of an inverter.
    var1, var2, var3 = ([-house.randrange(20, 60)] * SLOTS for _ in range(3))
    gas, water = [0] * SLOTS, [0] * SLOTS

    for begin in range(house.randrange(8), SLOTS, 8):
        _add(l2, begin, 3, 85)  # the fridge, its compressor an inductive load
        _add(var2, begin, 3, 70)
    _kitchen(chance, kind, l1, l2, l3)
    _washing(chance, l2, var2)
    _water(chance, kind, water)
    rise, fall, strength, heating = _SEASONS[kind.month - 1]
    if equipment.heat_pump:
        on = round(2 + 6 * heating)
        for begin in range(house.randrange(9), SLOTS, 9):
            _add(l3, begin, on, 1350)
            _add(var3, begin, on, 480)
    else:
        _boiler(chance, heating, gas)
    if equipment.car and chance.random() < 0.4:  # noqa: PLR2004 - some kinds of days
        watts = 230 * chance.randrange(6, 17)
        begin, slots = _slot(0.5 + chance.random()), chance.randrange(18, 42)
        for phase in (l1, l2, l3):
            _add(phase, begin, slots, watts)
    if equipment.solar_watts:
        clearness = WEATHERS[kind.weather]
        for slot, height in _sunshine(rise, fall):
            cloud = 1 - (1 - clearness) * chance.random()
            produced = int(equipment.solar_watts * strength * clearness * height * cloud) // 3
            l1[slot] -= produced
            l2[slot] -= produced
            l3[slot] -= produced
    return Plan(l1, l2, l3, var1, var2, var3, gas, water, tariffs.second(weekend=kind.weekend))


def _slot(hours: float) -> int:
    """Return the slot at that hour of the wall clock."""
    return int(hours * SLOTS_AN_HOUR)


@lru_cache(maxsize=len(_SEASONS))
def _sunshine(rise: float, fall: float) -> list[tuple[int, float]]:
    """Return the slots between two hours, each with the share of the day's strongest sunshine in it."""
    first, last = _slot(rise), _slot(fall)
    return [(slot, math.sin(math.pi * (slot - first) / (last - first)) ** 1.5) for slot in range(first, last)]


def _add(amounts: list[int], begin: int, slots: int, amount: int) -> None:
    """Add `amount` to `slots` slots from `begin`, as far as the day goes."""
    for slot in range(begin, min(begin + slots, SLOTS)):
        amounts[slot] += amount


def _kitchen(chance: random.Random, kind: Kind, l1: list[int], l2: list[int], l3: list[int]) -> None:
    """Add watts: kettle, hob and oven, and the lights and screens of those who cook and eat."""
    morning = 8.5 if kind.weekend else 6.8
    _add(l3, _slot(morning + chance.random() / 2), 1, 2000)
    _add(l1, _slot(morning), 12, 180)
    if kind.weekend:
        _add(l1, _slot(12.2 + chance.random()), 4, 1400)
        _add(l1, _slot(10), 84, 150)
    dinner = _slot(17.4 + chance.random())
    _add(l1, dinner, 6, chance.randrange(1200, 2200))
    _add(l2, dinner + 1, 4, chance.randrange(800, 1800))
    if chance.random() < 0.5:  # noqa: PLR2004 - the oven on every other kind of day
        _add(l3, dinner - 3, 7, 1900)
    _add(l1, _slot(17.5), 66, chance.randrange(160, 280))
    _add(l2, _slot(19.5), 36, 90)


def _washing(chance: random.Random, watts: list[int], var: list[int]) -> None:
    """Add watts and vars of a washing machine: heating, turning to and fro, spinning."""
    begin = _slot(chance.uniform(9, 20))
    _add(watts, begin, 4, 2050)
    _add(watts, begin + 4, 8, 180)
    _add(watts, begin + 12, 2, 420)
    _add(var, begin + 4, 10, 260)


def _water(chance: random.Random, kind: Kind, water: list[int]) -> None:
    """Add litres: showers in the morning, a dozen taps and cisterns, the washing machine's intake."""
    morning = _slot(8.7 if kind.weekend else 6.9)
    for shower in range(2):
        _add(water, morning + 3 * shower, 1, 55)
    for _ in range(chance.randrange(12, 20)):
        _add(water, _slot(chance.uniform(7, 23)), 1, chance.randrange(3, 12))
    _add(water, _slot(chance.uniform(9, 20)), 2, 22)


def _boiler(chance: random.Random, heating: float, gas: list[int]) -> None:
    """Add litres: a boiler that warms the showers' water, and the house in the morning and the evening."""
    _add(gas, _slot(7), 3, 70)
    _add(gas, _slot(chance.uniform(18.5, 20)), 2, 60)
    for begin in (*range(_slot(6), _slot(9), 3), *range(_slot(16.5), _slot(22.5), 3)):
        _add(gas, begin, 2, round(heating * chance.randrange(60, 110)))
