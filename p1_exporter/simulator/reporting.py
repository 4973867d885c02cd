"""What each driver passes on of the characters that its UART received: pieces, marks and counters.

Facts are from the kernel's sources (Linux 6.1). Modelled: the FIFO's interrupt level and time-out, USB packets and
their latency, marks for each character or for a whole packet or on a later one, counters, and what is lost on the
way: to a full FIFO or buffer, to another program, in a network. Not modelled: the scheduling of this program.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from p1_exporter.simulator.uart import MiniUart, MiniUart7, Uart, Uart16550

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from p1_exporter.simulator.disturbance import Schedule
    from p1_exporter.simulator.uart import CharacterError, Characters, Receiver

ErrorMark = tuple[int, "CharacterError"]
"""Place of a character in what was read, and what was wrong with it."""
Count = Literal["rx", "framing", "parity", "break_", "overrun", "buffer_overrun"]

_COUNTED: Final[Mapping[CharacterError, Count]] = MappingProxyType(
    {"break": "break_", "parity": "parity", "framing": "framing"}
)
"""The counter of each error; one that comes earlier hides those that come later."""
_ALL: Final = frozenset(("rx", "framing", "parity", "break_", "overrun", "buffer_overrun"))


class Counts(NamedTuple):
    """A driver's counters, since the port was opened; None where it has none."""

    rx: int | None = None
    framing: int | None = None
    parity: int | None = None
    break_: int | None = None
    overrun: int | None = None
    buffer_overrun: int | None = None


class Piece(NamedTuple):
    """What a driver passes on at once.

    Attributes:
        time: when, in seconds.
        data: none, if another program got it.
        marks: which bytes of `data` arrived in error, in order. A break is a 00 with its mark.
        counts: the driver's counters by then; None if it has none.
    """

    time: float
    data: bytes
    marks: tuple[ErrorMark, ...]
    counts: Counts | None


@dataclass(frozen=True, slots=True)
class Driver:
    """How a driver and its hardware report."""

    name: str
    receiver: type[Receiver] = Uart
    receiver_7e1: type[Receiver] | None = None
    """Another one when it is set to 7E1; otherwise that is eight bits of which one is checked and stripped."""
    size: int = 32
    """Characters after which a piece is passed on."""
    latency: float = 0.005
    """Seconds after its first character at which a piece is passed on that did not get so long."""
    idle_bits: int | None = None
    """Instead of the latency, the bits that the line must be idle for."""
    counts: frozenset[str] = frozenset()
    marks: Literal["character", "packet", "later"] | None = None
    """What an error marks: its character; the whole packet, once; all of the packet after it; nothing."""
    nul_for_parity: bool = False
    """Whether a parity error arrives as 00: another computer's terminal has checked it (INPCK without PARMRK)."""


_DRIVERS: Final = (
    Driver("amba-pl011", size=8, idle_bits=32, counts=_ALL, marks="character"),
    Driver("bcm2835aux", MiniUart, MiniUart7, size=1, counts=frozenset(("rx", "overrun"))),
    Driver("8250", Uart16550, size=8, idle_bits=40, counts=_ALL, marks="character"),
    Driver("ftdi_sio", size=62, latency=0.016, counts=_ALL, marks="packet"),
    Driver("cp210x", size=64, latency=0.01, counts=_ALL - {"rx", "buffer_overrun"}, marks="character"),
    Driver("pl2303", size=64, latency=0.01, marks="later"),
    Driver("ch341"),
    Driver("tcp", size=256, latency=0.01, nul_for_parity=True),
    Driver("unknown", nul_for_parity=True),
)
DRIVERS: Final[Mapping[str, Driver]] = MappingProxyType({driver.name: driver for driver in _DRIVERS})
"""All drivers by name."""


@dataclass(slots=True)
class Losses:
    """What does not get from the UART to the program.

    Attributes:
        full: when the UART's FIFO, or the kernel's buffer, takes nothing.
        in_kernel: whether it is the kernel's buffer.
        taken: whether another program gets the piece that arrives at a time.
        dropped: whether a piece of so many characters is dropped before the driver sees it.
    """

    full: Schedule | None = None
    in_kernel: bool = False
    taken: Callable[[float], bool] | None = None
    dropped: Callable[[int], bool] | None = None


