"""What drivers count, as the ioctl tells it, and which errors they can tell at all."""

from __future__ import annotations

import errno
import os
import struct
import termios
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.link.counters import LINE_ERRORS, Counters, LineError
from p1_exporter.link.tty_evidence import (
    DriverCounters,
    bytes_waiting,
    input_flags,
    line_errors_supported,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL: Final = frozenset(LINE_ERRORS)
LARGEST: Final = 2**32 - 1


class Driver:
    """A driver's side of the ioctl: `struct serial_icounter_struct`, 20 ints."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts
        self.error: int | None = None

    def __call__(self, descriptor: int, request: int, argument: bytes) -> bytes:
        assert (descriptor, request, len(argument)) == (7, 0x545D, 80)
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        names = ["cts", "dsr", "rng", "dcd", "rx", "tx", "frame", "overrun", "parity", "brk", "buf_overrun"]
        return struct.pack("20I", *(self.counts.get(name, 0) & LARGEST for name in names), *[0xDEAD] * 9)


def counters(driver: Driver, name: str = "amba-pl011") -> DriverCounters:
    return DriverCounters(name, 7, driver)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a pseudo-terminal in raw mode."""
    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    yield master, slave
    for descriptor in (master, slave):
        os.close(descriptor)


def test_each_counter_is_found_at_its_place() -> None:
    driver = Driver()
    found = counters(driver)
    driver.counts = {"cts": 91, "dsr": 92, "rng": 93, "dcd": 94, "tx": 95}
    assert found.read() == Counters(0, 0, 0, 0, 0, 0)
    driver.counts |= {"rx": 1, "frame": 2, "parity": 3, "brk": 4, "overrun": 5, "buf_overrun": 6}
    expected = Counters(rx=1, framing=2, parity=3, break_=4, overrun=5, buffer_overrun=6)
    assert found.read() == expected
    assert found.read() == expected


def test_what_was_counted_before_the_port_was_opened_is_not_counted() -> None:
    driver = Driver(rx=5000, brk=7)
    found = counters(driver)
    assert found.read() == Counters(0, 0, 0, 0, 0, 0)
    driver.counts = {"rx": 5010, "brk": 8}
    assert found.read() == Counters(rx=10, framing=0, parity=0, break_=1, overrun=0, buffer_overrun=0)


@settings(deadline=None)
@given(st.integers(0, LARGEST), st.lists(st.integers(0, LARGEST), max_size=10))
def test_counts_go_on_where_the_driver_begins_anew_after_32_bits(start: int, steps: list[int]) -> None:
    driver = Driver(rx=start)
    found = counters(driver)
    for step in steps:
        driver.counts["rx"] += step
        found.read()
    last = found.read()
    assert last is not None
    assert last.rx == sum(steps)


def test_characters_that_were_discarded_are_forgotten_but_not_the_errors_in_them() -> None:
    driver = Driver(rx=100)
    found = counters(driver)
    driver.counts |= {"rx": 103, "brk": 1}
    found.forget_received()
    driver.counts |= {"rx": 108}
    assert found.read() == Counters(rx=5, framing=0, parity=0, break_=1, overrun=0, buffer_overrun=0)


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EINVAL])
def test_a_driver_without_counters_has_none(number: int) -> None:
    driver = Driver()
    driver.error = number
    found = counters(driver)
    found.forget_received()
    assert found.read() is None


def test_a_device_that_is_gone_is_an_error_and_no_lack_of_counters() -> None:
    driver = Driver()
    found = counters(driver)
    driver.error = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        found.read()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("amba-pl011", Counters(1, 1, 1, 1, 1, 1)),
        ("8250", Counters(1, 1, 1, 1, 1, 1)),
        ("ftdi_sio", Counters(1, 1, 1, 1, 1, 1)),
        ("ti_usb_3410_5052", Counters(1, 1, 1, 1, 1, 1)),
        ("unknown", Counters(1, 1, 1, 1, 1, 1)),
        ("bcm2835aux", Counters(rx=1, overrun=1)),
        ("cp210x", Counters(framing=1, parity=1, break_=1, overrun=1)),
        ("cdc_acm", Counters(framing=1, parity=1, break_=1, overrun=1)),
    ],
)
def test_a_counter_that_a_driver_never_moves_is_none(name: str, expected: Counters) -> None:
    driver = Driver()
    found = counters(driver, name)
    driver.counts = dict.fromkeys(("rx", "frame", "parity", "brk", "overrun", "buf_overrun"), 1)
    assert found.read() == expected


@pytest.mark.parametrize(
    ("name", "can", "expected"),
    [
        ("amba-pl011", True, ALL),
        ("8250", True, ALL),
        ("ftdi_sio", True, ALL),
        ("unknown", True, ALL),
        ("unknown", False, set()),
        ("bcm2835aux", True, {"overrun"}),
        ("cp210x", True, ALL - {"buffer_overrun"}),
        ("cp210x", False, set()),  # before Linux 5.10
        ("cdc_acm", True, ALL - {"buffer_overrun"}),
        ("pl2303", False, {"framing", "break"}),
        ("ch341", False, set()),
        ("pty", False, set()),
    ],
)
def test_a_driver_can_tell_what_it_counts_or_marks(name: str, *, can: bool, expected: set[LineError]) -> None:
    driver = Driver()
    driver.error = None if can else errno.ENOTTY
    assert line_errors_supported(name, counters(driver, name).read()) == expected


def test_bad_characters_are_marked_everywhere_but_on_a_pseudo_terminal() -> None:
    for name in ("amba-pl011", "bcm2835aux", "ftdi_sio", "pl2303", "unknown"):
        assert input_flags(name) == termios.PARMRK | termios.INPCK
    assert input_flags("pty") == 0


def test_a_pseudo_terminal_has_no_counters(terminal: tuple[int, int]) -> None:
    assert DriverCounters("pty", terminal[1]).read() is None


def test_bytes_that_wait_are_counted_until_they_are_read(terminal: tuple[int, int]) -> None:
    meter, line = terminal
    assert bytes_waiting(line) == 0
    os.write(meter, b"12345")
    assert os.read(line, 2) == b"12"
    assert bytes_waiting(line) == 3
    os.read(line, 3)
    assert bytes_waiting(line) == 0
