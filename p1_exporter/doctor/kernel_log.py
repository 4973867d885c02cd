"""What the kernel's log tells about a port: adapters that drop out, characters fetched too late."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p1_exporter.doctor.finding import AS_ROOT, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p1_exporter.doctor.computer import Computer
    from p1_exporter.doctor.scene import Scene

# The journal goes further back, and lets the group adm read; dmesg works without systemd.
_COMMANDS = (
    ("journalctl", "--dmesg", "--boot", "--no-pager", "--lines=5000", "--output=short-iso"),
    ("dmesg", "--time-format=iso"),
)
# 2026-11-22T10:11:12+0100 host kernel: text (journalctl), 2026-11-22T10:11:12,345678+01:00 text (dmesg)
_LINE = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\S* (?:\S+ kernel: )?(.*)")


@dataclass(frozen=True, slots=True)
class KernelLine:
    """A message of the kernel, and when it came, as local time."""

    time: str
    text: str


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A kind of message about a port.

    Attributes:
        words: what became of the port, before a number.
        pattern: of the message; `{usb}`, `{socket}`, `{tty}` stand for the adapter's names. A group in it
            holds how often it happened; without one, it was once.
        fault: what it leads to.
    """

    words: str
    pattern: str
    fault: str


_TROUBLES = (
    _Trouble("unplugged", r"usb {usb}: USB disconnect\b", "disconnected"),
    _Trouble("reset", r"usb {usb}: reset .*USB device", "disconnected"),
    _Trouble("switched off for interference", r"usb {socket}: disabled by hub \(EMI\?\)", "disconnected"),
    _Trouble("in error", r"usb {usb}: .*(?:error -\d+|not accepting address)", "disconnected"),
    _Trouble("stalled", r"{tty}: .*urb stopped: -\d+", "disconnected"),
    _Trouble("too late to fetch characters", r"{tty}: (\d+) input overrun", "overrun"),
)
# Once it is gone, all that is known of an adapter is what its port was called.
_GONE = (_Trouble("unplugged", r"now disconnected from {tty}$", "disconnected"),)


def read_kernel_log(computer: Computer) -> tuple[KernelLine, ...] | None:
    """The kernel's messages since the computer started; None where they cannot be read."""
    for command in _COMMANDS:
        matches = map(_LINE.fullmatch, (computer.run(command) or "").splitlines())
        lines = tuple(KernelLine(f"{match[1]} {match[2]}", match[3]) for match in matches if match)
        if lines:
            return lines
    return None


def check_kernel_log(scene: Scene) -> Finding | None:
    """Whether the kernel had trouble with the port since the computer started."""
    if not scene.port:
        return None
    if scene.kernel_log is None:
        return _unreadable(scene.computer)
    hits = _hits(scene, scene.kernel_log)
    if not hits:
        return Finding("kernel_log", "ok", "The kernel's log tells of no trouble with the port.")
    counts = {trouble.words: 0 for trouble, _, _ in hits}
    for trouble, _, count in hits:
        counts[trouble.words] += count
    found = ", ".join(
        f"{words} {count} {'time' if count == 1 else 'times'}" for words, count in counts.items()
    )
    last = max(line.time for _, line, _ in hits)
    faults = [trouble.fault for trouble, _, _ in hits]
    fault = max(faults, key=faults.count)
    return Finding(
        "kernel_log",
        "warning",
        f"The kernel's log says that, since the start of the computer, this port was {found}; last on {last}.",
        _TO_KEEP_UP if fault == "overrun" else _TO_STAY_CONNECTED,
        fault,
    )


def _hits(scene: Scene, log: Sequence[KernelLine]) -> list[tuple[_Trouble, KernelLine, int]]:
    usb = "" if scene.usb is None else scene.usb.name
    names = {"usb": re.escape(usb), "socket": re.escape(_socket(usb)), "tty": re.escape(scene.tty)}
    troubles = [trouble for trouble in _TROUBLES if usb or "usb " not in trouble.pattern]
    if scene.status is None:
        troubles += _GONE
    patterns = [(trouble, re.compile(trouble.pattern.format_map(names))) for trouble in troubles]
    return [
        (trouble, line, int(match[1]) if match.groups() else 1)
        for line in log
        for trouble, pattern in patterns
        if (match := pattern.search(line.text))
    ]


def _socket(usb: str) -> str:
    """What the kernel calls the socket of the USB device with the name 1-2, or 1-2.3 behind a hub."""
    hub, dot, number = usb.rpartition(".")
    if dot:
        return f"{hub}-port{number}"
    bus, _, number = usb.partition("-")
    return f"usb{bus}-port{number}"


def _unreadable(computer: Computer) -> Finding:
    if computer.is_root:
        return Finding("kernel_log", "unknown", "The kernel's log could not be read here, not even by root.")
    return Finding(
        "kernel_log",
        "unknown",
        "The kernel's log is shown to root only.",
        (AS_ROOT,),
        needs_root=True,
    )


_TO_STAY_CONNECTED = (
    "If it was you who pulled the plug, all is well.",
    "Plug the adapter straight into the computer, into another socket; no long USB cable, no hub.",
    "If that does not help, use a hub with a power supply of its own, or another adapter.",
    "Keep the USB cable and the computer away from mains wires and switches.",
)
_TO_KEEP_UP = (
    "Something keeps the computer too busy to fetch what arrives. See what it is: top",
    "Stop that program, or use a stronger computer.",
)
