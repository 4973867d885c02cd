"""A meter behind a serial server that speaks RFC 2217: TCP, with the line's settings and control lines."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import serial
from serial import rfc2217

from p1_exporter.link.address import TcpAddress, tcp_address
from p1_exporter.link.port import GATHER_SECONDS, READ_LIMIT, Chunk, Port, PortError
from p1_exporter.link.request import request_line
from p1_exporter.link.socket_port import unconnected

if TYPE_CHECKING:
    import socket

    from p1_exporter.link.keep_alive import KeepAlive
    from p1_exporter.link.port import PortSettings

# pyserial's client reads in a thread of its own and cannot be woken up: the longest that a wake can take.
_POLL_SECONDS = 0.1


class _Client(rfc2217.Serial):
    """pyserial's client, with keep-alive, and a close that leaves no socket behind."""

    _socket: socket.socket | None

    def keep(self, keep_alive: KeepAlive) -> None:
        if self._socket is not None:
            keep_alive.apply(self._socket)

    def close(self) -> None:
        connection = self._socket
        super().close()  # gives up half-way where the other side has closed first
        if connection is not None:
            connection.close()

    def _telnet_read_loop(self) -> None:
        # Nonsense from the server ends the thread without a traceback; read() reports that it ended.
        with contextlib.suppress(Exception):
            super()._telnet_read_loop()  # type: ignore[misc]  # not in the published types


class Rfc2217Port(Port):
    """An open connection to an RFC 2217 server."""

    def __init__(self, settings: PortSettings, address: TcpAddress, client: _Client) -> None:
        super().__init__(settings, "tcp")
        self._address = address
        self._client = client
        # As with a local port, pyserial raises both control lines when it opens.
        self._request = request_line(settings, self._set_control)

    def set_baudrate(self, baudrate: int) -> bool:
        """Have the server set another rate: takes up to three seconds. False where it does not."""
        try:
            self._client.baudrate = baudrate
        except (OSError, ValueError):
            return False  # if the connection broke, the next read tells
        self.baudrate = baudrate
        return True

    def _read(self, timeout: float) -> Chunk | None:
        deadline = time.monotonic() + timeout
        try:
            while not (first := self._client.read(1)):
                if self._waker.wait(0) or time.monotonic() >= deadline:
                    return None
            first_byte = time.monotonic()
            self._waker.wait(GATHER_SECONDS)
            rest = self._client.read(min(self._client.in_waiting, READ_LIMIT - 1))
        except serial.SerialException as error:
            raise PortError(
                "closed",
                f"connection to {self._address} broke. Look at the serial server and the network.",
            ) from error
        return Chunk(first_byte, first + rest)

    def _set_control(self, name: str, asserted: bool) -> None:  # noqa: FBT001 - as the request line calls it
        try:
            setattr(self._client, name, asserted)
        except (OSError, ValueError) as error:
            raise PortError(
                "closed",
                f"{self._address} does not confirm that {name.upper()} was switched: {error}. Look at the serial "
                "server and the network.",
            ) from error

    def _close(self) -> None:
        self._client.close()


def open_rfc2217(settings: PortSettings, keep_alive: KeepAlive) -> Rfc2217Port:
    """Connect to `rfc2217://host:port` and agree on the line's settings.

    Raises:
        PortError: nobody there, or nobody who speaks RFC 2217.
        UserError: the URL is not complete.
    """
    address = tcp_address(settings.url)
    # Servers whose port has no control lines do not confirm them: wait for that only where one is needed.
    option = "?ign_set_control" if settings.request_line == "none" else ""
    try:
        client = _Client(f"rfc2217://{address}{option}", settings.initial_baudrate, timeout=_POLL_SECONDS)
    except (OSError, ValueError) as error:
        raise _unopened(address, error) from error
    client.keep(keep_alive)
    return Rfc2217Port(settings, address, client)


def _unopened(address: TcpAddress, error: OSError | ValueError) -> PortError:
    # pyserial wraps what the operating system said about the connection in an error of its own.
    cause = error.__context__ if isinstance(error, serial.SerialException) else error
    if isinstance(cause, OSError):
        return unconnected(address, cause)
    return PortError(
        "settings",
        f"{address} answers, but does not agree on RFC 2217: {error}. Set its port to telnet with RFC 2217, "
        "or read it with socket://; see that no other client holds it; and ask for no request line that it lacks.",
    )