class Reporter:
    """Makes pieces of characters, with marks and counters as `driver` has them."""

    def __init__(self, driver: Driver, losses: Losses) -> None:
        self.driver = driver
        self._losses = losses
        self._counts = dict.fromkeys(driver.counts, 0)
        self._pending = bytearray()
        self._errors: list[ErrorMark] = []
        self._deadline = 0.0
        self._earlier: CharacterError | None = None
        """The error of an earlier packet, where it marks a later one."""
        self.pieces: deque[Piece] = deque()
        """Those that nobody has read yet."""

    def counts(self) -> Counts | None:
        """Return the counters by the last of the pieces, if the driver has any."""
        return Counts(**self._counts) if self._counts else None

    def report(self, characters: Characters, until: float, bit: float) -> None:
        """Take characters that were complete by `until`; a `bit` takes so many seconds."""
        driver, pending = self.driver, self._pending
        if self._losses.full is not None:
            self._lose(characters, self._losses.full, until)
        patience = driver.latency if driver.idle_bits is None else driver.idle_bits * bit
        errors = dict(characters.errors)
        for place, (time, byte) in enumerate(zip(characters.times, characters.data, strict=True)):
            if pending and self._deadline < time:
                self._pass_on(self._deadline)
            if not pending or driver.idle_bits is not None:
                self._deadline = time + patience
            if place in errors:
                self._errors.append((len(pending), errors[place]))
            pending.append(byte)
            if len(pending) >= driver.size:
                self._pass_on(time)
        if pending and self._deadline <= until:
            self._pass_on(self._deadline)

    def _lose(self, characters: Characters, full: Schedule, until: float) -> None:
        """Remove the characters that came while there was no room for them."""
        times, data, errors = characters
        for on, off, _ in reversed(full.before(until)):
            first, last = bisect_left(times, on), bisect_left(times, off)
            if first == last:
                continue
            del times[first:last]
            del data[first:last]
            errors[:] = [
                (place if place < first else place - (last - first), error)
                for place, error in errors
                if not first <= place < last
            ]
            # The UART says that it lost something, the kernel counts what.
            if self._losses.in_kernel:
                self._count("buffer_overrun", last - first)
            else:
                self._count("overrun")

    def _count(self, name: Count, number: int = 1) -> None:
        if name in self._counts:
            self._counts[name] += number

    def _pass_on(self, time: float) -> None:
        """Make a piece of what is pending."""
        data, errors = bytearray(self._pending), self._errors
        self._pending.clear()
        self._errors = []
        if self._losses.dropped is not None and self._losses.dropped(len(data)):
            return
        self._count("rx", len(data))
        marks = self._marked(data, errors)
        if self._losses.taken is not None and self._losses.taken(time):
            data, marks = bytearray(), []
        self.pieces.append(Piece(time, bytes(data), tuple(marks), self.counts()))

    def _marked(self, data: bytearray, errors: list[ErrorMark]) -> list[ErrorMark]:
        """Count the errors of a piece, and return the marks that it is given."""
        match self.driver.marks:
            case "character":
                for _, kind in errors:
                    self._count(_COUNTED[kind])
                return [(place, _as_marked(kind, data[place])) for place, kind in errors]
            case "packet":
                return self._packet(data, errors)
            case "later":
                error, self._earlier = self._earlier, _worst(errors)
                if error is None:
                    return []
                if error == "break":
                    # The line discipline puts a break in the place of each character.
                    data[:] = bytes(len(data))
                return [(place, _as_marked(error, byte)) for place, byte in enumerate(data)]
            case _:
                if self.driver.nul_for_parity:
                    for place, _ in (mark for mark in errors if mark[1] == "parity"):
                        data[place] = 0
                return []

    def _packet(self, data: bytearray, errors: list[ErrorMark]) -> list[ErrorMark]:
        """One status for all: each character is marked, the counters go up by one; a break is the last character's."""
        others = [(place, error) for place, error in errors if error != "break"]
        marks: list[ErrorMark] = []
        if (error := _worst(others)) is not None:
            self._count(_COUNTED[error])
            marks = [(place, _as_marked(error, byte)) for place, byte in enumerate(data)]
        if len(others) < len(errors) and not data[-1]:
            self._count("break_")
            marks = [*marks[: len(data) - 1], (len(data) - 1, "break")]
        return marks


def _worst(errors: Sequence[ErrorMark]) -> CharacterError | None:
    """Return the error that hides the others."""
    kinds = {error for _, error in errors}
    return next((error for error in _COUNTED if error in kinds), None)


def _as_marked(error: CharacterError, byte: int) -> CharacterError:
    """Return what an error looks like to a program: with PARMRK, one on a 00 is a break."""
    return error if byte else "break"
