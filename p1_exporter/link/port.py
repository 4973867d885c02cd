"""Ports: where a meter's bytes come from, whatever lies between it and this computer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from p1_exporter.errors import P1Error, UserError
from p1_exporter.link.address import SCHEMES, recording, tcp_address
from p1_exporter.link.keep_alive import KEEP_ALIVE, KeepAlive
from p1_exporter.link.request import check_request
from p1_exporter.link.waker import Waker

if TYPE_CHECKING:
    from types import TracebackType

    from p1_exporter.link.counters import Counters, LineError, Mark
    from p1_exporter.link.request import RequestLine

# What a port can fail from: the values of the label of p1_port_errors_total.
Reason = Literal[
    "missing", "busy", "forbidden", "settings", "vanished", "refused", "timeout", "closed", "other"
]

# Every meter is read with 8 data bits: 7E1 is 8 bits whose top bit is even parity.
FORMAT = "8N1"
# DSMR 4 and later. Meters with 9600 baud are found by listening, which begins at this rate.
DEFAULT_BAUDRATE = 115_200
# One start bit, eight data bits (or seven and parity), one stop bit.
BITS_PER_CHARACTER = 10

# Slower than any meter's optical head, faster than any adapter.
BAUDRATES = range(300, 4_000_001)

# How long a burst may gather: reading it whole costs a thirtieth of reading each byte as it comes.
GATHER_SECONDS = 0.05
# The most that one read returns. A telegram has up to 11,520 bytes.
READ_LIMIT = 64 * 1024


class PortError(P1Error):
    """A port cannot be opened, or broke while it was read. Worth another attempt later.

    Args:
        reason: which kind of failure.
        message: what, where and what to do, for people.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


class EndOfInput(Exception):  # noqa: N818 - no error: a recording was read to its end
    """All bytes of a port that has an end were read."""


@dataclass(frozen=True)
class PortSettings:
    """What to read from, and how.

    Attributes:
        url: a device path, or a URL with one of the schemes socket, rfc2217, file, simulate.
        baudrate: of the meter; None finds it out.
        request_line: what asks the meter for data: none, rts, dtr or gpio:N, with the BCM number N.
        request_interval: seconds between telegrams, with the request line released in between; None holds it.
    """

    url: str
    baudrate: int | None = None
    request_line: str = "none"
    request_interval: float | None = None

    @property
    def scheme(self) -> str | None:
        """The scheme of the URL; None for a device path."""
        scheme, separator, _ = self.url.partition("://")
        return scheme if separator else None

    @property
    def initial_baudrate(self) -> int:
        """The baud rate to open the port with; where it is to be found out, the first to listen at."""
        return DEFAULT_BAUDRATE if self.baudrate is None else self.baudrate


@dataclass(frozen=True)
class Chunk:
    """What one read gave.

    Attributes:
        time: arrival of the first byte, in seconds of `time.monotonic()`.
        data: at least one byte, at most READ_LIMIT; without the escapes that carry marks.
        marks: which bytes of `data` arrived in error, in order.
    """

    time: float
    data: bytes
    marks: tuple[Mark, ...] = ()


