from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.doctor.fake_computer import CABLE, FakeComputer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pi(tmp_path: Path) -> FakeComputer:
    computer = FakeComputer(tmp_path)
    computer.raspberry("Raspberry Pi 4 Model B Rev 1.4")
    return computer


def test_a_pi_4_as_it_comes_has_the_mini_uart_on_its_header(pi: FakeComputer) -> None:
    pi.mini_uart()
    pi.bluetooth()
    finding = pi.findings("/dev/ttyS0")["uart"]
    assert (finding.status, finding.fault) == ("warning", "wrong_speed")
    advice = "\n".join(finding.advice)
    assert "echo 'dtoverlay=disable-bt' | sudo tee -a /boot/firmware/config.txt" in advice
    assert "dtoverlay=miniuart-bt" in advice
    assert "enable_uart=1" in advice
    assert "core_freq=250" in advice
    assert "hciuart" not in advice


def test_the_service_for_bluetooth_is_switched_off_where_there_is_one(pi: FakeComputer) -> None:
    pi.mini_uart()
    pi.write("/lib/systemd/system/hciuart.service")
    assert "sudo systemctl disable --now hciuart" in "\n".join(pi.findings("/dev/ttyS0")["uart"].advice)


def test_a_mini_uart_with_a_steady_clock_is_still_the_lesser_one(pi: FakeComputer) -> None:
    pi.mini_uart()
    pi.write("/boot/firmware/config.txt", "enable_uart=1\ncore_freq=250\n")
    finding = pi.findings("/dev/ttyS0")["uart"]
    assert (finding.status, finding.fault) == ("warning", "")
    assert "8 characters" in finding.summary
    assert "steady speed" not in "\n".join(finding.advice)


def test_a_clock_that_is_only_half_fixed_may_move(pi: FakeComputer) -> None:
    pi.mini_uart()
    pi.write("/boot/firmware/config.txt", "enable_uart=1\n")
    finding = pi.findings("/dev/ttyS0")["uart"]
    assert finding.fault == "wrong_speed"
    assert "echo 'core_freq=250'" in finding.advice[-1]
    assert "enable_uart" not in finding.advice[-1]


def test_the_uart_of_the_bluetooth_chip_is_not_the_one_on_the_header(pi: FakeComputer) -> None:
    pi.pl011()
    pi.bluetooth()
    finding = pi.findings("/dev/ttyAMA0")["uart"]
    assert (finding.status, finding.fault) == ("problem", "silent")
    assert "Bluetooth chip" in finding.summary


def test_with_bluetooth_off_the_good_uart_is_good(pi: FakeComputer) -> None:
    pi.pl011()
    pi.bluetooth("disabled")
    assert pi.findings("/dev/ttyAMA0")["uart"].status == "ok"


@pytest.mark.parametrize(
    "model",
    ["Raspberry Pi 5 Model B Rev 1.0", "Raspberry Pi 500 Rev 1.0", "Raspberry Pi Compute Module 5 Rev 1.0"],
)
def test_serial0_of_a_pi_5_is_the_debug_connector(model: str, tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry(model)
    pi.pl011("ttyAMA10")
    pi.link("/dev/serial0", "/dev/ttyAMA10")
    finding = pi.findings("/dev/serial0")["uart"]
    assert (finding.status, finding.fault) == ("problem", "silent")
    assert "debug connector" in finding.summary
    assert "sudo raspi-config nonint do_serial_hw 0" in finding.advice[0]
    assert finding.advice[-1].endswith("--serial.port=/dev/ttyAMA0")


def test_ttyama0_of_a_pi_5_is_good(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 5 Model B Rev 1.0")
    pi.pl011()
    assert pi.findings("/dev/ttyAMA0")["uart"].status == "ok"


def test_a_cable_on_a_pi_is_no_uart_of_the_pi(pi: FakeComputer) -> None:
    pi.usb_cable()
    assert "uart" not in pi.findings(CABLE)


def test_a_pi_in_a_container_is_known_by_its_processor(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.write(
        "/proc/cpuinfo", "processor\t: 0\n\nRevision\t: a02082\nModel\t\t: Raspberry Pi 3 Model B Rev 1.2\n"
    )
    pi.mini_uart()
    assert pi.findings("/dev/ttyS0")["uart"].status == "warning"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("throttled=0x0\n", "ok"),
        ("throttled=0x50005\n", "problem"),
        ("throttled=0x50000\n", "warning"),
        # Too hot, but fed well.
        ("throttled=0x80008\n", "ok"),
    ],
)
def test_the_firmware_tells_whether_power_is_or_was_too_low(
    pi: FakeComputer, answer: str, status: str
) -> None:
    pi.usb_cable()
    pi.answers["vcgencmd"] = answer
    finding = pi.findings(CABLE)["power"]
    assert finding.status == status
    assert bool(finding.advice) == (status != "ok")


def test_the_kernels_sensor_tells_of_low_power_where_the_firmware_does_not(pi: FakeComputer) -> None:
    pi.usb_cable()
    pi.answers["vcgencmd"] = "VCHI initialization failed\n"
    pi.write("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    pi.write("/sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    pi.write("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert pi.findings(CABLE)["power"].status == "problem"
    pi.write("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    assert pi.findings(CABLE)["power"].status == "unknown"


@pytest.mark.parametrize(
    "text", ["Under-voltage detected! (0x00050005)", "hwmon hwmon1: Undervoltage detected!"]
)
def test_the_kernels_log_tells_of_low_power_in_the_past(pi: FakeComputer, text: str) -> None:
    pi.usb_cable()
    pi.kernel_log(text, "Voltage normalised (0x00000000)")
    assert pi.findings(CABLE)["power"].status == "warning"


def test_power_is_not_asked_of_a_pc(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable()
    assert "power" not in pc.findings(CABLE)
