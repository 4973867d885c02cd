"""A line that stays at one level: silence, and NULs without end."""

from __future__ import annotations

from typing import Final

from p1_exporter.link.signatures.row import Signature
from p1_exporter.link.signatures.signs import silent

LEVEL: Final = (
    Signature(
        "stuck_low",
        0.9,
        "one break, then nothing: the receiving pin is low",
        lambda e: silent(e) and e.uart.tells_breaks and (e.ends_low or (not e.size and e.uart.breaks > 0)),
    ),
    Signature("stuck_low", 0.6, "a single NUL, then nothing", lambda e: silent(e) and e.ends_low),
    Signature(
        "silent",
        0.9,
        "no byte arrives, and the receiving pin is not low",
        lambda e: silent(e) and (e.uart.tells_breaks or e.line.mini_uart),
    ),
    Signature("silent", 0.6, "no byte arrives", silent),
    Signature(
        "inverted",
        0.85,
        "NULs without end, and once in each interval something else",
        lambda e: e.load > 0.9 and 0.9 < e.characters.nul < 0.998 and not e.telegrams.accepted,
    ),
    Signature(
        "stuck_low",
        0.9,
        "NULs without end: the receiving pin is low",
        lambda e: (
            e.load > 0.5
            and (e.characters.nul > 0.985 or (e.characters.nul > 0.9 and e.telegrams.intact > 0.5))
        ),
    ),
)
