"""A simulated meter, read as if it were a real one."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from p1_exporter.link.port import GATHER_SECONDS, Chunk, Port
from p1_exporter.simulator.source import parse_url

if TYPE_CHECKING:
    from p1_exporter.link.port import PortSettings
    from p1_exporter.simulator.source import Source


class SimulatedPort(Port):
    """A line at whose other end a simulated meter sends."""

    def __init__(self, settings: PortSettings, source: Source) -> None:
        super().__init__(settings, "simulated")
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


def open_simulated(settings: PortSettings) -> SimulatedPort:
    """Begin to listen to `simulate://MODEL`; its line has the baud rate of that meter.

    Raises:
        UserError: there is no such meter.
    """
    parameters = parse_url(settings.url)
    meter = dataclasses.replace(settings, baudrate=parameters.model.baudrate)
    return SimulatedPort(meter, parameters.source())
