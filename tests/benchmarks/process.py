"""The whole process, `p1-exporter run`: CPU time a telegram, memory, and what a scrape takes."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from p1_exporter.simulator.serve import serve_pty
from p1_exporter.simulator.source import parse_url
from tests.benchmarks import interpreter
from tests.benchmarks.measure import CannotMeasureError, Figure, figure
from tests.benchmarks.stream import MODEL
from tests.benchmarks.table import show_table

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS: Final = 20
_SCRAPES: Final = 50
_PATIENCE: Final = 20.0
_POLL_SECONDS: Final = 0.1

_FORMATS: Final = {
    "text 0.0.4": "text/plain;version=0.0.4",
    "OpenMetrics 1.0.0": "application/openmetrics-text;version=1.0.0",
}
_CODINGS: Final = {"plain": "identity", "gzip": "gzip"}


class _Scrapes(NamedTuple):
    """What scrapes in one format took: wall time of the client and CPU time of the process, in seconds."""

    waited: Figure
    cpu: float
    size: int


def show_process() -> None:
    """Measure and print."""
    python = interpreter.choose()
    python.compile()
    with _meter() as port, _exporter(python, port) as (process, address):
        client = http.client.HTTPConnection(address, timeout=_PATIENCE)
        _await_telegrams(client, 2)
        before, cpu = _count(client), _cpu_seconds(process.pid)
        time.sleep(_SECONDS)
        cpu, telegrams = _cpu_seconds(process.pid) - cpu, _count(client) - before
        scrapes = {
            (form, coding): _scrape(client, process.pid, form, coding)
            for form in _FORMATS
            for coding in _CODINGS
        }
        memory = _memory(process.pid)
        client.close()
    if not telegrams:
        raise CannotMeasureError(f"the exporter accepted no telegram in {_SECONDS} s")
    show_table(
        f"The whole process on a pseudo-terminal at {MODEL.baudrate} baud, one telegram a second\n"
        f"({python.description})",
        ("", "p1-exporter"),
        [
            (
                f"CPU time, ms a telegram, over {telegrams} telegrams in {_SECONDS} s",
                f"{cpu / telegrams * 1e3:.2f}",
            ),
            (f"memory after {_SCRAPES * len(scrapes)} scrapes, MiB: VmRSS", f"{memory['VmRSS']:.1f}"),
            *((f"    of that {name}", f"{memory[name]:.1f}") for name in ("RssAnon", "RssFile")),
            ("    at its highest (VmHWM)", f"{memory['VmHWM']:.1f}"),
        ],
    )
    show_table(
        f"A scrape of that process, over one connection; median (range) of {_SCRAPES}",
        ("", "client waits, ms", "CPU of the process, ms", "bytes"),
        [
            (f"{form}, {coding}", taken.waited.shown(1e3, 2), f"{taken.cpu * 1e3:.2f}", str(taken.size))
            for (form, coding), taken in scrapes.items()
        ],
    )


@contextmanager
def _meter() -> Iterator[str]:
    """Simulate the meter of the other benchmarks on a pseudo-terminal, at the pace of the line; give its path."""
    announced, stop = threading.Event(), threading.Event()
    path: list[str] = []

    def announce(place: str) -> None:
        path.append(place)
        announced.set()

    source = parse_url(f"simulate://{MODEL.name}?seed=1").source()
    thread = threading.Thread(target=serve_pty, args=(source, None, stop, announce))
    thread.start()
    try:
        if not announced.wait(_PATIENCE):
            raise CannotMeasureError("no pseudo-terminal to be had")
        yield path[0]
    finally:
        stop.set()
        thread.join()


@contextmanager
def _exporter(python: interpreter.Interpreter, port: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the exporter; give the process and the address that it listens on."""
    flags = (f"--serial.port={port}", "--web.listen-address=127.0.0.1:0", "--log.format=json")
    process = subprocess.Popen(
        [*python.command, "-m", "p1_exporter", "run", *flags],
        env=python.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, _address(process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    """Wait for host and port in the log."""
    impatience = threading.Timer(_PATIENCE, process.kill)
    impatience.start()
    said = []
    try:
        for line in process.stderr or ():
            said.append(line)
            if '"listening"' in line:
                return str(urlsplit(json.loads(line)["address"]).netloc)
    finally:
        impatience.cancel()
    raise CannotMeasureError("the exporter ends, or says no address: " + "".join(said))


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, all its threads included: utime and stime, but in nanoseconds, not ticks.

    The number of its clock is that of clock_getcpuclockid(3), which Python has for threads only.
    """
    return time.clock_gettime(~pid << 3 | 2)


def _memory(pid: int) -> dict[str, float]:
    """Return what /proc/PID/status says about memory, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    fields = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(kilobytes) / 1024 for name, kilobytes, _ in fields}


def _get(client: http.client.HTTPConnection, accept: str, coding: str) -> bytes:
    try:
        client.request("GET", "/metrics", headers={"Accept": accept, "Accept-Encoding": coding})
        response = client.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise CannotMeasureError(f"a scrape fails: {error!r}") from error
    if response.status != http.client.OK:
        raise CannotMeasureError(f"a scrape gives {response.status} {response.reason}")
    return body


def _count(client: http.client.HTTPConnection) -> int:
    """Return how many telegrams were accepted so far."""
    for line in _get(client, "text/plain", "identity").decode().splitlines():
        if line.startswith("p1_telegrams_accepted_total"):
            return int(float(line.split()[-1]))
    raise CannotMeasureError("the metrics do not say how many telegrams were accepted")


def _await_telegrams(client: http.client.HTTPConnection, count: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while _count(client) < count:
        if time.monotonic() > deadline:
            raise CannotMeasureError(f"the exporter did not accept {count} telegrams in {_PATIENCE:.0f} s")
        time.sleep(_POLL_SECONDS)


def _scrape(client: http.client.HTTPConnection, pid: int, form: str, coding: str) -> _Scrapes:
    waited: list[float] = []
    cpu = _cpu_seconds(pid)
    for _ in range(_SCRAPES):
        began = time.perf_counter()
        body = _get(client, _FORMATS[form], _CODINGS[coding])
        waited.append(time.perf_counter() - began)
    return _Scrapes(figure(waited), (_cpu_seconds(pid) - cpu) / _SCRAPES, len(body))
