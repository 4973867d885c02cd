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
from typing import TYPE_CHECKING, Any

import pytest

from p1_exporter.link.counters import Counters
from p1_exporter.link.holders import holders
from p1_exporter.link.port import READ_LIMIT, Port, PortError, PortSettings, open_port
from p1_exporter.link.tty_driver import tty_driver
from p1_exporter.link.tty_evidence import DriverCounters
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


class Uart:
    """The counters of the UART that a pseudo-terminal is taken for; None where its driver has none."""

    def __init__(self, driver: str) -> None:
        self.driver = driver
        self.counts: dict[str, int] | None = {}

    def ioctl(self, *_: object) -> bytes:
        if self.counts is None:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        names = ("rx", "tx", "frame", "overrun", "parity", "brk", "buf_overrun")
        return struct.pack("16x7I36x", *(self.counts.get(name, 0) for name in names))


@pytest.fixture
def uart(monkeypatch: pytest.MonkeyPatch) -> Uart:
    """From now on, pseudo-terminals are UARTs of a Raspberry Pi."""
    uart = Uart("amba-pl011")
    monkeypatch.setattr("p1_exporter.link.tty_port.tty_driver", lambda _: uart.driver)
    monkeypatch.setattr(
        "p1_exporter.link.tty_line.DriverCounters",
        lambda driver, descriptor: DriverCounters(driver, descriptor, uart.ioctl),
    )
    return uart


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a burst may gather on a slow line: enough for the second half to come late on a busy computer."""
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
    with open_port(PortSettings(terminal.path, 9600)) as port:
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


def input_flags(terminal: Terminal) -> int:
    return int(termios.tcgetattr(terminal.meter)[0])


def without_escapes(terminal: Terminal) -> None:
    """Let through what is sent as if the kernel had escaped it: it would double each FF of a pseudo-terminal."""
    attributes = termios.tcgetattr(terminal.meter)
    attributes[0] = 0
    termios.tcsetattr(terminal.meter, termios.TCSANOW, attributes)


def test_a_uart_is_asked_to_mark_bad_characters_and_for_nothing_else(terminal: Terminal, uart: Uart) -> None:
    attributes = termios.tcgetattr(terminal.meter)
    attributes[0] |= termios.BRKINT | termios.IGNPAR | termios.IGNBRK | termios.ISTRIP | termios.ICRNL
    termios.tcsetattr(terminal.meter, termios.TCSANOW, attributes)
    with open_port(PortSettings(terminal.path)):
        assert input_flags(terminal) == termios.PARMRK | termios.INPCK


def test_every_byte_arrives_as_it_was_sent_also_where_errors_are_marked(
    terminal: Terminal, uart: Uart
) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        terminal.send(EVERY_BYTE)
        assert read_all(port, len(EVERY_BYTE)) == EVERY_BYTE


def test_marks_are_taken_out_of_the_data_and_tell_which_bytes_are_bad(terminal: Terminal, uart: Uart) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        without_escapes(terminal)
        terminal.send(b"1-0\xff\x00\x00:1.\xff\xff\xff\x007")
        chunk = port.read(5)
    assert chunk is not None
    assert chunk.data == b"1-0\x00:1.\xff7"
    assert chunk.marks == ((3, "break"), (8, "framing"))


def test_a_mark_may_come_in_two_reads(terminal: Terminal, uart: Uart) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        without_escapes(terminal)
        terminal.send(b"\xff\x00")
        assert port.read(5) is None
        terminal.send(b"ab")
        chunk = port.read(5)
    assert chunk is not None
    assert (chunk.data, chunk.marks) == (b"ab", ((0, "framing"),))


def test_a_burst_of_bad_characters_faster_than_any_meter_loses_none(terminal: Terminal, uart: Uart) -> None:
    sent = b"\xff\x00x\xff\xff" * 20_000
    with open_port(PortSettings(terminal.path, 921_600)) as port:
        without_escapes(terminal)
        burst = threading.Thread(target=write_all, args=[terminal.meter, sent])
        burst.start()
        data, marked, largest = b"", 0, 0
        while len(data) < 40_000:
            # Some reads end within an escape, which may be all there was.
            if chunk := port.read(5):
                data += chunk.data
                marked += len(chunk.marks)
                largest = max(largest, len(chunk.data))
        burst.join()
    assert data == b"x\xff" * 20_000
    assert marked == 20_000
    assert largest <= READ_LIMIT


def test_a_fast_line_is_read_before_the_buffer_of_the_kernel_is_full(
    terminal: Terminal, patience: float
) -> None:
    with open_port(PortSettings(terminal.path, 921_600)) as port:
        terminal.send(TELEGRAM)
        before = time.monotonic()
        assert port.read(5) is not None
        assert time.monotonic() - before < patience


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def test_a_pseudo_terminal_has_neither_counters_nor_errors(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        terminal.send(TELEGRAM)
        chunk = port.read(5)
        assert chunk is not None
        assert chunk.marks == ()
        assert port.counters() is None
        assert port.line_errors_supported == set()


def test_the_driver_counts_from_the_opening_on(terminal: Terminal, uart: Uart) -> None:
    uart.counts = {"rx": 5000, "brk": 2, "frame": 40}
    with open_port(PortSettings(terminal.path)) as port:
        assert port.counters() == Counters(0, 0, 0, 0, 0, 0)
        uart.counts |= {"rx": 5100, "frame": 41}
        assert port.counters() == Counters(100, 1, 0, 0, 0, 0)
        assert port.line_errors_supported == {"framing", "parity", "break", "overrun", "buffer_overrun"}


def test_the_one_break_of_a_line_that_is_low_is_counted_though_it_comes_with_the_opening(
    terminal: Terminal, uart: Uart, monkeypatch: pytest.MonkeyPatch
) -> None:
    uart.counts = {"rx": 900, "brk": 3}
    flush = termios.tcflush

    def line_is_low(descriptor: int, queue: int) -> None:
        uart.counts = {"rx": 901, "brk": 4}
        flush(descriptor, queue)

    monkeypatch.setattr("termios.tcflush", line_is_low)
    with open_port(PortSettings(terminal.path)) as port:
        # Its character was discarded, and nobody else took it.
        assert port.counters() == Counters(rx=0, framing=0, parity=0, break_=1, overrun=0, buffer_overrun=0)


@pytest.mark.parametrize(
    ("driver", "supported"), [("pl2303", {"framing", "break"}), ("ch341", set()), ("unknown", set())]
)
def test_without_counters_a_driver_can_tell_what_it_marks(
    terminal: Terminal, uart: Uart, driver: str, supported: set[str]
) -> None:
    uart.driver, uart.counts = driver, None
    with open_port(PortSettings(terminal.path)) as port:
        assert port.counters() is None
        assert port.line_errors_supported == supported


def test_bytes_that_wait_are_known_while_the_device_is_there(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        assert port.bytes_waiting() == 0
        terminal.send(TELEGRAM)
        until = time.monotonic() + 5
        while port.bytes_waiting() != len(TELEGRAM):
            assert time.monotonic() < until, "the kernel has not handed them on"
        assert read_all(port, len(TELEGRAM)) == TELEGRAM
        assert port.bytes_waiting() == 0
    assert port.bytes_waiting() is None


def test_a_port_that_is_closed_or_gone_has_counted_what_it_had(terminal: Terminal, uart: Uart) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        uart.counts = {"rx": 7}
        before = port.counters()
        port.close()
        uart.counts = {"rx": 8}
        assert port.counters() == before == Counters(7, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("baudrate", [9600, 250_000])
def test_the_baud_rate_can_be_changed_and_errors_are_marked_as_before(
    terminal: Terminal, uart: Uart, baudrate: int
) -> None:
    uart.counts = {"rx": 100}
    with open_port(PortSettings(terminal.path)) as port:
        uart.counts = {"rx": 150}
        assert port.set_baudrate(baudrate)
        assert port.baudrate == speed(terminal) == baudrate
        assert input_flags(terminal) == termios.PARMRK | termios.INPCK
        assert port.counters() == Counters(50, 0, 0, 0, 0, 0)
        terminal.send(EVERY_BYTE)
        assert read_all(port, len(EVERY_BYTE)) == EVERY_BYTE


def speed(terminal: Terminal) -> int:
    """The speed in numbers (TCGETS2, struct termios2), which termios has only for some."""
    return int(struct.unpack_from("I", fcntl.ioctl(terminal.meter, 0x802C542A, bytes(44)), 40)[0])


def test_a_baud_rate_that_the_driver_refuses_changes_nothing(
    terminal: Terminal, uart: Uart, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_attributes = termios.tcsetattr

    def refuse(descriptor: int, when: int, attributes: list[Any]) -> None:
        set_attributes(descriptor, when, attributes)
        if attributes[4] == termios.B9600:
            raise termios.error(errno.EINVAL, "Invalid argument")

    with open_port(PortSettings(terminal.path)) as port:
        monkeypatch.setattr("termios.tcsetattr", refuse)
        assert not port.set_baudrate(9600)
        assert port.baudrate == speed(terminal) == 115_200
        assert input_flags(terminal) == termios.PARMRK | termios.INPCK


def test_the_baud_rate_of_a_device_that_is_gone_cannot_be_changed(terminal: Terminal) -> None:
    with open_port(PortSettings(terminal.path)) as port:
        terminal.unplug()
        assert not port.set_baudrate(9600)
        assert port.bytes_waiting() is None
        with pytest.raises(PortError, match="vanished"):
            port.read(5)


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


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "{path}: permission denied; it"),
        # What systemd answers for a device that the unit does not list.
        (errno.EPERM, "add the lines '[Service]' and 'DeviceAllow={path} rw' by 'sudo systemctl edit"),
    ],
)
def test_a_forbidden_port_is_reported_with_what_refuses_it(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def deny(path: str, flags: int) -> int:
        raise PermissionError(number, os.strerror(number), path)

    monkeypatch.setattr("serial.serialposix.os.open", deny)
    error = failure(PortSettings(terminal.path))
    assert error.reason == "forbidden"
    assert said.format(path=terminal.path) in str(error)


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
