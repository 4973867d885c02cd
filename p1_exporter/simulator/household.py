"""A household over the years: what its meters show at any moment, as a pure function of time and seed.

Power is constant within a slot of a day's `Plan`, but for a flicker that cancels out over every ten seconds.
A register is thus a sum over days, plus a sum over slots, plus a product: exact, and as quick for any moment
as for the next second. Results that are likely to be asked again are kept, which changes no answer.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_right
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import add, attrgetter
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from p1_exporter.errors import UserError
from p1_exporter.simulator.day import (
    DAY,
    QUARTER,
    SLOT,
    WEATHERS,
    Equipment,
    Kind,
    Plan,
    Tariffs,
    Totals,
    plan,
)

FIRST_DAY: Final = date(2024, 1, 1)
"""The registers begin at 0 here, at midnight."""
END: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""The registers end here: time stamps of P1 telegrams have two digits for the year."""
FLICKER: Final = (
    (0, 2, 1, 3, 0, -1, -3, -2, 0, 1),
    (0, -1, 1, 0, 3, 4, 2, 0, -2, -1),
    (0, 3, 2, 2, -1, -2, 0, 1, 2, 2),
    (0, 1, -2, 0, 2, -1, -1, 1, 0, -2),
)
"""Sums of small steps, one a second, that are back at 0 after ten seconds; no step is more than 3."""
_END: Final = int(END.timestamp())
_SATURDAY: Final = 5
_HISTORY: Final = 13
"""Months that a Belgian meter remembers."""


class Peak(NamedTuple):
    """The highest quarter-hour demand of some time, and when its quarter ended (epoch seconds)."""

    watts: int
    time: int


_WATTS = attrgetter("watts")


class Supply(NamedTuple):
    """What flows, by phase L1 to L3: watts and vars (negative when fed back), and tenths of a volt."""

    watts: tuple[int, int, int]
    vars: tuple[int, int, int]
    decivolts: tuple[int, int, int]

    def amperes(self, phase: int) -> float:
        """Return the current of a phase (0 to 2): apparent power over voltage, without a direction."""
        return math.hypot(self.watts[phase], self.vars[phase]) * 10 / self.decivolts[phase]


class Failure(NamedTuple):
    """A power failure: when it ended (epoch seconds), and how many seconds it lasted."""

    end: int
    seconds: int


class _Day(NamedTuple):
    """What the years need to know of a day. Its quarter of the peak is counted from midnight."""

    totals: Totals
    peak_watts: int
    peak_quarter: int


