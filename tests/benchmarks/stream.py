"""The stream that decoders are measured with: ten minutes of a simulated meter's telegrams, one a second."""

from __future__ import annotations

from typing import Final

from p1_exporter.link.port import GATHER_SECONDS
from p1_exporter.simulator.models import MODELS, telegram

SECONDS: Final = 600
TURN: Final = 200
"""Telegrams that a decoder gets in a turn: so many that finding the caches cold does not count."""
MODEL: Final = MODELS["dsmr5"]
READ_SIZE: Final = int(GATHER_SECONDS * MODEL.characters_a_second)
"""Bytes that the line carries while a port lets a burst gather: what a read from a UART gives."""

_START: Final = 1795399000  # an afternoon in November 2026


def telegrams() -> list[list[bytes]]:
    """Return the telegrams, those of each turn."""
    household = MODEL.household(seed=1)
    return [
        [telegram(MODEL, household, _START + second) for second in range(first, first + TURN)]
        for first in range(0, SECONDS, TURN)
    ]


def as_read(data: bytes) -> list[bytes]:
    """Return `data` in the pieces that a UART gives."""
    return [data[i : i + READ_SIZE] for i in range(0, len(data), READ_SIZE)]
