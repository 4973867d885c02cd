"""Computers made of files, for checks to look at."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from p1_exporter.doctor.computer import Computer, examine
from p1_exporter.link.port import PortSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from p1_exporter.doctor.finding import Finding

DIALOUT, TTY, GPIO = 20, 5, 997
USB = "/sys/devices/usb1/1-1/1-1.2"
CABLE = "/dev/serial/by-id/usb-FTDI_P1_cable-if00-port0"
ISO = "2026-11-22T10:11:{second:02}+0100 meter kernel: {text}"


class FakeComputer:
    """A PC with a user `pi`, who is in the group dialout; the rest is for each test to add.

    Attributes:
        answers: what commands print, by their first word.
        modules: those that Python could import.
        devices: mode and group of the files that stand for devices.
        active_units: the services that systemctl calls active.
        enabled_units: those that it calls enabled.
        asked: the commands that were run.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, str] = {}
        self.asked: list[Sequence[str]] = []
        self.modules: set[str] = set()
        self.devices: dict[Path, tuple[int, int]] = {}
        self.active_units: set[str] = set()
        self.enabled_units: set[str] = set()
        self.write("/etc/group", f"root:x:0:\ntty:x:{TTY}:\ndialout:x:{DIALOUT}:pi\ngpio:x:{GPIO}:pi\n")
        self.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000::/home/pi:/bin/bash\n")
        self.write("/proc/cmdline", "root=/dev/sda1 quiet\n")
        self.write("/proc/locks", "")

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def write(self, name: str, content: str | bytes = "") -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def link(self, name: str, target: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(self.path(target))

    def device(self, name: str, mode: int = 0o660, group: int = DIALOUT) -> None:
        self.write(name)
        self.devices[self.path(name)] = (mode, group)

    def _tty(self, name: str, hardware: str, driver: str, access: tuple[int, int]) -> None:
        """A terminal; there can be one only, as files that stand for devices all have the number 0:0."""
        self.device(f"/dev/{name}", *access)
        self.write(f"/sys/bus/{driver}/bind")
        self.link(f"{hardware}/driver", f"/sys/bus/{driver}")
        self.write(f"{hardware}/tty/{name}/dev", "0:0")
        self.link(f"{hardware}/tty/{name}/device", hardware)
        self.link(f"{hardware}/tty/{name}/subsystem", "/sys/class/tty")
        self.link(f"/sys/class/tty/{name}", f"{hardware}/tty/{name}")
        self.link("/sys/dev/char/0:0", f"{hardware}/tty/{name}")

    def usb_cable(self, name: str = "ttyUSB0", mode: int = 0o660, group: int = DIALOUT) -> None:
        self.write(f"{USB}/idVendor", "0403\n")
        self.write(f"{USB}/idProduct", "6001\n")
        self._tty(name, f"{USB}/1-1.2:1.0/{name}", "usb-serial/drivers/ftdi_sio", (mode, group))
        self.link(CABLE, f"/dev/{name}")

    def raspberry(self, model: str, *, raspi_config: bool = True) -> None:
        self.write("/proc/device-tree/model", f"{model}\0")
        self.write("/boot/firmware/config.txt", "arm_64bit=1\n")
        self.write("/boot/firmware/cmdline.txt", "console=tty1 root=/dev/mmcblk0p2\n")
        if raspi_config:
            self.write("/usr/bin/raspi-config")

    def pl011(self, name: str = "ttyAMA0", mode: int = 0o660, group: int = DIALOUT) -> None:
        self._uart(name, "3f201000.serial", "uart-pl011", (mode, group))

    def mini_uart(self, mode: int = 0o660, group: int = DIALOUT) -> None:
        self._uart("ttyS0", "3f215040.serial", "bcm2835-aux-uart", (mode, group))

    def _uart(self, name: str, place: str, driver: str, access: tuple[int, int]) -> None:
        hardware = f"/sys/devices/platform/soc/{place}"
        self._tty(name, hardware, f"platform/drivers/{driver}", access)
        node = f"/proc/device-tree/soc/serial@{place.partition('.')[0]}"
        self.write(f"{node}/status", "okay\0")
        self.link(f"{hardware}/of_node", node)
        self.write(f"{hardware}/tty/{name}/type", "32\n")

    def bluetooth(self, status: str = "okay") -> None:
        """Below the PL011, as on each Pi that has Bluetooth; a device tree without a status means okay."""
        self.write("/proc/device-tree/soc/serial@3f201000/bluetooth/status", f"{status}\0")

    def one_wire(self, pin: int) -> None:
        self.write("/sys/bus/w1/devices/w1_bus_master1/w1_master_name", "w1_bus_master1\n")
        numbers = (7, pin, 0)
        gpios = b"".join(number.to_bytes(4, "big") for number in numbers)
        self.write("/sys/bus/platform/drivers/w1-gpio/onewire@4/of_node/gpios", gpios)

    def process(self, pid: int, name: str, *arguments: str, unit: str = "", holds: str = "") -> None:
        self.write(f"/proc/{pid}/comm", f"{name}\n")
        self.write(f"/proc/{pid}/cmdline", "".join(f"{word}\0" for word in (arguments or (name,))))
        self.write(f"/proc/{pid}/cgroup", f"0::/system.slice/{unit}\n" if unit else "0::/user.slice\n")
        self.path(f"/proc/{pid}/fd").mkdir()
        if holds:
            self.link(f"/proc/{pid}/fd/3", holds)

    def kernel_log(self, *texts: str) -> None:
        lines = (ISO.format(second=second, text=text) for second, text in enumerate(texts))
        self.answers["journalctl"] = "".join(f"{line}\n" for line in lines)

    def _run(self, command: Sequence[str]) -> str | None:
        self.asked.append(command)
        if command[:2] == ["systemctl", "is-active"]:
            return "".join("active\n" if unit in self.active_units else "inactive\n" for unit in command[2:])
        if command[:2] == ["systemctl", "is-enabled"]:
            return "".join(
                "enabled\n" if unit in self.enabled_units else "disabled\n" for unit in command[2:]
            )
        return self.answers.get(command[0])

    def computer(self, uid: int, groups: frozenset[int], user: str) -> Computer:
        def status(path: Path) -> os.stat_result:
            real = path.stat()
            mode, group = self.devices.get(path.resolve(), (0, 0))
            if not mode:
                return real
            fields = (stat.S_IFCHR | mode, real.st_ino, real.st_dev, 1, 0, group, 0, 0, 0, 0)
            return os.stat_result(fields, {"st_rdev": 0})

        def may_use(path: Path) -> bool:
            mode, group = self.devices[path.resolve()]
            return uid == 0 or bool(mode & 0o006) or (group in groups and mode & 0o060 == 0o060)

        return Computer(self.root, self._run, uid, groups, user, status, may_use, self.modules.__contains__)

    def findings(
        self,
        port: str | None,
        request_line: str = "none",
        *,
        uid: int = 1000,
        groups: frozenset[int] = frozenset([1000, DIALOUT, GPIO]),
        user: str = "pi",
    ) -> dict[str, Finding]:
        """Examine this computer, and return the findings by check."""
        settings = None if port is None else PortSettings(port, None, request_line)
        return {finding.check: finding for finding in examine(self.computer(uid, groups, user), settings)}
