"""Which hardware stands behind a terminal: the UART, the USB adapter it is in, the board it is on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p1_exporter.link.tty_driver import tty_driver, tty_hardware

if TYPE_CHECKING:
    from collections.abc import Mapping

_UARTS: Final[Mapping[str, str]] = {"amba-pl011": "PL011", "bcm2835aux": "mini UART", "8250": "16550"}
# The longest string that a USB device can have.
_LONGEST: Final = 126


@dataclass(frozen=True, slots=True)
class TtyDevice:
    """The hardware behind a terminal, as far as the kernel tells. Serial numbers are not looked at."""

    driver: str
    """As `tty_driver` names it."""
    uart: str | None = None
    """PL011, mini UART or 16550, if it is one of these; a Raspberry Pi has the first two."""
    usb_id: str | None = None
    """Of a USB adapter: vendor and product, such as 0403:6001."""
    manufacturer: str | None = None
    """Of a USB adapter, as it says itself; so is its product."""
    product: str | None = None
    board: str | None = None
    """The model of this computer where it has a device tree, such as Raspberry Pi 3 Model B Rev 1.2."""


def tty_device(path: str, sysfs: Path = Path("/sys")) -> TtyDevice:
    """Look at what stands behind a terminal.

    Args:
        path: of the device; links are followed.
        sysfs: where that file system is mounted.
    """
    driver = tty_driver(path, sysfs)
    board = _text(sysfs / "firmware/devicetree/base/model")
    adapter = _usb_adapter(path, sysfs)
    if adapter is None:
        return TtyDevice(driver, _UARTS.get(driver), board=board)
    return TtyDevice(
        driver,
        usb_id=f"{_text(adapter / 'idVendor')}:{_text(adapter / 'idProduct')}",
        manufacturer=_text(adapter / "manufacturer"),
        product=_text(adapter / "product"),
        board=board,
    )


def _usb_adapter(path: str, sysfs: Path) -> Path | None:
    """The folder of the USB device that holds the terminal: a few levels up, above port and interface."""
    try:
        hardware = tty_hardware(path, sysfs)
    except OSError:
        return None
    candidates = (hardware, *hardware.parents)
    return next((folder for folder in candidates if (folder / "idVendor").is_file()), None)


def _text(file: Path) -> str | None:
    """What a file says, on one line; None where there is none."""
    try:
        with file.open("rb") as content:
            raw = content.read(4 * _LONGEST)
    except OSError:
        return None
    printable = "".join(letter if letter.isprintable() else " " for letter in raw.decode(errors="replace"))
    return " ".join(printable.split())[:_LONGEST] or None
