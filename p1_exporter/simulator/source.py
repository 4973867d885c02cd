"""Simulated meters by their URLs, and the stream of one: which bytes have arrived by when, at the real line's pace.

`Source` knows no clock and no I/O: it is told what time it is (seconds of ``time.monotonic()``) and says
which bytes came in. A reader waits until `Source.due`, takes what has arrived by then, and begins anew.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from p1_exporter.errors import UserError
from p1_exporter.simulator.household import END, FIRST_DAY
from p1_exporter.simulator.models import MAX_SEED, MODELS, Model, wire_bytes

if TYPE_CHECKING:
    from p1_exporter.simulator.wire import Wire

SCHEME: Final = "simulate"
PIECE: Final = 32
"""Characters after which a reader is woken: about what serial adapters pass on at a time."""
PATIENCE: Final = 30.0
"""Seconds: what was not taken for longer is lost, as on a real line where nobody listens."""
_PARAMETERS: Final = ("seed", "start", "fault", "severity", "kind", "driver")
_SEVERITY: Final = re.compile(r"0*(?:[01](?:\.[0-9]{0,9})?|\.[0-9]{1,9})", re.ASCII)


class Stream(Protocol):
    """Bytes that arrive as time goes by (seconds of ``time.monotonic()``, which never falls)."""

    @property
    def due(self) -> float:
        """When the next bytes will have arrived."""

    def take(self, now: float, /) -> bytes:
        """Return what has arrived by `now` and was not taken yet; it may be nothing."""


class Source:
    """The stream of the meter of household `seed`, whose clock shows `start` (epoch seconds) at `now`.

    The first telegram begins at the next whole interval of the meter's clock.

    Raises:
        UserError: `start` is out of the bounds of the household; this computer lacks time zone data, or the
            library that an encrypted meter needs.
    """

    def __init__(self, model: Model, seed: int, start: float, now: float) -> None:
        self.model = model
        self._household = model.household(seed)
        self._epoch = start - now
        self._taken = 0
        self._begin_telegram(math.ceil(start / model.interval) * model.interval)

    @property
    def due(self) -> float:
        """When the next bytes will have arrived: another `PIECE`, or the last ones of the telegram."""
        count = min(self._taken + PIECE, len(self._telegram))
        return self._begin + count / self.model.characters_a_second

    def take(self, now: float) -> bytes:
        """Return what has arrived by `now` and was not taken yet; it may be nothing."""
        interval = self.model.interval
        if now - self._begin > PATIENCE:
            self._begin_telegram(math.ceil((now - PATIENCE + self._epoch) / interval) * interval)
        arrived = bytearray()
        while self._begin <= now:
            # Seconds are floats: the last digits of one shall not hold back a character that is due.
            count = int((now - self._begin) * self.model.characters_a_second + 0.01)
            arrived += self._telegram[self._taken : count]
            self._taken = count
            if count < len(self._telegram):
                break
            self._begin_telegram(self._when + interval)
        return bytes(arrived)

    def _begin_telegram(self, when: int) -> None:
        self._when = when
        self._begin = when - self._epoch
        self._telegram = wire_bytes(self.model, self._household, when)
        self._taken = 0


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a URL asks for.

    Attributes:
        model: the meter.
        seed: number of the household, and of all that is random on the wire.
        start: what the meter's clock shows at first (epoch seconds); None for the time of this computer.
        fault: what is wrong with the link; None if nothing is.
        severity: of the fault, 0 to 1; None for the usual one.
        kind: what the fault comes from; None if the seed chooses.
        driver: of the receiver; None if that is not to be simulated.
    """

    model: Model
    seed: int = 0
    start: int | None = None
    fault: str | None = None
    severity: float | None = None
    kind: str | None = None
    driver: str | None = None

    def source(self) -> Stream:
        """Return the bytes that arrive from now on, at the meter's speed.

        Raises:
            UserError: As `Source`.
        """
        if self.fault is None:
            return Source(self.model, self.seed, self._clock(), now=time.monotonic())
        from p1_exporter.simulator.wire import WireBytes  # noqa: PLC0415 - only where something is wrong

        return WireBytes(self.wire(self.model.baudrate))

    def wire(self, baudrate: int) -> Wire:
        """Return the wire, beginning now, with a receiver that is set to `baudrate`.

        Raises:
            UserError: As `Source`.
        """
        from p1_exporter.simulator import wire  # noqa: PLC0415 - as above

        return wire.Wire(
            self.model,
            self.seed,
            self._clock(),
            time.monotonic(),
            fault=self.fault,
            severity=wire.DEFAULT_SEVERITY if self.severity is None else self.severity,
            kind=self.kind,
            driver=self.driver or wire.DEFAULT_DRIVER,
            baudrate=baudrate,
        )

    def _clock(self) -> float:
        return time.time() if self.start is None else self.start


