from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from p1_exporter.doctor.rival_checks import port_holders
from p1_exporter.doctor.scene import Scene
from p1_exporter.link.port import PortSettings
from tests.doctor.fake_computer import CABLE, USB, FakeComputer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pc(tmp_path: Path) -> FakeComputer:
    computer = FakeComputer(tmp_path)
    computer.usb_cable()
    return computer


def test_a_service_that_has_the_port_is_named_with_the_command_that_stops_it(pc: FakeComputer) -> None:
    pc.process(812, "python3", unit="dsmr-datalogger.service", holds="/dev/ttyUSB0")
    finding = pc.findings(CABLE, uid=0)["holders"]
    assert (finding.status, finding.fault) == ("problem", "second_reader")
    assert "python3 of dsmr-datalogger.service (process 812)" in finding.summary
    assert finding.advice == ("Stop python3: sudo systemctl stop dsmr-datalogger",)


def test_a_program_in_a_container_is_stopped_with_its_container(pc: FakeComputer) -> None:
    pc.process(900, "python3", unit="docker-0123.scope", holds="/dev/ttyUSB0")
    assert "sudo docker ps" in pc.findings(CABLE, uid=0)["holders"].advice[0]


def test_a_program_of_another_user_gives_itself_away_by_its_lock(pc: FakeComputer) -> None:
    status = pc.path("/dev/ttyUSB0").stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    pc.write(
        "/proc/locks",
        "1: POSIX  ADVISORY  WRITE 12 00:19:99 0 EOF\n"
        f"2: FLOCK  ADVISORY  WRITE 812 {place}:{status.st_ino} 0 EOF\n",
    )
    pc.process(12, "other")
    pc.process(812, "domoticz")
    assert "domoticz (process 812):" in pc.findings(CABLE)["holders"].summary


def test_the_exporter_itself_is_no_rival(pc: FakeComputer) -> None:
    pc.process(
        812,
        "p1-exporter",
        "/usr/bin/python3",
        "/usr/bin/p1-exporter",
        "run",
        unit="prometheus-p1-exporter.service",
        holds="/dev/ttyUSB0",
    )
    finding = pc.findings(CABLE, uid=0)["holders"]
    assert finding.status == "ok"
    assert "p1-exporter of prometheus-p1-exporter.service (process 812)" in finding.summary
    assert "sudo systemctl stop prometheus-p1-exporter" in finding.advice[0]
    scene = Scene(pc.computer(0, frozenset(), "root"), PortSettings(CABLE))
    assert [holder.is_exporter for holder in port_holders(scene)] == [True]


def test_a_crowd_on_the_port_is_cut_short(pc: FakeComputer) -> None:
    for pid in range(100, 120):
        pc.process(pid, "cat", holds="/dev/ttyUSB0")
    finding = pc.findings(CABLE, uid=0)["holders"]
    assert "and others" in finding.summary
    assert len(finding.advice) == 5


def test_without_root_nobody_seen_is_not_nobody_there(pc: FakeComputer) -> None:
    assert pc.findings(CABLE)["holders"].status == "unknown"
    assert pc.findings(CABLE)["holders"].needs_root
    assert pc.findings(CABLE, uid=0)["holders"].status == "ok"


def test_a_login_console_is_found_by_its_service_whoever_looks(pc: FakeComputer) -> None:
    pc.active_units = {"serial-getty@ttyUSB0.service"}
    finding = pc.findings(CABLE)["getty"]
    assert (finding.status, finding.fault) == ("problem", "second_reader")
    assert finding.advice[0] == "Switch it off: sudo systemctl disable --now serial-getty@ttyUSB0"


def test_a_login_console_that_is_about_to_be_started_is_found_too(pc: FakeComputer) -> None:
    pc.enabled_units = {"serial-getty@ttyUSB0.service"}
    finding = pc.findings(CABLE)["getty"]
    assert finding.status == "problem"
    assert finding.advice[0] == "Switch it off: sudo systemctl disable --now serial-getty@ttyUSB0"


def test_a_login_console_is_found_by_its_process_where_systemctl_is_missing(pc: FakeComputer) -> None:
    unit = "system-serial\\x2dgetty.slice/serial-getty@ttyUSB0.service"
    pc.process(700, "agetty", "/sbin/agetty", "-", "vt220", unit=unit, holds="/dev/ttyUSB0")
    found = pc.findings(CABLE, uid=0)
    assert "serial-getty@ttyUSB0" in found["getty"].advice[0]
    # It is told once.
    assert found["holders"].status == "ok"


