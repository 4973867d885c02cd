"""A meter behind raw TCP: a serial server such as ser2net, or another program that shares a meter's bytes."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from p1_exporter.link.address import TcpAddress, tcp_address
from p1_exporter.link.descriptor_port import DescriptorPort
from p1_exporter.link.port import READ_LIMIT, PortError

if TYPE_CHECKING:
    from p1_exporter.link.keep_alive import KeepAlive
    from p1_exporter.link.port import PortSettings, Reason

CONNECT_SECONDS = 5.0

_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


class SocketPort(DescriptorPort):
    """An open TCP connection. Nothing is ever sent on it."""

    def __init__(self, settings: PortSettings, address: TcpAddress, connection: socket.socket) -> None:
        super().__init__(settings, "tcp", connection.fileno())
        self._address = address
        self._connection = connection

    def _receive(self, *, hung_up: bool) -> bytes:  # noqa: ARG002 - recv tells by itself
        try:
            data = self._connection.recv(READ_LIMIT)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise broken(self._address, error) from error
        if not data:
            raise PortError(
                "closed",
                f"{self._address} closed the connection. If it allows but one client, look for another.",
            )
        return data

    def _close(self) -> None:
        self._connection.close()


def open_socket(settings: PortSettings, keep_alive: KeepAlive) -> SocketPort:
    """Connect to `socket://host:port`.

    Raises:
        PortError: nobody there, or nobody who answers.
        UserError: the URL is not complete.
    """
    address = tcp_address(settings.url)
    try:
        connection = socket.create_connection(address, CONNECT_SECONDS)
    except OSError as error:
        raise unconnected(address, error) from error
    keep_alive.apply(connection)
    connection.settimeout(0)
    return SocketPort(settings, address, connection)


def unconnected(address: TcpAddress, error: BaseException) -> PortError:
    """What to tell about an attempt to connect that failed."""
    reason: Reason
    match error:
        case socket.gaierror():
            reason, advice = "missing", "Check the name, or write the IP address."
        case ConnectionRefusedError():
            reason, advice = "refused", "Is the serial server running, and does it listen on this port?"
        case TimeoutError():
            reason, advice = "timeout", "Is it switched on, and does no firewall drop the connection?"
        case OSError(errno=number) if number in _UNREACHABLE:
            reason, advice = "missing", "Is it switched on and in this network?"
        case _:
            reason, advice = "other", "It is tried again."
    return PortError(reason, f"cannot connect to {address}: {words(error)}. {advice}")


def broken(address: TcpAddress, error: BaseException) -> PortError:
    """What to tell about a connection that broke."""
    reason: Reason
    match error:
        case ConnectionResetError() | BrokenPipeError():
            reason = "closed"
        case TimeoutError():
            reason = "timeout"
        case OSError(errno=number) if number in _UNREACHABLE:
            # Keep-alive gives up with what the network said last, instead of a timeout.
            reason = "timeout"
        case _:
            reason = "other"
    return PortError(
        reason,
        f"connection to {address} broke: {words(error)}. Look at the serial server and the network.",
    )


def words(error: BaseException) -> str:
    """What an operating system error says, without its number."""
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).lower()
