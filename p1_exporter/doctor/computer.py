"""The checks of the computer: everything between the serial port and this program that can spoil the readings.

Nothing here opens the port or changes anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p1_exporter.doctor.commands import run_command
from p1_exporter.doctor.gpio_checks import check_gpio_access, check_gpio_library, check_one_wire
from p1_exporter.doctor.kernel_log import check_kernel_log
from p1_exporter.doctor.port_checks import check_permission, check_port
from p1_exporter.doctor.raspberry import check_power, check_uart
from p1_exporter.doctor.rival_checks import check_console, check_getty, check_holders, check_modem_manager
from p1_exporter.doctor.scene import Scene
from p1_exporter.link.tty_trouble import user_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p1_exporter.doctor.finding import Finding
    from p1_exporter.link.port import PortSettings

# More than any file that is looked at here has.
_FILE_LIMIT = 64 * 1024


def _own_groups() -> frozenset[int]:
    return frozenset([os.getegid(), *os.getgroups()])


def _user() -> str:
    """Who asks: behind sudo, the user who typed it."""
    uid = os.geteuid()
    behind_sudo = os.environ.get("SUDO_USER") if uid == 0 else None
    return behind_sudo or user_name(uid)


def _may_use(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _has_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


@dataclass(frozen=True)
class Computer:
    """All that the checks look at; tests put folders and answers of their own here.

    Attributes:
        root: folder that holds `dev`, `etc`, `proc`, `sys`.
        run: what a command prints; None where it does not exist or took too long.
        uid: of this process.
        groups: numbers of the groups of this process.
        user: name of the user who asks.
        stat: the status of a file, links followed.
        may_use: whether this process may read and write a file.
        has_module: whether Python could import a module.
    """

    root: Path = Path("/")
    run: Callable[[Sequence[str]], str | None] = run_command
    uid: int = field(default_factory=os.geteuid)
    groups: frozenset[int] = field(default_factory=_own_groups)
    user: str = field(default_factory=_user)
    stat: Callable[[Path], os.stat_result] = os.stat
    may_use: Callable[[Path], bool] = _may_use
    has_module: Callable[[str], bool] = _has_module

    @property
    def is_root(self) -> bool:
        """Whether everything may be looked at."""
        return self.uid == 0

    def path(self, name: str) -> Path:
        """Where the file of that full name is."""
        return self.root / name.lstrip("/")

    def name(self, path: Path) -> str:
        """The full name of a file, for people: the opposite of `path`."""
        return "/" + str(path.relative_to(self.root))

    def exists(self, name: str) -> bool:
        """Whether there is such a file, and where it is a link, what it leads to."""
        return os.path.exists(self.path(name))  # noqa: PTH110 - Path.exists raises where a folder is forbidden

    def text(self, name: str) -> str:
        """The beginning of a file, without NULs and blanks at its ends; empty where it cannot be read."""
        return self.data(name).decode(errors="replace").strip("\0 \n")

    def data(self, name: str) -> bytes:
        """The beginning of a file; empty where it cannot be read."""
        try:
            with self.path(name).open("rb") as file:
                return file.read(_FILE_LIMIT)
        except OSError:
            return b""

    def names(self, pattern: str) -> list[str]:
        """The full names of the files that match, in order."""
        return sorted(self.name(path) for path in self.root.glob(pattern.lstrip("/")))


# In the order in which one looks: each line rests on those above it.
CHECKS: Final[dict[str, Callable[[Scene], Finding | None]]] = {
    "port": check_port,
    "permission": check_permission,
    "holders": check_holders,
    "getty": check_getty,
    "console": check_console,
    "modem_manager": check_modem_manager,
    "uart": check_uart,
    "one_wire": check_one_wire,
    "gpio_library": check_gpio_library,
    "gpio_access": check_gpio_access,
    "power": check_power,
    "kernel_log": check_kernel_log,
}

HISTORY: Final = frozenset({"power", "kernel_log"})
"""The checks that tell what has happened since the computer started, and not how it is set up."""


def examine(computer: Computer, settings: PortSettings | None, *, history: bool = True) -> list[Finding]:
    """Look at the computer around a serial port.

    Args:
        computer: `Computer()` for the one that this runs on.
        settings: the port; None where no port was named and none was found.
        history: whether to look at what has happened as well.

    Returns:
        One finding for each check that applies, in the order of looking; none for ports that are no device.
    """
    if settings is not None and settings.scheme is not None:
        return []
    scene = Scene(computer, settings)
    findings = (check(scene) for name, check in CHECKS.items() if history or name not in HISTORY)
    return [finding for finding in findings if finding is not None]
