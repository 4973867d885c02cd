"""Who else reads from the port, or will: a serial port gives each character to one reader only."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from p1_exporter.doctor.finding import AS_ROOT, Finding
from p1_exporter.doctor.processes import Process, process
from p1_exporter.doctor.raspberry import steps_without_console
from p1_exporter.link.holders import holders

if TYPE_CHECKING:
    from p1_exporter.doctor.scene import Scene

_RESTART = "Restart the computer: sudo reboot"
# How many programs are named.
_SHOWN = 5
_MODEM_MANAGER = "ModemManager"
# What systemctl says of a login console that waits on the port, or that will as soon as the computer has started.
_WAITING = {"is-active": {"active", "activating"}, "is-enabled": {"enabled", "enabled-runtime"}}
# From this version on, it leaves serial ports alone that do not look like a modem's.
_STRICT_MODEM_MANAGER = (1, 18)


def port_holders(scene: Scene) -> tuple[Process, ...]:
    """The processes that have the port open, as far as they can be seen; locks of others are seen as well."""
    if not scene.is_port:
        return ()
    device = str(scene.path)
    pids = {holder.pid for holder in holders(device, scene.computer.path("/proc"))} | _lockers(scene)
    return tuple(process(scene.computer, pid) for pid in sorted(pids))


def _lockers(scene: Scene) -> set[int]:
    """Who has locked the port by flock, as p1-exporter and others do: everybody may read the list of locks."""
    if scene.status is None:
        return set()
    device = scene.status.st_dev
    file = f"{os.major(device):02x}:{os.minor(device):02x}:{scene.status.st_ino}"
    locks = (line.split() for line in scene.computer.text("/proc/locks").splitlines())
    return {int(lock[4]) for lock in locks if lock[5:6] == [file] and lock[4].isdecimal() and int(lock[4])}


def check_holders(scene: Scene) -> Finding | None:
    """Which programs have the port open; login consoles and ModemManager have checks of their own."""
    if not scene.is_port:
        return None
    found = port_holders(scene)
    others = [
        holder
        for holder in found
        if not (holder.is_exporter or _is_getty(holder) or holder.name == _MODEM_MANAGER)
    ]
    if others:
        shown = ", ".join(map(str, others[:_SHOWN])) + (" and others" if len(others) > _SHOWN else "")
        return Finding(
            "holders",
            "problem",
            f"The port is in use by {shown}: it takes characters away from p1-exporter.",
            tuple(_step_to_end(holder) for holder in others[:_SHOWN]),
            "second_reader",
        )
    for exporter in found:
        if exporter.is_exporter:
            return Finding(
                "holders",
                "ok",
                f"The port is read by p1-exporter itself: {exporter}.",
                (
                    f"To let doctor listen on the port itself, stop it for a while: {_command_to_end(exporter)}",
                ),
            )
    if scene.is_contained:
        return Finding(
            "holders",
            "unknown",
            "From inside this container, the programs outside cannot be seen.",
            (f"Look outside the container: sudo fuser -v {scene.target}",),
        )
    if scene.computer.is_root:
        return Finding("holders", "ok", "No other program uses the port.")
    return Finding(
        "holders",
        "unknown",
        "None of your programs uses the port; those of others are shown to root only.",
        (AS_ROOT,),
        needs_root=True,
    )


def _step_to_end(holder: Process) -> str:
    if holder.is_contained:
        return f"Stop the container with {holder.name} in it; this shows all containers: sudo docker ps"
    return f"Stop {holder.name}: {_command_to_end(holder)}"


def _command_to_end(holder: Process) -> str:
    if holder.unit.endswith(".service"):
        return f"sudo systemctl stop {holder.unit.removesuffix('.service')}"
    return f"sudo kill {holder.pid}"


def _is_getty(holder: Process) -> bool:
    return holder.name.endswith("getty") or "getty@" in holder.unit


def check_getty(scene: Scene) -> Finding | None:
    """Whether a login console (getty) waits on the port."""
    if not scene.is_port:
        return None
    unit = _getty_unit(scene)
    if unit is None:
        # From inside a container, there is nothing to be seen of it.
        return None if scene.is_contained else Finding("getty", "ok", "No login console waits on the port.")
    if unit:
        step = f"Switch it off: sudo systemctl disable --now {unit.removesuffix('.service')}"
    else:
        step = f"Remove the line with {scene.tty} from /etc/inittab: sudo nano /etc/inittab"
    # systemd starts it anew for each console of the kernel.
    name = _console(scene)
    steps = (step, *(() if name is None else _steps_without_console(scene, name)), _RESTART)
    return Finding(
        "getty",
        "problem",
        "A login console (getty) waits on the port: it takes what the meter sends for somebody's name and password.",
        steps,
        "second_reader",
    )


def _getty_unit(scene: Scene) -> str | None:
    """The service of the login console on the port; empty if it is no service, None if there is no console."""
    # By the name of the link as well, such as serial0. Others make no name of a service.
    names = sorted(
        name for name in {scene.tty, Path(scene.port).name} if re.fullmatch(r"[\w:.-]+", name, re.ASCII)
    )
    units = [f"serial-getty@{name}.service" for name in names]
    active = [unit for verb in _WAITING for unit in _units_that_are(scene, verb, units)]
    # Where systemctl is missing, the processes tell.
    active += [each.unit for each in scene.processes if each.unit in units]
    active += [each.unit for each in scene.processes if _is_getty(each) and set(names) & set(each.arguments)]
    return next(iter(active), None)


def _units_that_are(scene: Scene, verb: str, units: list[str]) -> list[str]:
    states = (scene.computer.run(["systemctl", verb, *units]) or "").split()
    return [unit for unit, state in zip(units, states, strict=False) if state in _WAITING[verb]]


def check_console(scene: Scene) -> Finding | None:
    """Whether the kernel uses the port as its console."""
    if not scene.is_port:
        return None
    name = _console(scene)
    if name is None:
        return Finding("console", "ok", "The kernel's console is not on the port.")
    return Finding(
        "console",
        "problem",
        "The kernel uses the port as its console: it writes its messages there, and starts a login on it.",
        (*_steps_without_console(scene, name), _RESTART),
        "second_reader",
    )


def _console(scene: Scene) -> str | None:
    """The name under which the port was made the kernel's console; None if it was not."""
    command_line = scene.computer.text("/proc/cmdline")
    named: list[str] = re.findall(r"(?:^|\s)console=([^\s,]+)", command_line)
    active = scene.computer.text("/sys/class/tty/console/active").split()
    for name in (*named, *active):
        # The firmware of a Raspberry Pi knows the port by the name of the link.
        if Path(os.path.realpath(scene.computer.path(f"/dev/{name}"))).name == scene.tty:
            return name
    return None


