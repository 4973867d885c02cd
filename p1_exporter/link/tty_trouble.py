"""What to tell people about a serial port that cannot be opened."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
import termios
from typing import TYPE_CHECKING

from p1_exporter.link.holders import holders
from p1_exporter.link.port import PortError
from p1_exporter.link.socket_port import words

if TYPE_CHECKING:
    from collections.abc import Callable

    from p1_exporter.link.port import Reason


def expect_device(path: str, mode: int) -> None:
    """Refuse what is no character device, by its `st_mode`.

    Raises:
        PortError: with the reason `settings`.
    """
    if stat.S_ISREG(mode):
        raise PortError("settings", f"{path} is a file, no serial port. To replay a recording: file://{path}")
    if not stat.S_ISCHR(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "something else"
        raise PortError("settings", f"{path} is {kind}, no serial port. Give the path of a device.")


def unopened(path: str, error: BaseException) -> PortError:
    """What became of an attempt to open a device."""
    number = error_number(error)
    if number in _OPENING:
        reason, text = _OPENING[number]
        return PortError(reason, text(path))
    return PortError("other", f"{path} cannot be opened: {words(error)}. It is tried again.")


def without_request_line(path: str, line: str) -> PortError:
    """The port has no such line."""
    return PortError(
        "settings", f"{path} has no {line.upper()} line to request data with. Use request line none."
    )


def error_number(error: BaseException | None) -> int | None:
    """The operating system's number behind an error; pyserial often hides it behind errors of its own."""
    while error is not None:
        # termios.error has the number, but is no OSError.
        number = error.args[0] if isinstance(error, termios.error) else getattr(error, "errno", None)
        if number is not None:
            return int(number)
        error = error.__context__
    return None


def _missing(path: str) -> str:
    return (
        f"{path}: no such device. Plug the adapter in, or name another port; "
        "'ls -l /dev/serial/by-id' lists USB adapters."
    )


def _no_hardware(path: str) -> str:
    return f"{path}: there is no hardware behind this device. Name another port."


def _no_terminal(path: str) -> str:
    return f"{path} is no serial port. Give the path of a serial device."


def _refused_settings(path: str) -> str:
    return f"{path}: its driver refuses the settings. Try baudrate 115200 or 9600."


def _busy(path: str) -> str:
    found = ", ".join(f"{holder.name} (process {holder.pid})" for holder in holders(path))
    if found:
        return f"{path} is in use by {found}. Only one program can read a serial port: stop the other one."
    return f"{path} is in use by another program. 'sudo fuser -v {path}' names it; stop that program."


def _forbidden(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116 - the path stays text, as the user gave it
    except OSError:
        return f"{path}: no permission to look at it, or at the folder it is in."
    advice = way_in(status.st_mode, _group_name(status.st_gid), user_name(os.geteuid()))
    return f"{path}: permission denied; {advice}"


def _not_listed(path: str) -> str:
    # Neither owner nor group matter here: what refuses is most often the list of devices that systemd gives a service.
    return (
        f"{path}: this program may not open devices of its kind, whoever owns them. A service may open those that its "
        f"unit lists: add the lines '[Service]' and 'DeviceAllow={path} rw' by 'sudo systemctl edit UNIT', where UNIT "
        "is prometheus-p1-exporter if a package installed it, and restart the service."
    )


def way_in(mode: int, group: str, user: str) -> str:
    """What lets a user open a device that has this `st_mode` and group."""
    both = stat.S_IRGRP | stat.S_IWGRP
    if mode & both != both:
        return (
            f"its group {group} may not use it either ({stat.filemode(mode)}). "
            "Often a login console runs on such a port: disable that."
        )
    if group == "root":
        return "it belongs to root alone. A udev rule should give it to the group dialout."
    return (
        f"it belongs to the group {group}. 'sudo usermod -aG {group} {user}' lets this user in, "
        "after a new login or a restart of the service."
    )


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def user_name(number: int) -> str:
    """The name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


_OPENING: dict[int | None, tuple[Reason, Callable[[str], str]]] = {
    errno.ENOENT: ("missing", _missing),
    errno.ENOTDIR: ("missing", _missing),
    errno.ENODEV: ("missing", _missing),
    errno.ENXIO: ("missing", _missing),
    errno.EIO: ("missing", _no_hardware),
    errno.EBUSY: ("busy", _busy),
    errno.EAGAIN: ("busy", _busy),
    errno.EACCES: ("forbidden", _forbidden),
    errno.EPERM: ("forbidden", _not_listed),
    errno.ENOTTY: ("settings", _no_terminal),
    errno.EINVAL: ("settings", _refused_settings),
}
