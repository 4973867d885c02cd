"""The faults of a link, each as what is physically wrong, by severity from 0 (nothing) to 1.

About 0.3 is mild: some telegrams still get through; 0.6 costs half of them or more, 1 nearly all, where the fault can
do so by degrees. Times scale with the meter's bit and its telegrams, so that a severity means as much to a meter of
9600 baud as to one of 115200: its cable is longer, its impulses last longer.
"""

from __future__ import annotations

import binascii
import itertools
import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from p1_exporter.simulator import disturbance
from p1_exporter.simulator.circuit import (
    MARK_MARGIN,
    RX_FALL,
    RX_RISE,
    Node,
    pull_up_for,
    rise_tau_for,
    rx_node,
    wire_node,
)
from p1_exporter.simulator.disturbance import Schedule
from p1_exporter.simulator.models import BITS_A_CHARACTER
from p1_exporter.simulator.reporting import Losses

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping

    from p1_exporter.simulator.disturbance import Window
    from p1_exporter.simulator.models import Model
    from p1_exporter.simulator.reporting import Driver
    from p1_exporter.simulator.transmission import Change, Timing

PHASE: Final = 60.0
"""Seconds after which a fault that is there for a share of the time is there again."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a fault depends on besides its severity.

    Attributes:
        model: the meter.
        driver: of the receiver.
        telegram: seconds that a telegram takes.
        begin: the time at which all begins, in seconds.
        kind: which of the fault's kinds.
        rng: for all that is random.
    """

    model: Model
    driver: Driver
    telegram: float
    begin: float
    kind: str
    rng: random.Random

    @property
    def bit(self) -> float:
        """Seconds that the meter takes for a bit."""
        return 1 / self.model.baudrate


@dataclass(slots=True)
class Conditions:
    """All that can be wrong between a meter and a program; as it stands, nothing is.

    Attributes:
        change: what the meter does wrong to its telegrams.
        timing: what it does wrong with their times.
        windows: what disturbs the wire.
        wire, rx: the circuit, where it is not that of the healthy seed.
        drift: by how much the circuit's delays differ from one telegram to the next (standard deviation).
        inverted: whether RX has the wrong polarity.
        clock: the receiver's speed in relation to the one it is set to.
        clock_drift: by how much it differs from one telegram to the next (standard deviation).
        baudrate: the one it is set to for ever, whatever is asked for.
        late: how often the interrupt routine is late of a microcontroller that stands in for the UART.
        even_parity: whether it is set to 7E1.
        losses: what gets lost behind it.
        absent: the share of time in which the port is not there.
    """

    change: Change | None = None
    timing: Timing | None = None
    windows: Iterator[Window] | None = None
    wire: Node | None = None
    rx: Node | None = None
    drift: float = 0.0
    inverted: bool = False
    clock: float = 1.0
    clock_drift: float = 0.0
    baudrate: int | None = None
    late: float | None = None
    even_parity: bool = False
    losses: Losses = field(default_factory=Losses)
    absent: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the contract.

    Attributes:
        conditions: what it is by severity.
        severity: what severity means, for people.
        kinds: what it can come from, one of which is chosen by the seed if none is given.
    """

    conditions: Callable[[Setting, float], Conditions]
    severity: str
    kinds: tuple[str, ...] = ("",)


_CLIFF: Final = ((0.0, 0.0), (0.15, 0.93), (0.45, 1.07))
"""Severities, and how far they take a fault to its cliff: below it nothing happens, above it all is lost."""


def _by_degrees(severity: float, brink: float, worst: float) -> float:
    """Return what grows from 0 to its cliff, at `brink`, where it tarries, and on to `worst` at severity 1."""
    points = (*_CLIFF, (1.0, worst / brink))
    (low, before), (high, after) = next(pair for pair in itertools.pairwise(points) if severity <= pair[1][0])
    return brink * (before + (after - before) * (severity - low) / (high - low))


def _hits(severity: float) -> float:
    """Return how many events hit a telegram on average, where one is enough to spoil it."""
    return 4.0 * math.pow(severity, 2.5)


def _disconnected(_: Setting, severity: float) -> Conditions:
    return Conditions(absent=severity)


def _silent(setting: Setting, severity: float) -> Conditions:
    silent = Schedule(disturbance.phases(setting.begin, PHASE, severity))

    def timing(begin: float, telegram: bytes) -> tuple[float, bytes]:
        return begin, b"" if silent.at(begin) else telegram

    return Conditions(timing=timing)


def _stuck_low(setting: Setting, severity: float) -> Conditions:
    return Conditions(windows=disturbance.phases(setting.begin, PHASE, severity))


def _inverted(_: Setting, __: float) -> Conditions:
    return Conditions(inverted=True)


def _wrong_speed(setting: Setting, _: float) -> Conditions:
    if setting.driver.name == "bcm2835aux":
        return Conditions(clock=setting.rng.choice(_CORE_CLOCKS))
    return Conditions(baudrate=next(rate for rate in _RATES if rate != setting.model.baudrate))


_RATES: Final = (9600, 115_200)
"""Those of meters."""
_CORE_CLOCKS: Final = (400 / 250, 500 / 250, 250 / 400, 250 / 500)
"""Where the core clock of a Raspberry Pi goes to from where the mini UART expects it."""


def _wrong_format(_: Setting, __: float) -> Conditions:
    return Conditions(even_parity=True)


def _clock(setting: Setting, severity: float) -> Conditions:
    # Early samples run into the bit before, late ones into the next start bit, which a longer zero brings nearer.
    if setting.kind == "fast":
        return Conditions(clock=1 + _by_degrees(severity, 0.0625, 0.08), clock_drift=_CLOCK_DRIFT)
    return Conditions(clock=1 - _by_degrees(severity, 0.0435, 0.07), clock_drift=_CLOCK_DRIFT)


_CLOCK_DRIFT: Final = 0.0015
"""A share by which such a clock wanders: it is no crystal's."""


