"""Serial ports: what can be tried with pseudo-terminals, which are ports without control lines."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
import termios
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p1_exporter.link.holders import holders
from p1_exporter.link.port import READ_LIMIT, Port, PortError, PortSettings, open_port
from p1_exporter.link.tty_driver import tty_driver
from p1_exporter.link.tty_port import TtyPort
from p1_exporter.link.tty_trouble import way_in

if TYPE_CHECKING:
    from collections.abc import Iterator

TELEGRAM = b"/ISK5\\2M550T-1012\r\n\r\n1-0:1.7.0(00.244*kW)\r\n!F00D\r\n"
# Whatever a driver could take for a command: flow control, interrupt, line ends, marks of errors.
EVERY_BYTE = bytes(range(256)) + b"\xff\x00\xff\xff\x00\x03\x11\x13\r\n"


class Terminal:
    """The two ends of a pseudo-terminal: the meter writes to one, the path of the other is a port."""

    def __init__(self) -> None:
        self.meter, self.other_program = os.openpty()
        self.path = os.ttyname(self.other_program)

    @property
    def exclusive(self) -> bool:
        """Whether the kernel refuses to open it once more (TIOCGEXCL, which termios does not name)."""
        return struct.unpack("i", fcntl.ioctl(self.other_program, 0x80045440, bytes(4))) == (1,)

    def send(self, data: bytes) -> None:
        assert os.write(self.meter, data) == len(data)

    def unplug(self) -> None:
        for descriptor in (self.meter, self.other_program):
            with contextlib.suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    ends = Terminal()
    yield ends
    ends.unplug()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a burst may gather here: long enough for the second half to come late on a busy computer."""
    seconds = 0.3
    monkeypatch.setattr("p1_exporter.link.descriptor_port.GATHER_SECONDS", seconds)
    return seconds