class Port(ABC):
    """An open port. Read and closed by one thread; `wake` is for the others.

    Attributes:
        driver: the kernel's driver behind a tty (`ftdi_sio`, `amba-pl011`), or `pty`, `tcp`, `replay`,
            `simulated`, `unknown`.
        baudrate: of the line; nominal where this program has no say in it, as behind a TCP socket.
        format: character format, such as 8N1.
        request_line: as in the settings.
        line_errors_supported: the errors of the line that the driver can tell, by counting or marking them.
    """

    def __init__(self, settings: PortSettings, driver: str) -> None:
        self.driver = driver
        self.baudrate = settings.initial_baudrate
        self.format = FORMAT
        self.request_line = settings.request_line
        self._request: RequestLine | None = None
        self.line_errors_supported: frozenset[LineError] = frozenset()
        self.url = settings.url
        self._waker = Waker()
        self._closed = False

    @property
    def request_asserted(self) -> bool | None:
        """Whether data is being requested; None where there is no request line."""
        return None if self._request is None else self._request.asserted

    def request(self, asserted: bool) -> None:  # noqa: FBT001 - the one thing that a request can be
        """Raise the request line, or release it. Does nothing where there is none.

        Raises:
            PortError: it cannot be switched, or the port was closed.
        """
        self._expect_open()
        if self._request is None:
            return
        if asserted:
            self._request.raise_line()
        else:
            self._request.release()

    def read(self, timeout: float) -> Chunk | None:
        """Wait up to `timeout` seconds for a first byte, let a burst gather, return what is there.

        Returns:
            None when nothing came, or when `wake` was called.

        Raises:
            PortError: the device vanished, the connection broke, or the port was closed.
            EndOfInput: the recording has been read to its end.
        """
        self._expect_open()
        return self._read(timeout)

    def wake(self) -> None:
        """Make a waiting read return at once, or the next one if none waits. For any thread, at any time."""
        self._waker.wake()

    def close(self) -> None:
        """Release the request line and the port. May be called more than once."""
        if not self._closed:
            self._closed = True
            if self._request is not None:
                self._request.close()
            self._close()
            self._waker.close()

    def counters(self) -> Counters | None:
        """Return what the driver has counted since the port was opened; None where it counts nothing."""
        return None

    def bytes_waiting(self) -> int | None:
        """Return how many received bytes wait to be read; None where that is not known."""
        return None

    def set_baudrate(self, baudrate: int) -> bool:  # noqa: ARG002 - for the ports that have a speed to set
        """Listen at another baud rate from now on, if that is in this program's hands.

        Returns:
            False where it is not, or is refused: the rate is what it was.
        """
        return False

    def _expect_open(self) -> None:
        if self._closed:
            raise PortError("closed", f"{self.url}: was closed by this program.")

    @abstractmethod
    def _read(self, timeout: float) -> Chunk | None:
        """`read`, of a port that is open."""

    @abstractmethod
    def _close(self) -> None:
        """`close`, the first time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_settings(settings: PortSettings) -> None:
    """Find what can never work, however often it is tried. Opens nothing.

    Raises:
        UserError: unknown scheme, incomplete URL, a directory, a baud rate, request line or interval that no port has.
    """
    if settings.baudrate is not None and settings.baudrate not in BAUDRATES:
        raise UserError(
            f"baudrate {settings.baudrate} of {settings.url!r}: must be {BAUDRATES[0]} to {BAUDRATES[-1]}; "
            "meters use 9600 or 115200, and auto finds out which."
        )
    check_request(settings)
    match settings.scheme:
        case None:
            _check_path(settings.url, settings.url)
        case "socket" | "rfc2217":
            tcp_address(settings.url)
        case "file":
            _check_path(settings.url, recording(settings.url).path)
        case "simulate":
            from p1_exporter.simulator.source import parse_url  # noqa: PLC0415 - only simulated meters need it

            parse_url(settings.url)
        case _:
            raise _unknown_scheme(settings.url)


def open_port(settings: PortSettings, keep_alive: KeepAlive = KEEP_ALIVE) -> Port:
    """Open what the settings name, then raise its request line, if it has one.

    Links such as those in /dev/serial/by-id are followed anew each time.

    Args:
        settings: what to open.
        keep_alive: how soon a TCP connection whose other side fell silent for good is given up.

    Raises:
        PortError: it cannot be opened now; worth another attempt.
        UserError: it can never be opened (see `check_settings`).
    """
    check_request(settings)
    port = _opened(settings, keep_alive)
    try:
        # Only now: a meter that sends before the port has its settings sends in vain.
        port.request(asserted=True)
    except BaseException:
        port.close()
        raise
    return port


def _opened(settings: PortSettings, keep_alive: KeepAlive) -> Port:
    # Each kind is loaded where it is used: most programs use one, and pyserial is only for two of them.
    match settings.scheme:
        case None:
            from p1_exporter.link.tty_port import open_tty  # noqa: PLC0415 - see above

            return open_tty(settings)
        case "socket":
            from p1_exporter.link.socket_port import open_socket  # noqa: PLC0415 - see above

            return open_socket(settings, keep_alive)
        case "rfc2217":
            from p1_exporter.link.rfc2217_port import open_rfc2217  # noqa: PLC0415 - see above

            return open_rfc2217(settings, keep_alive)
        case "file":
            from p1_exporter.link.replay_port import open_replay  # noqa: PLC0415 - see above

            return open_replay(settings)
        case "simulate":
            from p1_exporter.link.simulated_port import open_simulated  # noqa: PLC0415 - see above

            return open_simulated(settings)
        case _:
            raise _unknown_scheme(settings.url)


def _check_path(url: str, path: str) -> None:
    if not path or "\0" in path:
        raise UserError(f"port {url!r}: names no file. Give a device path such as /dev/ttyUSB0.")
    if Path(path).is_dir():
        raise UserError(f"port {url!r}: is a directory. Give a device path such as /dev/ttyUSB0.")


def _unknown_scheme(url: str) -> UserError:
    known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    return UserError(
        f"port {url!r}: unknown scheme. Give a device path like /dev/ttyUSB0, or one of {known}."
    )