def parse_url(url: str) -> Parameters:
    """Return what ``simulate://MODEL?seed=N&start=TIME&fault=FAULT&severity=S&kind=KIND&driver=DRIVER`` asks for.

    `seed` is the number of the household. `start` is a date and time of ISO 8601, by the wall clock of the
    model's country if it has no offset. `fault` and `driver` are named as in link captures; `severity` is from 0 to
    1, `kind` one of the things that the fault may come from.

    Raises:
        UserError: An unknown model or parameter, or a value that cannot be read.
    """
    place, _, query = url.partition("?")
    scheme, _, name = place.partition("://")
    model = MODELS.get(name.removesuffix("/"))
    if scheme != SCHEME or model is None:
        known = ", ".join(f"{SCHEME}://{name}" for name in MODELS)
        raise UserError(f"{url}: no such simulated meter; there are {known}")
    parameters: dict[str, str] = {}
    # The + of an offset from UTC means itself, not a blank.
    for name, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
        if name not in _PARAMETERS:
            raise UserError(f"{url}: {name}= is not known; the parameters are {', '.join(_PARAMETERS)}")
        if name in parameters:
            raise UserError(f"{url}: {name}= is given twice")
        parameters[name] = value
    return Parameters(
        model,
        seed=_seed(url, parameters["seed"]) if "seed" in parameters else 0,
        start=_start(url, parameters["start"], model) if "start" in parameters else None,
        fault=_fault(url, parameters),
        severity=_severity(url, parameters["severity"]) if "severity" in parameters else None,
        kind=parameters.get("kind"),
        driver=_driver(url, parameters["driver"]) if "driver" in parameters else None,
    )


def _fault(url: str, parameters: dict[str, str]) -> str | None:
    """Return the fault, whose kind, if any is given, is one of its."""
    fault = parameters.get("fault")
    if fault is None:
        for name in ("severity", "kind"):
            if name in parameters:
                raise UserError(f"{url}: {name}= is that of a fault; say which with fault=, or leave it out")
        return None
    from p1_exporter.simulator.faults import FAULTS  # noqa: PLC0415 - only where something is wrong

    if fault not in FAULTS:
        raise UserError(f"{url}: no such fault; there are {', '.join(FAULTS)}")
    kinds = FAULTS[fault].kinds
    if "kind" in parameters and parameters["kind"] not in kinds:
        known = f"there are {', '.join(kinds)}" if len(kinds) > 1 else "there is only one; leave out kind="
        raise UserError(f"{url}: no such kind of {fault}; {known}")
    return fault


def _severity(url: str, text: str) -> float:
    severity = float(text) if _SEVERITY.fullmatch(text) else math.inf
    if severity > 1:
        raise UserError(f"{url}: severity must be a number from 0 (nothing is wrong) to 1, such as 0.6")
    return severity


def _driver(url: str, text: str) -> str:
    from p1_exporter.simulator.reporting import DRIVERS  # noqa: PLC0415 - only where a driver is simulated

    if text not in DRIVERS:
        raise UserError(f"{url}: no such driver; there are {', '.join(DRIVERS)}")
    return text


def _seed(url: str, text: str) -> int:
    """Return the number; what has more digits than the largest one is not even tried."""
    digits = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_SEED))
    if not digits or int(text) > MAX_SEED:
        raise UserError(f"{url}: seed must be a whole number from 0 to {MAX_SEED}")
    return int(text)


def _start(url: str, text: str, model: Model) -> int:
    try:
        start = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"{url}: start must be a date and time like 2026-03-29T01:59:30") from error
    if not FIRST_DAY.year <= start.year < END.year:
        raise UserError(f"{url}: start must be in one of the years {FIRST_DAY.year} to {END.year - 1}")
    return int((start if start.tzinfo else start.replace(tzinfo=ZoneInfo(model.time_zone))).timestamp())
