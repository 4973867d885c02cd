from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from p1_exporter.web import connection
from p1_exporter.web.listen import bind
from p1_exporter.web.message import HEAD_LIMIT
from p1_exporter.web.server import MAX_CONNECTIONS, Request, Response, Server
from p1_exporter.web.settings import WebSettings

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable

    Serve = Callable[..., int]
    Connect = Callable[..., socket.socket]
    Exchange = Callable[..., tuple[http.client.HTTPResponse, bytes]]
    WaitUntil = Callable[[Callable[[], bool]], None]

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def echo(request: Request) -> Response:
    return Response(200, f"{request.method} {request.path}".encode(), "text/plain")


def gone(client: socket.socket) -> bool:
    """Wait for the server to end the connection."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_answers_a_request(serve: Serve, connect: Connect, exchange: Exchange) -> None:
    response, body = exchange(connect(serve(echo)), GET)
    assert (response.status, body) == (200, b"GET /metrics")
    assert response.headers["Content-Type"] == "text/plain"


def test_one_connection_carries_many_requests(serve: Serve, connect: Connect, exchange: Exchange) -> None:
    client = connect(serve(echo))
    for number in range(20):
        response, body = exchange(client, b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
        assert body == b"GET /%d" % number
        assert response.headers["Connection"] == "keep-alive"


def test_pipelined_requests_are_answered_in_their_order(serve: Serve, connect: Connect) -> None:
    client = connect(serve(echo))
    wanted = [b"GET /%d" % number for number in range(50)]
    end = b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    client.sendall(b"".join(request + b" HTTP/1.1\r\nHost: x\r\n\r\n" for request in wanted) + end)
    answers = client.makefile("rb").read()
    assert [part.split(b"HTTP/1.1")[0] for part in answers.split(b"\r\n\r\n")[1:]] == [*wanted, b"GET /end"]


@pytest.mark.parametrize(
    "request_head",
    [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
)
def test_the_connection_ends_where_the_client_wants_it(
    serve: Serve, connect: Connect, exchange: Exchange, request_head: bytes
) -> None:
    client = connect(serve(echo))
    response, _ = exchange(client, request_head)
    assert response.headers["Connection"] == "close"
    assert gone(client)


def test_head_is_get_without_the_body(serve: Serve, connect: Connect, exchange: Exchange) -> None:
    client = connect(serve(echo))
    response, body = exchange(client, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD")
    assert (response.status, response.headers["Content-Length"], body) == (200, "13", b"")
    assert exchange(client, GET)[1] == b"GET /metrics", "what follows begins where it should"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "BREW"])
def test_other_methods_are_405_and_told_which_are_allowed(
    serve: Serve, connect: Connect, exchange: Exchange, method: str
) -> None:
    response, _ = exchange(connect(serve(echo)), f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode(), method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_a_body_is_never_read_and_does_not_cost_the_client_its_answer(
    serve: Serve, connect: Connect, exchange: Exchange
) -> None:
    client = connect(serve(echo))
    body = 200_000 * b"GET / HTTP/1.1\r\n\r\n"
    sender = threading.Thread(
        target=client.sendall,
        args=(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body,),
    )
    sender.start()
    response, text = exchange(client, b"")
    assert (response.status, text) == (405, b"Only GET and HEAD\n")
    sender.join()
    client.shutdown(socket.SHUT_WR)
    assert gone(client), "nothing of the body was taken for a request"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03\r\n\r\n", 400),
        (b"GET /" + 3 * HEAD_LIMIT * b"a" + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nCookie: " + 3 * HEAD_LIMIT * b"a" + b"\r\n\r\n", 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
def test_a_bad_request_is_answered_and_logged_no_louder_than_debug(
    serve: Serve, connect: Connect, exchange: Exchange, head: bytes, status: int
) -> None:
    with capture_logs() as logs:
        client = connect(serve(echo))
        response, body = exchange(client, head)
        assert (response.status, response.headers["Connection"]) == (status, "close")
        assert body.count(b"\n") == 1
        assert gone(client)
    assert {entry["log_level"] for entry in logs} == {"debug"}


def test_a_handler_that_raises_gives_500_one_line_of_log_and_a_thread_that_lives_on(
    serve: Serve, connect: Connect, exchange: Exchange
) -> None:
    def broken(request: Request) -> Response:
        raise KeyError(request.path)

    client = connect(serve(broken))
    for _ in range(2):
        with capture_logs() as logs:
            response, body = exchange(client, GET)
        assert response.status == 500
        assert b"KeyError" not in body
        assert [(entry["log_level"], entry["error"]) for entry in logs] == [("error", "KeyError: '/metrics'")]


def test_an_answer_that_cannot_be_sent_ends_the_connection_with_one_line_of_log(
    serve: Serve, connect: Connect, exchange: Exchange
) -> None:
    def strange(request: Request) -> Response:
        return Response(999, b"", "text/plain") if request.path == "/strange" else echo(request)

    port = serve(strange)
    with capture_logs() as logs:
        client = connect(port)
        client.sendall(b"GET /strange HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gone(client)
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert exchange(connect(port), GET)[0].status == 200


def test_configured_headers_are_on_every_answer_in_place_of_the_handlers_own(
    serve: Serve, connect: Connect, exchange: Exchange
) -> None:
    def framed(request: Request) -> Response:
        return Response(200, b"", "text/html", (("X-Frame-Options", "deny"),))

    settings = WebSettings(headers=(("X-Frame-Options", "sameorigin"), ("X-XSS-Protection", "0")))
    client = connect(serve(framed, lambda: settings))
    for request in (GET, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n"):
        response, _ = exchange(client, request)
        assert response.headers.get_all("X-Frame-Options") == ["sameorigin"]
        assert response.headers["X-XSS-Protection"] == "0"


@pytest.mark.parametrize("beginning", [b"", b"G", b"GET / HTTP/1.1\r\nHost:"])
def test_a_client_that_goes_away_in_the_middle_is_forgotten(
    serve: Serve, connect: Connect, exchange: Exchange, wait_until: WaitUntil, beginning: bytes
) -> None:
    port = serve(echo)
    threads = threading.active_count()
    with capture_logs() as logs:
        for _ in range(3):
            with connect(port) as client:
                client.sendall(beginning)
        wait_until(lambda: threading.active_count() == threads)
    assert {entry["log_level"] for entry in logs} <= {"debug"}
    assert exchange(connect(port), GET)[0].status == 200


def test_a_client_that_trickles_lives_no_longer_than_a_request_may_take(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.3)
    client = connect(serve(echo))
    client.settimeout(0.02)
    start = time.monotonic()
    while time.monotonic() - start < 5:
        try:
            client.sendall(b"G")
            if client.recv(1) == b"":
                break
        except TimeoutError:
            continue  # not ended yet: the next byte
        except ConnectionError:
            break
    assert 0.25 < time.monotonic() - start < 2


def test_a_client_that_does_not_take_its_answer_lives_no_longer_than_a_request_may_take(
    serve: Serve, connect: Connect, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.3)
    port = serve(lambda _: Response(200, bytes(50_000_000), "text/plain"))
    threads = threading.active_count()
    connect(port).sendall(GET)
    wait_until(lambda: threading.active_count() > threads)
    wait_until(lambda: threading.active_count() == threads)


def test_a_connection_between_two_requests_is_not_kept_for_ever(
    serve: Serve, connect: Connect, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.1)
    client = connect(serve(echo))
    exchange(client, GET)
    assert gone(client)


def test_a_connection_may_idle_longer_than_a_request_may_take(
    serve: Serve, connect: Connect, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.2)
    client = connect(serve(echo))
    exchange(client, GET)
    time.sleep(0.3)
    assert exchange(client, GET)[0].status == 200


def test_the_client_that_waits_longest_makes_room(
    connect: Connect, exchange: Exchange, wait_until: WaitUntil, request: pytest.FixtureRequest
) -> None:
    sockets = bind(["127.0.0.1:0"])
    server = Server(sockets, echo, WebSettings)
    request.addfinalizer(server.close)
    server.start()
    port = sockets[0].getsockname()[1]
    clients = [connect(port) for _ in range(MAX_CONNECTIONS)]
    for client in clients:
        exchange(client, GET)
    exchange(clients[0], GET)  # so that the second is the one that has waited longest
    wait_until(lambda: {live.phase for live in server._live} == {connection.Phase.RECEIVING})

    newcomer = connect(port)
    assert exchange(newcomer, GET)[0].status == 200
    assert gone(clients[1])
    for client in (clients[0], *clients[2:], newcomer):
        assert exchange(client, GET)[0].status == 200


class Gate:
    """A handler that answers /wait only when it is told to."""

    def __init__(self) -> None:
        self.waiting = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self, request: Request) -> Response:
        if request.path == "/wait":
            self.waiting.release()
            assert self.opened.wait(5)
        return echo(request)


def test_connections_whose_answer_is_being_made_are_never_given_up(
    serve: Serve, connect: Connect, exchange: Exchange
) -> None:
    gate = Gate()
    port = serve(gate)
    clients = [connect(port) for _ in range(MAX_CONNECTIONS - 1)]
    for client in clients:
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gate.waiting.acquire(timeout=5)

    for _ in range(2 * MAX_CONNECTIONS):  # they come later, but share the one place that is left
        assert exchange(connect(port), GET)[0].status == 200
    gate.opened.set()
    for client in clients:
        assert exchange(client, b"")[1] == b"GET /wait"


def test_a_newcomer_waits_while_all_answers_are_being_made(
    serve: Serve, connect: Connect, exchange: Exchange
) -> None:
    gate = Gate()
    port = serve(gate)
    clients = [connect(port) for _ in range(MAX_CONNECTIONS)]
    for client in clients:
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gate.waiting.acquire(timeout=5)

    newcomer = connect(port)
    newcomer.sendall(GET)
    newcomer.settimeout(0.1)
    with pytest.raises(TimeoutError):
        newcomer.recv(1)
    newcomer.settimeout(5)
    gate.opened.set()
    assert exchange(newcomer, b"")[1] == b"GET /metrics"
    assert exchange(clients[-1], b"")[1] == b"GET /wait"


def test_closing_lets_an_answer_under_way_be_sent(connect: Connect, exchange: Exchange) -> None:
    gate = Gate()
    sockets = bind(["127.0.0.1:0"])
    server = Server(sockets, gate, WebSettings)
    server.start()
    port = sockets[0].getsockname()[1]
    idle, client = connect(port), connect(port)
    client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    assert gate.waiting.acquire(timeout=5)

    closing = threading.Thread(target=server.close)
    closing.start()
    assert gone(idle), "a client that has asked for nothing is let go at once"
    gate.opened.set()
    assert exchange(client, b"")[1] == b"GET /wait"
    closing.join()
    with pytest.raises(ConnectionRefusedError):
        connect(port)


def test_a_server_that_was_never_started_can_be_closed() -> None:
    sockets = bind(["127.0.0.1:0"])
    server = Server(sockets, echo, WebSettings)
    server.close()
    server.close()
    assert sockets[0].fileno() == -1


def test_without_threads_the_server_says_so_once_and_recovers(
    serve: Serve, connect: Connect, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve(echo)
    usual = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with capture_logs() as logs:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert gone(connect(port))
        assert gone(connect(port))
        monkeypatch.setattr(threading.Thread, "start", usual)
        assert exchange(connect(port), GET)[0].status == 200
    assert [entry["log_level"] for entry in logs if entry["log_level"] != "debug"] == ["warning"]


def test_without_descriptors_the_server_says_so_once_and_recovers(
    serve: Serve, connect: Connect, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = threading.Semaphore(0)

    class Listening(socket.socket):
        exhausted = True

        def accept(self) -> tuple[socket.socket, object]:
            if self.exhausted:
                refusals.release()
                raise OSError(24, "Too many open files")
            return super().accept()

    monkeypatch.setattr(socket, "socket", Listening)
    port = serve(echo)
    monkeypatch.undo()
    with capture_logs() as logs:
        client = connect(port)
        assert refusals.acquire(timeout=5)
        assert refusals.acquire(timeout=5)
        Listening.exhausted = False
        assert exchange(client, GET)[0].status == 200
    assert [entry["log_level"] for entry in logs if entry["log_level"] != "debug"] == ["warning"]


def test_threads_of_others_keep_their_stack(
    serve: Serve, connect: Connect, exchange: Exchange, wait_until: WaitUntil
) -> None:
    before = threading.stack_size()
    exchange(connect(serve(echo)), GET)
    wait_until(lambda: threading.stack_size() == before)
