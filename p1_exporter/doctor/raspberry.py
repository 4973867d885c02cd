"""What is special about a Raspberry Pi: its two kinds of UART, and its power supply."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from p1_exporter.doctor.finding import AS_ROOT, Finding

if TYPE_CHECKING:
    from p1_exporter.doctor.scene import Scene

# Names under which the UART on the pins 8 and 10 of the header is known, on one model or the other.
HEADER_PORTS: Final = ("/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0")

# On a Raspberry Pi 5, the connector for debugging between the HDMI sockets; serial0 leads there.
_DEBUG_PORT = "ttyAMA10"
_RESTART = "Restart the Raspberry Pi: sudo reboot"

# Bits of the firmware's answer to get_throttled.
_POWER_LOW_NOW = 1 << 0
_POWER_WAS_LOW = 1 << 16


def line_into(scene: Scene, line: str) -> str:
    """The command that adds a line to the Raspberry Pi's config.txt."""
    return f"echo '{line}' | sudo tee -a {scene.boot_folder}/config.txt"


def steps_to_header_uart(scene: Scene) -> tuple[str, ...]:
    """What brings a good UART to the pins 8 and 10 of a Raspberry Pi's header, without a console on it."""
    port = "/dev/ttyAMA0" if scene.is_pi_5 else "/dev/serial0"
    line = "dtparam=uart0=on" if scene.is_pi_5 else "enable_uart=1"
    switch = "sudo raspi-config nonint do_serial_hw 0" if scene.has_raspi_config else line_into(scene, line)
    return (
        f"If the meter is on the pins 8 and 10 of the Pi, switch their serial port on: {switch}",
        *steps_without_console(scene, "ttyAMA0"),
        *(_steps_without_bluetooth(scene) if _has_bluetooth_on_uart(scene) else ()),
        _RESTART,
        f"Then start again: p1-exporter doctor --serial.port={port}",
    )


def steps_without_console(scene: Scene, tty: str) -> tuple[str, ...]:
    """What keeps the kernel's console off a serial port of a Raspberry Pi, from the next start on."""
    file = f"{scene.boot_folder}/cmdline.txt"
    # The file may name the port by the link; the firmware then tells the kernel the real name.
    if scene.has_raspi_config and not re.search(r"console=ttyS\d", scene.computer.text(file)):
        return ("Keep the login console off it: sudo raspi-config nonint do_serial_cons 1",)
    return (f"Keep the login console off it: sudo sed -i -E 's/console=(serial0|{tty})[^ ]* ?//g' {file}",)


def check_uart(scene: Scene) -> Finding | None:
    """Which UART of a Raspberry Pi the port is, and whether it is the one on the header."""
    if not scene.model or not scene.is_port or scene.usb is not None:
        return None
    if scene.is_pi_5 and scene.tty == _DEBUG_PORT:
        return Finding(
            "uart",
            "problem",
            f"On a Raspberry Pi 5, {scene.port} is the small debug connector between the HDMI sockets, "
            "not the pins 8 and 10 of the header.",
            steps_to_header_uart(scene),
            "silent",
        )
    if _is_wired_to_bluetooth(scene):
        return Finding(
            "uart",
            "problem",
            f"{scene.port} is wired to the Bluetooth chip of this Raspberry Pi, not to the pins of the header.",
            _steps_to_good_uart(scene),
            "silent",
        )
    if scene.driver == "bcm2835aux":
        return _mini_uart(scene)
    if not scene.tty.startswith("ttyAMA"):
        return None
    return Finding("uart", "ok", f"{scene.port} is a good UART (PL011) of this computer, a {scene.model}.")


