"""Who else holds a device open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Holder(NamedTuple):
    """A process that has a device open."""

    pid: int
    name: str


def holders(path: str, proc: Path = Path("/proc")) -> list[Holder]:
    """The processes that hold a device; without root, only those of the same user can be seen.

    Args:
        path: of the device; links are followed.
        proc: where that file system is mounted; where it is not, nobody is seen.
    """
    if not proc.is_dir():
        return []
    device = os.path.realpath(path)
    pids = sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())
    return [Holder(pid, _name(proc / str(pid))) for pid in pids if _holds(proc / str(pid), device)]


def _holds(process: Path, device: str) -> bool:
    try:
        return any(_is_open(descriptor, device) for descriptor in (process / "fd").iterdir())
    except OSError:  # ended meanwhile, or somebody else's
        return False


def _is_open(descriptor: Path, device: str) -> bool:
    try:
        if os.readlink(descriptor) != device:  # noqa: PTH115 - what it links to need not be a path
            return False
        # Each container has pseudo-terminals of its own, by the same names.
        return not device.startswith("/dev/pts/") or descriptor.stat().st_dev == Path(device).stat().st_dev
    except OSError:  # closed meanwhile
        return False


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:  # ended meanwhile
        return "?"
