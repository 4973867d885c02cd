"""A request line on a GPIO: is the pin free, is the library there, may this user switch it?"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from p1_exporter.doctor.finding import Finding

if TYPE_CHECKING:
    from p1_exporter.doctor.scene import Scene

_RESTART = "Restart the Raspberry Pi: sudo reboot"
_WIRE = "Or wire the request line to 5 V, so that the meter always sends: --serial.request-line=none"
# A part that only the original has; rpi-lgpio, which goes by the same name, has none.
_ORIGINAL = "RPi._GPIO"
# What RPi.GPIO opens, and rpi-lgpio, which has the same name in Python. The number depends on the kernel.
_MEMORY = "/dev/gpiomem"
_CHIPS = "/dev/gpiochip[0-9]*"


def check_one_wire(scene: Scene) -> Finding | None:
    """Whether 1-Wire, which is for thermometers and on GPIO4 by default, switches the pin as well."""
    if scene.gpio is None or not scene.model:
        return None
    pins = _one_wire_pins(scene)
    if scene.gpio in pins:
        return Finding(
            "one_wire",
            "problem",
            f"1-Wire (for thermometers) has GPIO{scene.gpio}: p1-exporter cannot ask the meter for data with it.",
            _steps_without_one_wire(scene),
            "disconnected",
        )
    if not pins and scene.computer.names("/sys/bus/w1/devices/w1_bus_master*"):
        return Finding(
            "one_wire",
            "warning",
            "1-Wire (for thermometers) is on, and on which pin cannot be seen.",
            _steps_without_one_wire(scene),
            "request_drop",
        )
    return _other_use(scene)


def _other_use(scene: Scene) -> Finding:
    """Who in the kernel uses the pin, which root may know."""
    pins = scene.computer.text("/sys/kernel/debug/gpio")
    user = re.search(rf"\(\s*GPIO{scene.gpio}\s*\|\s*([^)]*?)\s*\)", pins)
    if user is not None and user[1]:
        return Finding(
            "one_wire",
            "warning",
            f"GPIO{scene.gpio} is in use by {user[1]}.",
            ("If that is not p1-exporter itself, stop it, or put the request line on another GPIO.",),
            "request_drop",
        )
    return Finding(
        "one_wire",
        "ok",
        f"1-Wire does not use GPIO{scene.gpio}.",
        needs_root=not scene.computer.is_root and not pins,
    )


def _one_wire_pins(scene: Scene) -> set[int]:
    """The GPIOs that the kernel's 1-Wire driver has."""
    nodes = scene.computer.names("/sys/bus/platform/drivers/w1-gpio/*/of_node/gpios")
    # Three numbers of 32 bits: controller, pin, flags.
    return {int.from_bytes(scene.computer.data(node)[4:8], "big") for node in nodes}


def _steps_without_one_wire(scene: Scene) -> tuple[str, ...]:
    if scene.has_raspi_config:
        switch = "sudo raspi-config nonint do_onewire 1"
    else:
        switch = f"sudo sed -i '/^dtoverlay=w1-gpio/d' {scene.boot_folder}/config.txt"
    return (
        f"If you do not need 1-Wire, switch it off: {switch}",
        f"If you need it, connect the thermometer to another pin, such as GPIO17: {_moved(scene)}",
        _RESTART,
    )


def _moved(scene: Scene) -> str:
    file = f"{scene.boot_folder}/config.txt"
    return f"sudo sed -i 's/^dtoverlay=w1-gpio.*/dtoverlay=w1-gpio,gpiopin=17/' {file}"


def check_gpio_library(scene: Scene) -> Finding | None:
    """Whether Python has a library that can switch a GPIO of this Raspberry Pi."""
    if scene.gpio is None:
        return None
    if not scene.model:
        return Finding(
            "gpio_library",
            "problem",
            f"A request line on GPIO{scene.gpio} needs a Raspberry Pi, and this computer does not look like one.",
            ("Wire the request line to RTS of the adapter: --serial.request-line=rts", _WIRE),
            "disconnected",
        )
    has = scene.computer.has_module
    if not has("RPi.GPIO"):
        summary = "The Python library that switches GPIOs is missing."
    elif scene.is_pi_5 and has(_ORIGINAL):
        summary = "The Python library RPi.GPIO does not work on a Raspberry Pi 5; rpi-lgpio takes its place."
    else:
        return Finding("gpio_library", "ok", "The Python library that switches GPIOs is there.")
    steps = _steps_to_library(with_kernel=scene.is_pi_5, replacing=has(_ORIGINAL))
    return Finding("gpio_library", "problem", summary, steps, "disconnected")


def _steps_to_library(*, with_kernel: bool, replacing: bool) -> tuple[str, ...]:
    """What installs rpi-lgpio, which works with the kernel, or the original, which works by itself."""
    if sys.prefix == sys.base_prefix:
        package = "python3-rpi-lgpio" if with_kernel else "python3-rpi.gpio"
        return (f"Install it: sudo apt install {package}",)
    # A virtual environment has libraries of its own.
    pip = f"{sys.prefix}/bin/python -m pip"
    remove = [f"Remove RPi.GPIO, which has the same name: {pip} uninstall RPi.GPIO"] if replacing else []
    return (
        *remove,
        f"Install it where p1-exporter is: {pip} install {'rpi-lgpio' if with_kernel else 'RPi.GPIO'}",
    )


def check_gpio_access(scene: Scene) -> Finding | None:
    """Whether this user may switch GPIOs."""
    if scene.gpio is None or not scene.model or not scene.computer.has_module("RPi.GPIO"):
        return None
    original = scene.computer.has_module(_ORIGINAL)
    if original and scene.is_pi_5:
        return None  # works for nobody
    steps: tuple[str, ...]
    user = scene.computer.user
    devices = scene.computer.names(_MEMORY if original else _CHIPS)
    if any(scene.computer.may_use(scene.computer.path(device)) for device in devices):
        return Finding("gpio_access", "ok", f"{user} may switch GPIOs.")
    if devices:
        summary = f"{user} may not switch GPIOs ({devices[0]})."
        steps = (
            f"Add this user to the group gpio: sudo usermod -aG gpio {user}",
            "Log out and in again: only a new login has the new group.",
        )
    elif original:
        summary = f"RPi.GPIO cannot switch GPIOs with this kernel, which has no {_MEMORY}; rpi-lgpio can."
        steps = _steps_to_library(with_kernel=True, replacing=True)
    else:
        summary = "This kernel lets no program switch GPIOs: /dev/gpiochip0 is missing."
        steps = ("Use the kernel of Raspberry Pi OS: it has that file.", _WIRE)
    return Finding("gpio_access", "problem", summary, steps, "disconnected")
