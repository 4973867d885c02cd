"""Whole computers, from the first check to the last; the checks one by one have tests of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from p1_exporter.doctor.computer import CHECKS, Computer, examine
from p1_exporter.doctor.finding import AS_ROOT
from p1_exporter.link.port import PortSettings
from tests.doctor.fake_computer import CABLE, FakeComputer

if TYPE_CHECKING:
    from pathlib import Path

HOLD = "import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); print(flush=True); sys.stdin.read()"


def test_a_pc_with_a_cable_in_order_has_nothing_to_say_but_ok(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable()
    pc.kernel_log("usb 1-1.2: new full-speed USB device number 4 using xhci_hcd")
    found = pc.findings(CABLE, uid=0, user="root")
    assert {finding.status for finding in found.values()} == {"ok"}
    assert list(found) == ["port", "permission", "holders", "getty", "console", "kernel_log"]


def test_findings_come_in_the_order_of_the_table_under_its_names(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 3 Model B Rev 1.2")
    pi.mini_uart()
    pi.process(9, "ModemManager")
    found = pi.findings("/dev/ttyS0", "gpio:4")
    assert list(found) == [name for name in CHECKS if name in found]
    assert set(CHECKS) - set(found) == {"modem_manager", "gpio_access"}


def test_a_pi_3_as_it_comes_has_its_console_on_the_mini_uart(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 3 Model B Rev 1.2")
    pi.mini_uart(mode=0o620, group=5)
    pi.link("/dev/serial0", "/dev/ttyS0")
    pi.write("/boot/firmware/cmdline.txt", "console=serial0,115200 console=tty1 root=/dev/mmcblk0p2\n")
    pi.write("/proc/cmdline", "8250.nr_uarts=1 console=ttyS0,115200 console=tty1 root=/dev/mmcblk0p2\n")
    pi.active_units = {"serial-getty@ttyS0.service"}
    found = pi.findings("/dev/serial0")
    assert found["port"].summary == "/dev/serial0 leads to /dev/ttyS0: a serial port (driver bcm2835aux)."
    assert found["permission"].fault == "disconnected"
    assert "sudo systemctl disable --now serial-getty@ttyS0" in found["getty"].advice[0]
    assert "sudo raspi-config nonint do_serial_cons 1" in found["console"].advice[0]
    assert (found["uart"].status, found["uart"].fault) == ("warning", "wrong_speed")


@pytest.mark.parametrize("url", ["socket://meter:23", "rfc2217://meter:23", "file:///x", "simulate://dsmr5"])
def test_a_port_that_is_no_device_has_no_checks(url: str, tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    assert pc.findings(url) == {}
    assert pc.asked == []


def test_a_container_without_commands_gives_answers_all_the_same(tmp_path: Path) -> None:
    box = FakeComputer(tmp_path)
    box.device("/dev/meter")
    box.write("/.dockerenv")
    found = box.findings("/dev/meter", uid=0, user="root")
    assert found["port"].status == "ok"
    assert found["holders"].status == "unknown"
    assert found["holders"].advice == ("Look outside the container: sudo fuser -v /dev/meter",)
    assert found["kernel_log"].status == "unknown"
    assert "getty" not in found


def test_what_only_root_sees_is_said_in_the_same_words_each_time(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 4 Model B Rev 1.4")
    pi.usb_cable()
    found = pi.findings("/dev/ttyUSB0")
    hidden = [found[name] for name in ("holders", "power", "kernel_log")]
    assert {(finding.status, finding.advice) for finding in hidden} == {("unknown", (AS_ROOT,))}
    assert all(finding.needs_root for finding in hidden)


def test_an_empty_computer_raises_nothing(tmp_path: Path) -> None:
    computer = Computer(tmp_path, run=lambda _: None, uid=1000, groups=frozenset(), user="pi")
    (tmp_path / "proc").mkdir()
    found = examine(computer, PortSettings("/dev/ttyUSB0", None, "gpio:4"))
    assert [finding.check for finding in found if finding.status == "problem"] == ["port", "gpio_library"]


def test_every_command_that_is_asked_only_looks(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 3 Model B Rev 1.2")
    pi.usb_cable()
    pi.process(9, "ModemManager")
    pi.findings("/dev/ttyUSB0", "gpio:4", uid=0)
    looks = {
        ("systemctl", "is-active"),
        ("systemctl", "is-enabled"),
        ("mmcli", "--version"),
        ("vcgencmd", "get_throttled"),
    }
    asked = {(command[0], command[1]) for command in pi.asked}
    assert asked == looks | {("journalctl", "--dmesg"), ("dmesg", "--time-format=iso")}


def test_this_computer_names_the_process_that_holds_a_real_terminal() -> None:
    leader, terminal = os.openpty()
    path = os.ttyname(terminal)
    os.close(terminal)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        found = {finding.check: finding for finding in examine(Computer(), PortSettings(path))}
    os.close(leader)
    assert found["port"].status == "ok"
    assert (found["holders"].status, found["holders"].fault) == ("problem", "second_reader")
    assert f"(process {holder.pid})" in found["holders"].summary
    assert found["holders"].advice[0].endswith(f"sudo kill {holder.pid}")
