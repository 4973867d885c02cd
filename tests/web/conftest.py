from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import socket
import ssl
import threading
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from p1_exporter.web.listen import bind
from p1_exporter.web.server import Handler, Server
from p1_exporter.web.settings import WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# A test that waits longer for something that must come has failed.
PATIENCE = 5.0


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Start a server on a free port and return the port; no thread may be left when it is closed."""
    before = set(threading.enumerate())
    with contextlib.ExitStack() as stack:

        def start(handler: Handler, settings: Callable[[], WebSettings] = WebSettings) -> int:
            sockets = bind(["127.0.0.1:0"])
            server = Server(sockets, handler, settings)
            stack.callback(server.close)
            server.start()
            port: int = sockets[0].getsockname()[1]
            return port

        yield start
        closing = time.monotonic()
    assert time.monotonic() - closing < 1
    assert set(threading.enumerate()) == before


@pytest.fixture
def connect() -> Iterator[Callable[..., socket.socket]]:
    """Connect to a port of this computer; closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def open_connection(port: int, tls: ssl.SSLContext | None = None) -> socket.socket:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            if tls is not None:
                client = stack.enter_context(tls.wrap_socket(client, server_hostname="127.0.0.1"))
            return client

        yield open_connection


@pytest.fixture
def exchange() -> Callable[..., tuple[http.client.HTTPResponse, bytes]]:
    """Send bytes, read one answer with its body, by the standard library's own parser."""

    def ask(
        client: socket.socket, request: bytes, method: str = "GET"
    ) -> tuple[http.client.HTTPResponse, bytes]:
        client.sendall(request)
        with http.client.HTTPResponse(client, method=method) as response:
            response.begin()
            return response, response.read()

    return ask


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for what another thread does and nobody announces."""

    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it did not come true"
            time.sleep(0.005)

    return wait


Issue = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _certify(name: str, issuer: Issue | None) -> Issue:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    authority = (issuer[1] if issuer else key).public_key()
    # Python 3.13 and later insist on what RFC 5280 asks for.
    usages = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    usage = x509.KeyUsage(digital_signature=issuer is not None, key_cert_sign=issuer is None, **usages)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def _write(folder: Path, name: str, issued: Issue, password: bytes | None = None) -> None:
    certificate, key = issued
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )


@pytest.fixture(scope="session")
def authorities() -> dict[str, Issue]:
    """Two authorities: one that is trusted and one that is not."""
    return {name: _certify(f"{name} authority", None) for name in ("trusted", "strange")}


@pytest.fixture
def certificates(tmp_path: Path, authorities: dict[str, Issue]) -> Path:
    """A folder with authority, server and client certificates."""
    _write(tmp_path, "ca", authorities["trusted"])
    for name in ("server", "renewed", "client"):
        _write(tmp_path, name, _certify(name, authorities["trusted"]))
    _write(tmp_path, "stranger", _certify("stranger", authorities["strange"]))
    _write(tmp_path, "secret", _certify("secret", authorities["trusted"]), password=b"secret")
    return tmp_path


@pytest.fixture
def trust(certificates: Path) -> Callable[..., ssl.SSLContext]:
    """Make what a client trusts the server with, and shows to it if a name is given."""

    def make(name: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        if name:
            context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        return context

    return make
