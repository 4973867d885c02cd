"""The request line: what becomes of a pin or a control line, what goes wrong with it, and when it is raised."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import struct
import sys
import termios
import types
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.gpio import GpioLine
from p1_exporter.link.port import PortError, PortSettings, open_port
from p1_exporter.link.request import ASK_SECONDS, ControlLine, Demand, request_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER = pwd.getpwuid(os.geteuid()).pw_name
PINS = range(28)
FLOATING, DRIVEN = "input, pull off", "output, high"


class StrictGpio(types.ModuleType):
    """What RPi.GPIO and rpi-lgpio have in common; fails the test at once where a pin would be driven low."""

    BCM, BOARD = 11, 10
    IN, OUT = 1, 0
    LOW, HIGH = 0, 1
    PUD_OFF, PUD_DOWN, PUD_UP = 20, 21, 22

    def __init__(self) -> None:
        super().__init__("RPi.GPIO")
        # As after a reset: GPIO0 to 8 pull up, the others down.
        self.pins = {pin: "input, pull up" if pin <= 8 else "input, pull down" for pin in PINS}
        self.history: list[str] = []
        self.warns = True
        self.mode: int | None = None
        self.fails: Exception | None = None
        self.watch: Callable[[], None] = lambda: None

    def setwarnings(self, warn: bool) -> None:  # noqa: FBT001 - as the library has it
        self.warns = warn

    def setmode(self, mode: int) -> None:
        assert mode == self.BCM, "pins of the header are numbered otherwise on some boards"
        self.mode = mode

    def setup(
        self, channel: int, direction: int, pull_up_down: int = PUD_OFF, initial: int | None = None
    ) -> None:
        assert self.mode == self.BCM, "Please set pin numbering mode"
        assert not self.warns, "it would warn of a pin that is an output already"
        self.watch()
        if self.fails:
            raise self.fails
        if direction == self.OUT:
            # Without an initial level RPi.GPIO would drive what the register held last: low, after a reset.
            assert initial == self.HIGH, "driven low"
            assert pull_up_down == self.PUD_OFF, "pull_up_down parameter is not valid for outputs"
            state = DRIVEN
        else:
            assert direction == self.IN
            assert initial is None, "initial parameter is not valid for inputs"
            assert pull_up_down == self.PUD_OFF, "a pull resistor would go on asking, or pull the line low"
            state = FLOATING
        self.pins[channel] = state
        self.history.append(f"GPIO{channel}: {state}")

    def output(self, *_: object) -> None:
        pytest.fail("levels are set with the direction, never after it")

    def cleanup(self, *_: object) -> None:
        pytest.fail("pins may belong to others")


@pytest.fixture
def gpio(monkeypatch: pytest.MonkeyPatch) -> StrictGpio:
    fake = StrictGpio()
    monkeypatch.setitem(sys.modules, "RPi", types.ModuleType("RPi"))
    monkeypatch.setitem(sys.modules, "RPi.GPIO", fake)
    return fake


@contextmanager
def terminal() -> Iterator[str]:
    ends = os.openpty()
    try:
        yield os.ttyname(ends[1])
    finally:
        for end in ends:
            os.close(end)


def failure(line: GpioLine) -> PortError:
    with pytest.raises(PortError) as caught:
        line.raise_line()
    assert not line.asserted
    return caught.value


# A GPIO.


def test_a_gpio_is_driven_high_and_then_floats(gpio: StrictGpio, tmp_path: Path) -> None:
    line = GpioLine(4, tmp_path)
    assert not line.asserted
    line.raise_line()
    assert (line.asserted, gpio.pins[4]) == (True, DRIVEN)
    line.release()
    assert (line.asserted, gpio.pins[4]) == (False, FLOATING)
    line.raise_line()
    line.close()
    assert (line.asserted, gpio.pins[4]) == (False, FLOATING)
    assert gpio.history == [f"GPIO4: {state}" for state in (DRIVEN, FLOATING, DRIVEN, FLOATING)]


def test_a_pin_is_left_alone_until_it_is_wanted(gpio: StrictGpio, tmp_path: Path) -> None:
    before = dict(gpio.pins)
    GpioLine(4, tmp_path).close()
    assert (gpio.pins, gpio.history) == (before, [])


@given(pin=st.sampled_from(PINS), switches=st.lists(st.sampled_from(["raise_line", "release", "close"])))
def test_no_pin_is_ever_driven_low_and_no_other_pin_is_touched(pin: int, switches: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fake = StrictGpio()
        patch.setitem(sys.modules, "RPi.GPIO", fake)
        line = GpioLine(pin, Path("/nonexistent"))
        for switch in switches:
            getattr(line, switch)()
            assert fake.pins[pin] == DRIVEN if line.asserted else fake.pins[pin] != DRIVEN
        line.close()
        assert all(event.startswith(f"GPIO{pin}: ") for event in fake.history)


def test_a_gpio_asks_while_the_port_is_open(gpio: StrictGpio) -> None:
    with terminal() as path, open_port(PortSettings(path, request_line="gpio:17")) as port:
        assert (port.request_line, port.request_asserted) == ("gpio:17", True)
        assert gpio.pins[17] == DRIVEN
        port.close()
        assert (port.request_asserted, gpio.pins[17]) == (False, FLOATING)


def test_the_line_is_raised_only_once_the_port_is_set_up(gpio: StrictGpio) -> None:
    with terminal() as path:
        exclusive: list[bytes] = []

        def look() -> None:
            # TIOCGEXCL, which termios does not name, of the port's own descriptor: the newest that leads there.
            ours = [int(entry.name) for entry in Path("/proc/self/fd").iterdir() if leads_to(entry, path)]
            exclusive.append(fcntl.ioctl(max(ours), 0x80045440, bytes(4)))
            assert termios.tcgetattr(max(ours))[4] == termios.B9600

        gpio.watch = look
        with open_port(PortSettings(path, 9600, request_line="gpio:4")):
            assert [struct.unpack("i", answer) for answer in exclusive] == [(1,)]
        gpio.watch = lambda: None


def leads_to(entry: Path, path: str) -> bool:
    try:
        return str(entry.readlink()) == path
    except FileNotFoundError:
        return False  # the descriptor of the folder itself


def test_a_port_whose_line_cannot_be_raised_is_closed_again(gpio: StrictGpio) -> None:
    gpio.fails = RuntimeError("No access to /dev/mem.  Try running as root!")
    with terminal() as path:
        before = set(Path("/proc/self/fd").iterdir())
        with pytest.raises(PortError, match="request line gpio:4: no permission"):
            open_port(PortSettings(path, request_line="gpio:4"))
        assert set(Path("/proc/self/fd").iterdir()) == before
        gpio.fails = None
        open_port(PortSettings(path, request_line="gpio:4")).close()


def test_a_port_can_be_asked_to_ask(gpio: StrictGpio) -> None:
    with terminal() as path, open_port(PortSettings(path, request_line="gpio:4")) as port:
        port.request(asserted=False)
        assert (port.request_asserted, gpio.pins[4]) == (False, FLOATING)
        port.request(asserted=True)
        assert (port.request_asserted, gpio.pins[4]) == (True, DRIVEN)
    with pytest.raises(PortError, match="closed by this program"):
        port.request(asserted=True)
    assert gpio.pins[4] == FLOATING


def test_a_port_without_request_line_has_nothing_to_ask_with() -> None:
    with terminal() as path, open_port(PortSettings(path)) as port:
        port.request(asserted=True)
        port.request(asserted=False)
        assert port.request_asserted is None


# What a GPIO library says: texts of RPi.GPIO 0.7.1, rpi-lgpio 0.6 and lgpio 0.2.2.


@contextmanager
def library(folder: Path, source: str) -> Iterator[None]:
    """Have Python find a GPIO library with this source."""
    package = folder / "RPi" / "GPIO"
    package.mkdir(parents=True)
    (folder / "RPi" / "__init__.py").touch()
    (package / "__init__.py").write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        for name in ("RPi", "RPi.GPIO"):
            patch.delitem(sys.modules, name, raising=False)
        yield
        for name in ("RPi", "RPi.GPIO"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("source", "reason", "advice"),
    [
        (
            "raise RuntimeError('This module can only be run on a Raspberry Pi!')",
            "settings",
            "this computer is no Raspberry Pi. Use rts or dtr",
        ),
        (
            "raise NotImplementedError('This module does not understand old-style revision codes')",
            "settings",
            "replace it by RPi.GPIO (python3-rpi.gpio)",
        ),
        ("import no_lgpio_here", "missing", "No module named 'no_lgpio_here'"),
        (
            "raise FileNotFoundError(2, 'No such file or directory', '.lgd-nfy-3')",
            "forbidden",
            "that is WorkingDirectory=",
        ),
    ],
)
def test_a_library_that_cannot_be_loaded_is_explained(
    tmp_path: Path, source: str, reason: str, advice: str
) -> None:
    with library(tmp_path, source):
        for _ in range(2):  # as it is tried again and again
            error = failure(GpioLine(4, tmp_path))
            assert error.reason == reason
            assert str(error).startswith("request line gpio:4: ")
            assert advice in str(error)


def test_without_a_library_it_is_said_which_one_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "RPi.GPIO", None)  # as if it were not installed
    error = failure(GpioLine(4, tmp_path))
    assert error.reason == "missing"
    for package in ("python3-rpi.gpio", "python3-rpi-lgpio", "pip install rpi-lgpio"):
        assert package in str(error)


class LgpioError(Exception):
    """As lgpio has it: of no kind but its own, and with a text that is the `repr` of another."""

    def __str__(self) -> str:
        return repr(self.args[0])


@pytest.mark.parametrize(
    ("trouble", "reason", "advice"),
    [
        (
            RuntimeError("No access to /dev/mem.  Try running as root!"),
            "forbidden",
            f"'sudo usermod -aG gpio {USER}'",
        ),
        (RuntimeError("Mmap of GPIO registers failed"), "forbidden", "Use rpi-lgpio"),
        (
            RuntimeError("Cannot determine SOC peripheral base address"),
            "settings",
            "replace it by rpi-lgpio (python3-rpi-lgpio)",
        ),
        (LgpioError("can not open gpiochip"), "forbidden", f"'sudo usermod -aG gpio {USER}'"),
        (LgpioError("GPIO busy"), "busy", "'gpioinfo' names"),
        (RuntimeError("GPIO busy"), "busy", "remove dtoverlay=w1-gpio"),
        (LgpioError("unexpected error"), "other", "LgpioError: 'unexpected error'. It is tried again."),
    ],
)
def test_a_pin_that_cannot_be_had_is_explained(
    gpio: StrictGpio, tmp_path: Path, trouble: Exception, reason: str, advice: str
) -> None:
    gpio.fails = trouble
    error = failure(GpioLine(4, tmp_path))
    assert error.reason == reason
    assert str(error).startswith("request line gpio:4: ")
    assert advice in str(error)
    gpio.fails = None
    GpioLine(4, tmp_path).raise_line()
    assert gpio.pins[4] == DRIVEN


def test_a_pin_that_cannot_be_released_any_more_does_not_keep_the_port_from_closing(
    gpio: StrictGpio, tmp_path: Path
) -> None:
    line = GpioLine(4, tmp_path)
    line.raise_line()
    gpio.fails = LgpioError("unknown handle")
    with pytest.raises(PortError, match="unknown handle"):
        line.release()
    assert line.asserted
    line.close()
    assert not line.asserted


def one_wire_on(root: Path, *pins: int) -> None:
    """Have a driver of 1-Wire on each of these pins, as sysfs shows it."""
    (root / "sys/bus/platform/drivers/w1-gpio").mkdir(parents=True)
    for pin in pins:
        node = root / f"sys/bus/platform/drivers/w1-gpio/onewire@{pin:x}/of_node"
        node.mkdir(parents=True)
        (node / "gpios").write_bytes(b"".join(cell.to_bytes(4, "big") for cell in (7, pin, 0)))


def test_a_pin_that_1_wire_drives_is_not_driven_as_well(gpio: StrictGpio, tmp_path: Path) -> None:
    one_wire_on(tmp_path, 22, 4)
    error = failure(GpioLine(4, tmp_path))
    assert error.reason == "busy"
    assert "GPIO4 is in use by 1-Wire. Remove dtoverlay=w1-gpio from" in str(error)
    assert gpio.history == []


@pytest.mark.parametrize("pins", [(), (17,), (5, 40)])
def test_1_wire_on_another_pin_is_no_hindrance(
    gpio: StrictGpio, tmp_path: Path, pins: tuple[int, ...]
) -> None:
    one_wire_on(tmp_path, *pins)
    GpioLine(4, tmp_path).raise_line()
    assert gpio.pins[4] == DRIVEN


# A control line.


def test_a_control_line_is_set_by_its_port() -> None:
    calls: list[tuple[str, bool]] = []
    settings = PortSettings("/dev/ttyUSB0", request_line="dtr")
    line = request_line(settings, lambda name, asserted: calls.append((name, asserted)))
    assert isinstance(line, ControlLine)
    assert calls == []
    line.raise_line()
    line.release()
    line.raise_line()
    line.close()
    line.close()
    assert calls == [("dtr", True), ("dtr", False), ("dtr", True), ("dtr", False)]


def test_without_request_line_there_is_none() -> None:
    assert request_line(PortSettings("/dev/ttyUSB0"), lambda *_: pytest.fail("nothing to set")) is None


@pytest.mark.parametrize("line", ["rts", "dtr"])
def test_a_control_line_can_be_switched_while_the_port_is_open(
    monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    states: list[bool] = []
    monkeypatch.setattr(
        f"serial.serialposix.Serial._update_{line}_state", lambda port: states.append(getattr(port, line))
    )
    with terminal() as path, open_port(PortSettings(path, request_line=line)) as port:
        states.clear()
        port.request(asserted=False)
        assert (port.request_asserted, states) == (False, [False])
        port.request(asserted=True)
        assert (port.request_asserted, states) == (True, [False, True])


def test_a_control_line_of_a_vanished_adapter_is_a_vanished_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("serial.serialposix.Serial._update_rts_state", lambda _: None)
    with terminal() as path, open_port(PortSettings(path, request_line="rts")) as port:
        monkeypatch.setattr("serial.serialposix.Serial._update_rts_state", gone)
        with pytest.raises(PortError, match="vanished") as caught:
            port.request(asserted=False)
        assert caught.value.reason == "vanished"
    assert port.request_asserted is False


# When a meter is asked.


class Asked:
    """A demand, and the times at which it switches its line."""

    def __init__(self, interval: float | None) -> None:
        self.now = 0.0
        self.demand = Demand(self.now, interval)
        self.switches: list[tuple[float, bool]] = []

    def wait(self, seconds: float, *, arriving: bool = False) -> None:
        """Let time pass, looking at the demand every tenth of a second."""
        for _ in range(round(seconds * 10)):
            self.now = round(self.now + 0.1, 1)
            self.look(arriving=arriving)

    def look(self, *, arriving: bool = False) -> None:
        if self.demand.wanted(self.now, arriving=arriving) != self.demand.raised:
            self.demand.switched(self.now)
            self.switches.append((self.now, self.demand.raised))

    def answer(self, *, forgiven: bool = False) -> None:
        self.demand.decided(forgiven=forgiven)
        self.look()


def test_a_held_line_is_never_released() -> None:
    meter = Asked(None)
    meter.wait(100)
    meter.answer()
    meter.wait(100)
    assert (meter.switches, meter.demand.raised) == ([], True)


def test_with_a_held_line_only_the_first_telegram_may_be_cut() -> None:
    meter = Asked(None)
    assert meter.demand.may_be_cut
    meter.answer(forgiven=True)
    assert not meter.demand.may_be_cut
    meter.answer()
    assert not meter.demand.may_be_cut


def test_the_line_is_released_once_a_telegram_came_and_raised_after_the_interval() -> None:
    meter = Asked(60)
    for _ in range(3):
        meter.wait(1.5)
        meter.answer()
        meter.wait(58.5)
    assert meter.switches == [
        (1.5, False),
        (60, True),
        (61.5, False),
        (120, True),
        (121.5, False),
        (180, True),
    ]


def test_the_time_to_raise_the_line_is_known_while_it_is_released() -> None:
    meter = Asked(60)
    assert meter.demand.due == float("inf")
    meter.wait(2)
    meter.answer()
    assert meter.demand.due == 60


def test_after_a_cut_telegram_another_is_waited_for() -> None:
    meter = Asked(60)
    meter.wait(1)
    meter.answer(forgiven=True)
    assert (meter.switches, meter.demand.may_be_cut) == ([], False)
    meter.wait(1)
    meter.answer()
    assert meter.switches == [(2, False)]


def test_what_is_cut_by_the_release_may_be_cut() -> None:
    meter = Asked(60)
    meter.demand.decided(forgiven=False)
    assert meter.demand.may_be_cut  # nobody waits for the next one
    meter.look()
    for _ in range(3):
        meter.answer(forgiven=True)
        assert meter.demand.may_be_cut
    meter.wait(60)
    assert (meter.switches, meter.demand.may_be_cut) == ([(0, False), (60, True)], True)


def test_a_meter_that_does_not_answer_is_given_up_and_asked_again() -> None:
    meter = Asked(60)
    meter.wait(130)
    assert meter.switches == [(ASK_SECONDS, False), (60, True), (60 + ASK_SECONDS, False), (120, True)]


def test_a_telegram_that_is_arriving_is_waited_for() -> None:
    meter = Asked(60)
    meter.wait(24)
    meter.wait(5, arriving=True)
    assert meter.switches == []
    meter.answer()
    assert meter.switches == [(29, False)]


def test_an_interval_shorter_than_the_answer_skips_what_it_cannot_have() -> None:
    meter = Asked(10)
    meter.wait(24)
    meter.answer()
    assert meter.switches == [(24, False)]
    assert meter.demand.due == 30


def test_lateness_does_not_add_up() -> None:
    meter = Asked(60)
    meter.answer()
    for minute in range(1, 10):
        meter.now = minute * 60 + 0.7
        meter.look()
        meter.answer()
        assert meter.demand.due == (minute + 1) * 60


@given(
    interval=st.floats(2, 3600),
    answers=st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.booleans()), max_size=40),
)
def test_the_line_is_released_and_raised_in_turn_and_never_sooner_than_planned(
    interval: float, answers: list[tuple[float, bool, bool]]
) -> None:
    demand, now, raised_at = Demand(0.0, interval), 0.0, [0.0]
    for after, forgiven, arriving in answers:
        now += after
        if forgiven or arriving:
            demand.decided(forgiven=forgiven)
        if demand.wanted(now, arriving=arriving) != demand.raised:
            due = demand.due
            demand.switched(now)
            if demand.raised:
                assert now >= due
                raised_at.append(due)
            else:
                assert now < demand.due <= now + interval
    gaps = [after - before for before, after in pairwise(raised_at)]
    assert all(gap == pytest.approx(interval * round(gap / interval)) and gap > 0 for gap in gaps)
