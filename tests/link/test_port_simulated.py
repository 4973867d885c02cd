"""Simulated meters, read through a port."""

from __future__ import annotations

import threading
import time

import pytest

from p1_exporter.errors import UserError
from p1_exporter.link.port import PortSettings, check_settings, open_port


def test_a_simulated_meter_sends_telegrams_at_the_pace_of_its_line() -> None:
    settings = PortSettings("simulate://dsmr5?seed=1")
    check_settings(settings)
    with open_port(settings) as port:
        assert (port.driver, port.baudrate) == ("simulated", 115_200)
        data = b""
        until = time.monotonic() + 10
        while b"\r\n!" not in data and time.monotonic() < until:
            before = time.monotonic()
            chunk = port.read(2)
            if chunk is not None:
                data += chunk.data
                assert before - 0.1 <= chunk.time <= time.monotonic()
    assert data.startswith(b"/")
    assert b"1-0:1.8.1(" in data


def test_between_telegrams_there_is_silence_and_a_wake_ends_the_wait() -> None:
    # The next telegram is nine seconds away.
    with open_port(PortSettings("simulate://dsmr4?start=2026-01-01T00:00:01")) as port:
        before = time.monotonic()
        assert port.read(0.2) is None
        assert time.monotonic() - before >= 0.2
        alarm = threading.Timer(0.2, port.wake)
        alarm.start()
        before = time.monotonic()
        assert port.read(30) is None
        assert 0.15 < time.monotonic() - before < 5
        alarm.join()


def test_a_meter_that_is_not_known_is_refused() -> None:
    with pytest.raises(UserError, match="no such simulated meter"):
        check_settings(PortSettings("simulate://dsmr99"))
