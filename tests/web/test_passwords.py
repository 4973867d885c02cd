from __future__ import annotations

import base64
import sys
import time
from typing import TYPE_CHECKING

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from p1_exporter.errors import UserError
from p1_exporter.web.passwords import Passwords
from p1_exporter.web.server import Request, Response
from p1_exporter.web.settings import WebSettings

if TYPE_CHECKING:
    import http.client
    import socket
    from collections.abc import Callable

    Check = Callable[[bytes, bytes], bool]


def hashed(password: bytes, cost: int = 4) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


ANNA = "änna"
PASSWORDS = Passwords({ANNA: hashed(b"correct: horse"), "bob": hashed(b"battery")})


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that bcrypt was asked about, in their order."""
    asked: list[bytes] = []
    check: Check = bcrypt.checkpw

    def counting(password: bytes, hash_: bytes) -> bool:
        asked.append(hash_)
        return check(password, hash_)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return asked


def test_the_right_password_is_admitted() -> None:
    assert PASSWORDS.admit(basic(ANNA, "correct: horse"))
    assert PASSWORDS.admit(basic("bob", "battery").replace("Basic", "bAsIc"))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic ???",
        "Basic Ym9i",  # "bob", no colon
        "Basic /////w==",  # no UTF-8
        basic("bob", ""),
        basic("bob", "Battery"),
        basic("bob", "battery\x00"),
        basic("bob", "correct: horse"),
        basic("carol", "battery"),
        basic("", ""),
        basic("bob", "battery").replace("Basic", "Bearer"),
        basic("bob", "battery") + "é",
    ],
)
def test_all_else_is_refused(authorization: str) -> None:
    assert not PASSWORDS.admit(authorization)


@given(user=st.text(), password=st.text())
def test_nobody_gets_in_by_chance(user: str, password: str) -> None:
    assert not PASSWORDS.admit(basic(user, password))


def test_a_long_password_is_compared_as_far_as_bcrypt_looks() -> None:
    long = 100 * "x"
    assert Passwords({"bob": hashed(long[:72].encode())}).admit(basic("bob", long))


def test_a_verified_password_is_not_computed_again(checks: list[bytes]) -> None:
    passwords = Passwords({"bob": hashed(b"battery")})
    for _ in range(5):
        assert passwords.admit(basic("bob", "battery"))
    assert len(checks) == 1


def test_what_is_remembered_admits_nobody_else(checks: list[bytes]) -> None:
    passwords = Passwords({"bob": hashed(b"battery"), "bobb": hashed(b"horse")})
    assert passwords.admit(basic("bob", "battery"))
    assert passwords.admit(basic("bobb", "horse"))
    for user, password in [("bob", "horse"), ("bobb", "battery"), ("bo", "bbattery"), ("carol", "battery")]:
        assert not passwords.admit(basic(user, password))
    assert len(checks) == 6


def test_wrong_guesses_do_not_push_out_what_was_verified(checks: list[bytes]) -> None:
    passwords = Passwords({"bob": hashed(b"battery")})
    assert passwords.admit(basic("bob", "battery"))
    for guess in range(20):
        assert not passwords.admit(basic("bob", str(guess)))
        assert not passwords.admit(basic(str(guess), "battery"))
    asked = len(checks)
    assert passwords.admit(basic("bob", "battery"))
    assert len(checks) == asked


def test_an_unknown_user_costs_as_much_as_a_known_one(checks: list[bytes]) -> None:
    cheap, dear = hashed(b"a", cost=4), hashed(b"b", cost=5)
    passwords = Passwords({"cheap": cheap, "dear": dear})
    assert not passwords.admit(basic("dear", "wrong"))
    assert not passwords.admit(basic("stranger", "wrong"))
    assert not passwords.admit(basic("stranger", "b")), "the password of the hash that is used for strangers"
    assert checks == [dear.encode()] * 3


def test_the_time_does_not_tell_who_exists() -> None:
    passwords = Passwords({"bob": hashed(b"battery", cost=8)})

    def fastest(user: str) -> float:
        durations = []
        for _ in range(3):
            start = time.thread_time()
            passwords.admit(basic(user, "wrong"))
            durations.append(time.thread_time() - start)
        return min(durations)

    assert 0.5 < fastest("stranger") / fastest("bob") < 2


@pytest.mark.parametrize(
    "hash_",
    ["battery", "", "$2y$10$short", "$2y$03$" + 53 * "a", "$2y$99$" + 53 * "a", "$2y$10$" + 53 * "a" + "\n"],
)
def test_what_is_no_bcrypt_hash_is_refused_without_showing_it(hash_: str) -> None:
    with pytest.raises(UserError, match=r"'bob' is no bcrypt hash.*htpasswd") as caught:
        Passwords({"bob": hash_})
    assert not hash_ or hash_ not in str(caught.value)


def test_a_name_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(UserError, match="'a:b' has a colon"):
        Passwords({"a:b": hashed(b"x")})


def test_a_missing_bcrypt_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    with pytest.raises(UserError, match="apt install python3-bcrypt"):
        Passwords({"bob": hashed(b"x")})


def test_the_server_asks_for_the_password_before_anything_else(
    serve: Callable[..., int],
    connect: Callable[..., socket.socket],
    exchange: Callable[..., tuple[http.client.HTTPResponse, bytes]],
) -> None:
    client = connect(
        serve(lambda _: Response(200, b"metrics", "text/plain"), lambda: WebSettings(passwords=PASSWORDS))
    )

    def ask(method: str, authorization: str | None) -> tuple[http.client.HTTPResponse, bytes]:
        head = f"{method} / HTTP/1.1\r\nHost: x\r\n"
        if authorization is not None:
            head += f"Authorization: {authorization}\r\n"
        return exchange(client, f"{head}\r\n".encode(), method)

    with capture_logs() as logs:
        for wrong in (None, basic("bob", "wrong"), basic("stranger", "battery"), "Basic ???"):
            response, body = ask("GET", wrong)
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic ")
            assert b"metrics" not in body
        assert ask("BREW", None)[0].status == 401
        assert ask("GET", basic(ANNA, "correct: horse"))[1] == b"metrics"
    assert not logs


def test_a_request_is_handled_only_when_admitted(
    serve: Callable[..., int],
    connect: Callable[..., socket.socket],
    exchange: Callable[..., tuple[http.client.HTTPResponse, bytes]],
) -> None:
    handled: list[Request] = []

    def remember(request: Request) -> Response:
        handled.append(request)
        return Response(200, b"", "text/plain")

    port = serve(remember, lambda: WebSettings(passwords=PASSWORDS))
    exchange(connect(port), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not handled
