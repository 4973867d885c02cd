"""The request line on a GPIO of a Raspberry Pi, by RPi.GPIO or by rpi-lgpio, which goes by the same name.

What they raise, and when, is in their sources: RPi.GPIO 0.7.1, rpi-lgpio 0.6 and lgpio 0.2.2, which the latter uses.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p1_exporter.link.port import PortError
from p1_exporter.link.request import RequestLine
from p1_exporter.link.tty_trouble import user_name

if TYPE_CHECKING:
    from p1_exporter.link.port import Reason


class GpioLine(RequestLine):
    """A GPIO that is driven high to ask for data, and otherwise floats. It is never driven low.

    Args of the constructor: `pin`, its BCM number; `root`, where the file system of the computer begins.
    """

    def __init__(self, pin: int, root: Path = Path("/")) -> None:
        super().__init__()
        self._pin = pin
        self._root = root

    def _switch(self, *, asserted: bool) -> None:
        # RPi.GPIO writes to the registers, whoever uses the pin: nobody else would notice that two drive it.
        if asserted and self._is_one_wire():
            raise self._error("busy", _ONE_WIRE.format(pin=self._pin))
        try:
            gpio = importlib.import_module("RPi.GPIO")
            # A pin that is an output already, left so by a program that was killed, is nothing to warn of.
            gpio.setwarnings(False)  # noqa: FBT003 - has but this one argument
            gpio.setmode(gpio.BCM)
            if asserted:
                # Sets the level first and the direction then: the pin is at no moment an output at low.
                gpio.setup(self._pin, gpio.OUT, initial=gpio.HIGH)
            else:
                # GPIO0 to 8 have a pull-up after reset, which would go on asking: about 50 kOhm to 3.3 V.
                gpio.setup(self._pin, gpio.IN, pull_up_down=gpio.PUD_OFF)
        except Exception as error:
            raise self._explained(error) from error

    def _is_one_wire(self) -> bool:
        """Whether the kernel's 1-Wire driver has the pin, which the overlay w1-gpio gives it: GPIO4 by default."""
        drivers = self._root / "sys/bus/platform/drivers/w1-gpio"
        try:
            found = [gpios.read_bytes() for gpios in drivers.glob("*/of_node/gpios")]
        except OSError:
            return False  # the driver has just gone
        # Three numbers of 32 bits: controller, pin, flags.
        return any(int.from_bytes(gpios[4:8], "big") == self._pin for gpios in found)

    def _explained(self, error: Exception) -> PortError:
        text = str(error)
        if isinstance(error, ImportError):
            return self._error("missing", _NO_LIBRARY.format(error=error))
        if isinstance(error, OSError):
            # lgpio makes a pipe, .lgd-nfy0, in the working directory when it is loaded. The variable LG_WD names
            # another place, but moves the whole program there, away from where relative paths start.
            return self._error("forbidden", _NO_PIPE.format(error=text))
        for part, reason, advice in _TROUBLES:
            if part in text:
                return self._error(reason, advice.format(pin=self._pin, user=user_name(os.geteuid())))
        return self._error("other", f"{type(error).__name__}: {text}. It is tried again.")

    def _error(self, reason: Reason, text: str) -> PortError:
        return PortError(reason, f"request line gpio:{self._pin}: {text}")


_ONE_WIRE: Final = (
    "GPIO{pin} is in use by 1-Wire. Remove dtoverlay=w1-gpio from /boot/firmware/config.txt, or give 1-Wire another "
    "pin with dtoverlay=w1-gpio,gpiopin=N, and restart the computer."
)
_NO_LIBRARY: Final = (
    "no library for GPIO ({error}). Install python3-rpi.gpio on a Raspberry Pi 1 to 4, or python3-rpi-lgpio; in a "
    "virtual environment: pip install rpi-lgpio."
)
_NO_PIPE: Final = (
    "rpi-lgpio has to write to the working directory and cannot ({error}). Start this program in a directory where it "
    "may write; in a systemd unit that is WorkingDirectory=."
)
_NO_PI: Final = "this computer is no Raspberry Pi. Use rts or dtr; or wire the line to 5 V, and use none."
_NEW_PI: Final = "RPi.GPIO does not know this board: replace it by rpi-lgpio (python3-rpi-lgpio)."
_OLD_PI: Final = "rpi-lgpio does not know boards this old: replace it by RPi.GPIO (python3-rpi.gpio)."
_GROUP: Final = (
    "'sudo usermod -aG gpio {user}' lets this user in, after a new login or a restart of the service."
)
_NO_REGISTERS: Final = (
    f"no permission to use GPIO: /dev/gpiomem cannot be opened. {_GROUP} Where there is no such file, as with kernels "
    "that are not Raspberry Pi's own, use rpi-lgpio in the place of RPi.GPIO."
)
_NO_CHIP: Final = f"no permission to use GPIO: /dev/gpiochip* cannot be opened. {_GROUP}"
_NO_MAP: Final = "the kernel denies access to the GPIO registers. Use rpi-lgpio in the place of RPi.GPIO."
_BUSY: Final = (
    "GPIO{pin} is in use by another program or driver, which 'gpioinfo' names: stop it. On GPIO4 it is often 1-Wire: "
    "then remove dtoverlay=w1-gpio from /boot/firmware/config.txt and restart the computer."
)
# By a part of what the library says.
_TROUBLES: Final[tuple[tuple[str, Reason, str], ...]] = (
    ("only be run on a Raspberry Pi", "settings", _NO_PI),
    ("peripheral base address", "settings", _NEW_PI),
    ("old-style revision codes", "settings", _OLD_PI),
    ("No access to /dev/mem", "forbidden", _NO_REGISTERS),
    ("Mmap of GPIO registers failed", "forbidden", _NO_MAP),
    ("can not open gpiochip", "forbidden", _NO_CHIP),
    ("GPIO busy", "busy", _BUSY),
)
