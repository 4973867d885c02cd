"""The URLs that name a port, taken apart."""

from __future__ import annotations

import math
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from p1_exporter.errors import UserError

SCHEMES = ("socket", "rfc2217", "file", "simulate")


class TcpAddress(NamedTuple):
    """Where a TCP server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Recording(NamedTuple):
    """A file to replay, and how many times faster than the line it once came over (infinity: unpaced)."""

    path: str
    speed: float


def tcp_address(url: str) -> TcpAddress:
    """The address in `socket://host:port` or `rfc2217://host:port`.

    Raises:
        UserError: it is not complete, or has parts that mean nothing here.
    """
    parts = _split(url)
    try:
        host, port = parts.hostname, parts.port
        # What the resolver would refuse with an error of its own, such as a label of more than 63 characters.
        (host or "").encode("idna")
    except ValueError as error:
        raise UserError(f"port {url!r}: {error}. Write {parts.scheme}://host:port.") from error
    if not host or not port:
        raise UserError(f"port {url!r}: names no host and port. Write {parts.scheme}://host:port.")
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UserError(f"port {url!r}: has parts that mean nothing here. Write {parts.scheme}://host:port.")
    return TcpAddress(host, port)


def recording(url: str) -> Recording:
    """The file and speed in `file:///path?speed=N`: a positive number or `max`, 1 if not given.

    Raises:
        UserError: no absolute path, or parameters that mean nothing here.
    """
    parts = _split(url)
    path = unquote(parts.path)
    if parts.netloc or not path:
        raise UserError(f"port {url!r}: write file:///path, with three slashes and the full path.")
    if parts.fragment:
        raise UserError(f"port {url!r}: write a # within the path as %23.")
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    speed = parameters.pop("speed", "1")
    if parameters:
        raise UserError(f"port {url!r}: unknown parameter {min(parameters)!r}; only speed is known.")
    return Recording(path, math.inf if speed == "max" else _speed(url, speed))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise UserError(f"port {url!r}: {error}.") from error


def _speed(url: str, text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise UserError(f"port {url!r}: speed {text!r} must be a positive number, or max.")
    return speed
