"""What the service takes of a computer: memory, and processor time for each telegram.

    python -m tests.system.debian.soak [--minutes N] [--suite SUITE]

Runs the installed package for a while on a Debian in a container, with a meter that sends a telegram a second and a
Prometheus that scrapes it every fifteen. Nothing is asserted. Takes root.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import tempfile
import time
from pathlib import Path

from tests.system.debian.container import Container
from tests.system.debian.image import CHECKOUT, SUITES
from tests.system.debian.meter import Cable
from tests.system.debian.package import NAME, build, put
from tests.system.debian.service import Service
from tests.system.lines import Feeder
from tests.system.telegrams import simulated

_SCRAPE_SECONDS = 15.0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - that is what this is for


def _cpu_seconds(service: Service) -> float:
    """Return the processor time of the service's process since its start, in user mode and in the kernel."""
    fields = service.container.run("cat", f"/proc/{service.pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kilobytes(service: Service, name: str) -> int:
    return int(service.status()[name].split()[0])


def _peak_of_control_group(service: Service) -> str:
    """Return the peak of all memory that the service was charged for, files included, where the kernel counts it."""
    group = service.show("ControlGroup")
    peak = service.container.result("cat", f"/sys/fs/cgroup{group}/memory.peak").stdout
    return f"{int(peak) // 1024} kB" if peak.strip().isdecimal() else "not counted for containers here"


def _run(service: Service, minutes: float) -> None:
    with contextlib.closing(Cable(service.container)) as cable:
        cable.plug()
        service.restart()
        feeder = Feeder(cable, simulated("dsmr5", int(minutes * 60) + 120))  # type: ignore[arg-type] # it sends
        # What it takes to start is told by itself.
        first = service.until_accepted(3)
        start, threads = _cpu_seconds(service), service.status()["Threads"]
        _say(f"since its start: {start:.2f} s of processor time, VmRSS {_kilobytes(service, 'VmRSS')} kB")
        end = time.monotonic() + minutes * 60
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(_SCRAPE_SECONDS, left))
            last = service.scrape()
            _say(f"{(minutes * 60 - left) / 60:5.1f} min: VmRSS {_kilobytes(service, 'VmRSS')} kB")
        seconds = _cpu_seconds(service) - start
        feeder.stop()
    telegrams = last("p1_telegrams_accepted_total") - first("p1_telegrams_accepted_total")
    _say(f"telegrams: {telegrams:.0f}, of them damaged: {last.total('p1_telegram_errors_total'):.0f}")
    _say(f"processor time: {seconds:.2f} s, {seconds / telegrams * 1000:.2f} ms a telegram, scrapes included")
    _say(f"threads: {threads}")
    _say(f"VmRSS: {_kilobytes(service, 'VmRSS')} kB, peak (VmHWM) {_kilobytes(service, 'VmHWM')} kB")
    _say(f"peak of the control group: {_peak_of_control_group(service)}")


def main() -> None:
    """Build, install, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--suite", choices=SUITES, default="trixie")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="p1-packages-") as folder, Container(flags.suite) as container:
        package = build(CHECKOUT, flags.suite, Path(folder))
        container.run("apt", "install", "--yes", put(container, package))
        version = re.search(r"^Version: (.*)", container.run("dpkg", "--status", NAME), re.MULTILINE)
        _say(f"{NAME} {version[1] if version else ''} on {flags.suite}, {flags.minutes:g} minutes")
        _run(Service(container), flags.minutes)


if __name__ == "__main__":
    main()
