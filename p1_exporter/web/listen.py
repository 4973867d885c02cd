"""The sockets that programs listen on: from addresses in Prometheus's style, or from systemd."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLAG: Final = "--web.listen-address"
_EXAMPLES: Final = "Write :9786, 127.0.0.1:9786, [::1]:9786 or name:9786"
_PORTS: Final = range(65536)
# Clients beyond it wait a second for their next try; the kernel sets a bound of its own.
_BACKLOG: Final = 1024
# sd_listen_fds(3): the first descriptor that systemd passes.
_FIRST_DESCRIPTOR: Final = 3


class Address(NamedTuple):
    """Where to listen: a name or number ("" for all of this computer) and a TCP port (0 for any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, flag: str = _FLAG) -> Address:
    """Read `host:port`, `:port`, `1.2.3.4:port` or `[::1]:port`.

    Raises:
        UserError: it is none of these; `flag` tells the user where it was given.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon:
        raise UserError(f"{flag}: {text!r} has no port. {_EXAMPLES}.")
    if not (port.isascii() and port.isdigit() and len(port) <= len("65535") and int(port) in _PORTS):
        raise UserError(f"{flag}: the port of {text!r} is no number from 0 to 65535. {_EXAMPLES}.")
    host = host[1:-1] if bracketed else host
    if not host.isprintable() or set(host) & set(" []/@"):
        raise UserError(f"{flag}: {text!r} has no valid host. {_EXAMPLES}.")
    if ":" in host and not bracketed:
        raise UserError(f"{flag}: the IPv6 address of {text!r} needs brackets. {_EXAMPLES}.")
    return Address(host, int(port))


def bind(addresses: Sequence[str], flag: str = _FLAG) -> list[socket.socket]:
    """Listen on every address; all or none.

    An address without host, or `[::]`, means IPv4 and IPv6, and IPv4 alone where there is no IPv6. Of a name
    that has several numbers one is taken, IPv4 before IPv6, as by Prometheus.

    Raises:
        UserError: an address is malformed, in use, forbidden or none of this computer's.
    """
    listening: list[socket.socket] = []
    try:
        for text in addresses:
            listening.append(_listen(parse_address(text, flag), flag))  # noqa: PERF401 - those opened are closed below
    except UserError:
        for opened in listening:
            opened.close()
        raise
    return listening


def systemd_sockets() -> list[socket.socket]:
    """Return the listening sockets that systemd passed to this process (sd_listen_fds(3)).

    Raises:
        UserError: it passed none, or one that nobody can connect to.
    """
    for_us = os.environ.get("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.get("LISTEN_FDS", "") if for_us else ""
    if not count.isdecimal() or int(count) == 0:
        raise UserError(
            "--web.systemd-socket: systemd passed no socket. Start the service by its .socket unit "
            f"(systemctl enable --now prometheus-p1-exporter.socket), or use {_FLAG} instead."
        )
    return [_inherited(_FIRST_DESCRIPTOR + index) for index in range(int(count))]


def _listen(address: Address, flag: str) -> socket.socket:
    if address.host in {"", "::"}:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        number: tuple[str, int] = ("", address.port)
    else:
        both = False
        family, number = _resolve(address, flag)
    try:
        return socket.create_server(number, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise UserError(
            f"{flag}: cannot listen on {address}: {_explain(error, address.port, flag)}"
        ) from error


def _resolve(address: Address, flag: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    # Bytes are taken as they are; text would load the codec of international names, with half a MiB of tables.
    host = address.host.encode() if address.host.isascii() else address.host
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be one of the DNS
        raise UserError(
            f"{flag}: cannot listen on {address}: the name {address.host!r} is not known here ({error}). "
            "Check its spelling, or give the address in numbers."
        ) from error
    family, _, _, _, number = min(found, key=lambda entry: entry[0] is not socket.AF_INET)
    return family, number  # type: ignore[return-value] # IPv6 has four parts, with the zone


def _explain(error: OSError, port: int, flag: str) -> str:
    """Say what is wrong and what to do about it."""
    match error.errno:
        case errno.EADDRINUSE:
            return (
                "another program listens there. "
                f"'ss -ltnp sport = :{port}' shows which; stop it, or give another port with {flag}."
            )
        case errno.EACCES:
            return f"not allowed; ports below 1024 are for root. Give a higher port with {flag}."
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return "this computer has no such address. 'ip address' shows those that it has."
        case _:
            return f"{error.strerror or error}. Give another address with {flag}."


def _inherited(descriptor: int) -> socket.socket:
    try:
        passed = socket.socket(fileno=descriptor)
    except OSError as error:
        raise UserError(
            f"--web.systemd-socket: descriptor {descriptor} is no socket ({error.strerror}). "
            "Let the .socket unit have ListenStream= lines only."
        ) from error
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        passed.close()
        raise UserError(
            f"--web.systemd-socket: descriptor {descriptor} does not listen. "
            "Let the .socket unit have ListenStream= lines and no Accept=yes."
        )
    passed.set_inheritable(False)
    return passed
