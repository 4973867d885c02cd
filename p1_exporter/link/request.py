"""The data-request line: a meter sends while it is high.

DSMR 5.0.2 P1 asks for three things (sections 5.7.1 and 6.2): a meter begins to send as soon as the line is raised,
it stops at once when the line is released, and a released line floats. So the first telegram after raising, and the
last one before releasing, may be cut, and nobody is to blame.
"""

from __future__ import annotations

import contextlib
import math
import re
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Final

from p1_exporter.errors import P1Error, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from p1_exporter.link.port import PortSettings

HEADER_GPIOS: Final = range(28)
"""BCM numbers of the GPIOs on a Raspberry Pi's header; the others are not led out."""

REQUEST_INTERVALS: Final = (2.0, 3600.0)
"""Bounds of the seconds between telegrams that are asked for: at 9600 baud one takes a second or more."""

ASK_SECONDS: Final = 25.0
"""How long a meter that is asked now and then is given to answer: a cut telegram and a whole one of a meter that
sends every 10 s, and some more."""


class RequestLine(ABC):
    """What asks a meter for data.

    Attributes:
        asserted: whether it does so now.
    """

    def __init__(self) -> None:
        self.asserted = False

    def raise_line(self) -> None:
        """Ask for data.

        Raises:
            PortError: the line cannot be raised.
        """
        self._switch(asserted=True)
        self.asserted = True

    def release(self) -> None:
        """Ask no more.

        Raises:
            PortError: the line cannot be released.
        """
        self._switch(asserted=False)
        self.asserted = False

    def close(self) -> None:
        """Release the line if it is raised; where that fails the device is gone, and its lines with it."""
        if self.asserted:
            with contextlib.suppress(P1Error):
                self.release()
            self.asserted = False

    @abstractmethod
    def _switch(self, *, asserted: bool) -> None:
        """Raise or release the line.

        Raises:
            PortError: it cannot be done.
        """


class ControlLine(RequestLine):
    """RTS or DTR of a serial port.

    Args of the constructor: `switch` sets the line, or raises PortError.
    """

    def __init__(self, switch: Callable[[bool], None]) -> None:
        super().__init__()
        self._set = switch

    def _switch(self, *, asserted: bool) -> None:
        self._set(asserted)


def check_request(settings: PortSettings) -> None:
    """Find what can never work, however often it is tried.

    Raises:
        UserError: a request line that this port or no computer has, an interval out of bounds or without a line.
    """
    line, url = settings.request_line, settings.url
    gpio = re.fullmatch(r"gpio:(\d{1,3})", line, re.ASCII)
    if gpio is None and line not in ("none", "rts", "dtr"):
        raise UserError(f"request line {line!r}: must be none, rts, dtr or gpio:N.")
    if gpio and int(gpio[1]) not in HEADER_GPIOS:
        raise UserError(
            f"request line {line}: no Raspberry Pi has this GPIO on its header. Give the BCM number, "
            f"{HEADER_GPIOS[0]} to {HEADER_GPIOS[-1]}; pin 7 of the header is gpio:4."
        )
    if gpio and settings.scheme is not None:
        raise UserError(
            f"request line {line} of {url!r}: a GPIO of this computer asks only for what comes in at a serial port "
            "of this computer, given by its device path. Use none, or with rfc2217:// rts or dtr."
        )
    if line != "none" and settings.scheme not in (None, "rfc2217"):
        raise UserError(
            f"request line {line} of {url!r}: only serial ports and rfc2217:// have one; use none."
        )
    interval = settings.request_interval
    shortest, longest = REQUEST_INTERVALS
    if interval is not None and not shortest <= interval <= longest:
        raise UserError(
            f"request interval {interval:g} of {url!r}: must be {shortest:g} to {longest:g} seconds."
        )
    if interval is not None and line == "none":
        raise UserError(
            f"request interval {interval:g} of {url!r}: without a request line nothing can be released in between. "
            "Name the line (rts, dtr or gpio:N), or leave the interval out."
        )


def request_line(settings: PortSettings, control: Callable[[str, bool], None]) -> RequestLine | None:
    """Return the line that the settings name, still untouched; None where there is none.

    Args:
        settings: of a port that was checked.
        control: sets `rts` or `dtr` of that port, or raises PortError.
    """
    name = settings.request_line
    if name == "none":
        return None
    if name.startswith("gpio:"):
        from p1_exporter.link.gpio import GpioLine  # noqa: PLC0415 - most ports need no GPIO

        return GpioLine(int(name.removeprefix("gpio:")))
    return ControlLine(partial(control, name))


class Demand:
    """When the line is to be raised, and which telegrams may be cut because of that. Reads no clock.

    Args of the constructor: `now`, when the line was raised, in seconds of a monotonic clock; `interval`, seconds
    between telegrams, None to hold the line.

    Attributes:
        raised: whether the line is raised.
        may_be_cut: whether the telegram that is arriving, or comes next, may be cut: it is the first since the line
            was raised, or nobody waits for it any more.
        due: when the line is to be raised; infinity while it is raised.
    """

    def __init__(self, now: float, interval: float | None = None) -> None:
        self.raised = True
        self.may_be_cut = True
        self.due = math.inf
        self._interval = interval
        self._scheduled = self._raised_at = now
        self._answered = False

    def decided(self, *, forgiven: bool) -> None:
        """A telegram was accepted or rejected. A `forgiven` one was cut and counts as none: another is wanted."""
        if not self.raised or self._answered:
            return
        self._answered = self._interval is not None and not forgiven
        self.may_be_cut = self._answered

    def wanted(self, now: float, *, arriving: bool) -> bool:
        """Return whether the line should be raised at `now`.

        Args:
            now: the time.
            arriving: a telegram has begun and is not decided. It is waited for, unless it was answered already.
        """
        if not self.raised:
            return now >= self.due
        given_up = self._interval is not None and now - self._raised_at >= ASK_SECONDS and not arriving
        return not (self._answered or given_up)

    def switched(self, now: float) -> None:
        """The line was released at `now` if it was raised, and raised if it was not."""
        self.raised = not self.raised
        self.may_be_cut = True
        self._answered = False
        if self.raised:
            # The plan goes on from when it should have been raised: lateness does not add up.
            self._scheduled, self._raised_at, self.due = self.due, now, math.inf
        elif self._interval is not None:
            late = max(0.0, now - self._scheduled)
            self.due = self._scheduled + self._interval * (math.floor(late / self._interval) + 1)
