"""Serial ports of this computer, and pseudo-terminals: opened by pyserial, read from the kernel directly."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import termios
from typing import TYPE_CHECKING

from p1_exporter.link.descriptor_port import DescriptorPort
from p1_exporter.link.marks import MarkDecoder
from p1_exporter.link.port import BITS_PER_CHARACTER, READ_LIMIT, Chunk, PortError
from p1_exporter.link.request import request_line
from p1_exporter.link.tty_driver import tty_driver
from p1_exporter.link.tty_evidence import bytes_waiting, input_flags, line_errors_supported
from p1_exporter.link.tty_line import TtyLine
from p1_exporter.link.tty_trouble import expect_device, unopened, without_request_line

if TYPE_CHECKING:
    from p1_exporter.link.counters import Counters
    from p1_exporter.link.port import PortSettings

# How many characters may gather. The line discipline holds 4095 bytes, a marked character takes three of them, and
# when fewer than 128 characters would find room, it throttles: USB adapters lose what they cannot deliver.
_GATHERED_CHARACTERS = 1000


class TtyPort(DescriptorPort):
    """An open terminal device, read by nobody else as far as the kernel can prevent it.

    Attributes:
        empty_reads: how often the kernel announced bytes that were gone when they were fetched: taken by
            another program, most likely.
    """

    def __init__(self, settings: PortSettings, driver: str, line: TtyLine) -> None:
        super().__init__(settings, driver, line.fileno())
        self._line = line
        self._marks = MarkDecoder() if input_flags(driver) & termios.PARMRK else None
        self._counters: Counters | None = None
        self.line_errors_supported = line_errors_supported(driver, self.counters())
        self.empty_reads = 0
        # pyserial raises RTS and DTR as it opens a port, and those stay raised that are not the request line: they
        # are wired to nothing, or feed the adapter. To lower the request line first would cut a telegram.
        self._request = request_line(settings, self._set_control)

    def fileno(self) -> int:
        """The descriptor, for what only a terminal can be asked."""
        return self._descriptor

    def counters(self) -> Counters | None:
        """What the driver counted; where the device is gone, what it had counted when last asked."""
        if not self._closed:
            with contextlib.suppress(OSError):  # the next read tells that it is gone
                self._counters = self._line.counters.read()
        return self._counters

    def bytes_waiting(self) -> int | None:
        """How many bytes the kernel holds, those of escapes included; None where the device is gone."""
        if not self._closed:
            with contextlib.suppress(OSError):
                return bytes_waiting(self._descriptor)
        return None

    def set_baudrate(self, baudrate: int) -> bool:
        """Listen at another rate; False where the driver refuses it."""
        try:
            self._line.baudrate = baudrate
        except (OSError, termios.error, ValueError):
            # Half of the settings may have been taken. Where the device is gone, the next read tells.
            with contextlib.suppress(OSError, termios.error, ValueError):
                self._line.baudrate = self.baudrate
            return False
        self.baudrate = baudrate
        return True

    def _gather_seconds(self) -> float:
        return min(super()._gather_seconds(), _GATHERED_CHARACTERS * BITS_PER_CHARACTER / self.baudrate)

    def _read(self, timeout: float) -> Chunk | None:
        chunk = super()._read(timeout)
        if chunk is None or self._marks is None:
            return chunk
        data, marks = self._marks.decode(chunk.data)
        # There is no data in the beginning of an escape.
        return Chunk(chunk.time, data, marks) if data else None

    def _receive(self, *, hung_up: bool) -> bytes:
        data = b""
        # Half an escape that is held turns out to be data if it is none.
        limit = READ_LIMIT - (len(self._marks.held) if self._marks else 0)
        try:
            # The kernel's line buffer holds 4095 bytes; more may wait behind it.
            while len(data) < limit and (more := os.read(self._descriptor, limit - len(data))):
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

    def _set_control(self, name: str, asserted: bool) -> None:  # noqa: FBT001 - as the request line calls it
        try:
            setattr(self._line, name, asserted)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                raise without_request_line(self.url, name) from error
            raise self._vanished() from error

    def _close(self) -> None:
        # All this fails where the device is gone, and then has no effect to miss.
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
        driver = tty_driver(path)
        line = TtyLine(path, driver, settings.initial_baudrate)
        try:
            # Keeps out all programs but those of root.
            fcntl.ioctl(line.fileno(), termios.TIOCEXCL)
        except BaseException:
            line.close()
            raise
    except (OSError, termios.error, ValueError) as error:
        raise unopened(path, error) from error
    return TtyPort(settings, driver, line)