def _slow_fall(setting: Setting, severity: float) -> Conditions:
    pull_up = pull_up_for(RX_RISE + setting.bit * _by_degrees(severity, 0.432, 1.45))
    return Conditions(wire=wire_node(pull_up), drift=_DRIFT)


def _slow_rise(setting: Setting, severity: float) -> Conditions:
    tau = rise_tau_for(RX_FALL + setting.bit * _by_degrees(severity, 0.484, 1.43))
    return Conditions(rx=rx_node(tau), drift=_DRIFT)


_DRIFT: Final = 0.02
"""A share by which supply, temperature and load change an edge's delay."""


def _noise(setting: Setting, severity: float) -> Conditions:
    rate = _hits(severity) / setting.telegram
    match setting.kind:
        case "ground":
            windows = disturbance.ground_noise(setting.rng, setting.begin, rate, setting.bit)
        case "field":
            # Half of the bits are ones already.
            windows = disturbance.field_noise(setting.rng, setting.begin, 2 * rate, setting.bit)
        case _:
            samples = setting.telegram / setting.bit
            beyond = 20 * severity**3.5 / (samples / 4)
            rms = MARK_MARGIN / math.sqrt(-2 * math.log(beyond))
            windows = disturbance.random_noise(setting.rng, setting.begin, rms, 0.12 * setting.bit)
    return Conditions(windows=windows)


def _hum(setting: Setting, severity: float) -> Conditions:
    volt = _by_degrees(severity, MARK_MARGIN, 4 * MARK_MARGIN)
    return Conditions(windows=disturbance.hum(setting.rng, setting.begin, volt, 0.15))


def _intermittent(setting: Setting, severity: float) -> Conditions:
    rate = 2.2 * severity**1.7 / setting.telegram
    lasting = (30 * setting.bit, 1700 * setting.bit)
    return Conditions(windows=disturbance.contact(setting.rng, setting.begin, rate, lasting, 3))


