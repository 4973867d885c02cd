"""Images of Debian, as folders that are made once and kept.

The image of a suite is a small Debian with systemd. What the package depends on, and the programs that judge packages,
are in apt's cache there, but not installed: apt installs them as on a user's machine, without a network. It is kept
in `$P1_BUILD_CACHE`, or in build/cache of the checkout, until what belongs in it changes. Needs root, and the Debian
package mmdebstrap.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUITES = ("bookworm", "trixie")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""Of Debian's own programs, whatever else is installed on this machine."""
CHECKOUT = Path(__file__).parents[3]
CACHE = Path(os.environ.get("P1_BUILD_CACHE", CHECKOUT / "build/cache"))
BUILD_PATIENCE = 1800.0
"""Seconds to fetch and put together an image, or to build the package; with a fast network it takes forty, and five
minutes where another processor is emulated."""

_INSTALLED = (
    "systemd",
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "udev",
    "procps",
    "ca-certificates",
    # A serial port that is fed over the network, and a clock that jumps for one program alone.
    "socat",
    "libfaketime",
)
LIBRARIES = (
    "python3-serial",
    "python3-prometheus-client",
    "python3-structlog",
    "python3-yaml",
    "python3-rich",
)
"""What the package depends on and recommends everywhere."""
AT_HAND = (
    *LIBRARIES,
    "python3-bcrypt",
    "curl",
    "lintian",
    "autopkgtest",
)
"""In apt's cache: of the package, what it depends on and recommends; of its tests, the same; and the programs."""
TIMERS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)
"""What a machine does by itself at odd times would disturb the tests."""


def _recipe(suite: str) -> list[str]:
    hooks = (
        'chroot "$1" apt-get clean',
        f'chroot "$1" apt-get install -qq --download-only {" ".join(AT_HAND)}',
        f'chroot "$1" systemctl --quiet mask {" ".join(TIMERS)}',
        # Debian's own timers and services are not looked through again at the first boot.
        'rm -f "$1/etc/machine-id" && tr -d - </proc/sys/kernel/random/uuid >"$1/etc/machine-id"',
    )
    return [
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        "--quiet",
        "--skip=cleanup/apt/lists,cleanup/apt/cache,cleanup/reproducible/machine-id",
        f"--include={','.join(_INSTALLED)}",
        '--aptopt=Acquire::Languages "none"',
        # `apt` throws away what it has installed, unlike apt-get.
        '--aptopt=APT::Keep-Downloaded-Packages "true"',
        "--dpkgopt=force-unsafe-io",
        *(f"--customize-hook={hook}" for hook in hooks),
        suite,
    ]


def image(suite: str) -> Path:
    """Return the folder of a suite's image, which nobody changes; it is made if it is not there."""
    recipe = _recipe(suite)
    return kept(f"{suite}-booted", repr(recipe).encode(), lambda folder: run(*recipe, str(folder)))


def kept(name: str, recipe: bytes, make: Callable[[Path], object]) -> Path:
    """Return a folder that is kept in the cache.

    Args:
        name: the beginning of its name.
        recipe: what tells folders apart that are made differently.
        make: makes the folder, if it is not there; what it leaves unfinished is thrown away.
    """
    folder = CACHE / f"{name}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """Make a folder in memory, for what is thrown away in the end: disks take their time to forget."""
    with tempfile.TemporaryDirectory(prefix="p1-debian-") as folder:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
        try:
            yield Path(folder)
        finally:
            run("umount", "--lazy", folder)


def run(*command: str, cwd: Path = CHECKOUT, text: str = "", **environment: str) -> str:
    """Run one of Debian's own programs here, to its end, which must be a good one; return what it prints.

    Args:
        command: the program and its arguments.
        cwd: the folder that it runs in.
        text: what it reads from its standard input.
        environment: variables that it has besides.
    """
    ended = subprocess.run(
        command,
        env=ENVIRONMENT | environment,
        cwd=cwd,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, f"{' '.join(command)}: exit {ended.returncode}\n{ended.stdout}"
    return ended.stdout
