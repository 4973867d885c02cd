from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.errors import UserError
from p1_exporter.web.listen import Address, bind, parse_address, systemd_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def listen() -> Iterator[Callable[..., list[socket.socket]]]:
    opened: list[socket.socket] = []

    def start(*addresses: str) -> list[socket.socket]:
        opened.extend(sockets := bind(addresses))
        return sockets

    yield start
    for listening in opened:
        listening.close()


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def reaches(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9786", ("", 9786)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:9786", ("::1", 9786)),
        ("[::]:9786", ("::", 9786)),
        ("[fe80::1%eth0]:9786", ("fe80::1%eth0", 9786)),
        ("meter-pi.local:65535", ("meter-pi.local", 65535)),
    ],
)
def test_reads_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == Address(*address)
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' has no port"),
        ("9786", "'9786' has no port"),
        ("localhost", "'localhost' has no port"),
        ("localhost:", "the port of 'localhost:' is no number"),
        (":http", "the port of ':http' is no number"),
        (":65536", "the port of ':65536' is no number from 0 to 65535"),
        (":-1", "is no number"),
        (":+1", "is no number"),
        (":\u0665", "is no number"),
        (":" + 5000 * "9", "is no number"),
        ("::1:9786", "the IPv6 address of '::1:9786' needs brackets"),
        ("http://pi:9786", "'http://pi:9786' has no valid host"),
        ("a b:9786", "has no valid host"),
        ("a\x00b:9786", "has no valid host"),
        ("[::1:9786", "has no valid host"),
    ],
)
def test_what_is_no_address_is_said_with_the_flag_and_an_example(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_address(text, "--share.listen-address")
    assert str(caught.value).startswith("--share.listen-address: ")
    assert "127.0.0.1:9786" in str(caught.value)


@given(text=st.text() | st.from_regex(r"[\[\]:.0-9a-f%]*"))
def test_any_text_is_an_address_or_a_user_error(text: str) -> None:
    try:
        address = parse_address(text)
    except UserError:
        return
    assert parse_address(str(address)) == address


def test_an_address_without_host_is_ipv4_and_ipv6(listen: Callable[..., list[socket.socket]]) -> None:
    for text in (":0", "[::]:0"):
        (listening,) = listen(text)
        assert reaches("127.0.0.1", port_of(listening))
        assert reaches("::1", port_of(listening)) is socket.has_dualstack_ipv6()


def test_an_address_without_host_is_ipv4_where_there_is_no_ipv6(
    listen: Callable[..., list[socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    (listening,) = listen(":0")
    assert listening.family is socket.AF_INET
    assert reaches("127.0.0.1", port_of(listening))


def test_an_address_with_host_is_that_address_alone(listen: Callable[..., list[socket.socket]]) -> None:
    (listening,) = listen("127.0.0.1:0")
    assert reaches("127.0.0.1", port_of(listening))
    assert not reaches("127.0.0.2", port_of(listening))
    assert not reaches("::1", port_of(listening))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this computer has no IPv6")
def test_an_ipv6_address_is_that_address_alone(listen: Callable[..., list[socket.socket]]) -> None:
    (listening,) = listen("[::1]:0")
    assert reaches("::1", port_of(listening))
    assert not reaches("127.0.0.1", port_of(listening))


def test_a_name_is_looked_up_and_ipv4_preferred(listen: Callable[..., list[socket.socket]]) -> None:
    (listening,) = listen("localhost:0")
    assert listening.getsockname()[0] == "127.0.0.1"


def test_several_addresses_are_listened_on(listen: Callable[..., list[socket.socket]]) -> None:
    ports = {port_of(listening) for listening in listen("127.0.0.1:0", "127.0.0.2:0", ":0")}
    assert len(ports) == 3


def test_an_address_in_use_is_said_and_the_others_are_given_back(
    listen: Callable[..., list[socket.socket]],
) -> None:
    (taken,) = listen("127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = port_of(probe)
    address = f"127.0.0.1:{port_of(taken)}"
    with pytest.raises(
        UserError, match=f"cannot listen on {address}: another program listens there.*ss -ltnp"
    ):
        bind([f"127.0.0.1:{free}", address])
    listen(f"127.0.0.1:{free}")


def test_an_address_is_free_again_when_its_program_has_ended(
    listen: Callable[..., list[socket.socket]],
) -> None:
    (listening,) = listen("127.0.0.1:0")
    port = port_of(listening)
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        listening.accept()[0].close()  # closed by the server first: the kernel remembers it for a minute
        listening.close()
    listen(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("203.0.113.7:0", "203.0.113.7:0: this computer has no such address"),
        ("a..b:9786", "the name 'a..b' is not known here"),
    ],
)
def test_an_address_of_somebody_else_is_said(address: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        bind([address])


def test_an_unknown_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    with pytest.raises(UserError, match=r"the name 'meter-pi' is not known here .*Check its spelling"):
        bind(["meter-pi:9786"])


def test_a_forbidden_port_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(UserError, match="cannot listen on :80: not allowed; ports below 1024 are for root"):
        bind([":80"])


REPORT = """
import os, sys
for target, descriptor in enumerate(sys.argv[2:], 3):
    os.dup2(int(descriptor), target)
for variable in sys.argv[1].format(pid=os.getpid()).split():
    name, _, value = variable.partition("=")
    os.environ[name] = value
from p1_exporter.errors import UserError
from p1_exporter.web.listen import systemd_sockets
try:
    for listening in systemd_sockets():
        print(listening.getsockname()[1], listening.get_inheritable())
        listening.close()
except UserError as error:
    print(error)
"""


def started_by_systemd(passed: list[socket.socket], environment: str) -> str:
    """Run in a process that gets these sockets from descriptor 3 on, as systemd does it."""
    descriptors = [sock.fileno() for sock in passed]
    return subprocess.run(
        [sys.executable, "-c", REPORT, environment, *map(str, descriptors)],
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_sockets_of_systemd_are_taken_over(listen: Callable[..., list[socket.socket]]) -> None:
    passed = listen("127.0.0.1:0", ":0")
    seen = started_by_systemd(passed, "LISTEN_PID={pid} LISTEN_FDS=2")
    assert seen.splitlines() == [f"{port_of(listening)} False" for listening in passed]


@pytest.mark.parametrize("environment", ["", "LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_PID={pid} LISTEN_FDS=0"])
def test_no_socket_of_systemd_is_said(listen: Callable[..., list[socket.socket]], environment: str) -> None:
    seen = started_by_systemd(listen("127.0.0.1:0"), environment)
    assert seen.startswith("--web.systemd-socket: systemd passed no socket.")


def test_a_socket_of_systemd_that_does_not_listen_is_said() -> None:
    with socket.socket() as silent:
        seen = started_by_systemd([silent], "LISTEN_PID={pid} LISTEN_FDS=1")
    assert seen.startswith("--web.systemd-socket: descriptor 3 does not listen.")


def test_a_descriptor_that_is_no_socket_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    with open(os.devnull) as file:  # noqa: PTH123 - for its descriptor
        monkeypatch.setattr("p1_exporter.web.listen._FIRST_DESCRIPTOR", file.fileno())
        with pytest.raises(UserError, match="is no socket"):
            systemd_sockets()
