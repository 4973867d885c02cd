"""`p1-exporter doctor --computer`: what is printed, and the exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tty
from typing import TYPE_CHECKING

import pytest

from p1_exporter.cli import main
from p1_exporter.doctor.survey import Place, survey
from p1_exporter.errors import UserError
from p1_exporter.link.port import PortSettings
from p1_exporter.options import OPTIONS
from tests.doctor.fake_computer import CABLE, FakeComputer

if TYPE_CHECKING:
    from pathlib import Path

    from p1_exporter.doctor.computer import Computer

ROOT = frozenset([0])


@pytest.fixture
def pc(tmp_path: Path) -> FakeComputer:
    computer = FakeComputer(tmp_path)
    computer.usb_cable()
    return computer


def as_root(of: FakeComputer) -> Computer:
    # Behind sudo, as when somebody installs a package.
    return of.computer(0, ROOT, "visitor")


def lines(
    of: FakeComputer, capsys: pytest.CaptureFixture[str], *ports: str, request_line: str = "none"
) -> tuple[int, list[str]]:
    """Look at a computer as root, for meters that are called a, b, c; return exit code and output."""
    places = [
        Place(name, PortSettings(port, request_line=request_line))
        for name, port in zip("abc", ports, strict=False)
    ]
    code = survey(places, as_json=False, computer=as_root(of))
    return code, capsys.readouterr().out.splitlines()


def test_a_computer_in_order_has_one_line_and_0(pc: FakeComputer, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(pc, capsys, CABLE) == (
        0,
        [f"Nothing on this computer stands in the way of reading {CABLE}."],
    )


def test_what_is_wrong_comes_with_its_commands_each_on_a_line_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 3 Model B Rev 1.2", raspi_config=False)
    pi.mini_uart()
    pi.link("/dev/serial0", "/dev/ttyS0")
    pi.write("/boot/firmware/cmdline.txt", "console=serial0,115200 console=tty1 root=/dev/mmcblk0p2\n")
    pi.write("/proc/cmdline", "console=ttyS0,115200 console=tty1 root=/dev/mmcblk0p2\n")
    pi.active_units = {"serial-getty@ttyS0.service"}
    pi.one_wire(4)
    pi.process(812, "cat", holds="/dev/ttyS0")
    code, told = lines(pi, capsys, "/dev/serial0", request_line="gpio:4")
    assert code == 1
    assert told[0] == "a: /dev/serial0"
    wrong = [line for line in told if line.startswith(("NO ", "!! "))]
    assert [
        any(word in line for line in wrong) for word in ("(getty)", "console:", "mini UART", "1-Wire")
    ] == [True] * 4
    assert "NO The port is in use by cat (process 812): it takes characters away from p1-exporter." in wrong
    commands = [line.rpartition(": ")[2] for line in told if line.startswith("   - ")]
    assert {
        "sudo kill 812",
        "sudo systemctl disable --now serial-getty@ttyS0",
        "sudo sed -i -E 's/console=(serial0|ttyS0)[^ ]* ?//g' /boot/firmware/cmdline.txt",
        "sudo sed -i '/^dtoverlay=w1-gpio/d' /boot/firmware/config.txt",
    } <= set(commands)


def test_a_modem_manager_that_may_disturb_is_wrong(
    pc: FakeComputer, capsys: pytest.CaptureFixture[str]
) -> None:
    pc.process(9, "ModemManager")
    code, told = lines(pc, capsys, CABLE)
    assert code == 1
    assert told[1].startswith("!! ModemManager runs")


def test_one_wire_does_not_matter_where_no_pin_asks_the_meter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 4 Model B Rev 1.4")
    pi.usb_cable()
    pi.one_wire(4)
    assert lines(pi, capsys, CABLE)[0] == 0


def test_the_service_itself_may_have_the_port(pc: FakeComputer, capsys: pytest.CaptureFixture[str]) -> None:
    program = ("/usr/bin/python3", "/usr/bin/p1-exporter", "run")
    unit = "prometheus-p1-exporter.service"
    pc.process(812, "p1-exporter", *program, unit=unit, holds="/dev/ttyUSB0")
    assert lines(pc, capsys, CABLE)[0] == 0


def test_what_has_happened_since_the_start_is_not_told(
    pc: FakeComputer, capsys: pytest.CaptureFixture[str]
) -> None:
    pc.kernel_log("usb 1-1.2: USB disconnect, device number 4")
    assert pc.findings(CABLE, uid=0)["kernel_log"].status == "warning"
    pc.asked.clear()
    assert lines(pc, capsys, CABLE)[0] == 0
    assert not [command for command in pc.asked if command[0] in {"journalctl", "dmesg"}]


def test_each_port_is_looked_at_and_what_concerns_all_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pc = FakeComputer(tmp_path)
    code, told = lines(pc, capsys, "/dev/ttyUSB0", "/dev/ttyUSB1", "socket://meter:2001")
    assert code == 1
    assert [line for line in told if line.startswith(("a:", "b:", "c:", "NO"))] == [
        "a: /dev/ttyUSB0",
        "NO /dev/ttyUSB0 does not exist.",
        "b: /dev/ttyUSB1",
        "NO /dev/ttyUSB1 does not exist.",
    ]
    code, told = lines(pc, capsys, "/dev/ttyUSB0", "/dev/ttyUSB0")
    assert [line for line in told if line.startswith(("a:", "b:"))] == ["a: /dev/ttyUSB0"]


def test_why_a_port_was_chosen_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place("main", PortSettings("/dev/serial0"), "no serial port was found")
    survey([place], as_json=False, computer=as_root(FakeComputer(tmp_path)))
    assert capsys.readouterr().out.startswith("main: /dev/serial0 (no serial port was found)\n")


def test_who_is_not_root_is_told_that_there_may_be_more(
    pc: FakeComputer, capsys: pytest.CaptureFixture[str]
) -> None:
    computer = pc.computer(1000, frozenset([1000, 20]), "pi")
    assert survey([Place("main", PortSettings(CABLE))], as_json=False, computer=computer) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("Root sees more: sudo p1-exporter doctor --computer")


def test_json_has_every_finding_of_every_port(pc: FakeComputer, capsys: pytest.CaptureFixture[str]) -> None:
    places = [
        Place("a", PortSettings(CABLE)),
        Place("b", PortSettings("/dev/ttyUSB7")),
        Place("c", PortSettings("simulate://dsmr5")),
    ]
    assert survey(places, as_json=True, computer=as_root(pc)) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(meter["name"], meter["port"]) for meter in told["meters"]] == [
        ("a", CABLE),
        ("b", "/dev/ttyUSB7"),
        ("c", "simulate://dsmr5"),
    ]
    good, bad, simulated = ([each["status"] for each in meter["findings"]] for meter in told["meters"])
    assert (set(good), "problem" in bad, simulated) == ({"ok"}, True, [])
    assert told["verdict"].startswith("Something on this computer stands in the way of reading")


def test_where_nothing_can_be_seen_that_is_an_error_and_no_health(pc: FakeComputer) -> None:
    shutil.rmtree(pc.path("/proc"))
    with pytest.raises(UserError, match="/proc"):
        survey([Place("main", PortSettings(CABLE))], as_json=False, computer=as_root(pc))


# The command line.


def test_the_command_looks_at_each_port_of_a_file_and_opens_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meter, terminal = os.openpty()
    tty.setraw(terminal)
    name = os.ttyname(terminal)
    os.close(terminal)
    file = tmp_path / "p1.yml"
    missing = tmp_path / "ttyUSB0"
    file.write_text(
        # The key is where only the service can read it.
        f"meters:\n- {{name: house, port: {name}, key-file: /nonexistent}}\n- {{name: annex, port: {missing}}}\n"
    )
    assert main(["doctor", "--computer", f"--config.file={file}"]) == 1
    out, err = capsys.readouterr()
    assert (out.splitlines()[:2], err) == ([f"annex: {missing}", f"NO {missing} does not exist."], "")
    # Nobody has opened it: what is sent meanwhile stays unread.
    os.write(meter, b"unread")
    terminal = os.open(name, os.O_RDWR | os.O_NOCTTY)
    assert os.read(terminal, 100) == b"unread"
    os.close(terminal)
    os.close(meter)


def test_the_command_takes_every_flag_of_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {
        "serial.port": "/nonexistent/p1",
        "serial.baudrate": "9600",
        "serial.request-line": "rts",
        "serial.request-interval": "60",
        "serial.circuit": "cable",
        "meter.name": "house",
        "meter.time-zone": "Europe/Brussels",
        "meter.key-file": "/nonexistent/key",
        "meter.max-power": "20kW",
        "share.listen-address": "127.0.0.1:1",
        "web.listen-address": "127.0.0.1:2",
        "web.telemetry-path": "/p1",
        "web.config.file": "/nonexistent/web.yml",
        "log.level": "debug",
        "log.format": "json",
        "config.file": str(tmp_path / "p1.yml"),
    }
    (tmp_path / "p1.yml").write_text("log: {level: info}\n")
    switches = [option.flag for option in OPTIONS if option.is_switch]
    assert {option.name for option in OPTIONS if not option.is_switch} == set(values)
    flags = [f"--{name}={value}" for name, value in values.items()] + switches
    assert main(["doctor", "--computer", *flags]) == 1
    out, err = capsys.readouterr()
    assert (out.splitlines()[0], err) == ("house: /nonexistent/p1", "")


@pytest.mark.parametrize(
    ("flag", "word"),
    [
        ("--serial.prot=x", "--serial.port"),
        ("--serial.port=/dev", "is a directory"),
        ("--serial.baudrate=fast", "fast"),
        ("--config.file=/nonexistent/p1.yml", "/nonexistent/p1.yml"),
        ("--seconds=5", "--seconds"),
        ("--record=x", "--record"),
        ("--replay=x", "--replay"),
        ("--redact", "--redact"),
    ],
)
def test_flags_that_cannot_work_give_2(flag: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--computer", flag]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), word in err) == ("", 1, True)


def test_the_command_loads_nothing_that_listens() -> None:
    # It is run before each start of the service, also on the slowest of computers.
    code = (
        "import sys; from p1_exporter.cli import main; "
        "main(['doctor', '--computer', '--serial.port=/nonexistent']); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    loaded = set(done.stdout.split())
    assert "p1_exporter.doctor.survey" in loaded
    assert not loaded & {
        "serial",
        "prometheus_client",
        "p1_exporter.meter",
        "p1_exporter.link.evidence",
        "rich",
    }
