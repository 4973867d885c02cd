"""The Debian packages that are tested: built from this checkout, and older ones made of them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.system.debian.image import CACHE, CHECKOUT, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.debian.container import Container

NAME = "prometheus-p1-exporter"
SERVICE = f"{NAME}.service"
DEFAULTS = f"/etc/default/{NAME}"
"""The file with the flags of the service."""


def copy_of_checkout(folder: Path) -> Path:
    """Copy all that belongs to the project, as it is now, to a folder, which is made; return that."""
    listed = run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"
    ).splitlines()
    shutil.copytree(CHECKOUT / ".git", folder / ".git")
    for name in filter(lambda name: (CHECKOUT / name).exists(), listed):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, folder / name)
    return folder


def build(checkout: Path, suite: str, output: Path, *prefix: str) -> Path:
    """Build source and binary packages for a suite, without the tests; return the binary package.

    Args:
        checkout: of the project.
        suite: which Debian.
        output: folder for the packages.
        prefix: a command that runs the build.
    """
    command = (str(checkout / "packaging/build-deb"), "--suite", suite, "--no-check", str(output))
    # The chroots are kept for all builds, wherever the checkout is.
    run(*prefix, *command, P1_BUILD_CACHE=str(CACHE))
    return binary(output)


def binary(folder: Path) -> Path:
    """Return the binary package in a folder."""
    packages = list(folder.glob(f"{NAME}_*_all.deb"))
    assert len(packages) == 1, f"one package is wanted in {folder}, not {packages}"
    return packages[0]


def field(package: Path, name: str) -> str:
    """Return a field of a package's control file."""
    return run("dpkg-deb", "--field", str(package), name).strip()


def remade(package: Path, version: str, output: Path, change: Callable[[Path], None] | None = None) -> Path:
    """Make a package of another version out of one, with something changed in its files; return it.

    Args:
        package: what it is made of.
        version: its version.
        output: folder for it.
        change: is called with the folder of its files.
    """
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "--raw-extract", str(package), folder)
        control = Path(folder, "DEBIAN/control")
        control.write_text(control.read_text().replace(field(package, "Version"), version))
        if change is not None:
            change(Path(folder))
        new = output / f"{NAME}_{version}_all.deb"
        run("dpkg-deb", "--root-owner-group", "--build", folder, str(new))
    return new


def put(container: Container, package: Path) -> str:
    """Copy a package into the home directory of root in a container; return its path there."""
    shutil.copy(package, container.root / "root" / package.name)
    return f"/root/{package.name}"
