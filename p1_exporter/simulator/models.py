"""The simulated meters: what each prints, how often, and how it goes over the wire."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from p1_exporter.simulator import layouts
from p1_exporter.simulator.day import Equipment, Tariffs
from p1_exporter.simulator.encryption import KEY, encrypted
from p1_exporter.simulator.household import Household
from p1_exporter.telegram.crc import ARC
from p1_exporter.telegram.parity import with_parity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from p1_exporter.simulator.layouts import Layout

BITS_A_CHARACTER: Final = 10
"""Start bit, eight bits of data (or seven and their parity), stop bit."""
MAX_SEED: Final = 2**32 - 1
_DUTCH_TARIFFS: Final = Tariffs(day=2, first_hour=7, last_hour=23)
_BELGIAN_TARIFFS: Final = Tariffs(day=1, first_hour=7, last_hour=22)


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of meter, and the household that it is in."""

    name: str
    """As in ``simulate://name``."""
    description: str
    baudrate: int
    character_format: Literal["8N1", "7E1"]
    interval: int
    """Seconds from the beginning of one telegram to the next, which come at whole multiples of it."""
    time_zone: str
    """Name in the IANA database."""
    header: str
    layout: Layout
    equipment: Equipment
    tariffs: Tariffs
    """Of no account where only totals are printed."""
    checksum: bool = True
    encrypted: bool = False

    @property
    def characters_a_second(self) -> float:
        """The most that the line carries."""
        return self.baudrate / BITS_A_CHARACTER

    def household(self, seed: int) -> Household:
        """Return the household number `seed` (0 to `MAX_SEED`) with such a meter.

        Raises:
            UserError: This computer has no time zone data.
        """
        return Household(seed, self.time_zone, self.equipment, self.tariffs)


def telegram(model: Model, household: Household, when: int) -> bytes:
    """Return the telegram that the meter begins to send at `when` (epoch seconds), or began last before it.

    Raises:
        UserError: `when` is out of the bounds of the household.
    """
    when -= when % model.interval
    lines = [f"/{model.header}", "", *model.layout(household, when, model.interval), "!"]
    data = "\r\n".join(lines).encode("ascii")
    return data + (b"%04X\r\n" % ARC.of(data) if model.checksum else b"\r\n")


def wire_bytes(
    model: Model, household: Household, when: int, change: Callable[[bytes], bytes] | None = None
) -> bytes:
    """Return the same telegram as a receiver of eight bits of data would get it: encrypted, or with parity.

    A meter that does something wrong makes a `change` to its telegram before that.

    Raises:
        UserError: As `telegram`; or an encrypted meter is asked for and the library cryptography is missing.
    """
    data = telegram(model, household, when)
    if change is not None:
        data = change(data)
    if model.encrypted:
        return encrypted(data, household.seed, when // model.interval)
    return with_parity(data) if model.character_format == "7E1" else data


_ALL: Final = (
    Model(
        name="dsmr2",
        description="Netherlands, DSMR 2.2: gas by the hour, no checksum",
        baudrate=9600,
        character_format="7E1",
        interval=10,
        time_zone="Europe/Amsterdam",
        header=r"SIM5\2METER-2200",
        layout=layouts.dsmr2,
        equipment=Equipment(),
        tariffs=_DUTCH_TARIFFS,
        checksum=False,
    ),
    Model(
        name="dsmr4",
        description="Netherlands, DSMR 4.2: three phases, gas by the hour",
        baudrate=115200,
        character_format="8N1",
        interval=10,
        time_zone="Europe/Amsterdam",
        header="SIM5SIMULATED-METER",
        layout=layouts.dsmr4,
        equipment=Equipment(),
        tariffs=_DUTCH_TARIFFS,
    ),
    Model(
        name="dsmr5",
        description="Netherlands, DSMR 5.0: three phases, solar panels, electric car, gas every five minutes",
        baudrate=115200,
        character_format="8N1",
        interval=1,
        time_zone="Europe/Amsterdam",
        header=r"SIM5\S210-D ESMR5.0",
        layout=layouts.dsmr5,
        equipment=Equipment(solar_watts=4200, car=True),
        tariffs=_DUTCH_TARIFFS,
    ),
    Model(
        name="belgium",
        description="Belgium, e-MUCS 1.7: three phases, solar panels, electric car, peaks, gas and water",
        baudrate=115200,
        character_format="8N1",
        interval=1,
        time_zone="Europe/Brussels",
        header=r"SIM5\250000001_A",
        layout=layouts.belgium,
        equipment=Equipment(solar_watts=5000, car=True),
        tariffs=_BELGIAN_TARIFFS,
    ),
    Model(
        name="sweden",
        description="Sweden, H1 2.0: three phases, a heat pump, reactive energy, no tariffs",
        baudrate=115200,
        character_format="8N1",
        interval=10,
        time_zone="Europe/Stockholm",
        header="SIM5",
        layout=layouts.sweden,
        equipment=Equipment(heat_pump=True),
        tariffs=_DUTCH_TARIFFS,
    ),
    Model(
        name="luxembourg",
        description=f"Luxembourg, Smarty: encrypted with the key {KEY.hex().upper()}; solar panels, gas",
        baudrate=115200,
        character_format="8N1",
        interval=10,
        time_zone="Europe/Luxembourg",
        header=r"Sim5\250000002_D",
        layout=layouts.luxembourg,
        equipment=Equipment(solar_watts=6000),
        tariffs=_DUTCH_TARIFFS,
        encrypted=True,
    ),
)
MODELS: Final[Mapping[str, Model]] = MappingProxyType({model.name: model for model in _ALL})
"""All models by name."""
