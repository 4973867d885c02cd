"""What a meter's thread asks the driver of its port, and when."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest

from p1_exporter.link.counters import LINE_ERRORS, Counters, Mark
from p1_exporter.link.port import Chunk, Port, PortError, PortSettings
from p1_exporter.meter import Meter, MeterSettings

if TYPE_CHECKING:
    from p1_exporter.link.record import LinkSnapshot

SETTINGS = MeterSettings("main", PortSettings("/dev/ttyAMA0", 115_200))


class Read(NamedTuple):
    """A read that takes so long, and what the driver says after it."""

    seconds: float
    data: bytes = b""
    marks: tuple[Mark, ...] = ()
    counters: Counters | None = None
    waiting: int | None = 0


class Uart(Port):
    """A port that follows a script, and then ends."""

    def __init__(self, reads: list[Read], at_the_opening: Counters | None) -> None:
        super().__init__(SETTINGS.port, "amba-pl011")
        self.line_errors_supported = frozenset(LINE_ERRORS)
        self.finished = threading.Event()
        self.now = 100.0
        self.looks: list[float] = []
        """When the counters were asked for, after the opening."""
        self._reads = reads
        self._last = Read(0, counters=at_the_opening)
        self._opened = False

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def counters(self) -> Counters | None:
        if self._opened:
            self.looks.append(self.now)
        self._opened = True
        return self._last.counters

    def bytes_waiting(self) -> int | None:
        return self._last.waiting

    def _read(self, timeout: float) -> Chunk | None:  # noqa: ARG002 - the script says how long it takes
        if not self._reads:
            self.finished.set()
            self._waker.wait(60)
            return None
        self._last = self._reads.pop(0)
        self.now += self._last.seconds
        return Chunk(self.now, self._last.data, self._last.marks) if self._last.data else None

    def _close(self) -> None:
        """Nothing is held."""


def read(*reads: Read, at_the_opening: Counters | None = None) -> tuple[LinkSnapshot, list[float]]:
    """Let a meter read all this; return what it knows then, and when it asked for counters."""
    uart = Uart([*reads], at_the_opening)

    def open_once(_: PortSettings) -> Uart:
        if uart.finished.is_set():
            raise PortError("other", "The script is at its end.")
        return uart

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("p1_exporter.meter.time", uart)
        patch.setattr("p1_exporter.meter.open_port", open_once)
        meter = Meter(SETTINGS)
        meter.start()
        try:
            assert uart.finished.wait(10)
            return meter.snapshot.link, [look - 100 for look in uart.looks]
        finally:
            meter.stop(10)


def counters(rx: int = 0, framing: int = 0, break_: int = 0) -> Counters:
    return Counters(rx, framing, 0, break_, 0, 0)


def test_what_the_driver_counted_is_known_with_the_opening_and_from_then_on() -> None:
    opened, _ = read(at_the_opening=counters(break_=1))
    assert opened.line_errors == {**dict.fromkeys(LINE_ERRORS, 0), "break": 1}
    link, _ = read(
        Read(2, b"????", ((1, "framing"),), counters(rx=4, framing=1, break_=1)),
        at_the_opening=counters(break_=1),
    )
    assert link.line_errors == {**dict.fromkeys(LINE_ERRORS, 0), "framing": 1, "break": 1}


def test_bytes_that_another_program_took_are_known() -> None:
    link, _ = read(
        Read(1, b"?" * 60, counters=counters(rx=100)),
        Read(1, counters=counters(rx=100)),
        at_the_opening=counters(),
    )
    assert link.bytes_taken_by_others == 40


def test_a_port_without_counters_tells_nothing_of_others() -> None:
    link, _ = read(Read(1, b"?" * 60, waiting=None), Read(1, waiting=None))
    assert link.bytes_taken_by_others is None


def test_marks_are_counted_where_the_driver_counts_nothing() -> None:
    link, _ = read(Read(1, b"??\0", ((0, "framing"), (2, "break"))))
    assert (link.line_errors["framing"], link.line_errors["break"]) == (1, 1)


def test_the_driver_is_asked_about_once_a_second() -> None:
    _, silent = read(*[Read(1)] * 3)
    assert silent == [1, 2, 3]
    _, busy = read(*[Read(0.125, b"?", counters=counters())] * 24)
    assert busy == [0.125, 1.125, 2.125]


def test_the_driver_is_asked_again_until_nothing_waits_as_only_then_it_shows_what_others_took() -> None:
    """A telegram a second: the first of its two chunks is read while the rest still arrives."""
    first, rest = Read(0.875, b"?", waiting=20), Read(0.125, b"?")
    _, looks = read(*[first, rest] * 3)
    assert looks == [0.875, 1.0, 2.0, 3.0]
