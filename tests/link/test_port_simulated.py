"""Simulated meters, read through a port."""

from __future__ import annotations

import threading
import time

import pytest

from p1_exporter.errors import UserError
from p1_exporter.link.counters import LINE_ERRORS, Counters
from p1_exporter.link.port import Chunk, Port, PortError, PortSettings, check_settings, open_port
from p1_exporter.simulator.wire import Wire


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


def read_for(port: Port, seconds: float) -> list[Chunk]:
    until = time.monotonic() + seconds
    chunks = []
    while (left := until - time.monotonic()) > 0:
        if chunk := port.read(left):
            chunks.append(chunk)
    return chunks


def test_behind_a_fault_there_is_a_driver_that_marks_and_counts() -> None:
    with open_port(PortSettings("simulate://dsmr5?fault=slow_rise&severity=0.6")) as port:
        assert (port.driver, port.baudrate) == ("amba-pl011", 115_200)
        assert port.line_errors_supported == set(LINE_ERRORS)
        assert port.counters() == Counters(0, 0, 0, 0, 0, 0)
        chunks = read_for(port, 1.5)
        counters = port.counters()
        assert port.bytes_waiting() == 0
    marks = [kind for chunk in chunks for _, kind in chunk.marks]
    assert marks.count("framing") > 100
    assert counters is not None
    assert counters.rx == sum(len(chunk.data) for chunk in chunks)
    assert (counters.framing, counters.break_) == (marks.count("framing"), marks.count("break"))


@pytest.mark.parametrize(
    ("driver", "told"), [("bcm2835aux", {"overrun"}), ("ch341", set()), ("pl2303", {"framing", "break"})]
)
def test_a_driver_can_be_chosen_without_a_fault(driver: str, told: set[str]) -> None:
    start = "2026-01-01T00:00:01.9"
    with open_port(PortSettings(f"simulate://dsmr5?seed=1&start={start}&driver={driver}")) as port:
        assert port.driver == driver
        assert port.line_errors_supported == told
        chunks = read_for(port, 1.0)
        counters = port.counters()
    data = b"".join(chunk.data for chunk in chunks)
    assert data.startswith(b"/SIM5")
    assert counters == (Counters(rx=len(data), overrun=0) if driver == "bcm2835aux" else None)


def test_a_wire_has_the_speed_of_the_port_and_follows_it() -> None:
    start = "2026-01-01T00:00:10"
    with open_port(PortSettings(f"simulate://dsmr2?start={start}&driver=amba-pl011")) as port:
        assert port.baudrate == 115_200
        wrong = port.read(5)
        assert wrong is not None
        assert wrong.data == bytes(len(wrong.data))
        assert {kind for _, kind in wrong.marks} == {"break"}
        assert port.set_baudrate(9600)
        assert port.baudrate == 9600
        data = b"".join(chunk.data for chunk in read_for(port, 1))
    assert b"\r\n!\r\n" in bytes(byte & 0x7F for byte in data)


def test_a_speed_that_is_not_the_meters_has_its_effect_without_a_fault_too() -> None:
    start = "2026-01-01T00:00:10"
    with open_port(PortSettings(f"simulate://dsmr2?start={start}", baudrate=115_200)) as port:
        assert (port.driver, port.baudrate) == ("simulated", 115_200)
        chunk = port.read(5)
        assert chunk is not None
        assert set(chunk.data) == {0}


def test_a_port_that_is_never_there_is_missing() -> None:
    with pytest.raises(PortError, match="unplugged") as error:
        open_port(PortSettings("simulate://dsmr5?fault=disconnected&severity=1"))
    assert error.value.reason == "missing"


def test_a_port_vanishes_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_port(PortSettings("simulate://dsmr5?fault=disconnected&severity=0")) as port:
        monkeypatch.setattr(Wire, "present", lambda _, __: False)
        with pytest.raises(PortError, match="unplugged") as error:
            port.read(1)
    assert error.value.reason == "vanished"


def test_a_wake_ends_the_wait_for_a_wire() -> None:
    with open_port(PortSettings("simulate://dsmr4?fault=silent&severity=1")) as port:
        alarm = threading.Timer(0.2, port.wake)
        alarm.start()
        before = time.monotonic()
        assert port.read(30) is None
        assert 0.15 < time.monotonic() - before < 5
        alarm.join()


@pytest.mark.parametrize("parameter", ["fault=gremlins", "driver=none", "severity=1"])
def test_a_fault_or_driver_that_is_not_known_is_refused(parameter: str) -> None:
    with pytest.raises(UserError, match=r"there are|say which"):
        check_settings(PortSettings(f"simulate://dsmr5?{parameter}"))


def test_a_meter_that_is_not_known_is_refused() -> None:
    with pytest.raises(UserError, match="no such simulated meter"):
        check_settings(PortSettings("simulate://dsmr99"))
