"""TLS as the section `tls_server_config` of the web configuration wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.errors import UserError

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from p1_exporter.web.section import Section

FILES: Final = ("cert_file", "key_file", "client_ca_file")
KEYS: Final = (
    *FILES,
    "client_auth_type",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
)

# Go's names, which the file has, and OpenSSL's.
_CIPHERS: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    # Those of TLS 1.3 may stand in the list, but can be chosen neither in Go nor here.
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
}


def server_context(section: Section, directory: Path) -> ssl.SSLContext:
    """Return the context that connections are accepted with. Relative paths are relative to `directory`.

    Raises:
        UserError: a key or a file is missing, unreadable or makes no sense.
    """
    import ssl  # noqa: PLC0415 - most exporters speak plain HTTP and need not have it in memory

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    versions = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
    context.minimum_version = section.choice("min_version", versions, "TLS12")
    context.maximum_version = section.choice("max_version", versions, "TLS13")
    if context.minimum_version > context.maximum_version:
        raise UserError("tls_server_config: min_version is above max_version. Swap them.")
    if ciphers := [cipher for cipher in section.choices("cipher_suites", _CIPHERS) if cipher]:
        context.set_ciphers(":".join(ciphers))
    if not section.flag("prefer_server_cipher_suites", default=True):
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _load_certificate(context, section, directory)
    _load_client_ca(context, section, directory)
    return context


def _load_certificate(context: ssl.SSLContext, section: Section, directory: Path) -> None:
    import ssl  # noqa: PLC0415 - loaded by the caller already

    certificate, key = _file(section, "cert_file", directory), _file(section, "key_file", directory)
    if certificate is None or key is None:
        raise UserError("tls_server_config: cert_file and key_file are both needed for TLS. Give both.")
    try:
        # Without the password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UserError(
                f"tls_server_config: {key} is not the key of {certificate}. Give two that belong together."
            ) from error
        raise UserError(
            f"tls_server_config: {certificate} and {key} are no certificate and key in PEM format, "
            f"the key without pass phrase ({error.reason})."
        ) from error


def _load_client_ca(context: ssl.SSLContext, section: Section, directory: Path) -> None:
    """Ask clients for certificates, if wanted."""
    import ssl  # noqa: PLC0415 - loaded by the caller already

    # Go has three more that take any certificate unverified: they protect nothing.
    policies = {
        "NoClientCert": ssl.CERT_NONE,
        "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
        "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
    }
    policy = section.choice("client_auth_type", policies, "NoClientCert")
    authorities = _file(section, "client_ca_file", directory)
    if authorities is None and policy is not ssl.CERT_NONE:
        raise UserError(
            "tls_server_config.client_auth_type: client_ca_file is needed to verify clients. Give it."
        )
    if authorities is None:
        return
    if policy is ssl.CERT_NONE:
        raise UserError(
            "tls_server_config.client_ca_file: no client is verified without "
            "'client_auth_type: RequireAndVerifyClientCert'. Add it."
        )
    try:
        context.load_verify_locations(authorities)
    except ssl.SSLError as error:
        raise UserError(
            f"tls_server_config.client_ca_file: {authorities} has no certificate in PEM format "
            f"({error.reason}). Give a file with the authority's certificate."
        ) from error
    context.verify_mode = policy


def _file(section: Section, key: str, directory: Path) -> Path | None:
    """Return the path of a file that can be read; None where the key is not given."""
    name = section.string(key)
    if not name:
        return None
    path = directory / name
    try:
        with path.open("rb"):
            return path
    except (OSError, ValueError) as error:
        raise UserError(
            f"tls_server_config.{key}: cannot read {path}: {error}. "
            "Check the path, and that the exporter's user may read it."
        ) from error
