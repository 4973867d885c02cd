"""Marks of bad characters in what a terminal device delivers: the escapes of PARMRK.

With PARMRK and INPCK set and IGNPAR, IGNBRK, BRKINT and ISTRIP off, the kernel's line discipline delivers a character
that arrived in error as FF 00 and that character, a break as FF 00 00, and a good FF as FF FF (termios(3), and
drivers/tty/n_tty.c of Linux 6.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from p1_exporter.link.counters import Mark

_FF: Final = b"\xff"
# The last alternative is an escape whose rest is still to come.
_ESCAPE: Final = re.compile(rb"\xff(?:(?P<good>\xff)|\x00(?P<bad>.)|\x00?\Z)", re.DOTALL)


class MarkDecoder:
    """Takes marks out of a stream that comes in pieces; an escape may be cut anywhere.

    The stream does not tell framing from parity. Lines are read without parity (8N1), so what it marks is a framing
    error, or a break where the character is 00. An overrun leaves no mark, and with PARMRK on, the 00 that a driver
    puts in place of what was lost is not delivered either: a 00 without a mark was received as such.

    Whatever is no escape passes as it is, as it comes when another program has switched PARMRK off.

    Attributes:
        held: the beginning of an escape whose rest has not come, at most 2 bytes.
    """

    def __init__(self) -> None:
        self.held = b""

    def decode(self, received: bytes) -> tuple[bytes, tuple[Mark, ...]]:
        """Return the characters in the next piece of the stream, and which of them are bad, in order."""
        stream = self.held + received
        self.held = b""
        data = bytearray()
        marks: list[Mark] = []
        copied = 0
        for escape in _ESCAPE.finditer(stream):
            data += stream[copied : escape.start()]
            copied = escape.end()
            bad = escape["bad"]
            if bad is not None:
                marks.append((len(data), "framing" if bad != b"\0" else "break"))
                data += bad
            elif escape["good"]:
                data += _FF
            else:
                self.held = escape[0]
        data += stream[copied:]
        return bytes(data), tuple(marks)
