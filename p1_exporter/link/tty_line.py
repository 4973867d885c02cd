"""A terminal device as pyserial opens it, but set to tell of line errors."""

from __future__ import annotations

import termios

import serial

from p1_exporter.link.tty_evidence import DriverCounters, input_flags


class TtyLine(serial.Serial):
    """A device: raw, 8 data bits, no parity, no flow control, locked, and with bad characters marked.

    Args of the constructor: `path` of the device; its `driver`, as `tty_driver` names it; `baudrate`.

    Attributes:
        counters: of its driver, since it was opened.
    """

    fd: int
    counters: DriverCounters

    def __init__(self, path: str, driver: str, baudrate: int) -> None:
        self._driver = driver
        # exclusive keeps out the programs that ask for a lock as well (flock).
        super().__init__(path, baudrate, exclusive=True)

    # Two steps of pyserial's that are not in its published types.

    def _reconfigure_port(self, force_update: bool = False) -> None:  # noqa: FBT001, FBT002 - as pyserial calls it
        """Apply the settings: first thing once the device is open, and after every assignment to one."""
        descriptor = self.fd
        if force_update:
            # Now, not later: a line that is low gives its one break as it is opened, which pyserial discards.
            self.counters = DriverCounters(self._driver, descriptor)
        super()._reconfigure_port(force_update)  # type: ignore[misc]  # see above
        # pyserial clears PARMRK and INPCK, and leaves BRKINT and IGNPAR as it finds them.
        attributes = termios.tcgetattr(descriptor)
        attributes[0] = input_flags(self._driver)
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)

    def _reset_input_buffer(self) -> None:
        """Discard what arrived before the device had its settings: last thing when it is opened."""
        super()._reset_input_buffer()  # type: ignore[misc]  # see above
        self.counters.forget_received()
