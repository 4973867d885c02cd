"""What this computer does with what it received: proven by counters, whatever the wire may be like."""

from __future__ import annotations

from typing import Final

from p1_exporter.link.signatures.row import Signature
from p1_exporter.link.signatures.signs import failing

COMPUTER: Final = (
    Signature(
        "overrun",
        0.95,
        "the UART or the kernel counted characters that it had to drop",
        lambda e: e.uart.overruns + e.uart.buffer_overruns > 0 and failing(e),
    ),
    Signature(
        "second_reader",
        0.95,
        "the port received more bytes than this program could read",
        lambda e: e.uart.taken > 0.05,
    ),
)