def _steps_without_console(scene: Scene, name: str) -> tuple[str, ...]:
    if scene.model:
        return steps_without_console(scene, name)
    return (
        f"Remove console={name} and what follows it up to the next blank: sudo nano /etc/default/grub",
        "Make that take effect: sudo update-grub",
    )


def check_modem_manager(scene: Scene) -> Finding | None:
    """Whether ModemManager may talk to the adapter as if it were a modem; it looks at USB adapters only."""
    if scene.usb is None or not any(each.name == _MODEM_MANAGER for each in scene.processes):
        return None
    ids = [scene.computer.text(scene.computer.name(scene.usb / file)) for file in ("idVendor", "idProduct")]
    rule = f'ATTRS{{idVendor}}=="{ids[0]}", ATTRS{{idProduct}}=="{ids[1]}", ENV{{ID_MM_DEVICE_IGNORE}}="1"'
    ignore = f"echo '{rule}' | sudo tee /etc/udev/rules.d/70-p1-no-modem.rules"
    advice = (
        "If this computer has no modem for mobile networks: sudo systemctl disable --now ModemManager",
        f"If it has one, tell ModemManager to leave this adapter alone: {ignore}",
        "Then pull the adapter out, and plug it in again.",
    )
    if any(holder.name == _MODEM_MANAGER for holder in port_holders(scene)):
        summary = "ModemManager has the port open: it takes the meter for a modem."
        return Finding("modem_manager", "problem", summary, advice, "second_reader")
    if _is_left_alone(scene):
        return Finding("modem_manager", "ok", "ModemManager runs, but leaves this adapter alone.")
    return Finding(
        "modem_manager",
        "warning",
        "ModemManager runs: it may take the adapter for a modem, and talk to it each time it is plugged in.",
        advice,
        "second_reader",
    )


def _is_left_alone(scene: Scene) -> bool:
    if scene.status is not None:
        number = scene.status.st_rdev
        told = scene.computer.text(f"/run/udev/data/c{os.major(number)}:{os.minor(number)}")
        if re.search(r"^E:ID_MM_(DEVICE|PORT)_IGNORE=1$", told, re.MULTILINE):
            return True
    # Adapters that show up as ttyACM speak the protocol of modems: it tries all those.
    version = re.search(r"(\d+)\.(\d+)", scene.computer.run(["mmcli", "--version"]) or "")
    strict = version is not None and (int(version[1]), int(version[2])) >= _STRICT_MODEM_MANAGER
    return strict and not scene.tty.startswith("ttyACM")
