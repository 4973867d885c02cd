"""What Debian's own programs say of the packages."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.debian.container import Container
from tests.system.debian.image import AT_HAND, image, in_memory, run
from tests.system.debian.package import build

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = "/root/packages"


@pytest.fixture(scope="module")
def workshop(suite: str, package: Path) -> Iterator[Container]:
    """A Debian with the programs of its own suite that judge packages, and the packages in a folder."""
    with Container(suite) as container:
        shutil.copytree(package.parent, container.root / PACKAGES.lstrip("/"))
        container.run("apt-get", "install", "--yes", "--no-install-recommends", *AT_HAND)
        # What they look for in vain costs time.
        container.shell("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")
        yield container


def test_lintian_finds_nothing(workshop: Container) -> None:
    said = workshop.shell(f"lintian --allow-root --pedantic --display-experimental {PACKAGES}/*.changes")
    assert [line for line in said.splitlines() if not line.startswith("N: ")] == []


def test_each_override_has_its_reason(workshop: Container) -> None:
    files = f"dpkg-deb --fsys-tarfile {PACKAGES}/*.deb"
    overrides = workshop.shell(
        f"{files} | tar --extract --to-stdout --wildcards '*/lintian/overrides/*' || :"
    )
    lines = overrides.splitlines()
    for number, line in enumerate(lines):
        assert line.startswith("#") or lines[number - 1].startswith("#"), line


def test_the_tests_of_the_package_pass(workshop: Container) -> None:
    # The container is the testbed itself: it has booted, and is thrown away.
    test = (
        f"autopkgtest --ignore-restrictions=isolation-container,breaks-testbed {PACKAGES}/*.changes -- null"
    )
    ended = workshop.result("sh", "-euc", f"cd /tmp; {test}")
    assert ended.returncode == 0, ended.stdout
    results = re.findall(r"^(\S+)\s+(PASS|FAIL|SKIP|FLAKY)", ended.stdout, re.MULTILINE)
    assert results
    assert {result for _, result in results} == {"PASS"}, ended.stdout


def test_piuparts_finds_nothing(suite: str, package: Path) -> None:
    with in_memory() as folder:
        chroot = ("--existing-chroot", str(image(suite)), "--tmpdir", str(folder), "--distribution", suite)
        # There is no other version of it in Debian's archive. The folder is apt's, when it configures packages.
        others = ("--skip-minimize", "--no-upgrade-test", "--ignore-regex=/var/cache/debconf/tmp.ci/?")
        run("piuparts", *chroot, *others, str(package))


def test_a_build_elsewhere_and_at_another_time_gives_the_same_packages(
    suite: str, package: Path, checkout: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="p1-elsewhere-") as folder:
        elsewhere = shutil.copytree(checkout, Path(folder, "another folder"))
        run("find", str(elsewhere), "-exec", "touch", "--date=2020-02-29", "{}", "+")
        odd = ("env", "LC_ALL=tr_TR.UTF-8", "TZ=Pacific/Chatham", "faketime", "2031-12-24 20:15:42")
        mask = ("sh", "-c", 'umask 077; exec "$@"', "sh")
        again = build(elsewhere, suite, Path(folder, "packages"), *odd, *mask)
        files = (*again.parent.glob("*.dsc"), *again.parent.glob("*.tar.*"), again)
        assert len(files) == 4
        for file in files:
            assert file.read_bytes() == (package.parent / file.name).read_bytes(), file.name
