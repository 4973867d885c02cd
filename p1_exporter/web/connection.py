"""One client of the HTTP server, from its first byte to its last.

Every wait for the client has an end that does not move with what it sends: a client that trickles a byte a
second is gone at the same time as one that is silent.
"""

from __future__ import annotations

import contextlib
import socket
import time
from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog

from p1_exporter.web.message import BadRequest, Handler, Head, Request, Response, render, take_head, text

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable

    from p1_exporter.web.settings import WebSettings

# From the first byte of a request (of the first request: from the connection, its TLS handshake included) to
# the last byte of the answer. Prometheus gives up after 10 s by default.
REQUEST_SECONDS: Final = 10.0
# Between two requests: twice the longest usual scrape interval.
IDLE_SECONDS: Final = 120.0
# From the last answer until the client has closed too.
LINGER_SECONDS: Final = 1.0

_READ_SIZE: Final = 4096
_TLS_HANDSHAKE: Final = b"\x16"

_log = structlog.get_logger()


class Phase(IntEnum):
    """What a connection is doing, in the order in which connections are given up when there are too many."""

    RECEIVING = 0  # waits for its client: the handshake, a request, the end
    SENDING = 1  # waits for its client to take the answer
    ANSWERING = 2  # waits for nobody and ends by itself


class Connection:
    """A client that is being served, in a thread of its own.

    `changed` is the server's lock: it guards `phase` and `evicted`, is notified when the phase changes, and
    keeps the descriptor from being closed (and given to somebody else) while it is shut down.
    """

    def __init__(
        self,
        client: socket.socket,
        handler: Handler,
        settings: Callable[[], WebSettings],
        changed: threading.Condition,
    ) -> None:
        self.phase = Phase.RECEIVING
        self.since = time.monotonic()  # when it connected, or its last answer was ready
        self.evicted = False
        self._socket = client
        self._handler = handler
        self._settings = settings
        self._changed = changed
        self._received = bytearray()

    def evict(self) -> None:
        """End it from another thread, which holds the server's lock: whatever it waits for ends at once."""
        self.evicted = True
        with contextlib.suppress(OSError):  # the client was faster
            # Not SSLSocket's own method, which takes the TLS layer away under the thread that uses it.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def run(self) -> None:
        """Serve the client until it goes, is too slow, or asks for the end. Raises nothing."""
        try:
            self._serve()
        except OSError as error:  # of TLS too: its errors are OSErrors
            _log.debug("web client lost", error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever happens, the thread ends in order and the place is free
            _log.error("web client failed", error=f"{type(error).__name__}: {error}")
        finally:
            with self._changed:
                self._socket.close()

    def _serve(self) -> None:
        deadline = self.since + REQUEST_SECONDS
        tls = self._settings().tls
        if tls is not None and not self._start_tls(tls, deadline):
            return
        while self._exchange(deadline):
            if not self._received and not self._receive(time.monotonic() + IDLE_SECONDS):
                return
            deadline = time.monotonic() + REQUEST_SECONDS

    def _start_tls(self, context: ssl.SSLContext, deadline: float) -> bool:
        """Shake hands; answer those who do not speak TLS in words that they understand."""
        self._limit(deadline)
        first = self._socket.recv(1, socket.MSG_PEEK)
        if first != _TLS_HANDSHAKE:
            if first:
                self._reply(
                    text(HTTPStatus.BAD_REQUEST, "This port speaks HTTPS"), deadline, keep_alive=False
                )
            return False
        with self._changed:
            # Moves the descriptor to another object: evict() must not come between.
            self._socket = encrypted = context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
        self._limit(deadline)
        encrypted.do_handshake()
        return True

    def _exchange(self, deadline: float) -> bool:
        """Answer one request; tell whether another may follow."""
        try:
            head = self._receive_head(deadline)
        except BadRequest as error:
            _log.debug("bad web request", error=str(error))
            self._reply(text(error.status, str(error)), deadline, keep_alive=False)
            return False
        if head is None:
            return False
        self._enter(Phase.ANSWERING)
        response = answer(head.request, self._handler, self._settings())
        with_body = head.request.method != "HEAD"
        self._reply(response, deadline, keep_alive=head.keep_alive, with_body=with_body)
        return head.keep_alive

    def _reply(
        self, response: Response, deadline: float, *, keep_alive: bool, with_body: bool = True
    ) -> None:
        headers = dict(self._settings().headers)
        data = render(response, headers, keep_alive=keep_alive, with_body=with_body)
        self._enter(Phase.SENDING)
        self.since = time.monotonic()
        rest = memoryview(data)
        while rest:
            self._limit(deadline)
            rest = rest[self._socket.send(rest) :]
        self._enter(Phase.RECEIVING)
        if not keep_alive:
            self._linger()

    def _receive_head(self, deadline: float) -> Head | None:
        """Return the next request; None when the client has gone.

        Raises:
            BadRequest: what came is none.
        """
        while (head := take_head(self._received)) is None:
            if not self._receive(deadline):
                return None
        return head

    def _receive(self, deadline: float) -> bool:
        """Wait for bytes; tell whether there were any before the end."""
        self._limit(deadline)
        received = self._socket.recv(_READ_SIZE)
        self._received += received
        return bool(received)

    def _linger(self) -> None:
        """Say that this was all, and wait until the client has it.

        Closing while unread bytes of the client's lie here, a body for instance, would reset the connection,
        and the client could lose the answer.
        """
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
        deadline = time.monotonic() + LINGER_SECONDS
        while True:
            self._limit(deadline)
            if not socket.socket.recv(self._socket, _READ_SIZE):
                return

    def _limit(self, deadline: float) -> None:
        """Let the next operation of the socket end at `deadline`, a time of the monotonic clock."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("too slow")
        self._socket.settimeout(remaining)

    def _enter(self, phase: Phase) -> None:
        with self._changed:
            if self.evicted:
                raise ConnectionAbortedError("made room for another")
            self.phase = phase
            self._changed.notify_all()


def answer(request: Request, handler: Handler, settings: WebSettings) -> Response:
    """Answer a request as far as the server itself has a say, and let `handler` answer the rest."""
    passwords = settings.passwords
    if passwords is not None and not passwords.admit(request.headers.get("authorization", "")):
        challenge = (("WWW-Authenticate", 'Basic realm="p1-exporter", charset="UTF-8"'),)
        return text(HTTPStatus.UNAUTHORIZED, "User name and password, please", challenge)
    if request.method not in {"GET", "HEAD"}:
        return text(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD", (("Allow", "GET, HEAD"),))
    try:
        return handler(request)
    except Exception as error:  # noqa: BLE001 - a fault of one page must not end the thread nor show a traceback
        _log.error("web page failed", path=request.path, error=f"{type(error).__name__}: {error}")
        return text(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error; the log says which")
