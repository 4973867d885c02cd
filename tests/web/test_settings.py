from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from p1_exporter.errors import UserError
from p1_exporter.web.settings import WebSettings
from p1_exporter.web.settings_file import WebConfigFile

if TYPE_CHECKING:
    from pathlib import Path

HASH = "$2y$10$" + 53 * "a"
TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
COMPLETE = f"""
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'none'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: ""
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  bob: {HASH}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "web.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "tls_server_config:\n", "http_server_config:\n  headers:\n"]
)
def test_an_empty_file_changes_nothing(tmp_path: Path, text: str) -> None:
    assert WebConfigFile(write(tmp_path, text))() == WebSettings()


def test_a_complete_file_is_taken_over(certificates: Path) -> None:
    settings = WebConfigFile(write(certificates, COMPLETE))()
    assert settings.tls is not None
    assert settings.tls.verify_mode is ssl.CERT_REQUIRED
    assert settings.tls.minimum_version is ssl.TLSVersion.TLSv1_2
    assert settings.passwords is not None
    assert dict(settings.headers) == {
        "Content-Security-Policy": "default-src 'none'",
        "X-Frame-Options": "deny",
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=31536000",
    }


def test_paths_may_be_absolute_and_are_else_relative_to_the_file(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    absolute = TLS.replace("server.", f"{certificates}/server.")
    folder = certificates / "elsewhere"
    folder.mkdir()
    assert WebConfigFile(write(certificates, TLS))().tls is not None
    assert WebConfigFile(write(folder, absolute))().tls is not None


BAD = {
    "no YAML": ("a: b: c", "is no YAML, line 1: mapping values are not allowed here"),
    "control characters": ("\x01", "is no YAML: .*special characters are not allowed"),
    "an impossible date": ("a: 2024-99-99", "has YAML that cannot be understood"),
    "nested too deep": (700 * "[", "has YAML that cannot be understood"),
    "too large": ("#" * 1_048_577, "is larger than 1048576 bytes"),
    "no mapping": ("- a", "the file: 'key: value' lines are needed here, not list"),
    "unknown section": ("tls_config: {}", "tls_config: unknown key. Known are: tls_server_config,"),
    "rate limit": ("rate_limit: {burst: 1}", "rate_limit: unknown key"),
    "section no mapping": ("tls_server_config: yes", "tls_server_config: 'key: value' lines are needed"),
    "unknown TLS key": (
        TLS + "  cert_fil: a",
        "tls_server_config.cert_fil: unknown key. Known are: cert_file,",
    ),
    "allowed SANs": (
        TLS + "  client_allowed_sans: [a]",
        "tls_server_config.client_allowed_sans: unknown key",
    ),
    "key not text": (TLS + "  1: a", "tls_server_config.1: unknown key"),
    "path not text": (TLS.replace("server.pem", "1"), "tls_server_config.cert_file: text is needed, not int"),
    "no key": ("tls_server_config: {cert_file: server.pem}", "cert_file and key_file are both needed"),
    "no certificate": ("tls_server_config: {min_version: TLS12}", "cert_file and key_file are both needed"),
    "missing certificate": (
        TLS.replace("server.pem", "x"),
        "tls_server_config.cert_file: cannot read .*/x: ",
    ),
    "missing key": (TLS.replace("server.key", "x"), "tls_server_config.key_file: cannot read .*/x: "),
    "impossible path": (TLS.replace("server.key", r'"a\0"'), "tls_server_config.key_file: cannot read"),
    "key of another": (TLS.replace("server.key", "client.key"), "client.key is not the key of .*server.pem"),
    "key is none": (TLS.replace("server.key", "web.yml"), "are no certificate and key in PEM format"),
    "encrypted key": (TLS.replace("server.", "secret."), "the key without pass phrase"),
    "unknown policy": (
        TLS + "  client_auth_type: Always",
        "tls_server_config.client_auth_type: 'Always' is not known here. Choose from: NoClientCert,",
    ),
    "policy without verification": (
        TLS + "  client_auth_type: RequireAnyClientCert",
        "'RequireAnyClientCert' is not known here.* RequireAndVerifyClientCert",
    ),
    "policy without authority": (
        TLS + "  client_auth_type: RequireAndVerifyClientCert",
        "client_auth_type: client_ca_file is needed",
    ),
    "authority without policy": (
        TLS + "  client_ca_file: ca.pem",
        "client_ca_file: no client is verified without",
    ),
    "authority is none": (
        TLS + "  client_ca_file: web.yml\n  client_auth_type: RequireAndVerifyClientCert",
        "client_ca_file: .*web.yml has no certificate in PEM format",
    ),
    "missing authority": (
        TLS + "  client_ca_file: x\n  client_auth_type: RequireAndVerifyClientCert",
        "client_ca_file: cannot read",
    ),
    "old version": (
        TLS + "  min_version: TLS10",
        "min_version: 'TLS10' is not known here. Choose from: TLS12, TLS13",
    ),
    "versions swapped": (
        TLS + "  min_version: TLS13\n  max_version: TLS12",
        "min_version is above max_version",
    ),
    "ciphers no list": (TLS + "  cipher_suites: AES", "cipher_suites: a list is needed, not str"),
    "weak cipher": (
        TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
        "cipher_suites: 'TLS_RSA_WITH_RC4_128_SHA' is not known here",
    ),
    "no truth value": (
        TLS + "  prefer_server_cipher_suites: maybe",
        "prefer_server_cipher_suites: true or false is needed, not str",
    ),
    "unknown header": (
        "http_server_config: {headers: {X-Powered-By: me}}",
        "http_server_config.headers.X-Powered-By: unknown key. Known are: Content-Security-Policy,",
    ),
    "header value": (
        "http_server_config: {headers: {X-Frame-Options: no}}",
        "X-Frame-Options: text is needed, not bool",
    ),
    "header not allowed": (
        "http_server_config: {headers: {X-Frame-Options: allow}}",
        "X-Frame-Options: 'allow' is not allowed. Allowed: deny, sameorigin",
    ),
    "header with a line break": (
        'http_server_config: {headers: {X-XSS-Protection: "0\\r\\nSet-Cookie: a"}}',
        "X-XSS-Protection: only printable ASCII characters",
    ),
    "http2": ("http_server_config: {http2: 2}", "http_server_config.http2: true or false is needed, not int"),
    "users no mapping": ("basic_auth_users: [bob]", "basic_auth_users: 'key: value' lines are needed"),
    "user not text": (
        f"basic_auth_users: {{7: {HASH}}}",
        "basic_auth_users.7: unknown key. Put it in quotes",
    ),
    "no hash": ("basic_auth_users: {bob: secret}", "the password of 'bob' is no bcrypt hash"),
    "number for a hash": ("basic_auth_users: {bob: 12345}", "basic_auth_users.bob: text is needed, not int"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_and_where(certificates: Path, text: str, message: str) -> None:
    path = write(certificates, text)
    with pytest.raises(UserError, match=message) as caught:
        WebConfigFile(path)
    assert str(caught.value).startswith(f"--web.config.file {path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("users", ["{bob: hunter2}", "{bob: 12345}", "hunter2", "[12345]"])
def test_passwords_are_not_shown(tmp_path: Path, users: str) -> None:
    with pytest.raises(UserError) as caught:
        WebConfigFile(write(tmp_path, f"basic_auth_users: {users}"))
    assert "hunter2" not in str(caught.value)
    assert "12345" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.yml", "."])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"cannot be read: .*Check the path"):
        WebConfigFile(tmp_path / name)


def test_a_change_is_taken_over(tmp_path: Path) -> None:
    file = WebConfigFile(write(tmp_path, ""))
    write(tmp_path, "http_server_config: {headers: {X-Frame-Options: deny}}")
    with capture_logs() as logs:
        assert file().headers == (("X-Frame-Options", "deny"),)
        assert file().headers == (("X-Frame-Options", "deny"),)
    assert [entry["log_level"] for entry in logs] == ["info"]


def test_a_change_of_equal_size_and_time_is_taken_over(tmp_path: Path) -> None:
    path = write(tmp_path, "http_server_config: {headers: {X-XSS-Protection: a}}")
    file = WebConfigFile(path)
    before = path.stat()
    path.unlink()
    other = tmp_path / "other"  # so that the inode is not given again
    other.touch()
    write(tmp_path, "http_server_config: {headers: {X-XSS-Protection: b}}")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file().headers == (("X-XSS-Protection", "b"),)


def test_a_file_without_changes_is_not_read_again(certificates: Path) -> None:
    file = WebConfigFile(write(certificates, COMPLETE))
    assert file() is file()


@pytest.mark.parametrize("broken", ["a: b: c", TLS.replace("server.pem", "x"), "", None])
def test_a_broken_change_leaves_the_former_settings_and_is_logged_once(
    certificates: Path, broken: str | None
) -> None:
    file = WebConfigFile(write(certificates, COMPLETE))
    before = file()
    if broken is None:
        (certificates / "web.yml").unlink()
    else:
        write(certificates, broken)
    with capture_logs() as logs:
        for _ in range(3):
            assert file() is before
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert "web.yml" in logs[0]["error"]

    write(certificates, "basic_auth_users: {}")
    assert file() == WebSettings()


def test_a_certificate_that_was_missing_is_taken_over_when_it_comes(certificates: Path) -> None:
    file = WebConfigFile(write(certificates, ""))
    write(certificates, TLS.replace("server.", "later."))
    assert file().tls is None
    for suffix in ("pem", "key"):
        (certificates / f"server.{suffix}").rename(certificates / f"later.{suffix}")
    assert file().tls is not None
