"""Processes, and the systemd units that they belong to: what everybody may see of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p1_exporter.doctor.computer import Computer


@dataclass(frozen=True, slots=True)
class Process:
    """A process.

    Attributes:
        pid: its number.
        name: of its program, cut by the kernel after 15 characters.
        arguments: its command line.
        unit: the systemd service that it belongs to, or the scope of its container; empty if none.
    """

    pid: int
    name: str
    arguments: tuple[str, ...] = ()
    unit: str = ""

    @property
    def is_exporter(self) -> bool:
        """Whether this is p1-exporter itself."""
        program = ("p1-exporter", "p1_exporter")
        return any(argument.endswith(program) for argument in self.arguments[:3])

    @property
    def is_contained(self) -> bool:
        """Whether it runs in a container of Docker or Podman."""
        return self.unit.startswith(("docker-", "libpod-"))

    def __str__(self) -> str:
        of = f" of {self.unit}" if self.unit.endswith(".service") else ""
        return f"{self.name}{of} (process {self.pid})"


def processes(computer: Computer) -> tuple[Process, ...]:
    """All processes, by number."""
    folders = computer.path("/proc").glob("[0-9]*")
    return tuple(process(computer, pid) for pid in sorted(int(folder.name) for folder in folders))


def process(computer: Computer, pid: int) -> Process:
    """One process; with the name `?` if it ended meanwhile."""
    arguments = computer.text(f"/proc/{pid}/cmdline").split("\0")
    groups = (line.split(":", 2)[-1] for line in computer.text(f"/proc/{pid}/cgroup").splitlines())
    # Those of a user's session belong to no service that could be stopped.
    parts = next((group.split("/") for group in groups if group.startswith("/system.slice/")), [])
    unit = next((part for part in reversed(parts) if part.endswith((".service", ".scope"))), "")
    return Process(pid, computer.text(f"/proc/{pid}/comm") or "?", tuple(arguments), unit)
