"""Which port is read where the user named none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p1_exporter.link.locate import default_port

if TYPE_CHECKING:
    from pathlib import Path


def device(root: Path, name: str) -> Path:
    path = root / "dev" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def by_id(root: Path, name: str, target: str) -> str:
    link = root / "dev/serial/by-id" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"../../{target}")
    return str(link)


def test_a_usb_adapter_named_after_the_p1_port_comes_first(tmp_path: Path) -> None:
    device(tmp_path, "ttyUSB0")
    device(tmp_path, "ttyUSB1")
    device(tmp_path, "serial0")
    by_id(tmp_path, "usb-FTDI_Solar_inverter-if00-port0", "ttyUSB0")
    cable = by_id(tmp_path, "usb-FTDI_p1_Converter_Cable-if00-port0", "ttyUSB1")
    assert default_port(tmp_path) == (cable, "a USB adapter with P1 in its name")


def test_a_p1_adapter_that_was_pulled_out_is_passed_over(tmp_path: Path) -> None:
    by_id(tmp_path, "usb-FTDI_P1_Converter_Cable-if00-port0", "ttyUSB1")
    assert default_port(tmp_path) is None


def test_the_only_usb_adapter_is_taken_by_its_lasting_name(tmp_path: Path) -> None:
    device(tmp_path, "ttyUSB3")
    device(tmp_path, "serial0")
    name = by_id(tmp_path, "usb-1a86_USB_Serial-if00-port0", "ttyUSB3")
    assert default_port(tmp_path) == (name, "the only USB serial adapter")


def test_the_only_usb_adapter_needs_no_lasting_name(tmp_path: Path) -> None:
    adapter = device(tmp_path, "ttyACM0")
    assert default_port(tmp_path) == (str(adapter), "the only USB serial adapter")


def test_of_two_usb_adapters_none_is_guessed(tmp_path: Path) -> None:
    device(tmp_path, "ttyUSB0")
    device(tmp_path, "ttyACM0")
    by_id(tmp_path, "usb-1a86_USB_Serial-if00-port0", "ttyUSB0")
    assert default_port(tmp_path) is None
    header = device(tmp_path, "serial0")
    assert default_port(tmp_path) == (
        str(header),
        "the UART on the pin header, as several USB serial adapters are there",
    )


def test_without_usb_adapter_the_pin_header_is_read(tmp_path: Path) -> None:
    header = device(tmp_path, "serial0")
    assert default_port(tmp_path) == (
        str(header),
        "the UART on the pin header, as no USB serial adapter is there",
    )


def test_where_there_is_nothing_nothing_is_named(tmp_path: Path) -> None:
    assert default_port(tmp_path) is None
