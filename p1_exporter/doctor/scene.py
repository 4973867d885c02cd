"""The facts about a port and its computer that several checks rest on, each looked up once."""

from __future__ import annotations

import os
import re
import stat
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from p1_exporter.doctor.kernel_log import KernelLine, read_kernel_log
from p1_exporter.doctor.processes import Process, processes
from p1_exporter.link.tty_driver import tty_driver, tty_hardware

if TYPE_CHECKING:
    from p1_exporter.doctor.computer import Computer
    from p1_exporter.link.port import PortSettings


class Scene:
    """One port on one computer.

    Args:
        computer: what to look at.
        settings: of a device path; None where there is no port at all.
    """

    def __init__(self, computer: Computer, settings: PortSettings | None) -> None:
        self.computer = computer
        self.port = "" if settings is None else os.path.abspath(settings.url)  # noqa: PTH100 - links stay
        line = "none" if settings is None else settings.request_line
        self.gpio = int(line.removeprefix("gpio:")) if line.startswith("gpio:") else None

    @property
    def path(self) -> Path:
        """The port, links not followed."""
        return self.computer.path(self.port)

    @cached_property
    def status(self) -> os.stat_result | None:
        """The port's status; None where it is not there, or hidden."""
        if not self.port:
            return None
        try:
            return self.computer.stat(self.path)
        except OSError:
            return None

    @cached_property
    def why_no_port(self) -> str:
        """In a sentence, what the port is if it is no serial port; empty if it is one."""
        if self.status is None:
            return f"{self.port} does not exist."
        if not stat.S_ISCHR(self.status.st_mode):
            return f"{self.port} is {'a folder' if stat.S_ISDIR(self.status.st_mode) else 'a file'}, no serial port."
        # Screens and keyboards are terminals as well.
        if self._subsystem not in ("tty", "") or re.fullmatch(r"tty\d*|console|ptmx", self.tty):
            return f"{self.port} is a device, but no serial port."
        # The kernel has more names for UARTs of the PC kind than there are UARTs.
        if self.computer.text(f"/sys/class/tty/{self.tty}/type") == "0":
            return f"{self.port} is only a name: there is no hardware behind it."
        return ""

    @property
    def is_port(self) -> bool:
        """Whether the port is there, and a serial port."""
        return not self.why_no_port

    @cached_property
    def target(self) -> str:
        """The full name of the device, links followed, whether it is there or not."""
        return self.computer.name(Path(os.path.realpath(self.path)))

    @cached_property
    def tty(self) -> str:
        """What the kernel calls the device, such as ttyUSB0."""
        # By number, as a container may call the device differently from the kernel.
        name = self._device_number
        known = self.computer.path(f"/sys/dev/char/{name}") if name else None
        if known is not None and known.exists():
            return known.resolve().name
        return Path(self.target).name

    @cached_property
    def device(self) -> Path | None:
        """The folder in sysfs of the hardware behind the port."""
        try:
            return tty_hardware(str(self.path), self.computer.path("/sys")) if self.is_port else None
        except OSError:
            return None

    @cached_property
    def driver(self) -> str:
        """The kernel's driver of the port."""
        return tty_driver(str(self.path), self.computer.path("/sys")) if self.is_port else "unknown"

    @cached_property
    def usb(self) -> Path | None:
        """The folder in sysfs of the USB device that the port belongs to; its name is its place, as 1-1.2."""
        return self.ancestor("idVendor")

    def ancestor(self, file: str) -> Path | None:
        """The nearest folder in sysfs, from the port's hardware upwards, that has such a file."""
        if self.device is None:
            return None
        return next(
            (folder for folder in (self.device, *self.device.parents) if (folder / file).exists()), None
        )

    @cached_property
    def _subsystem(self) -> str:
        """The kernel's subsystem of the device: tty for all serial ports; empty where the kernel does not say."""
        try:
            folder = self.computer.path(f"/sys/dev/char/{self._device_number}/subsystem")
            return folder.resolve(strict=True).name
        except OSError:
            return ""

    @property
    def _device_number(self) -> str:
        if self.status is None:
            return ""
        return f"{os.major(self.status.st_rdev)}:{os.minor(self.status.st_rdev)}"

    @cached_property
    def model(self) -> str:
        """The model of a Raspberry Pi, as `Raspberry Pi 4 Model B Rev 1.4`; empty on other computers."""
        # A container may hide the device tree.
        told = re.search(r"^Model\s*: (.+)$", self.computer.text("/proc/cpuinfo"), re.MULTILINE)
        model = self.computer.text("/proc/device-tree/model") or (told[1] if told else "")
        return model if model.startswith("Raspberry Pi") else ""

    @property
    def is_pi_5(self) -> bool:
        """Whether this is a Raspberry Pi 5 or one of its kin, whose serial ports have other names."""
        return bool(re.match(r"Raspberry Pi (5\b|500|Compute Module 5)", self.model))

    @cached_property
    def boot_folder(self) -> str:
        """The folder of the Raspberry Pi's config.txt and cmdline.txt: another one since Debian 12."""
        return "/boot/firmware" if self.computer.exists("/boot/firmware/config.txt") else "/boot"

    @cached_property
    def has_raspi_config(self) -> bool:
        """Whether Raspberry Pi OS runs, with its tool for settings."""
        return self.computer.exists("/usr/bin/raspi-config")

    @cached_property
    def is_contained(self) -> bool:
        """Whether this program runs in a container, from which the other programs cannot be seen."""
        return self.computer.exists("/.dockerenv") or self.computer.exists("/run/.containerenv")

    @cached_property
    def kernel_log(self) -> tuple[KernelLine, ...] | None:
        """The kernel's messages since the computer started; None where they cannot be read."""
        return read_kernel_log(self.computer)

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """The processes that can be seen."""
        return processes(self.computer)
