"""Silent and slow clients, many more than there are places, must not keep a scrape out."""

# ruff: noqa: PLR0913, PLR0917 - a test asks for as many fixtures as it needs

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from typing import TYPE_CHECKING

import pytest

from p1_exporter.web.server import MAX_CONNECTIONS, Request, Response
from p1_exporter.web.settings import WebSettings
from p1_exporter.web.settings_file import WebConfigFile

if TYPE_CHECKING:
    import http.client
    import socket
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Connect = Callable[..., socket.socket]
    Exchange = Callable[..., tuple[http.client.HTTPResponse, bytes]]

CLIENTS = 200
METRICS = b"p1_up 1\n" * 2000


def metrics(_: Request) -> Response:
    return Response(200, METRICS, "text/plain")


@contextlib.contextmanager
def trickling(clients: list[socket.socket]) -> Iterator[None]:
    """Send a byte of a header for each client again and again; those given up by the server stay away."""
    stop = threading.Event()

    def trickle() -> None:
        alive = clients
        while not stop.wait(0.01):
            still: list[socket.socket] = []
            for client in alive:
                with contextlib.suppress(OSError):
                    client.sendall(b"a")
                    still.append(client)
            alive = still

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("with_tls", [False, True], ids=["HTTP", "TLS"])
def test_a_scrape_is_answered_at_once_among_200_silent_and_slow_clients(
    serve: Callable[..., int],
    connect: Connect,
    exchange: Exchange,
    wait_until: Callable[[Callable[[], bool]], None],
    certificates: Path,
    trust: Callable[..., ssl.SSLContext],
    *,
    with_tls: bool,
) -> None:
    settings: Callable[[], WebSettings] = WebSettings
    tls: ssl.SSLContext | None = None
    if with_tls:
        config = certificates / "web.yml"
        config.write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}")
        settings, tls = WebConfigFile(config), trust()
    port = serve(metrics, settings)
    normal = threading.active_count()

    silent: list[socket.socket] = []
    slow: list[socket.socket] = []
    for _ in range(CLIENTS // 2):
        silent.append(connect(port))
        slow.append(connect(port, tls))
        slow[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nCookie: ")
    with trickling(slow):
        durations = []
        for _ in range(9):
            start = time.perf_counter()
            with connect(port, tls) as scraper:
                response, body = exchange(scraper, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            durations.append(time.perf_counter() - start)
            assert (response.status, body) == (200, METRICS)
        assert (
            threading.active_count() <= normal + MAX_CONNECTIONS + 2
        )  # the trickling one, and one that is ending
    assert statistics.median(durations) < 0.1

    for client in (*silent, *slow):
        client.close()
    wait_until(lambda: threading.active_count() == normal)