def _mini_uart(scene: Scene) -> Finding:
    settings = scene.computer.text(f"{scene.boot_folder}/config.txt").splitlines()
    # The one without the other has not always kept the clock steady.
    missing = [line for line in ("enable_uart=1", "core_freq=250") if line not in settings]
    bluetooth = (
        "If you need Bluetooth, add dtoverlay=miniuart-bt and core_freq=250 in place of dtoverlay=disable-bt; "
        "Bluetooth gets the lesser UART then."
    )
    stay = f"Or stay with this UART, at a steady speed: {' && '.join(line_into(scene, line) for line in missing)}"
    return Finding(
        "uart",
        "warning",
        f"{scene.port} is the lesser UART of this Raspberry Pi (mini UART): "
        + (
            "its speed follows the clock of the processor, and when that changes, all turns into garbage."
            if missing
            else "it holds 8 characters only, and cannot tell when one arrives damaged."
        ),
        (*_steps_to_good_uart(scene), bluetooth, *([stay] if missing else [])),
        "wrong_speed" if missing else "",
    )


def _steps_to_good_uart(scene: Scene) -> tuple[str, ...]:
    return (
        *_steps_without_bluetooth(scene),
        _RESTART,
        "Then start again: p1-exporter doctor --serial.port=/dev/serial0",
    )


def _steps_without_bluetooth(scene: Scene) -> tuple[str, ...]:
    steps = [
        "Give the header the good UART, which Bluetooth has now (Bluetooth is off then): "
        + line_into(scene, "dtoverlay=disable-bt")
    ]
    # Gone in newer systems, where the kernel itself talks to the Bluetooth chip.
    if scene.computer.names("/lib/systemd/system/hciuart.service"):
        steps.append("Switch its service off as well: sudo systemctl disable --now hciuart")
    return tuple(steps)


def _is_wired_to_bluetooth(scene: Scene) -> bool:
    """Whether the device tree has the Bluetooth chip below this UART, and in use."""
    uart = scene.ancestor("of_node")
    if uart is None or not (uart / "of_node/bluetooth").exists():
        return False
    folder = scene.computer.name((uart / "of_node/bluetooth").resolve())
    return scene.computer.text(f"{folder}/status") != "disabled"


def _has_bluetooth_on_uart(scene: Scene) -> bool:
    chips = scene.computer.names("/proc/device-tree/soc/serial@*/bluetooth")
    return any(scene.computer.text(f"{chip}/status") != "disabled" for chip in chips)


def check_power(scene: Scene) -> Finding | None:
    """Whether the power of a Raspberry Pi is, or was, too low: USB adapters and levels suffer first."""
    if not scene.model:
        return None
    advice = (
        "Use the power supply that is made for this Raspberry Pi, with its own short cable.",
        "Unplug what the meter does not need, such as disks and displays.",
        "Look again after a while: vcgencmd get_throttled (throttled=0x0 is good)",
    )
    now, was = _low_power(scene)
    if now:
        return Finding("power", "problem", "The Raspberry Pi gets too little power at this moment.", advice)
    if was:
        return Finding("power", "warning", "The Raspberry Pi had too little power since its start.", advice)
    if was is None:
        return Finding(
            "power",
            "unknown",
            "Whether the Raspberry Pi ever had too little power could not be seen.",
            () if scene.computer.is_root else (AS_ROOT,),
            needs_root=not scene.computer.is_root,
        )
    return Finding("power", "ok", "The Raspberry Pi had enough power since its start.")


def _low_power(scene: Scene) -> tuple[bool | None, bool | None]:
    """Whether power is low, and whether it was since the start; None where nothing tells."""
    # Answers only root and the group video.
    answer = re.search(
        r"throttled=0x([0-9a-fA-F]{1,8})\b", scene.computer.run(["vcgencmd", "get_throttled"]) or ""
    )
    if answer is not None:
        bits = int(answer[1], 16)
        return bool(bits & _POWER_LOW_NOW), bool(bits & _POWER_WAS_LOW)
    alarms = [
        scene.computer.text(name.removesuffix("name") + "in0_lcrit_alarm")
        for name in scene.computer.names("/sys/class/hwmon/hwmon*/name")
        if scene.computer.text(name) == "rpi_volt"
    ]
    now = alarms[0] == "1" if alarms else None
    log = scene.kernel_log
    # Spelt in two ways, by kernels before and after 6.1.
    was = (
        None
        if log is None
        else any(re.search("under-?voltage detected", line.text, re.IGNORECASE) for line in log)
    )
    return now, was
