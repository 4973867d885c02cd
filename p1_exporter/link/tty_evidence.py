"""What a terminal device tells of line errors: how it is asked to mark them, and what its driver counts.

Facts are from the sources of Linux 6.1: include/uapi/linux/serial.h, drivers/tty/n_tty.c and the drivers themselves.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import termios
from typing import TYPE_CHECKING, Final

from p1_exporter.link.counters import LINE_ERRORS, Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from p1_exporter.link.counters import LineError

    Ioctl = Callable[[int, int, bytes], bytes]

# struct serial_icounter_struct: cts, dsr, rng, dcd; rx, tx, frame, overrun, parity, brk, buf_overrun; 9 reserved.
_ICOUNTER: Final = struct.Struct("=16x7I36x")
_INT: Final = struct.Struct("=i")
# The counters of the port, which end at 32 bits and begin anew: after four days of characters without a pause.
_WRAP: Final = 1 << 32

_USB_WITHOUT_RX: Final = frozenset({"framing", "parity", "break_", "overrun"})
_COUNTED: Final[Mapping[str, frozenset[str]]] = {
    # The hardware detects neither framing errors nor breaks, and has no parity (BCM2835 ARM Peripherals, 2.2).
    "bcm2835aux": frozenset({"rx", "overrun"}),
    "cp210x": _USB_WITHOUT_RX,
    "cdc_acm": _USB_WITHOUT_RX,
}
"""Counters that a driver has, where it does not have all of them; the others it shows as 0."""

_MARKED_ONLY: Final[Mapping[str, frozenset[LineError]]] = {
    # Its status comes apart from the data: a mark lands on some later transfer.
    "pl2303": frozenset({"framing", "break"}),
}
"""Errors that a driver marks without counting them."""


def input_flags(driver: str) -> int:
    """Return the input flags (c_iflag) to read a line with: raw, and bad characters marked where there can be any.

    INPCK, although there is no parity: without it, serial drivers drop framing errors. BRKINT off: with it, a break
    is not read but empties the buffer. A pseudo-terminal has no errors to mark.
    """
    return 0 if driver == "pty" else termios.PARMRK | termios.INPCK


def bytes_waiting(descriptor: int) -> int:
    """Return how many bytes the line discipline holds for the next read, those of escapes included.

    Raises:
        OSError: the device is gone.
    """
    return int(_INT.unpack(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(_INT.size)))[0])


def line_errors_supported(driver: str, counters: Counters | None) -> frozenset[LineError]:
    """Return which errors a driver can tell, by counting or by marking them.

    Args:
        driver: by its name as `tty_driver` gives it.
        counters: what it counts.
    """
    _, *counts = counters or Counters()
    counted = (error for error, count in zip(LINE_ERRORS, counts, strict=True) if count is not None)
    return _MARKED_ONLY.get(driver, frozenset()).union(counted)


class DriverCounters:
    """Counters of a driver since this object was made.

    Args of the constructor: `driver`, its name; `descriptor` of the open device; `ioctl`, as `fcntl.ioctl`.
    """

    def __init__(self, driver: str, descriptor: int, ioctl: Ioctl = fcntl.ioctl) -> None:
        self._counted = _COUNTED.get(driver, frozenset(Counters._fields))
        self._descriptor = descriptor
        self._ioctl = ioctl
        self._totals = [0] * len(Counters._fields)
        self._last = self._look()

    def read(self) -> Counters | None:
        """Return the counts; None where the driver has no counters.

        To be called every few days at least, as what the driver counts with wraps.

        Raises:
            OSError: the device is gone.
        """
        now = self._look()
        if now is None or self._last is None:
            return None
        for place, (new, old) in enumerate(zip(now, self._last, strict=True)):
            self._totals[place] += (new - old) % _WRAP
        self._last = now
        counts = zip(Counters._fields, self._totals, strict=True)
        return Counters(**{name: count for name, count in counts if name in self._counted})

    def forget_received(self) -> None:
        """Count `rx` from now on: the characters received so far were thrown away unread.

        Raises:
            OSError: the device is gone.
        """
        self.read()
        self._totals[Counters._fields.index("rx")] = 0

    def _look(self) -> tuple[int, ...] | None:
        """What the port has counted since the system started, in the order of `Counters`."""
        try:
            answer = self._ioctl(self._descriptor, termios.TIOCGICOUNT, bytes(_ICOUNTER.size))
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return None
            raise
        rx, _tx, framing, overrun, parity, break_, buffer_overrun = _ICOUNTER.unpack(answer)
        return rx, framing, parity, break_, overrun, buffer_overrun
