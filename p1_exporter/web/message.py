"""HTTP/1.x messages (RFC 9110, RFC 9112): requests from bytes, answers to bytes. No I/O here.

Bodies of requests are never read. Whatever the bytes, only `BadRequest` is raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from p1_exporter.errors import P1Error

# Prometheus sends about 500 bytes, a browser with its cookies 2,000.
HEAD_LIMIT: Final = 8192

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE: Final = re.compile(rf"({_TOKEN.pattern}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    `path` is without percent-encoding, `query` is as it came; the names of `headers` are in lower case, and
    the values of a header that came several times are joined with ", ".
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered. The server adds Date, Content-Length and Connection, and sends no body for HEAD."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Head:
    """A request, and whether another may follow on the same connection."""

    request: Request
    keep_alive: bool


class BadRequest(P1Error):  # noqa: N818 - named as the protocol names it
    """Bytes that are no request. Carries the status to answer with; the text goes to the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def text(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return an answer of one line of plain text."""
    return Response(status, f"{message}\n".encode(), "text/plain; charset=utf-8", headers)


def take_head(received: bytearray) -> Head | None:
    """Cut the first request head off `received` and read it; None while it is not complete.

    Raises:
        BadRequest: it is malformed, or longer than `HEAD_LIMIT`; nothing after it can be understood.
    """
    # A client may end what went before with an empty line too many (RFC 9112, 2.2).
    del received[: len(received) - len(received.lstrip(b"\r\n"))]
    end = _HEAD_END.search(received, 0, HEAD_LIMIT)
    if end is None:
        if len(received) < HEAD_LIMIT:
            return None
        if b"\n" in received:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"Headers over {HEAD_LIMIT} bytes")
        raise BadRequest(HTTPStatus.REQUEST_URI_TOO_LONG, f"Request line over {HEAD_LIMIT} bytes")
    head = received[: end.start()].decode("latin-1")
    del received[: end.end()]
    return _parse(head)


def render(
    response: Response, overriding: Mapping[str, str], *, keep_alive: bool, with_body: bool = True
) -> bytes:
    """Return the bytes of an answer; `overriding` headers take the place of those of the same name."""
    headers = {
        "Date": formatdate(usegmt=True),
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        "Connection": "keep-alive" if keep_alive else "close",
        **dict(response.headers),
        **overriding,
    }
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + response.body if with_body else head


def _parse(head: str) -> Head:
    first, *lines = (line.removesuffix("\r") for line in head.split("\n"))
    parts = _REQUEST_LINE.fullmatch(first)
    if parts is None:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "No HTTP request")
    method, target, major, minor = parts.groups()
    if major != "1":
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "This server speaks HTTP/1.1")
    headers = _parse_headers(lines)
    if minor != "0" and "host" not in headers:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The header Host is missing")

    path, query = _parse_target(target)
    options = {option.strip() for option in headers.get("connection", "").lower().split(",")}
    wanted = "keep-alive" in options if minor == "0" else "close" not in options
    # A body stays in the line unread: nothing behind it can be told from it.
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    return Head(Request(method, path, query, headers), keep_alive=wanted and not has_body)


def _parse_target(target: str) -> tuple[str, str]:
    """Return path and query of `/path?query` or `http://host/path?query`."""
    if not target.startswith(("/", "*")):
        _, scheme_end, rest = target.partition("://")
        if not scheme_end:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "No path that begins with /")
        target = "/" + rest.partition("/")[2]
    path, _, query = target.partition("?")
    return unquote(path), query


def _parse_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        # Folded lines and blanks before the colon, both forbidden, fail here too.
        if not colon or not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise BadRequest(HTTPStatus.BAD_REQUEST, "A header is malformed")
        key = name.lower()
        value = value.strip(" \t")
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