def _overrun(setting: Setting, severity: float) -> Conditions:
    in_kernel = setting.kind == "kernel"
    fewest, most = (1000, 4000) if in_kernel else (100, 300)
    width = (fewest * setting.bit, most * setting.bit)
    windows = disturbance.impulses(setting.rng, setting.begin, _hits(severity) / setting.telegram, width, 1.0)
    return Conditions(losses=Losses(full=Schedule(windows), in_kernel=in_kernel))


def _lost_characters(setting: Setting, severity: float) -> Conditions:
    if setting.kind == "software":
        return Conditions(late=0.6 * severity**5)
    a_character = _hits(severity) * BITS_A_CHARACTER * setting.bit / setting.telegram
    return Conditions(
        losses=Losses(dropped=lambda size: setting.rng.random() < -math.expm1(-a_character * size))
    )


def _second_reader(setting: Setting, severity: float) -> Conditions:
    reading = Schedule(
        disturbance.spells(setting.rng, setting.begin, 2 * setting.model.interval, min(1, 1.5 * severity))
    )
    share = 0.75 * severity**1.5
    return Conditions(losses=Losses(taken=lambda time: reading.at(time) and setting.rng.random() < share))


def _request_drop(setting: Setting, severity: float) -> Conditions:
    rng = setting.rng
    spare = max(0.0, setting.model.interval - setting.telegram) / 2
    dropped = False

    def timing(begin: float, telegram: bytes) -> tuple[float, bytes]:
        nonlocal dropped
        # What begins late is sent as soon as the line is up again.
        late = rng.random() * spare if dropped and rng.random() < severity else 0.0
        dropped = rng.random() < severity**1.4
        return begin + late, telegram[: rng.randrange(1, len(telegram))] if dropped else telegram

    return Conditions(timing=timing)


def _checksum(setting: Setting, _: float) -> Conditions:
    return Conditions(change=_translated if setting.kind == "translated" else _another_checksum)


def _another_checksum(telegram: bytes) -> bytes:
    """Return the telegram with CRC-16/CCITT-FALSE, which no meter is known to print."""
    covered = telegram[: telegram.rindex(b"!") + 1]
    return covered + b"%04X\r\n" % binascii.crc_hqx(covered, 0xFFFF)


def _translated(telegram: bytes) -> bytes:
    """Return the telegram as a terminal with ICRNL passes it on."""
    return telegram.replace(b"\r", b"\n")


FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "disconnected": Fault(_disconnected, "the share of time in which the port is not there"),
        "silent": Fault(_silent, "the share of time in which the meter sends nothing"),
        "stuck_low": Fault(_stuck_low, "the share of time in which the wire is cut"),
        "inverted": Fault(_inverted, "none: the polarity is wrong or it is not"),
        "wrong_speed": Fault(_wrong_speed, "none"),
        "wrong_format": Fault(_wrong_format, "none: a receiver of 8 bits is set to 7 bits and even parity"),
        "clock": Fault(
            _clock,
            "how far off the clock is: 6.3 % fast or 4.4 % slow at 0.3, 8 or 7 % at 1",
            ("fast", "slow"),
        ),
        "slow_fall": Fault(_slow_fall, "how much later RX falls than rises: 0.43 bit at 0.3, 1.45 bits at 1"),
        "slow_rise": Fault(_slow_rise, "how much later RX rises than falls: 0.48 bit at 0.3, 1.43 bits at 1"),
        "noise": Fault(_noise, "how often an impulse gets through", ("ground", "field", "random")),
        "hum": Fault(_hum, "its peak: 0.5 V, the margin of mark, at 0.3, 2 V at 1"),
        "intermittent": Fault(_intermittent, "how often the contact opens"),
        "overrun": Fault(_overrun, "how often there is no room", ("uart", "kernel")),
        "lost_characters": Fault(
            _lost_characters, "how often the receiving program is late", ("software", "bridge")
        ),
        "second_reader": Fault(_second_reader, "how much of the time it reads, and what share it gets then"),
        "request_drop": Fault(_request_drop, "the share of telegrams that break off"),
        "checksum": Fault(_checksum, "none: all checksums are wrong, or none", ("polynomial", "translated")),
    }
)
"""All faults by name."""
