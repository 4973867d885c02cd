"""Another version of the package, another configuration, no package any more: what apt makes of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.system.debian.package import DEFAULTS, NAME, field, put, remade
from tests.system.debian.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.debian.container import Container

CHANGED = 'ARGS="--meter.name=changed"\n'
# Logs, what apt and dpkg remember of packages that are gone, and the time of day.
FORGOTTEN = re.compile(
    r"/(var/log|var/cache|var/lib/(apt|dpkg)|root|run/(systemd|log|credentials|udev))(/|$)"
)


@pytest.fixture(scope="session")
def older(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that came before, with other defaults."""

    def change(files: Path) -> None:
        defaults = files / DEFAULTS.lstrip("/")
        defaults.write_text(defaults.read_text() + "# As they were once.\n")

    return remade(package, "0.0.9-1", tmp_path_factory.mktemp("older"), change)


def apt(container: Container, *arguments: str) -> str:
    """Run apt as a script does, which answers no question: its input is at its end."""
    return container.run("apt", *arguments)


def install(container: Container, package: Path) -> str:
    return apt(container, "install", "--yes", "--allow-downgrades", put(container, package))


def names(container: Container) -> set[str]:
    """The names of the meters that are served, once the service is up."""
    return Service(container).until(lambda scrape: bool(scrape.meters)).meters


def version(container: Container) -> str:
    return container.run("dpkg-query", "--show", "--showformat=${Version}", NAME)


def state(container: Container) -> str:
    return container.run("systemctl", "is-active", NAME, check=False).strip()


def files(container: Container) -> set[str]:
    """All files that there are, those that are configuration with what is in them."""
    found = container.shell("find / /run -xdev; find /etc -type f -exec sha256sum {} +")
    # What Python has compiled of the packages that stay.
    return {path for path in found.splitlines() if not FORGOTTEN.match(path) and "__pycache__" not in path}


def test_an_upgrade_keeps_a_changed_configuration_and_asks_nothing(
    bare: Container, package: Path, older: Path
) -> None:
    # The defaults are those that the new package has, so that one side alone has changed them.
    same = remade(package, "0.0.8-1", older.parent)
    install(bare, same)
    process = Service(bare).pid
    bare.write(DEFAULTS, CHANGED)
    install(bare, package)
    assert version(bare) == field(package, "Version")
    assert bare.read(DEFAULTS) == CHANGED
    assert Service(bare).pid != process
    assert names(bare) == {"changed"}


def test_an_upgrade_takes_new_defaults_where_nobody_changed_the_old_ones(
    bare: Container, package: Path, older: Path
) -> None:
    install(bare, older)
    assert "As they were once." in bare.read(DEFAULTS)
    install(bare, package)
    assert "As they were once." not in bare.read(DEFAULTS)
    assert state(bare) == "active"


def test_an_upgrade_asks_where_both_sides_have_changed_the_defaults(
    bare: Container, package: Path, older: Path
) -> None:
    install(bare, older)
    bare.write(DEFAULTS, CHANGED)
    asked = bare.result("apt", "install", "--yes", put(bare, package))
    assert asked.returncode != 0
    assert f"Configuration file '{DEFAULTS}'" in asked.stdout
    # Its user says to keep it.
    bare.run("dpkg", "--configure", "--pending", "--force-confold")
    assert bare.read(DEFAULTS) == CHANGED
    assert names(bare) == {"changed"}


def test_an_upgrade_leaves_a_service_off_that_was_switched_off(
    bare: Container, package: Path, older: Path
) -> None:
    install(bare, older)
    bare.run("systemctl", "disable", "--now", NAME)
    install(bare, package)
    assert state(bare) == "inactive"
    assert bare.run("systemctl", "is-enabled", NAME, check=False).strip() == "disabled"


def test_a_downgrade_works_and_keeps_the_configuration(bare: Container, package: Path, older: Path) -> None:
    install(bare, package)
    bare.write(DEFAULTS, CHANGED)
    install(bare, remade(package, "0.0.8-1", older.parent))
    assert version(bare) == "0.0.8-1"
    assert bare.read(DEFAULTS) == CHANGED
    assert names(bare) == {"changed"}


def test_the_configuration_outlives_removal_and_counts_again_after_reinstallation(
    bare: Container, package: Path
) -> None:
    install(bare, package)
    bare.write(DEFAULTS, CHANGED)
    apt(bare, "remove", "--yes", NAME)
    assert state(bare) == "inactive"
    assert bare.result("sh", "-c", "command -v p1-exporter").returncode != 0
    assert bare.read(DEFAULTS) == CHANGED
    install(bare, package)
    assert names(bare) == {"changed"}


def test_purge_leaves_nothing(bare: Container, package: Path) -> None:
    before = files(bare)
    install(bare, package)
    bare.write(DEFAULTS, CHANGED)
    bare.write("/etc/prometheus-p1-exporter/credentials/meter.key", "00112233445566778899AABBCCDDEEFF\n")
    Service(bare).restart()
    assert names(bare) == {"changed"}
    apt(bare, "purge", "--yes", NAME)
    assert files(bare) == before


def test_it_is_installed_again_after_purge(bare: Container, package: Path) -> None:
    install(bare, package)
    bare.write(DEFAULTS, CHANGED)
    apt(bare, "purge", "--yes", NAME)
    install(bare, package)
    assert names(bare) == {"main"}
