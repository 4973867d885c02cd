"""A simulated meter for other programs: behind a pseudo-terminal, or a TCP port as of a serial server.

What a receiver does not take is lost to it, as on a real line: it holds up neither meter nor other receivers.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import time
import tty
from typing import TYPE_CHECKING, Final

from p1_exporter.errors import UserError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from p1_exporter.simulator.source import Stream

MAX_CLIENTS: Final = 64
_SEND_BUFFER: Final = 16 * 1024
"""Bytes that the kernel may hold back for a slow client."""
_PROMPTNESS: Final = 0.2
"""Seconds within which a stop is noticed while waiting for sockets."""


def serve_pty(
    stream: Stream, link: Path | None, stop: threading.Event, announce: Callable[[str], None]
) -> None:
    """Send the stream to a pseudo-terminal in raw mode until `stop` is set.

    `announce` gets the path to open: `link`, a symbolic link there only as long, or the terminal's own.

    Raises:
        UserError: There is no pseudo-terminal to be had, or `link` cannot be made.
    """
    try:
        meter, terminal = os.openpty()
    except OSError as error:
        raise UserError(f"no pseudo-terminal to be had: {error.strerror}") from error
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, meter)
        path = os.ttyname(terminal)
        tty.setraw(terminal)
        # The settings last as long as our end is open; while the other is closed, nobody reads.
        os.close(terminal)
        os.set_blocking(meter, False)
        if link is not None:
            stack.enter_context(_symbolic_link(link, path))
        announce(str(link or path))
        hang_up = select.poll()
        hang_up.register(meter, 0)
        while not stop.wait(max(stream.due - time.monotonic(), 0)):
            data = stream.take(time.monotonic())
            nobody_reads = hang_up.poll(0)
            if data and not nobody_reads:
                with contextlib.suppress(BlockingIOError):
                    os.write(meter, data)


def serve_tcp(
    stream: Stream, address: tuple[str, int], stop: threading.Event, announce: Callable[[str], None]
) -> None:
    """Send the stream to all clients of a TCP port until `stop` is set; what they send is ignored.

    An `address` without a host is all addresses of this computer. `announce` gets the URL to read from, with
    the port that was chosen if that of `address` is 0. Clients beyond `MAX_CLIENTS` are turned away.

    Raises:
        UserError: `address` cannot be listened on.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(*address))
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(listener, selectors.EVENT_READ)
        clients = _Clients(selector)
        stack.callback(clients.close)
        host, port = listener.getsockname()[:2]
        announce(f"socket://[{host}]:{port}" if ":" in host else f"socket://{host}:{port}")
        while not stop.is_set():
            for key, _ in selector.select(min(max(stream.due - time.monotonic(), 0), _PROMPTNESS)):
                if key.data is None:
                    clients.admit(listener)
                else:
                    clients.hear(key.data)
            if data := stream.take(time.monotonic()):
                clients.send(data)


class _Clients:
    """Those who are connected; `selector` tells which of them have something to say."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._listening: set[socket.socket] = set()
        """All clients."""
        self._talking: set[socket.socket] = set()
        """Those that have not closed their direction of the connection."""

    def admit(self, listener: socket.socket) -> None:
        """Accept a client, if it is still there and there is room for it."""
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            if len(self._listening) >= MAX_CLIENTS:
                client.close()
                return
            self._listening.add(client)
            self._talking.add(client)
            client.settimeout(0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            self._selector.register(client, selectors.EVENT_READ, data=client)

    def hear(self, client: socket.socket) -> None:
        """Ignore what a client says. One that has said all may go on to listen, as ``nc </dev/null`` does."""
        said = b""
        with contextlib.suppress(OSError):
            said = client.recv(4096)
        if not said:
            self._talking.remove(client)
            self._selector.unregister(client)

    def send(self, data: bytes) -> None:
        """Send what each client has room for; part from those that have gone."""
        for client in list(self._listening):
            try:
                client.send(data)
            except BlockingIOError:
                continue
            except OSError:
                self._part_from(client)

    def close(self) -> None:
        """Part from all."""
        for client in list(self._listening):
            self._part_from(client)

    def _part_from(self, client: socket.socket) -> None:
        self._listening.remove(client)
        if client in self._talking:
            self._talking.remove(client)
            self._selector.unregister(client)
        client.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - only where no host is given
        found = socket.getaddrinfo(host or everywhere, port, type=socket.SOCK_STREAM)
        family, _, _, _, place = found[0]
        dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        listener = socket.create_server(place, family=family, dualstack_ipv6=dual)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot listen on {host}:{port}: {reason}; choose another address, or port 0"
        ) from error
    listener.settimeout(0)
    return listener


@contextlib.contextmanager
def _symbolic_link(link: Path, target: str) -> Iterator[None]:
    """Make a symbolic link for as long as the context lasts; one that points nowhere is replaced."""
    try:
        if link.is_symlink() and not link.exists():
            link.unlink()
        link.symlink_to(target)
    except OSError as error:
        raise UserError(f"{link}: cannot be made a link to {target}: {error.strerror}") from error
    try:
        yield
    finally:
        # Nothing to remove where somebody else was quicker, or has put another thing in its place.
        with contextlib.suppress(OSError):
            if link.readlink() == type(link)(target):
                link.unlink()
