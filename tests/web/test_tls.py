# ruff: noqa: PLR0913, PLR0917 - a test asks for as many fixtures as it needs
from __future__ import annotations

import os
import ssl
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from p1_exporter.web import connection
from p1_exporter.web.server import Request, Response
from p1_exporter.web.settings_file import WebConfigFile

if TYPE_CHECKING:
    import http.client
    import socket
    from collections.abc import Callable
    from pathlib import Path

    Serve = Callable[..., int]
    Connect = Callable[..., socket.socket]
    Exchange = Callable[..., tuple[http.client.HTTPResponse, bytes]]
    Trust = Callable[..., ssl.SSLContext]

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
CERTIFICATE = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"


def hello(_: Request) -> Response:
    return Response(200, b"hello", "text/plain")


def settings(folder: Path, text: str) -> WebConfigFile:
    path = folder / "web.yml"
    path.write_text(text)
    return WebConfigFile(path)


def name_of(client: socket.socket) -> object:
    """The name that the server's certificate is made out to."""
    assert isinstance(client, ssl.SSLSocket)
    encoded = client.getpeercert(binary_form=True)
    assert encoded is not None
    return (
        x509.load_der_x509_certificate(encoded).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    )


def test_one_encrypted_connection_carries_many_requests(
    serve: Serve, connect: Connect, exchange: Exchange, certificates: Path, trust: Trust
) -> None:
    client = connect(serve(hello, settings(certificates, CERTIFICATE)), trust())
    for _ in range(5):
        assert exchange(client, GET)[1] == b"hello"


def test_an_answer_larger_than_any_buffer_arrives_whole(
    serve: Serve, connect: Connect, exchange: Exchange, certificates: Path, trust: Trust
) -> None:
    large = os.urandom(20_000_000)
    port = serve(lambda _: Response(200, large, "text/plain"), settings(certificates, CERTIFICATE))
    assert exchange(connect(port, trust()), GET)[1] == large


def test_plain_http_is_told_that_the_port_speaks_https(
    serve: Serve, connect: Connect, exchange: Exchange, certificates: Path
) -> None:
    response, body = exchange(connect(serve(hello, settings(certificates, CERTIFICATE))), GET)
    assert (response.status, body) == (400, b"This port speaks HTTPS\n")


@pytest.mark.parametrize("greeting", [b"\x16", b"\x16\x03\x01\xff\xff" + bytes(500), b"\x80garbage"])
def test_a_broken_handshake_is_logged_no_louder_than_debug(
    serve: Serve, connect: Connect, exchange: Exchange, certificates: Path, trust: Trust, greeting: bytes
) -> None:
    port = serve(hello, settings(certificates, CERTIFICATE))
    with capture_logs() as logs:
        with connect(port) as client:
            client.sendall(greeting)
        with connect(port):
            pass
        assert exchange(connect(port, trust()), GET)[0].status == 200
    assert {entry["log_level"] for entry in logs} <= {"debug"}


def test_a_handshake_may_take_no_longer_than_a_request(
    serve: Serve, connect: Connect, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.2)
    client = connect(serve(hello, settings(certificates, CERTIFICATE)))
    start = time.monotonic()
    client.sendall(b"\x16\x03\x01")
    assert client.recv(100) == b""
    assert time.monotonic() - start < 2


WITH_CLIENTS = CERTIFICATE + "  client_ca_file: ca.pem\n  client_auth_type: {}\n"


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ("RequireAndVerifyClientCert", "client"),
        ("VerifyClientCertIfGiven", "client"),
        ("VerifyClientCertIfGiven", None),
    ],
)
def test_clients_that_the_policy_allows_are_served(
    serve: Serve,
    connect: Connect,
    exchange: Exchange,
    certificates: Path,
    trust: Trust,
    policy: str,
    name: str | None,
) -> None:
    port = serve(hello, settings(certificates, WITH_CLIENTS.format(policy)))
    assert exchange(connect(port, trust(name)), GET)[1] == b"hello"


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ("RequireAndVerifyClientCert", None),
        ("RequireAndVerifyClientCert", "stranger"),
        ("VerifyClientCertIfGiven", "stranger"),
    ],
)
def test_clients_that_the_policy_forbids_are_not_served(
    serve: Serve,
    connect: Connect,
    exchange: Exchange,
    certificates: Path,
    trust: Trust,
    policy: str,
    name: str | None,
) -> None:
    served = []

    def remember(request: Request) -> Response:
        served.append(request)
        return hello(request)

    port = serve(remember, settings(certificates, WITH_CLIENTS.format(policy)))
    # With TLS 1.3 a client learns that its certificate is refused when it reads.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        exchange(connect(port, trust(name)), GET)
    assert not served


def test_a_renewed_certificate_is_used_by_the_next_connection(
    serve: Serve, connect: Connect, exchange: Exchange, certificates: Path, trust: Trust
) -> None:
    port = serve(hello, settings(certificates, CERTIFICATE))
    before = connect(port, trust())
    assert name_of(before) == "server"

    # The way of certbot: one file after the other; in between they do not belong together.
    (certificates / "renewed.pem").replace(certificates / "server.pem")
    with capture_logs() as logs:
        assert name_of(connect(port, trust())) == "server"
        assert name_of(connect(port, trust())) == "server"
    assert [entry["log_level"] for entry in logs if "configuration" in entry["event"]] == ["error"]
    (certificates / "renewed.key").replace(certificates / "server.key")
    assert name_of(connect(port, trust())) == "renewed"
    assert exchange(before, GET)[1] == b"hello", "connections that are there go on"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("max_version: TLS12", ("TLSv1.2", None)),
        ("min_version: TLS13", ("TLSv1.3", None)),
        (
            "cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n  max_version: TLS12",
            ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ),
        (
            "max_version: TLS12\n  prefer_server_cipher_suites: false",
            ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ),
    ],
)
def test_versions_and_ciphers_are_those_configured(
    serve: Serve,
    connect: Connect,
    certificates: Path,
    trust: Trust,
    option: str,
    expected: tuple[str, str | None],
) -> None:
    context = trust()
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305")
    client = connect(serve(hello, settings(certificates, CERTIFICATE + "  " + option)), context)
    assert isinstance(client, ssl.SSLSocket)
    version, cipher = expected
    assert client.version() == version
    chosen = client.cipher()
    assert chosen is not None
    assert cipher in {None, chosen[0]}
