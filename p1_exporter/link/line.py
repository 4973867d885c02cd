"""What is known of a line before anything arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from p1_exporter.link.port import BITS_PER_CHARACTER

if TYPE_CHECKING:
    from collections.abc import Mapping

Marks = Literal["character", "packet", "nothing"]
"""What a driver marks for a bad character."""

_MARKS: Final[Mapping[str, Marks]] = {
    "amba-pl011": "character",
    "8250": "character",
    "cp210x": "character",
    "ftdi_sio": "packet",
    "pl2303": "packet",
}


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a line beforehand."""

    driver: str = "unknown"
    baudrate: int = 115_200
    parity: str = "N"
    request_line: str = "none"

    @property
    def marks(self) -> Marks:
        """What the driver marks for a bad character."""
        return _MARKS.get(self.driver, "nothing")

    @property
    def capacity(self) -> float:
        """Characters a second that the line can carry."""
        return self.baudrate / BITS_PER_CHARACTER

    @property
    def mini_uart(self) -> bool:
        """Whether it is the second UART of a Raspberry Pi, which does not look at stop bits."""
        return self.driver == "bcm2835aux"

    @property
    def network(self) -> bool:
        """Whether a serial server stands between line and computer."""
        return self.driver == "tcp"
