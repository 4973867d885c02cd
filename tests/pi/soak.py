"""What the service takes of a Raspberry Pi: memory, and processor time for each telegram.

    python -m tests.pi.soak [--minutes N] [--suite bookworm|trixie] [--deb FILE]

Runs the installed package for a while on an emulated Pi 3B, which asks the meter by a pin; the meter sends a telegram a
second, and a Prometheus scrapes it every fifteen. Nothing is asserted. Takes root. Memory is what it is on a real one;
a second of processor time is not, hence the time of a plain computation is printed with it, for comparison.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.pi.board import Board
from tests.pi.image import image
from tests.pi.service import ServiceOnBoard, install
from tests.system.debian.image import CHECKOUT, SUITES, run
from tests.system.debian.package import NAME, build
from tests.system.lines import Feeder
from tests.system.telegrams import simulated

_SCRAPE_SECONDS = 15.0
_LOG_SECONDS = 60.0
_PIN = 4
# Best of five; about 0.1 s on a computer of 2020.
_COMPUTATION = ("python3", "-m", "timeit", "-n1", "-r5", "-usec", "sum(n * n for n in range(1_000_000))")


class Usage(NamedTuple):
    """What the service has taken until now: bytes, and seconds."""

    resident: int
    resident_peak: int
    group: int
    """Memory of the control group, with the parts of files that it was the first to read."""
    group_peak: int
    anonymous: int
    """Of the control group's memory, that which no file is behind."""
    processor: float
    """Of the control group since its start, in user mode and in the kernel."""

    def __str__(self) -> str:
        megabytes = {
            "VmRSS": self.resident,
            "VmHWM": self.resident_peak,
            "memory.current": self.group,
            "memory.peak": self.group_peak,
            "anon": self.anonymous,
        }
        sizes = ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in megabytes.items())
        return f"{sizes}; processor {self.processor:.2f} s"


def usage(service: ServiceOnBoard) -> Usage:
    """Ask the kernel of the board."""
    status = service.status()
    group = f"/sys/fs/cgroup{service.show('ControlGroup')}"
    files = (f"{group}/{name}" for name in ("memory.current", "memory.peak", "memory.stat", "cpu.stat"))
    current, peak, *statistics = service.board.run("cat", *files).splitlines()
    figures = {name: int(value) for name, value in (line.split() for line in statistics)}
    return Usage(
        int(status["VmRSS"].split()[0]) * 1024,
        int(status["VmHWM"].split()[0]) * 1024,
        int(current),
        int(peak),
        figures["anon"],
        figures["usage_usec"] / 1e6,
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - that is what this is for


def _seconds_of_computation(output: str) -> float:
    (seconds,) = re.findall(r"best of \d+: ([\d.]+) sec", output)
    return float(seconds)


def _run(service: ServiceOnBoard, minutes: float) -> None:
    board = service.board
    service.configure(f"--serial.request-line=gpio:{_PIN}")
    service.until(lambda scrape: scrape("p1_request_line_asserted") == 1)
    _say(f"GPIO{_PIN} seen from outside: {board.pin_level(_PIN)}")
    feeder = Feeder(board, simulated("dsmr5", int(minutes * 60) + 300))  # type: ignore[arg-type] # all that it does is to send
    first, before = service.until_accepted(3), usage(service)
    _say(f"since its start: {before}")
    start = time.monotonic()
    told = start
    while (now := time.monotonic()) < start + minutes * 60:
        time.sleep(_SCRAPE_SECONDS)
        service.scrape()
        if now - told >= _LOG_SECONDS:
            told = now
            _say(f"{(now - start) / 60:4.1f} min: {usage(service)}")
    last, after = service.scrape(), usage(service)
    feeder.stop()
    seconds = after.processor - before.processor
    telegrams = last("p1_telegrams_accepted_total") - first("p1_telegrams_accepted_total")
    _say(f"at the end: {after}; threads {service.status()['Threads']}")
    _say(f"telegrams: {telegrams:.0f}, of them damaged: {last.total('p1_telegram_errors_total'):.0f}")
    _say(
        f"processor time: {seconds / telegrams * 1000:.1f} ms a telegram, scrapes included;"
        f" {seconds / (time.monotonic() - start):.1%} of one of four processors"
    )


def main() -> None:
    """Build, boot, install, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--suite", choices=SUITES, default="bookworm")
    parser.add_argument("--deb", type=Path)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="p1-packages-") as folder, Board(image(flags.suite)) as board:
        board.set_clock()
        install(board, flags.deb or build(CHECKOUT, flags.suite, Path(folder)))
        version = board.run("dpkg-query", "--show", NAME).strip()
        _say(f"{version} on {flags.suite}, emulated Raspberry Pi 3B, {flags.minutes:g} minutes")
        there = _seconds_of_computation(board.run(*_COMPUTATION))
        here = _seconds_of_computation(run(*_COMPUTATION))
        _say(
            f"a computation takes {there:.2f} s there, {here:.2f} s on this computer: {there / here:.0f} times"
        )
        _run(ServiceOnBoard(board), flags.minutes)


if __name__ == "__main__":
    main()
