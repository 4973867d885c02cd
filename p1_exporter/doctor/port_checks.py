"""Is the port there, is it a serial port, and may this user open it?"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from p1_exporter.doctor.finding import Finding
from p1_exporter.doctor.raspberry import HEADER_PORTS, steps_to_header_uart

if TYPE_CHECKING:
    import os

    from p1_exporter.doctor.computer import Computer
    from p1_exporter.doctor.scene import Scene

_BY_ID = "/dev/serial/by-id/*"
_PORTS = (_BY_ID, "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/serial0", "/dev/ttyAMA*")


def check_port(scene: Scene) -> Finding:
    """Whether the port exists, and is a serial port with hardware behind it."""
    if not scene.port:
        some = any(map(scene.computer.names, _PORTS))
        summary = "No port was named, and which one the meter is on is not clear."
        return _problem(
            summary if some else "No serial port that a meter may be on was found.", _steps_to_a_port(scene)
        )
    if scene.status is None:
        return _problem(_absence(scene), _steps_to_a_port(scene))
    return _problem(scene.why_no_port, _steps_to_a_port(scene)) if scene.why_no_port else _found(scene)


def _ok(summary: str, *advice: str) -> Finding:
    return Finding("port", "ok", summary, advice)


def _problem(summary: str, advice: tuple[str, ...]) -> Finding:
    return Finding("port", "problem", summary, advice, "disconnected")


def _found(scene: Scene) -> Finding:
    where = scene.port if scene.target == scene.port else f"{scene.port} leads to {scene.target}"
    driver = "" if scene.driver == "unknown" else f" (driver {scene.driver})"
    summary = f"{where}: a serial port{driver}."
    link = next(
        (name for name in scene.computer.names(_BY_ID) if _same(scene.computer, name, scene.target)), None
    )
    if scene.port == scene.target and link is not None:
        return _ok(
            summary,
            "The number at the end may change when the adapter is plugged in again. "
            f"This name does not: --serial.port={link}",
        )
    return _ok(summary)


def _absence(scene: Scene) -> str:
    if scene.path.is_symlink():
        return f"{scene.port} leads to {scene.target}, which is not there: the adapter is unplugged or has failed."
    return f"{scene.port} does not exist."


def _same(computer: Computer, name: str, target: str) -> bool:
    return computer.name(computer.path(name).resolve()) == target


def _steps_to_a_port(scene: Scene) -> tuple[str, ...]:
    """What leads to a port that works."""
    if scene.model and scene.port in HEADER_PORTS:
        return steps_to_header_uart(scene)
    found = [
        name for pattern in _PORTS for name in scene.computer.names(pattern) if scene.computer.exists(name)
    ]
    if not found:
        return (
            "Plug in the USB cable of the meter, and look whether the computer sees it: lsusb",
            "A service that is running takes it by itself then. What arrives on it: p1-exporter doctor",
            *(steps_to_header_uart(scene) if scene.model and not scene.port else ()),
        )
    # Each device once, under the first of its names.
    by_target = {scene.computer.path(name).resolve(): name for name in reversed(found)}
    names = [name for name in found if name in by_target.values()]
    return (
        f"These ports are there: {', '.join(names)}",
        f"If the meter is on one of them, name it: p1-exporter doctor --serial.port={names[0]}",
        "If not, pull the adapter out, plug it in again, and look whether the computer sees it: lsusb",
    )


def check_permission(scene: Scene) -> Finding | None:
    """Whether this user may open the port; for root, whether the user behind sudo may."""
    if not scene.is_port or scene.status is None:
        return None
    group = _group_name(scene.computer, scene.status.st_gid)
    everybody = scene.status.st_mode & stat.S_IROTH and scene.status.st_mode & stat.S_IWOTH
    if scene.computer.is_root:
        user = scene.computer.user
        if user == "root" or everybody or user in _members(scene.computer, scene.status.st_gid):
            return Finding("permission", "ok", f"root may open the port; it belongs to the group {group}.")
        return Finding(
            "permission",
            "warning",
            f"root may open the port, but the user {user} may not: it belongs to the group {group}.",
            _steps_into(scene, scene.status, group),
        )
    if scene.computer.may_use(scene.path):
        return Finding("permission", "ok", f"You may open the port; it belongs to the group {group}.")
    return _forbidden(scene, scene.status, group)


def _forbidden(scene: Scene, status: os.stat_result, group: str) -> Finding:
    user = scene.computer.user
    if user in _members(scene.computer, status.st_gid) and status.st_gid not in scene.computer.groups:
        return Finding(
            "permission",
            "problem",
            f"You may not open the port yet: {user} was added to the group {group} after this login.",
            (
                "Log out and in again, or restart the computer: sudo reboot",
                f"To try it before that: sg {group} -c 'p1-exporter doctor --serial.port={scene.port}'",
            ),
            "disconnected",
        )
    return Finding(
        "permission",
        "problem",
        f"You may not open the port: it belongs to the group {group}, and does not let the user {user} in "
        f"({stat.filemode(status.st_mode)}).",
        _steps_into(scene, status, group),
        "disconnected",
    )


def _steps_into(scene: Scene, status: os.stat_result, group: str) -> tuple[str, ...]:
    """What lets the user open the port."""
    if group == "root":
        rule = f'KERNEL=="{scene.tty}", GROUP="dialout", MODE="0660"'
        return (
            f"Give the port to the group dialout: echo '{rule}' | sudo tee /etc/udev/rules.d/70-p1.rules",
            f"Add yourself to that group: sudo usermod -aG dialout {scene.computer.user}",
            "Restart the computer: sudo reboot",
        )
    both = stat.S_IRGRP | stat.S_IWGRP
    if status.st_mode & both != both:
        return (
            "A login console leaves a port like that: do what is said here about one, if anything is.",
            "Then restart the computer: sudo reboot",
        )
    if group.isdecimal():
        return (
            f"Inside a container, start it with that group: docker run --device={scene.target} --group-add={group} ...",
        )
    return (
        f"Add yourself to that group: sudo usermod -aG {group} {scene.computer.user}",
        "Log out and in again: only a new login has the new group.",
    )


def _group_name(computer: Computer, number: int) -> str:
    return next((name for name, gid, _ in _groups(computer) if gid == str(number)), str(number))


def _members(computer: Computer, number: int) -> set[str]:
    """The users that a new login would put into the group."""
    members = {name for _, gid, names in _groups(computer) if gid == str(number) for name in names.split(",")}
    accounts = (line.split(":") for line in computer.text("/etc/passwd").splitlines())
    first = {account[0] for account in accounts if account[3:4] == [str(number)]}
    return members | first


def _groups(computer: Computer) -> list[tuple[str, str, str]]:
    """Name, number and members of each group."""
    lines = (line.split(":") for line in computer.text("/etc/group").splitlines())
    return [(parts[0], parts[2], parts[3]) for parts in lines if len(parts) == 4]  # noqa: PLR2004 - see group(5)
