"""What a meter's thread finds out about its link: faults, damage, and the baud rate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from structlog.testing import capture_logs

from p1_exporter.exposition.collector import MeterCollector
from p1_exporter.link.counters import Counters, Mark
from p1_exporter.link.port import DEFAULT_BAUDRATE, Chunk, PortSettings
from p1_exporter.link.watch import DamageTotals
from p1_exporter.simulator.recording import Counted, record
from p1_exporter.telegram.parity import with_parity
from tests.telegram.telegrams import OLD_TELEGRAM, TELEGRAM, telegram
from tests.test_meter import (
    MISSING,
    SETTINGS,
    UNPLUGGED,
    ScriptedPort,
    Stage,
    playing,
)
from tests.test_meter_request import EVERY_MINUTE, SENDERS, AskedStage, Sender

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p1_exporter.meter import MeterSettings

FAST, SLOW = 115_200, 9_600
AUTO = replace(SETTINGS, port=PortSettings("/dev/ttyUSB0"))


class Heard(NamedTuple):
    """What there is to read at a time, and what the driver has counted then."""

    time: float
    data: Mapping[int, bytes]
    """By the baud rate at which the port listens."""
    marks: tuple[Mark, ...] = ()
    counters: Counters | None = None


class LineStage(Stage):
    """A line that goes on whether its port is open or not, and what is seen of it until `end`."""

    def __init__(
        self,
        line: Iterable[Heard],
        end: float,
        *,
        gone: tuple[float, float] = (0.0, 0.0),
        driver: str = "amba-pl011",
        settable: bool = True,
    ) -> None:
        super().__init__([])
        self.line = sorted(line, key=lambda heard: heard.time)
        self.end = end
        self.gone = gone
        """From when to when there is no port."""
        self.driver = driver
        self.settable = settable
        """Whether the port lets its speed be set."""
        self.rates: list[tuple[float, int]] = []
        """When which rate was set."""
        self.named: list[tuple[float, tuple[str, ...]]] = []
        """Which faults were named at what time."""

    @property
    def absent(self) -> bool:
        return self.gone[0] <= self.clock.now < self.gone[1]

    def open(self, port: PortSettings) -> ScriptedPort:
        self.watch()
        self.opened.append(port)
        if self.over():
            self._released.wait(60)
        if self.absent or self.over():
            raise MISSING
        self._port = LinePort(self, port)
        return self._port

    def over(self) -> bool:
        if self.clock.now >= self.end:
            self.finished.set()
            return True
        return False

    def watch(self) -> None:
        super().watch()
        faults = self.meter.snapshot.watch.faults
        self.named.append((self.clock.now, tuple(diagnosis.fault for diagnosis in faults)))

    def goes_on_until(self, end: float) -> None:
        assert self._port
        self.finished.clear()
        self.end = end
        self._port.wake()
        assert self.finished.wait(10)

    def reopens_until(self, end: float, of: MeterSettings) -> None:
        self.finished.clear()
        self.end = end
        self.meter.reopen(of, None)
        assert self.finished.wait(10)

    def faults(self, since: float = 0.0, until: float = 1e9) -> set[str]:
        """All faults that were named at some time from `since` to `until`."""
        return {fault for time, faults in self.named if since <= time <= until for fault in faults}


class LinePort(ScriptedPort):
    """Gives what is on the line while it is read."""

    def __init__(self, stage: LineStage, port: PortSettings) -> None:
        super().__init__(stage, port, [])
        self.driver = stage.driver
        self._line = stage
        self._counters: Counters | None = None
        while stage.line and stage.line[0].time < stage.clock.now:
            stage.line.pop(0)

    def counters(self) -> Counters | None:
        return self._counters

    def set_baudrate(self, baudrate: int) -> bool:
        self._line.rates.append((self._line.clock.now, baudrate))
        if self._line.settable:
            self.baudrate = baudrate
        return self._line.settable

    def _read(self, timeout: float) -> Chunk | None:
        stage, clock = self._line, self._line.clock
        stage.watch()
        if stage.over():
            self._waker.wait(60)
            return None
        if stage.absent:
            raise UNPLUGGED
        if not stage.line or stage.line[0].time > clock.now + timeout:
            clock.now += timeout
            return None
        heard = stage.line.pop(0)
        clock.now = heard.time
        self._counters = heard.counters or self._counters
        data = heard.data.get(self.baudrate)
        return Chunk(heard.time, data, heard.marks) if data else None


def every(seconds: float, *telegrams: bytes, since: float = 0.0) -> list[Heard]:
    """Telegrams that are read whole, at the usual rate."""
    return [Heard(since + seconds * number, {FAST: data}) for number, data in enumerate(telegrams)]


def simulated(began: float, seconds: float, fault: str | None = None, severity: float = 0.0) -> list[Heard]:
    """What a meter that sends every second gives on a simulated line, with marks and counters of a PL011."""
    heard: list[Heard] = []
    for item in record("dsmr5", fault, severity, seed=1, seconds=seconds, driver="amba-pl011"):
        if isinstance(item, Counted):
            heard.append(Heard(began + item.time, {}, counters=Counters(*item.counts)))
        else:
            heard.append(Heard(began + item.time, {FAST: item.data}, item.marks))
    return heard


# Exp

def slow(*telegrams: bytes, since: float = 5.0) -> list[Heard]:
    """What a meter with 9600 baud and 7E1 gives: at 115200 baud only its low levels are seen, each as a NUL."""
    heard: list[Heard] = []
    for number, data in enumerate(map(with_parity, telegrams)):
        for start in range(0, len(data), 48):
            piece = data[start : start + 48]
            heard.append(
                Heard(since + 10 * number + start / 960, {SLOW: piece, FAST: bytes(2 * len(piece))})
            )
    return heard



from tests.link.test_reception import encrypted
def test_y():
    wire = encrypted(100)
    line = [Heard(5 + 10*n, {FAST: w, SLOW: b"\xf3\x81" * 40}) for n, w in enumerate(wire)]
    with playing(of=AUTO, stage=LineStage(line, end=905)) as stage:
        print(stage.rates, stage.errors, stage.dropped, stage.faults(), stage.link.missed)
    line = [Heard(5 + 10*n, {FAST: b"\x93\x22" * 400, SLOW: b"\xf3\x81" * 40}) for n, w in enumerate(wire)]
    with playing(of=AUTO, stage=LineStage(line, end=905)) as stage:
        print(stage.rates, stage.errors, stage.dropped, stage.faults(), stage.link.missed)