def test_a_login_console_of_inittab_is_removed_there(pc: FakeComputer) -> None:
    pc.process(700, "getty", "/sbin/getty", "-L", "ttyUSB0", "115200")
    assert "/etc/inittab" in pc.findings(CABLE)["getty"].advice[0]


def test_the_login_console_of_another_port_does_not_matter(pc: FakeComputer) -> None:
    pc.active_units = {"serial-getty@ttyS0.service"}
    pc.process(700, "agetty", "/sbin/agetty", "ttyS0", unit="serial-getty@ttyS0.service")
    assert pc.findings(CABLE)["getty"].status == "ok"


def test_the_kernels_console_is_found_on_its_command_line(pc: FakeComputer) -> None:
    pc.write("/proc/cmdline", "root=/dev/sda1 console=tty0 console=ttyUSB0,115200n8\n")
    finding = pc.findings(CABLE)["console"]
    assert (finding.status, finding.fault) == ("problem", "second_reader")
    assert finding.advice[0].endswith("sudo nano /etc/default/grub")
    assert finding.advice[1].endswith("sudo update-grub")


def test_the_kernels_console_is_found_among_the_active_ones(pc: FakeComputer) -> None:
    pc.write("/sys/class/tty/console/active", "tty0 ttyUSB0\n")
    assert pc.findings(CABLE)["console"].status == "problem"


def test_a_console_that_would_bring_the_login_back_goes_with_it(pc: FakeComputer) -> None:
    pc.active_units = {"serial-getty@ttyUSB0.service"}
    assert len(pc.findings(CABLE)["getty"].advice) == 2
    pc.write("/proc/cmdline", "console=ttyUSB0\n")
    advice = pc.findings(CABLE)["getty"].advice
    assert "console=ttyUSB0" in advice[1]
    assert advice[-1].endswith("sudo reboot")


def test_a_console_named_by_the_link_of_a_pi_is_seen_through(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 2 Model B Rev 1.1", raspi_config=False)
    pi.pl011()
    pi.link("/dev/serial0", "/dev/ttyAMA0")
    pi.write("/proc/cmdline", "console=serial0,115200\n")
    finding = pi.findings("/dev/ttyAMA0")["console"]
    assert finding.status == "problem"
    assert "/boot/firmware/cmdline.txt" in finding.advice[0]


def test_a_modem_manager_that_may_probe_is_a_warning(pc: FakeComputer) -> None:
    assert "modem_manager" not in pc.findings(CABLE)
    pc.process(600, "ModemManager", unit="ModemManager.service")
    finding = pc.findings(CABLE)["modem_manager"]
    assert (finding.status, finding.fault) == ("warning", "second_reader")
    assert "sudo systemctl disable --now ModemManager" in finding.advice[0]
    assert (
        'ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6001", ENV{ID_MM_DEVICE_IGNORE}="1"' in finding.advice[1]
    )


def test_a_modem_manager_of_today_leaves_an_adapter_alone_but_not_a_modems_kind(tmp_path: Path) -> None:
    for name, status in (("ttyUSB0", "ok"), ("ttyACM0", "warning")):
        pc = FakeComputer(tmp_path / name)
        pc.usb_cable(name)
        pc.process(600, "ModemManager")
        pc.answers["mmcli"] = "mmcli 1.20.4\nCopyright (2011 - 2021) Aleksander Morgado\n"
        assert pc.findings(CABLE)["modem_manager"].status == status
    pc.answers["mmcli"] = "mmcli 1.14.12\n"
    assert pc.findings(CABLE)["modem_manager"].status == "warning"


def test_a_modem_manager_that_was_told_to_ignore_the_adapter_is_no_warning(pc: FakeComputer) -> None:
    pc.process(600, "ModemManager")
    pc.write("/run/udev/data/c0:0", "S:serial/by-id/x\nE:ID_MM_DEVICE_IGNORE=1\n")
    assert pc.findings(CABLE)["modem_manager"].status == "ok"


def test_a_modem_manager_that_has_the_port_is_a_problem_told_once(pc: FakeComputer) -> None:
    pc.process(600, "ModemManager", holds="/dev/ttyUSB0")
    pc.answers["mmcli"] = "mmcli 1.20.4\n"
    found = pc.findings(CABLE, uid=0)
    assert found["modem_manager"].status == "problem"
    assert found["holders"].status == "ok"


def test_a_modem_manager_does_not_look_at_a_uart(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.pl011()
    pi.process(600, "ModemManager")
    assert not pi.path(USB).exists()
    assert "modem_manager" not in pi.findings("/dev/ttyAMA0")