def read_all(port: Port, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = port.read(5)
        assert chunk is not None, f"only {len(data)} of {size} bytes came"
        data += chunk.data
    return data


def failure(settings: PortSettings) -> PortError:
    with pytest.raises(PortError) as caught:
        open_port(settings)
    return caught.value


def test_what_the_port_is_can_be_told(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        assert (port.driver, port.baudrate, port.format) == ("pty", 115_200, "8N1")
        assert (port.request_line, port.request_asserted) == ("none", None)


def test_the_baud_rate_is_set(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path, 9600)) as port:
        assert port.baudrate == 9600
        assert isinstance(port, TtyPort)
        assert termios.tcgetattr(port.fileno())[4:6] == [termios.B9600, termios.B9600]


def test_every_byte_arrives_as_it_was_sent(terminal: Terminal) -> None:
    attributes = termios.tcgetattr(terminal.meter)
    attributes[0] |= termios.BRKINT | termios.ICRNL | termios.IXON | termios.ISTRIP | termios.PARMRK
    attributes[3] |= termios.ICANON | termios.ECHO | termios.ISIG
    termios.tcsetattr(terminal.meter, termios.TCSANOW, attributes)
    with open_port(PortSettings(terminal.path)) as port:
        terminal.send(EVERY_BYTE)
        assert read_all(port, len(EVERY_BYTE)) == EVERY_BYTE


def test_the_port_is_raw_also_where_a_console_left_it_otherwise(terminal: Terminal) -> None:
    attributes = termios.tcgetattr(terminal.meter)
    attributes[0] |= termios.BRKINT | termios.IGNPAR
    termios.tcsetattr(terminal.meter, termios.TCSANOW, attributes)
    with open_port(PortSettings(terminal.path)):
        assert termios.tcgetattr(terminal.meter)[0] == 0


def test_a_burst_is_one_chunk_with_the_time_of_its_first_byte(terminal: Terminal, patience: float) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        before = time.monotonic()
        terminal.send(TELEGRAM[:20])
        late = threading.Timer(0.01, terminal.send, [TELEGRAM[20:]])
        late.start()
        chunk = port.read(5)
        late.join()
        after = time.monotonic()
    assert chunk is not None
    assert chunk.data == TELEGRAM
    assert before <= chunk.time <= after - patience


def test_more_than_the_line_buffer_of_the_kernel_comes_in_one_chunk(terminal: Terminal) -> None:
    os.set_blocking(terminal.meter, False)
    with open_port(PortSettings(terminal.path)) as port:
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += os.write(terminal.meter, bytes(1000))
        chunk = port.read(5)
    assert chunk is not None
    assert 4096 < len(chunk.data) <= min(sent, READ_LIMIT)


def test_silence_is_no_chunk(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        before = time.monotonic()
        assert port.read(0.02) is None
        assert time.monotonic() - before >= 0.02


def test_a_waiting_read_can_be_woken_from_another_thread(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        alarm = threading.Timer(0.02, port.wake)
        alarm.start()
        before = time.monotonic()
        assert port.read(30) is None
        assert time.monotonic() - before < 5
        alarm.join()
        terminal.send(TELEGRAM)
        assert read_all(port, len(TELEGRAM)) == TELEGRAM


def test_a_wake_that_comes_too_early_is_not_lost(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        port.wake()
        before = time.monotonic()
        assert port.read(30) is None
        assert time.monotonic() - before < 5


def test_a_port_may_be_closed_twice_and_woken_afterwards(terminal: Terminal) -> None:
    port = open_port(PortSettings(terminal.path))
    port.close()
    port.close()
    port.wake()
    with pytest.raises(PortError, match="closed by this program") as caught:
        port.read(0)
    assert caught.value.reason == "closed"


def test_a_device_that_vanishes_is_an_error_at_once(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        unplug = threading.Timer(0.02, terminal.unplug)
        unplug.start()
        before = time.monotonic()
        with pytest.raises(PortError, match="vanished while it was read") as caught:
            port.read(30)
        unplug.join()
    assert time.monotonic() - before < 5
    assert caught.value.reason == "vanished"
    assert terminal.path in str(caught.value)


def test_bytes_that_another_program_took_are_counted_as_an_empty_read(
    terminal: Terminal, patience: float
) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        assert isinstance(port, TtyPort)
        terminal.send(TELEGRAM)
        # The other reader comes while the burst gathers.
        thief = threading.Timer(0.01, termios.tcflush, [port.fileno(), termios.TCIFLUSH])
        thief.start()
        assert port.read(5) is None
        thief.join()
        assert port.empty_reads == 1


def test_a_link_to_the_device_is_followed_anew_at_every_opening(terminal: Terminal, tmp_path: Path) -> None:
    replugged = Terminal()
    link = tmp_path / "usb-P1-port0"
    link.symlink_to(terminal.path)
    open_port(PortSettings(str(link))).close()
    link.unlink()
    link.symlink_to(replugged.path)
    with open_port(PortSettings(str(link))) as port:
        replugged.send(TELEGRAM)
        assert read_all(port, len(TELEGRAM)) == TELEGRAM
    replugged.unplug()


def test_a_missing_device_is_reported_with_what_to_do(tmp_path: Path) -> None:
    error = failure(PortSettings(str(tmp_path / "ttyUSB0")))
    assert error.reason == "missing"
    assert f"{tmp_path}/ttyUSB0: no such device" in str(error)


def test_what_is_no_device_is_a_matter_of_settings(tmp_path: Path) -> None:
    plain = tmp_path / "capture.bin"
    plain.touch()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, complaint in [
        (tmp_path, "is a directory"),
        (plain, f"file://{plain}"),
        (fifo, "no serial port"),
        (Path("/dev/null"), "no serial port"),
    ]:
        error = failure(PortSettings(str(path)))
        assert error.reason == "settings"
        assert complaint in str(error)


def test_a_port_in_use_is_reported_with_who_uses_it(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)):
        error = failure(PortSettings(terminal.path))
    assert error.reason == "busy"
    assert re.search(rf"in use by .+ \(process {os.getpid()}\)", str(error))


def test_an_open_port_is_exclusive_and_a_closed_one_is_not(terminal: Terminal) -> None:
    assert not terminal.exclusive
    with open_port(PortSettings(terminal.path)):
        assert terminal.exclusive
    assert not terminal.exclusive


def test_a_forbidden_port_is_reported_as_such(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: str, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("serial.serialposix.os.open", deny)
    error = failure(PortSettings(terminal.path))
    assert error.reason == "forbidden"
    assert f"{terminal.path}: permission denied" in str(error)


def test_the_way_to_a_forbidden_port_leads_through_its_group() -> None:
    assert "'sudo usermod -aG dialout pi'" in way_in(0o660, "dialout", "pi")
    assert "usermod" not in way_in(0o660, "root", "pi")
    assert "its group tty may not use it either (?-w--w----). Often a login console" in way_in(
        0o220, "tty", "pi"
    )


@pytest.mark.parametrize("line", ["rts", "dtr"])
def test_a_port_without_control_lines_cannot_request_data(terminal: Terminal, line: str) -> None:
    error = failure(PortSettings(terminal.path, request_line=line))
    assert error.reason == "settings"
    assert f"has no {line.upper()} line" in str(error)
    open_port(PortSettings(terminal.path)).close()  # and nothing was left open


@pytest.mark.parametrize("line", ["rts", "dtr"])
def test_the_request_line_is_asserted_while_the_port_is_open_and_then_released(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    states: list[bool] = []
    monkeypatch.setattr(
        f"serial.serialposix.Serial._update_{line}_state",
        lambda port: states.append(getattr(port, line)),
    )
    with open_port(PortSettings(terminal.path, request_line=line)) as port:
        assert port.request_asserted is True
        assert set(states) == {True}
    assert port.request_asserted is False
    assert states[-1] is False


def test_a_driver_that_refuses_the_settings_is_no_crash(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise termios.error(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("termios.tcsetattr", refuse)
    assert failure(PortSettings(terminal.path)).reason == "settings"


def test_a_port_without_hardware_is_missing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_hardware(_: int) -> None:
        raise termios.error(errno.EIO, "Input/output error")

    monkeypatch.setattr("termios.tcgetattr", no_hardware)
    error = failure(PortSettings(terminal.path))
    assert (error.reason, "no hardware" in str(error)) == ("missing", True)


def test_no_descriptor_is_left_behind(terminal: Terminal) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        with open_port(PortSettings(terminal.path)):
            failure(PortSettings(terminal.path))
            failure(PortSettings(terminal.path, request_line="rts"))
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_holders_of_other_users_are_passed_over(terminal: Terminal, tmp_path: Path) -> None:
    for pid, name, target in [
        (12, "getty", terminal.path),
        (7, "ser2net", terminal.path),
        (3, "cron", "/dev/null"),
    ]:
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
        (tmp_path / str(pid) / "fd/5").symlink_to(target)
    (tmp_path / "99").mkdir()  # without fd: ended, or not to be looked at
    (tmp_path / "uptime").touch()
    assert holders(terminal.path, tmp_path) == [(7, "ser2net"), (12, "getty")]


@pytest.mark.parametrize(
    ("kernel_name", "driver"),
    [
        ("ftdi_sio", "ftdi_sio"),
        ("ch341-uart", "ch341"),
        ("uart-pl011", "amba-pl011"),
        ("bcm2835-aux-uart", "bcm2835aux"),
        ("serial8250", "8250"),
    ],
)
def test_the_driver_is_known_by_its_usual_name(tmp_path: Path, kernel_name: str, driver: str) -> None:
    hardware = tmp_path / "devices/hardware"
    make_device(tmp_path, hardware, "platform", kernel_name)
    number = Path("/dev/null").stat().st_rdev
    terminal_entry = tmp_path / f"dev/char/{os.major(number)}:{os.minor(number)}"
    terminal_entry.mkdir(parents=True)
    (terminal_entry / "device").symlink_to(hardware)
    assert tty_driver("/dev/null", tmp_path) == driver
    # As from Linux 6.5 on.
    make_device(tmp_path, hardware / "hardware:0", "serial-base", "ctrl")
    make_device(tmp_path, hardware / "hardware:0/hardware:0.0", "serial-base", "port")
    (terminal_entry / "device").unlink()
    (terminal_entry / "device").symlink_to(hardware / "hardware:0/hardware:0.0")
    assert tty_driver("/dev/null", tmp_path) == driver


def test_a_driver_that_the_kernel_does_not_tell_is_unknown(tmp_path: Path) -> None:
    assert tty_driver("/dev/null", tmp_path) == "unknown"
    assert tty_driver(str(tmp_path / "missing"), tmp_path) == "unknown"


def make_device(sysfs: Path, device: Path, bus: str, driver: str) -> None:
    device.mkdir(parents=True)
    drivers = sysfs / "bus" / bus / "drivers" / driver
    drivers.mkdir(parents=True)
    (device / "driver").symlink_to(drivers)
    (device / "subsystem").symlink_to(sysfs / "bus" / bus)
