"""Which hardware stands behind a terminal, as a made-up sysfs tells it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from p1_exporter.link.tty_device import TtyDevice, tty_device

TERMINAL: Final = "/dev/null"
"""Any device with a number."""
PI: Final = b"Raspberry Pi 3 Model B Rev 1.2\0"


def make_hardware(sysfs: Path, place: str, driver: str) -> Path:
    """Make the folder of the hardware behind the terminal."""
    hardware = sysfs / "devices" / place
    hardware.mkdir(parents=True)
    (sysfs / "drivers" / driver).mkdir(parents=True)
    (hardware / "driver").symlink_to(sysfs / "drivers" / driver)
    number = Path(TERMINAL).stat().st_rdev
    entry = sysfs / f"dev/char/{os.major(number)}:{os.minor(number)}"
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(hardware)
    return hardware


def make_adapter(folder: Path, **strings: str) -> None:
    for name, text in strings.items():
        (folder / name).write_text(f"{text}\n", encoding="utf-8")


def make_board(sysfs: Path, model: bytes) -> None:
    (sysfs / "firmware/devicetree/base").mkdir(parents=True)
    (sysfs / "firmware/devicetree/base/model").write_bytes(model)


@pytest.mark.parametrize(
    ("kernel_name", "driver", "uart"),
    [("uart-pl011", "amba-pl011", "PL011"), ("bcm2835-aux-uart", "bcm2835aux", "mini UART")],
)
def test_the_two_uarts_of_a_raspberry_pi_are_told_apart(
    tmp_path: Path, kernel_name: str, driver: str, uart: str
) -> None:
    make_hardware(tmp_path, "platform/soc/3f201000.serial", kernel_name)
    make_board(tmp_path, PI)
    assert tty_device(TERMINAL, tmp_path) == TtyDevice(driver, uart, board="Raspberry Pi 3 Model B Rev 1.2")


def test_the_uart_of_a_pc_has_no_board(tmp_path: Path) -> None:
    make_hardware(tmp_path, "pnp0/00:04", "serial8250")
    assert tty_device(TERMINAL, tmp_path) == TtyDevice("8250", "16550")


@pytest.mark.parametrize("levels", ["1-1:1.0", "1-1:1.0/ttyUSB0"])
def test_a_usb_adapter_says_what_it_is_and_its_serial_number_is_left_alone(
    tmp_path: Path, levels: str
) -> None:
    make_hardware(tmp_path, f"usb1/1-1/{levels}", "ftdi_sio")
    make_adapter(tmp_path / "devices/usb1", idVendor="1d6b", idProduct="0002", product="Root hub")
    make_adapter(
        tmp_path / "devices/usb1/1-1",
        idVendor="0403",
        idProduct="6001",
        manufacturer="FTDI",
        product="FT232R USB UART",
        serial="A50285BI",
    )
    device = tty_device(TERMINAL, tmp_path)
    assert device == TtyDevice("ftdi_sio", usb_id="0403:6001", manufacturer="FTDI", product="FT232R USB UART")
    assert "A50285BI" not in repr(device)


def test_an_adapter_without_strings_has_its_number(tmp_path: Path) -> None:
    hardware = make_hardware(tmp_path, "usb1/1-1/1-1:1.0", "ch341")
    make_adapter(hardware.parent, idVendor="1a86", idProduct="7523", manufacturer="")
    assert tty_device(TERMINAL, tmp_path) == TtyDevice("ch341", usb_id="1a86:7523")


def test_what_an_adapter_says_of_itself_is_text_on_one_line_of_bounded_length(tmp_path: Path) -> None:
    hardware = make_hardware(tmp_path, "usb1/1-1/1-1:1.0", "cp210x")
    product = "P1\x1b[31m\ncable \u20ac\0" + "x" * 5000
    make_adapter(hardware.parent, idVendor="10c4", idProduct="ea60", product=product)
    device = tty_device(TERMINAL, tmp_path)
    assert device.product is not None
    assert device.product.startswith("P1 [31m cable € xxx")
    assert len(device.product) == 126


def test_nothing_is_known_of_a_device_that_the_kernel_does_not_tell(tmp_path: Path) -> None:
    assert tty_device(TERMINAL, tmp_path) == TtyDevice("unknown")
    assert tty_device(str(tmp_path / "missing"), tmp_path) == TtyDevice("unknown")


def test_a_pseudo_terminal_is_no_hardware(tmp_path: Path) -> None:
    meter, terminal = os.openpty()
    try:
        assert tty_device(os.ttyname(terminal), tmp_path) == TtyDevice("pty")
    finally:
        os.close(meter)
        os.close(terminal)
