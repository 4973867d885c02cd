"""Serial ports of this computer, and pseudo-terminals: opened by pyserial, read from the kernel directly."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import termios
from typing import TYPE_CHECKING

import serial

from p1_exporter.link.descriptor_port import DescriptorPort
from p1_exporter.link.port import READ_LIMIT, PortError
from p1_exporter.link.tty_driver import tty_driver
from p1_exporter.link.tty_trouble import expect_device, unopened, without_request_line

if TYPE_CHECKING:
    from p1_exporter.link.port import PortSettings


class TtyPort(DescriptorPort):
    """An open terminal device, read by nobody else as far as the kernel can prevent it.

    Attributes:
        empty_reads: how often the kernel announced bytes that were gone when they were fetched: taken by
            another program, most likely.
    """

    def __init__(self, settings: PortSettings, line: serial.Serial) -> None:
        super().__init__(settings, tty_driver(settings.url), line.fileno())
        self._line = line
        self.empty_reads = 0
        self.request_asserted = None if settings.request_line == "none" else True

    def fileno(self) -> int:
        """The descriptor, for what only a terminal can be asked."""
        return self._descriptor

    def _receive(self, *, hung_up: bool) -> bytes:
        data = b""
        try:
            # The kernel's line buffer holds 4095 bytes; more may wait behind it.
            while len(data) < READ_LIMIT and (more := os.read(self._descriptor, READ_LIMIT - len(data))):
                data += more
        except BlockingIOError:
            pass  # nothing more for now
        except OSError as error:
            if not data:
                raise self._vanished() from error
        if not data and hung_up:
            raise self._vanished()
        self.empty_reads += not data
        return data

    def _vanished(self) -> PortError:
        return PortError(
            "vanished",
            f"{self.url} vanished while it was read. Is its adapter plugged in, and has it enough power? "
            "The kernel's log (dmesg) tells more.",
        )

    def _close(self) -> None:
        # All this fails where the device is gone, and then has no effect to miss.
        with contextlib.suppress(OSError):
            if self.request_asserted:
                self.request_asserted = False
                setattr(self._line, self.request_line, False)
        with contextlib.suppress(OSError):
            # The kernel forgets this with the last close, but a pseudo-terminal stays open on its other side.
            fcntl.ioctl(self._descriptor, termios.TIOCNXCL)
        with contextlib.suppress(OSError):
            self._line.close()


def open_tty(settings: PortSettings) -> TtyPort:
    """Open a device path: raw, 8 data bits, no parity, no flow control, for exclusive use.

    Raises:
        PortError: it is not there, not allowed, in use, or no serial port.
    """
    path = settings.url
    try:
        expect_device(path, os.stat(path).st_mode)  # noqa: PTH116 - the path stays text, as the user gave it
        # exclusive keeps out programs that ask for a lock as well (flock); the others meet TIOCEXCL below.
        line = serial.Serial(path, settings.initial_baudrate, exclusive=True)
        try:
            _make_exclusive_and_raw(line)
            _assert_request(settings, line)
        except BaseException:
            line.close()
            raise
    except (OSError, termios.error, ValueError) as error:
        raise unopened(path, error) from error
    return TtyPort(settings, line)


def _make_exclusive_and_raw(line: serial.Serial) -> None:
    fcntl.ioctl(line.fileno(), termios.TIOCEXCL)
    attributes = termios.tcgetattr(line.fileno())
    # pyserial leaves BRKINT as it finds it: with it, a break is not read but empties the buffer.
    attributes[0] = 0
    termios.tcsetattr(line.fileno(), termios.TCSANOW, attributes)


def _assert_request(settings: PortSettings, line: serial.Serial) -> None:
    if settings.request_line == "none":
        return
    try:
        setattr(line, settings.request_line, True)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            raise without_request_line(settings.url, settings.request_line) from error
        raise
