"""What a driver counts and marks: errors that only the UART has seen.

Facts are from the kernel's sources (Linux 6.1): include/uapi/linux/serial.h and the drivers named below.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

LineError = Literal["framing", "parity", "break", "overrun", "buffer_overrun"]
LINE_ERRORS: tuple[LineError, ...] = get_args(LineError)
"""What a UART and its driver may notice, as in the label of `p1_line_errors_total`."""

MarkKind = Literal["framing", "parity", "break"]
"""What a single received character may be marked with. An overrun leaves no mark."""

Mark = tuple[int, MarkKind]
"""Place of a character in the data of one read, and what was wrong with it. A break is a 00 with its mark."""


class Counters(NamedTuple):
    """Counters of a driver since the port was opened; None where it has none. `break_`: Python keeps the word."""

    rx: int | None = None
    """Characters received from the wire, whoever read them."""
    framing: int | None = None
    parity: int | None = None
    break_: int | None = None
    overrun: int | None = None
    """Characters lost in the UART."""
    buffer_overrun: int | None = None
    """Characters lost in the kernel's buffer."""
