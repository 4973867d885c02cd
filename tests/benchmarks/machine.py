"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def description() -> str:
    """Return the machine in a line."""
    load = os.getloadavg()[0]
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}, "
        f"load before this run {load:.1f}"
    )


def _processor() -> str:
    """Return the name of the CPU; that of the board where the kernel does not name the CPU, as on a Raspberry Pi."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = {name.strip(): fact.strip() for name, _, fact in (line.partition(":") for line in lines)}
    return facts.get("model name") or facts.get("Model") or platform.machine()
