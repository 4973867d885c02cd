"""The web configuration: TLS, passwords and headers, in the file format of Prometheus's exporter-toolkit.

Everything of that format that is not supported is an error that names it, because most of it is there to keep
somebody out.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from p1_exporter.errors import UserError
from p1_exporter.web import tls
from p1_exporter.web.passwords import Passwords
from p1_exporter.web.section import Section
from p1_exporter.web.settings import WebSettings

if TYPE_CHECKING:
    from pathlib import Path

_SECTIONS: Final = ("tls_server_config", "http_server_config", "basic_auth_users")
# The headers that may be set, and their values where these are few.
_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
_FILE_LIMIT: Final = 1024 * 1024

_log = structlog.get_logger()

# What tells one state of a file from another: time of change in ns, size, inode. None where there is no file.
_Stamp = tuple[int, int, int] | None


class WebConfigFile:
    """The settings of a file, read again when it or a certificate changes. To be called, in any thread.

    Raises:
        UserError: from the constructor: the file is unreadable or wrong. Later on, what was right last stays
            in force, and the log says once what is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._files: tuple[Path, ...] = (path,)
        self._stamps: tuple[_Stamp, ...] = ()
        self._settings = self._read(may_be_empty=True)

    def __call__(self) -> WebSettings:
        """Return the settings in force."""
        with self._lock:
            if self._stamps != tuple(map(_stamp, self._files)):
                try:
                    # An editor may have emptied it to write it anew: no reason to open the door meanwhile.
                    self._settings = self._read(may_be_empty=False)
                except UserError as error:
                    _log.error("web configuration not taken over, the former stays", error=str(error))
                else:
                    _log.info("web configuration taken over", file=str(self._path))
            return self._settings

    def _read(self, *, may_be_empty: bool) -> WebSettings:
        # Stamped before they are read: a change in between is then found the next time.
        self._files = (self._path,)
        self._stamps = (_stamp(self._path),)
        try:
            document = Section("", _parse(self._path, may_be_empty=may_be_empty), _SECTIONS)
            section = document.section("tls_server_config", tls.KEYS)
            names = (section.string(key) for key in tls.FILES)
            certificates = tuple(self._path.parent / name for name in names if name)
            self._files += certificates
            self._stamps += tuple(map(_stamp, certificates))
            users = document.section("basic_auth_users").strings()
            return WebSettings(
                tls=tls.server_context(section, self._path.parent) if section else None,
                headers=_headers(document.section("http_server_config", ("http2", "headers"))),
                passwords=Passwords(users) if users else None,
            )
        except UserError as error:
            raise UserError(f"--web.config.file {self._path}: {error}") from error


def _stamp(path: Path) -> _Stamp:
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def _parse(path: Path, *, may_be_empty: bool) -> object:
    import yaml  # noqa: PLC0415 - most exporters run without this file and need not have it in memory

    try:
        with path.open("rb") as file:
            content = file.read(_FILE_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise UserError(
            f"cannot be read: {error}. Check the path, and that the exporter's user may read it."
        ) from error
    if len(content) > _FILE_LIMIT:
        raise UserError(f"is larger than {_FILE_LIMIT} bytes. Give the right file.")
    try:
        document: object = yaml.safe_load(content)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"is no YAML{where}: {problem}. Look for missing spaces and quotes.") from error
    # What PyYAML raises for dates like 2024-99-99, tags like !!int with nothing behind them, deep nesting.
    except (ValueError, LookupError, AttributeError, RecursionError) as error:
        raise UserError(f"has YAML that cannot be understood ({error}). Look for strange values.") from error
    if document is None and not may_be_empty:
        raise UserError("is empty. Restart the exporter if it is to run without TLS and passwords.")
    return document


def _headers(section: Section) -> tuple[tuple[str, str], ...]:
    # Without effect: clients that know HTTP/2 speak HTTP/1.1 as well.
    section.flag("http2", default=True)
    headers = section.section("headers", tuple(_HEADERS)).strings()
    for name, value in headers.items():
        allowed = _HEADERS[name]
        if value and allowed and value not in allowed:
            raise UserError(
                f"http_server_config.headers.{name}: {value!r} is not allowed. Allowed: {', '.join(allowed)}."
            )
        if not (value.isascii() and value.isprintable()):
            raise UserError(
                f"http_server_config.headers.{name}: only printable ASCII characters are allowed."
            )
    return tuple((name, value) for name, value in headers.items() if value)