class Household:
    """The house `seed` with its meters, on the wall clock of `time_zone` (a name of the IANA database).

    Times are whole epoch seconds, from the midnight of `FIRST_DAY` to before `END`.

    Raises:
        UserError: This computer has no time zone data; from the methods, a time out of those bounds.
    """

    def __init__(self, seed: int, time_zone: str, equipment: Equipment, tariffs: Tariffs) -> None:
        self.seed = seed
        self._equipment = equipment
        self._tariffs = tariffs
        try:
            self.zone = ZoneInfo(time_zone)
        except ZoneInfoNotFoundError as error:
            raise UserError(f"no data for the time zone {time_zone}: install the package tzdata") from error
        self._midnights = [self._midnight(0)]
        """Of the days known so far, and of the one after them."""
        self._opening = [Totals()]
        """The registers at these midnights."""
        self._days: list[_Day] = []
        self._usual = lru_cache(maxsize=None)(lambda kind: _summary(self._plan_of(kind)))
        """Of days of 24 hours; there are few kinds."""
        self._plan = lru_cache(maxsize=4)(self._plan_on)
        self._totals = lru_cache(maxsize=16)(self._totals_before)
        self._peak = lru_cache(maxsize=4)(self._highest)
        self._history = lru_cache(maxsize=2)(self._history_before)
        # A house without power would draw none: all failures were before the registers began.
        ends = sorted(self._midnights[0] - DAY - self._number("failure", n) % 20_000_000 for n in range(2))
        self.long_failures = [Failure(end, 180 + end % 5000) for end in reversed(ends)]
        """Newest first."""
        self.short_failures = self._number("failures", 0) % 9
        self.sags = [self._number("sags", phase) % 7 for phase in range(3)]
        self.swells = [self._number("swells", phase) % 3 for phase in range(3)]
        self._nominal = [2310 + self._number("voltage", phase) % 30 for phase in range(3)]

    def local(self, when: int) -> datetime:
        """Return the time on the wall clock."""
        return datetime.fromtimestamp(when, self.zone)

    def tariff(self, when: int) -> int:
        """Return the tariff that holds: 1 or 2."""
        day, slot, _ = self._find(when)
        return 1 + self._plan(day).tariff_2[slot]

    def totals(self, when: int) -> Totals:
        """Return the registers: the exact integral of what flowed until then."""
        day, slot, seconds = self._find(when)
        if not seconds:
            return self._totals(day, slot)
        today = self._plan(day)
        net = today.l1[slot] + today.l2[slot] + today.l3[slot]
        energy = net * seconds + self._flicker(when, today.l1[slot], net)
        reactive = (today.var1[slot] + today.var2[slot] + today.var3[slot]) * seconds
        since = [0, 0, 0, 0, max(reactive, 0), max(-reactive, 0)]
        since[2 * (net < 0) + today.tariff_2[slot]] = abs(energy)
        tapped = (today.gas[slot] * seconds // SLOT, today.water[slot] * seconds // SLOT)
        return Totals(*map(add, self._totals(day, slot), (*since, *tapped)))

    def supply(self, when: int, over: int) -> Supply:
        """Return the mean of the `over` seconds before `when`: of one, or of ten that end at a full ten."""
        day, slot, _ = self._find(when - over)
        today = self._plan(day)
        one, two, three = today.l1[slot], today.l2[slot], today.l3[slot]
        net = one + two + three
        flicker = self._flicker(when, one, net) - self._flicker(when - over, one, net)
        watts = (one + flicker // over, two, three)
        # 0.14 ohm of cable to the transformer, and what the neighbours do.
        noise = self._number("noise", when)
        decivolts = [
            nominal - phase * 6 // 1000 + (noise >> 8 * index & 7) - 3
            for index, (nominal, phase) in enumerate(zip(self._nominal, watts, strict=True))
        ]
        reactive = (today.var1[slot], today.var2[slot], today.var3[slot])
        return Supply(watts, reactive, (decivolts[0], decivolts[1], decivolts[2]))

    def demand(self, when: int) -> int:
        """Return the running demand in watts: the import of this quarter so far, spread over a whole one."""
        return (self._imported(when) - self._imported(when - when % 900)) // 900

    def month_peak(self, when: int) -> Peak | None:
        """Return the highest demand of the quarters that ended this month; None before there is one."""
        return self._peak(when // 900)

    def peak_history(self, when: int) -> tuple[tuple[int, Peak], ...]:
        """Return the peaks of the past months, 13 at most, oldest first, each after its month's end."""
        return self._history(self._first_of_month(self._find(when)[0]))

    def _midnight(self, day: int) -> int:
        """Return when a day begins, counted from `FIRST_DAY`."""
        local = date.fromordinal(FIRST_DAY.toordinal() + day)
        return int(datetime(local.year, local.month, local.day, tzinfo=self.zone).timestamp())

    def _find(self, when: int) -> tuple[int, int, int]:
        """Return the day, its slot and the second in it; learn the days up to that one if need be."""
        midnights = self._midnights
        if not midnights[0] <= when < _END:
            raise UserError(
                f"a simulated meter knows the time from {FIRST_DAY} to before {END:%Y-%m-%d} only, not "
                f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d}: set this computer's clock, or give start="
            )
        while midnights[-1] <= when:
            self._learn()
        day = bisect_right(midnights, when) - 1
        return day, *divmod(when - midnights[day], SLOT)

    def _learn(self) -> None:
        """Add the next day to those known."""
        day = len(self._days)
        self._midnights.append(self._midnight(day + 1))
        usual = self._midnights[day + 1] - self._midnights[day] == DAY
        summary = self._usual(self._kind(day)) if usual else _summary(self._plan(day))
        self._days.append(summary)
        self._opening.append(Totals(*map(add, self._opening[day], summary.totals)))

    def _kind(self, day: int) -> Kind:
        local = date.fromordinal(FIRST_DAY.toordinal() + day)
        return Kind(local.month, local.weekday() >= _SATURDAY, self._number("weather", day) % len(WEATHERS))

    def _plan_of(self, kind: Kind) -> Plan:
        return plan(self.seed, kind, self._equipment, self._tariffs)

    def _plan_on(self, day: int) -> Plan:
        """Return the plan of a day in the order in which its slots really come."""
        begin, end = self._midnights[day : day + 2]
        usual = self._plan_of(self._kind(day))
        if end - begin == DAY:
            return usual
        clock = (self.local(when) for when in range(begin, end, SLOT))
        return usual.in_order([(local.hour * 3600 + local.minute * 60) // SLOT for local in clock])

    def _totals_before(self, day: int, slot: int) -> Totals:
        """Return the registers at the beginning of a slot."""
        return Totals(*map(add, self._opening[day], self._plan(day).totals(slot)))

    def _number(self, purpose: str, index: int) -> int:
        """Return 32 repeatable bits: a checksum is quick, and random enough for the weather."""
        return zlib.crc32(f"{self.seed}/{purpose}/{index}".encode())

    def _flicker(self, when: int, phase: int, net: int) -> int:
        """Return the joules that flicker has added since the last full ten seconds; all of it is on L1.

        It is so much smaller than what flows that neither the phase nor the house changes direction by it:
        its sum over the ten seconds would else no longer be 0 in the import and in the export.
        """
        size = min(abs(phase), abs(net), 320) // 16
        block, second = divmod(when, 10)
        return size * FLICKER[self._number("flicker", block) % len(FLICKER)][second]

    def _imported(self, when: int) -> int:
        totals = self.totals(when)
        return totals.import_1 + totals.import_2

    def _first_of_month(self, day: int) -> int:
        """Return the first known day of the month of `day`; 0 for the month in which the registers began."""
        local = date.fromordinal(FIRST_DAY.toordinal() + day)
        return max(day - local.day + 1, 0)

    def _peaks(self, begin: int, end: int) -> list[Peak]:
        """Return the peak of each day from `begin` to before `end`."""
        days = zip(self._midnights[begin:end], self._days[begin:end], strict=True)
        return [Peak(day.peak_watts, midnight + 900 * (day.peak_quarter + 1)) for midnight, day in days]

    def _highest(self, quarter: int) -> Peak | None:
        """Return the peak of the month up to the beginning of a quarter (counted from the epoch)."""
        day = self._find(quarter * 900)[0]
        midnight = self._midnights[day]
        demands = enumerate(_quarter_demands(self._plan(day))[: quarter - midnight // 900], start=1)
        today = [Peak(watts, midnight + 900 * ended) for ended, watts in demands]
        return max(self._peaks(self._first_of_month(day), day) + today, key=_WATTS, default=None)

    def _history_before(self, month: int) -> tuple[tuple[int, Peak], ...]:
        """Return the peaks of the months before the one that begins at the day `month`."""
        history: list[tuple[int, Peak]] = []
        while month and len(history) < _HISTORY:
            begin = self._first_of_month(month - 1)
            history.append((self._midnights[month], max(self._peaks(begin, month), key=_WATTS)))
            month = begin
        return tuple(reversed(history))


def _quarter_demands(day: Plan) -> list[int]:
    """Return the mean import of each quarter hour of a day, in watts."""
    imports = day.imports()
    return [sum(imports[slot : slot + QUARTER]) // QUARTER for slot in range(0, len(imports), QUARTER)]


def _summary(day: Plan) -> _Day:
    demands = _quarter_demands(day)
    peak = max(demands)
    return _Day(day.totals(), peak, demands.index(peak))
