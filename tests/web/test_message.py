from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p1_exporter.web.message import HEAD_LIMIT, BadRequest, Head, Response, render, take_head

SCRAPE = b"GET /metrics?a=b HTTP/1.1\r\nHost: pi:9786\r\nAccept: text/plain\r\n\r\n"


def take(received: bytes) -> Head:
    head = take_head(bytearray(received))
    assert head is not None
    return head


def test_reads_a_request() -> None:
    request = take(SCRAPE).request
    assert (request.method, request.path, request.query) == ("GET", "/metrics", "a=b")
    assert request.headers == {"host": "pi:9786", "accept": "text/plain"}


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/%6Detrics", "/metrics", ""),
        (b"/a%00%ff%", "/a\x00\ufffd%", ""),
        (b"/?", "/", ""),
        (b"http://pi:9786/metrics?x", "/metrics", "x"),
        (b"http://pi:9786", "/", ""),
        (b"*", "*", ""),
    ],
)
def test_reads_every_form_of_target(target: bytes, path: str, query: str) -> None:
    request = take(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n").request
    assert (request.path, request.query) == (path, query)


def test_headers_that_come_twice_are_joined() -> None:
    request = take(b"GET / HTTP/1.0\r\nAccept: a\r\nACCEPT:  b \r\n\r\n").request
    assert request.headers == {"accept": "a, b"}


@pytest.mark.parametrize("received", [b"GET / HTTP/1.0\n\n", b"\r\n\n\r\nGET / HTTP/1.0\r\n\r\n"])
def test_forgives_bare_line_feeds_and_empty_lines_before(received: bytes) -> None:
    assert take(received).request.path == "/"


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: x", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, Close", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0", True),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5", False),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: five", False),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked", False),
    ],
)
def test_another_request_may_follow_unless_a_body_or_the_client_forbids(
    head: bytes, *, keep_alive: bool
) -> None:
    assert take(head + b"\r\n\r\n").keep_alive is keep_alive


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
        (b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\ry: z\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /" + HEAD_LIMIT * b"a", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + HEAD_LIMIT * b"a", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + HEAD_LIMIT * b"a" + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_answered_with_its_status(received: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        take_head(bytearray(received))
    assert caught.value.status == status


def test_a_head_of_exactly_the_limit_is_read() -> None:
    start = b"GET / HTTP/1.1\r\nHost: x\r\nA: "
    assert take(start.ljust(HEAD_LIMIT - 4, b"a") + b"\r\n\r\n").request.path == "/"


def outcome(chunks: list[bytes]) -> list[Head | int]:
    """What a connection makes of bytes that arrive so: heads, then perhaps the status that ends it."""
    received = bytearray()
    heads: list[Head | int] = []
    for chunk in chunks:
        received += chunk
        try:
            while (head := take_head(received)) is not None:
                heads.append(head)
        except BadRequest as error:
            return [*heads, error.status]
        assert len(received) < HEAD_LIMIT
    return heads


FRAGMENTS = st.sampled_from(
    [SCRAPE, b"GET / HTTP/1.1", b"\r\n", b"\n", b"\r", b"Host: x", b"Connection: close", b": ", b"\x00"]
)


@given(pieces=st.lists(FRAGMENTS | st.binary(max_size=30), max_size=20))
@example(pieces=[SCRAPE, SCRAPE])
def test_any_bytes_give_the_same_requests_however_they_are_cut(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    bytewise = [whole[index : index + 1] for index in range(len(whole))]
    assert outcome([whole]) == outcome(bytewise) == outcome(pieces)


def test_the_limit_holds_for_bytes_that_trickle() -> None:
    endless = [b"GET / HTTP/1.1\r\n"] + [b"A: b\r\n"] * HEAD_LIMIT
    assert outcome(endless) == [431]


def test_an_answer_has_what_http_wants_and_headers_may_be_overridden() -> None:
    response = Response(200, b"hello", "text/plain", (("X-Frame-Options", "deny"), ("Vary", "Accept")))
    head, body = render(response, {"X-Frame-Options": "sameorigin"}, keep_alive=True).split(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    assert status == "HTTP/1.1 200 OK"
    fields = dict(header.split(": ", 1) for header in headers)
    assert len(fields) == len(headers)
    assert fields.pop("Date").endswith("GMT")
    assert fields == {
        "Content-Type": "text/plain",
        "Content-Length": "5",
        "Connection": "keep-alive",
        "X-Frame-Options": "sameorigin",
        "Vary": "Accept",
    }
    assert body == b"hello"


def test_an_answer_to_head_says_how_long_the_body_would_be() -> None:
    answer = render(Response(200, b"hello", "text/plain"), {}, keep_alive=False, with_body=False)
    assert b"Content-Length: 5\r\n" in answer
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
