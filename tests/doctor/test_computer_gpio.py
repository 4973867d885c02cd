from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.doctor.fake_computer import CABLE, GPIO, FakeComputer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pi(tmp_path: Path) -> FakeComputer:
    computer = FakeComputer(tmp_path)
    computer.raspberry("Raspberry Pi 4 Model B Rev 1.4")
    computer.usb_cable()
    computer.modules = {"RPi.GPIO", "RPi._GPIO"}
    computer.device("/dev/gpiomem", group=GPIO)
    return computer


@pytest.fixture
def pi_5(tmp_path: Path) -> FakeComputer:
    computer = FakeComputer(tmp_path / "5")
    computer.raspberry("Raspberry Pi 5 Model B Rev 1.0")
    computer.usb_cable()
    computer.device("/dev/gpiochip0", group=GPIO)
    return computer


@pytest.fixture
def system_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if p1-exporter came from the distribution."""
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)


def test_without_a_gpio_there_is_nothing_to_say_of_gpios(pi: FakeComputer) -> None:
    for line in ("none", "rts", "dtr"):
        assert not {"one_wire", "gpio_library", "gpio_access"} & set(pi.findings(CABLE, line))


def test_a_pi_in_order_may_switch_the_pin(pi: FakeComputer) -> None:
    found = pi.findings(CABLE, "gpio:4")
    assert {found[name].status for name in ("one_wire", "gpio_library", "gpio_access")} == {"ok"}


def test_one_wire_on_the_same_pin_is_a_problem(pi: FakeComputer) -> None:
    pi.one_wire(4)
    finding = pi.findings(CABLE, "gpio:4")["one_wire"]
    assert (finding.status, finding.fault) == ("problem", "disconnected")
    assert "GPIO4" in finding.summary
    assert "sudo raspi-config nonint do_onewire 1" in finding.advice[0]
    assert "dtoverlay=w1-gpio,gpiopin=17" in finding.advice[1]


def test_one_wire_on_another_pin_is_none(pi: FakeComputer) -> None:
    pi.one_wire(17)
    assert pi.findings(CABLE, "gpio:4")["one_wire"].status == "ok"
    assert pi.findings(CABLE, "gpio:17")["one_wire"].status == "problem"


def test_one_wire_on_nobody_knows_which_pin_is_a_warning(pi: FakeComputer) -> None:
    pi.write("/sys/bus/w1/devices/w1_bus_master1/w1_master_name")
    finding = pi.findings(CABLE, "gpio:4")["one_wire"]
    assert (finding.status, finding.fault) == ("warning", "request_drop")


def test_root_sees_who_else_has_the_pin(pi: FakeComputer) -> None:
    assert pi.findings(CABLE, "gpio:4")["one_wire"].needs_root
    pi.write(
        "/sys/kernel/debug/gpio",
        "gpiochip0: GPIOs 512-569, parent: platform/fe200000.gpio, pinctrl-bcm2711:\n"
        " gpio-516 (GPIO4               |sysfs               ) out hi \n"
        " gpio-526 (GPIO14              )\n",
    )
    finding = pi.findings(CABLE, "gpio:4", uid=0)["one_wire"]
    assert (finding.status, finding.summary) == ("warning", "GPIO4 is in use by sysfs.")
    assert pi.findings(CABLE, "gpio:14", uid=0)["one_wire"].status == "ok"


def test_a_gpio_of_a_pc_is_none(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable()
    found = pc.findings(CABLE, "gpio:4")
    assert found["gpio_library"].status == "problem"
    assert "--serial.request-line=rts" in found["gpio_library"].advice[0]
    assert not {"one_wire", "gpio_access"} & set(found)


@pytest.mark.usefixtures("system_python")
def test_a_missing_library_is_told_with_the_package_for_this_pi(pi: FakeComputer, pi_5: FakeComputer) -> None:
    pi_5.modules = set()
    assert "sudo apt install python3-rpi-lgpio" in pi_5.findings(CABLE, "gpio:4")["gpio_library"].advice[0]
    pi.modules = set()
    found = pi.findings(CABLE, "gpio:4")
    assert found["gpio_library"].advice == ("Install it: sudo apt install python3-rpi.gpio",)
    assert "gpio_access" not in found


def test_in_a_virtual_environment_the_library_is_installed_there(
    pi: FakeComputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/opt/p1")
    pi.modules = set()
    advice = pi.findings(CABLE, "gpio:4")["gpio_library"].advice
    assert advice == ("Install it where p1-exporter is: /opt/p1/bin/python -m pip install RPi.GPIO",)


def test_the_library_for_older_pis_does_not_do_on_a_pi_5(pi_5: FakeComputer) -> None:
    pi_5.modules = {"RPi.GPIO", "RPi._GPIO"}
    found = pi_5.findings(CABLE, "gpio:4")
    assert (found["gpio_library"].status, found["gpio_library"].fault) == ("problem", "disconnected")
    assert "rpi-lgpio" in found["gpio_library"].summary
    assert "gpio_access" not in found
    pi_5.modules = {"RPi.GPIO"}
    found = pi_5.findings(CABLE, "gpio:4")
    assert (found["gpio_library"].status, found["gpio_access"].status) == ("ok", "ok")


def test_a_user_outside_the_group_gpio_is_told_the_command(pi: FakeComputer) -> None:
    finding = pi.findings(CABLE, "gpio:4", groups=frozenset([1000]))["gpio_access"]
    assert finding.status == "problem"
    assert "sudo usermod -aG gpio pi" in finding.advice[0]


@pytest.mark.usefixtures("system_python")
def test_a_kernel_without_gpiomem_wants_the_library_that_needs_none(pi: FakeComputer) -> None:
    pi.path("/dev/gpiomem").unlink()
    finding = pi.findings(CABLE, "gpio:4")["gpio_access"]
    assert finding.advice == ("Install it: sudo apt install python3-rpi-lgpio",)


def test_a_kernel_without_gpio_devices_lets_nobody_switch(pi_5: FakeComputer) -> None:
    pi_5.modules = {"RPi.GPIO"}
    pi_5.path("/dev/gpiochip0").unlink()
    assert pi_5.findings(CABLE, "gpio:4")["gpio_access"].status == "problem"
