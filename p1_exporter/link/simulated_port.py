"""A simulated meter, read as if it were a real one."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from p1_exporter.link.counters import Counters
from p1_exporter.link.port import GATHER_SECONDS, Chunk, Port, PortError
from p1_exporter.link.tty_evidence import line_errors_supported
from p1_exporter.simulator.source import PATIENCE, parse_url

if TYPE_CHECKING:
    from p1_exporter.link.port import PortSettings
    from p1_exporter.simulator.source import Stream
    from p1_exporter.simulator.wire import Wire

_DRIVER = "simulated"


class SimulatedPort(Port):
    """A perfect line at whose other end a simulated meter sends."""

    def __init__(self, settings: PortSettings, source: Stream) -> None:
        super().__init__(settings, _DRIVER)
        self._source = source

    def _read(self, timeout: float) -> Chunk | None:
        first_byte = self._source.due
        remaining = first_byte - time.monotonic()
        if self._waker.wait(min(remaining, timeout)) or remaining > timeout:
            return None
        self._waker.wait(GATHER_SECONDS)
        data = self._source.take(time.monotonic())
        return Chunk(first_byte, data) if data else None

    def _close(self) -> None:
        """Nothing is held."""


class WirePort(Port):
    """A simulated wire, with the meter at one end and the UART of `driver` at the other."""

    def __init__(self, settings: PortSettings, driver: str, wire: Wire) -> None:
        super().__init__(settings, driver)
        self._wire = wire
        self.line_errors_supported = line_errors_supported(driver, self.counters())

    def counters(self) -> Counters | None:
        """Return what the simulated driver has counted; None where it counts nothing."""
        counts = self._wire.counts
        return None if counts is None else Counters(*counts)

    def bytes_waiting(self) -> int | None:
        """Return 0, where the driver counts."""
        # A byte is counted as it is read, or taken by another program.
        return None if self._wire.counts is None else 0

    def set_baudrate(self, baudrate: int) -> bool:
        """Let the UART sample at another speed from now on."""
        self._wire.set_baudrate(baudrate)
        self.baudrate = baudrate
        return True

    def _read(self, timeout: float) -> Chunk | None:
        now = time.monotonic()
        self._expect_present(now)
        until = now + min(timeout, PATIENCE)
        first_byte = self._wire.arrival(until)
        if self._waker.wait(max(0.0, (until if first_byte is None else first_byte) - now)):
            return None
        if first_byte is not None:
            self._waker.wait(GATHER_SECONDS)
        now = time.monotonic()
        self._expect_present(now)
        read = self._wire.take(now)
        return None if read is None else Chunk(*read)

    def _expect_present(self, now: float) -> None:
        if not self._wire.present(now):
            raise PortError("vanished", f"{self.url}: the simulated adapter is unplugged. It comes back.")

    def _close(self) -> None:
        """Nothing is held."""


def open_simulated(settings: PortSettings) -> Port:
    """Begin to listen to `simulate://MODEL`.

    With a fault or a driver there is a wire with a UART, whose baud rate is that of the settings, as a real
    port's is. So there is with a baud rate that is not the meter's. Otherwise the line has the meter's baud rate.

    Raises:
        PortError: there is no port at the moment, as its fault is that it comes and goes.
        UserError: there is no such meter, fault or driver.
    """
    parameters = parse_url(settings.url)
    real = parameters.fault is not None or parameters.driver is not None
    if not real and settings.baudrate in (None, parameters.model.baudrate):
        meter = dataclasses.replace(settings, baudrate=parameters.model.baudrate)
        return SimulatedPort(meter, parameters.source())
    wire = parameters.wire(settings.initial_baudrate)
    if not wire.present(time.monotonic()):
        raise PortError("missing", f"{settings.url}: the simulated adapter is unplugged. It comes back.")
    return WirePort(settings, wire.driver if real else _DRIVER, wire)
