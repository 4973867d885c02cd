"""What a port can be named, and what is refused before anything is opened."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.errors import UserError
from p1_exporter.link.address import recording, tcp_address
from p1_exporter.link.port import PortSettings, check_settings, open_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "settings",
    [
        PortSettings("/dev/ttyUSB0"),
        PortSettings("/dev/serial/by-id/not-plugged-in", 9600, "rts"),
        PortSettings("socket://meter.example:2000"),
        PortSettings("socket://[2001:db8::1]:2000/"),
        PortSettings("rfc2217://192.0.2.1:2217", 115_200, "dtr"),
        PortSettings("/dev/serial0", request_line="gpio:0"),
        PortSettings("/dev/ttyUSB0", request_line="gpio:27", request_interval=2),
        PortSettings("/dev/ttyUSB0", request_line="rts", request_interval=3600),
        PortSettings("file:///var/lib/capture.bin?speed=2.5"),
    ],
)
def test_what_may_work_one_day_is_accepted(settings: PortSettings) -> None:
    check_settings(settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (PortSettings(""), "names no file"),
        (PortSettings("/dev/tty\0"), "names no file"),
        (PortSettings("/dev"), "is a directory"),
        (PortSettings("file:///dev"), "is a directory"),
        (PortSettings("file://capture.bin"), "three slashes"),
        (PortSettings("file:///a#b"), "%23"),
        (PortSettings("file:///a?sped=1"), "'sped'"),
        (PortSettings("file:///a?speed=0"), "speed '0'"),
        (PortSettings("file:///a?speed=nan"), "speed 'nan'"),
        (PortSettings("file:///a?speed=fast"), "speed 'fast'"),
        (PortSettings("telnet://meter:23"), "unknown scheme"),
        (PortSettings("://"), "names no file|unknown scheme"),
        (PortSettings("socket://meter"), "socket://host:port"),
        (PortSettings("socket://:2000"), "socket://host:port"),
        (PortSettings("socket://meter:0"), "socket://host:port"),
        (PortSettings("socket://meter:65536"), "socket://host:port"),
        (PortSettings("socket://[::1:2000"), "Invalid IPv6"),
        (PortSettings("socket://" + 64 * "a" + ":2000"), "socket://host:port"),
        (PortSettings("socket://user@meter:2000"), "mean nothing here"),
        (PortSettings("rfc2217://meter:2000?logging=debug"), "rfc2217://host:port"),
        (PortSettings("/dev/ttyUSB0", 0), "300 to 4000000"),
        (PortSettings("/dev/ttyUSB0", -9600), "300 to 4000000"),
        (PortSettings("/dev/ttyUSB0", request_line="gpio:28"), "0 to 27; pin 7 of the header is gpio:4"),
        (PortSettings("/dev/ttyUSB0", request_line="gpio:-1"), "none, rts, dtr or gpio:N"),
        (PortSettings("/dev/ttyUSB0", request_line="gpio:\u0664"), "none, rts, dtr or gpio:N"),
        (PortSettings("socket://meter:2000", request_line="gpio:4"), "given by its device path"),
        (PortSettings("rfc2217://meter:2000", request_line="gpio:4"), "with rfc2217:// rts or dtr"),
        (PortSettings("file:///a", request_line="gpio:4"), "given by its device path"),
        (PortSettings("/dev/ttyUSB0", request_line="rts", request_interval=1.9), "must be 2 to 3600 seconds"),
        (PortSettings("/dev/ttyUSB0", request_line="rts", request_interval=3601), "must be 2 to 3600"),
        (PortSettings("/dev/ttyUSB0", request_line="rts", request_interval=math.nan), "must be 2 to 3600"),
        (PortSettings("/dev/ttyUSB0", request_interval=60), "leave the interval out"),
        (PortSettings("/dev/ttyUSB0", request_line="gpio"), "none, rts, dtr or gpio:N"),
        (PortSettings("/dev/ttyUSB0", request_line="RTS"), "none, rts, dtr or gpio:N"),
        (PortSettings("socket://meter:2000", request_line="rts"), "only serial ports"),
    ],
)
def test_what_can_never_work_is_refused_with_a_reason(settings: PortSettings, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        check_settings(settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (PortSettings("telnet://127.0.0.1:23"), "unknown scheme"),
        (PortSettings("socket://127.0.0.1"), "socket://host:port"),
        (PortSettings("/dev/null", request_line="gpio:28"), "no Raspberry Pi has this GPIO"),
        (PortSettings("/dev/null", request_interval=60), "without a request line"),
    ],
)
def test_it_cannot_be_opened_unchecked_either(settings: PortSettings, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        open_port(settings)


@given(rest=st.text())
def test_any_text_is_an_address_or_a_user_error(rest: str) -> None:
    try:
        host, port = tcp_address(f"socket://{rest}")
    except UserError:
        return
    assert host
    assert 0 < port < 65_536


@given(rest=st.text())
def test_any_text_is_a_recording_or_a_user_error(rest: str) -> None:
    try:
        path, speed = recording(f"file://{rest}")
    except UserError:
        return
    assert path.startswith("/")
    assert speed > 0


def test_addresses_are_written_as_in_urls() -> None:
    assert str(tcp_address("socket://[::1]:2000")) == "[::1]:2000"
    assert str(tcp_address("socket://Meter:2000")) == "meter:2000"


def test_a_recording_may_have_any_name_and_speed(tmp_path: Path) -> None:
    assert recording("file:///a%20b%3F?speed=max") == ("/a b?", math.inf)
    assert recording("file:///a?speed=0.5") == ("/a", 0.5)
    assert recording(f"file://{tmp_path}") == (str(tmp_path), 1.0)


def test_a_meter_of_unknown_speed_is_first_listened_to_at_115200_baud() -> None:
    assert PortSettings("/dev/ttyUSB0").initial_baudrate == 115_200
    assert PortSettings("/dev/ttyUSB0", 9600).initial_baudrate == 9600
