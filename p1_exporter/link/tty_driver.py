"""Which kernel driver stands behind a terminal: drivers differ in what they can tell about line errors."""

from __future__ import annotations

import os
from pathlib import Path

# Major numbers of the slave sides of pseudo-terminals (Documentation/admin-guide/devices.txt).
_PTY_MAJORS = range(136, 144)

# Where the name in sysfs is not the one that people know the driver by.
_KNOWN_AS = {
    "uart-pl011": "amba-pl011",
    "pl011-axi": "amba-pl011",
    "bcm2835-aux-uart": "bcm2835aux",
    "ch341-uart": "ch341",
    # One driver for all 16550-compatible UARTs, reached over different buses.
    "serial": "8250",
    "serial8250": "8250",
    "of_serial": "8250",
    "dw-apb-uart": "8250",
}


def tty_driver(path: str, sysfs: Path = Path("/sys")) -> str:
    """The driver's name, `pty` for a pseudo-terminal, `unknown` where the kernel does not say.

    Args:
        path: of the device; links are followed.
        sysfs: where that file system is mounted.
    """
    try:
        if os.major(_number(path)) in _PTY_MAJORS:
            return "pty"
        name = (tty_hardware(path, sysfs) / "driver").resolve(strict=True).name
    except OSError:
        return "unknown"
    return _KNOWN_AS.get(name, name)


def tty_hardware(path: str, sysfs: Path = Path("/sys")) -> Path:
    """The folder in sysfs of the hardware behind a terminal.

    Args:
        path: of the device; links are followed.
        sysfs: where that file system is mounted.

    Raises:
        OSError: there is no such device, or no hardware that the kernel knows of.
    """
    number = _number(path)
    # By number, as a container may call the device differently from the kernel.
    device = (sysfs / f"dev/char/{os.major(number)}:{os.minor(number)}/device").resolve(strict=True)
    # From Linux 6.5 on, two devices without hardware stand between a UART's terminal and the UART.
    while (device / "subsystem").resolve().name == "serial-base":
        device = device.parent
    return device


def _number(path: str) -> int:
    return os.stat(path).st_rdev  # noqa: PTH116 - the path stays text, as the user gave it
