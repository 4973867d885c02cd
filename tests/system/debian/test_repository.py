"""The apt repository, on a web server: what apt takes from it, and what it refuses."""

from __future__ import annotations

import functools
import http.server
import shutil
import tempfile
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.debian.image import CHECKOUT, run
from tests.system.debian.package import NAME, field, remade

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.debian.container import Container

SOURCES = f"/etc/apt/sources.list.d/{NAME}.sources"
NEWER = "99.0-1"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A web server that does not tell each request."""

    def log_message(self, *_: object) -> None:
        pass


class Repository:
    """A repository that is served to a container; `folder` is what is served."""

    def __init__(self, folder: Path, container: Container) -> None:
        self.folder = folder / "repository"
        self.folder.mkdir()
        self._keys = folder / "keys"
        handler = functools.partial(Quiet, directory=str(self.folder))
        self._server = http.server.ThreadingHTTPServer((container.outside, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://{container.outside}:{self._server.server_port}"

    def add(self, *packages: Path, keys: Path | None = None) -> str:
        """Add packages, signed by the key in a folder; return what the script prints."""
        flags = ("--key-folder", str(keys or self._keys), "--url", self.url)
        return run(str(CHECKOUT / "packaging/apt-repo"), *flags, str(self.folder), *map(str, packages))

    def get(self, path: str) -> str:
        """Return a file of it, as a web browser gets it."""
        with urllib.request.urlopen(f"{self.url}/{path}") as response:  # noqa: S310 - of our own server
            text: str = response.read().decode()
            return text

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def repository(bare: Container, packages: dict[str, Path]) -> Iterator[Repository]:
    """A repository of the packages for all suites, which a container knows, and no other one."""
    # Some have both, some one of them.
    bare.shell("cd /etc/apt; mkdir away; mv sources.list* away; mkdir sources.list.d")
    # The folder is short: a socket of GnuPG is in it.
    with tempfile.TemporaryDirectory(prefix="p1-apt-") as folder:
        repository = Repository(Path(folder), bare)
        repository.add(*packages.values())
        bare.write(SOURCES, repository.get(f"{bare.suite}.sources"))
        yield repository
        repository.close()
    bare.shell("cd /etc/apt; rm -r sources.list.d; mv away/* .; rmdir away")


def refused(container: Container) -> str:
    """Let apt look for packages, which it must refuse; return what it says."""
    # It would go on with what it has seen before.
    container.shell("rm -rf /var/lib/apt/lists/*")
    looked = container.result("apt-get", "update", "--error-on=any")
    assert looked.returncode != 0, looked.stdout
    assert "Unable to locate" in container.run("apt-get", "install", "--yes", NAME, check=False)
    return looked.stdout


def test_apt_installs_the_package_of_the_suite(
    bare: Container, repository: Repository, package: Path
) -> None:
    looked = bare.run("apt-get", "update", "--error-on=any")
    assert not [line for line in looked.splitlines() if line[:2] in {"W:", "N:", "E:"}]
    installed = bare.run("apt-get", "install", "--yes", NAME)
    assert "cannot be authenticated" not in installed
    assert repository.url in installed
    assert bare.run("dpkg-query", "--show", "--showformat=${Version}", NAME) == field(package, "Version")


def test_apt_takes_the_key_from_a_file_as_well(bare: Container, repository: Repository) -> None:
    printed = bare.read(SOURCES).partition("Signed-By:")[0]
    bare.write(f"/etc/apt/keyrings/{NAME}.asc", repository.get(f"{NAME}.asc"))
    bare.write(SOURCES, f"{printed}Signed-By: /etc/apt/keyrings/{NAME}.asc\n")
    bare.run("apt-get", "update", "--error-on=any")
    bare.run("apt-get", "install", "--yes", NAME)


def test_apt_upgrades_to_a_package_that_is_added(
    bare: Container, repository: Repository, package: Path
) -> None:
    bare.run("apt-get", "update", "--error-on=any")
    bare.run("apt-get", "install", "--yes", NAME)
    key = repository.get(f"{NAME}.asc")
    with tempfile.TemporaryDirectory() as folder:
        repository.add(remade(package, NEWER, Path(folder)))
    assert repository.get(f"{NAME}.asc") == key
    bare.run("apt-get", "update", "--error-on=any")
    bare.run("apt-get", "upgrade", "--yes")
    known = bare.run("apt-cache", "policy", NAME)
    assert f"Installed: {NEWER}" in known
    # The older one can be had still.
    assert field(package, "Version") in known


def test_apt_refuses_a_repository_that_is_signed_by_another_key(
    bare: Container, repository: Repository, package: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository.add(package, keys=Path(folder))
        assert "is not signed" in refused(bare)


def test_apt_refuses_a_list_of_packages_that_was_changed(bare: Container, repository: Repository) -> None:
    for listed in repository.folder.glob("dists/*/main/*/Packages"):
        listed.write_text(listed.read_text().replace("smart meters", "smart meteors"))
        listed.with_suffix(".gz").unlink()
    assert "Hash Sum mismatch" in refused(bare) or "unexpected size" in refused(bare)


def test_apt_refuses_a_package_that_was_changed(
    bare: Container, repository: Repository, package: Path
) -> None:
    bare.run("apt-get", "update", "--error-on=any")
    for served in repository.folder.glob("pool/*/*.deb"):
        content = bytearray(served.read_bytes())
        content[-100] ^= 1
        served.write_bytes(content)
    bare.run("apt-get", "clean")
    installed = bare.result("apt-get", "install", "--yes", NAME)
    assert installed.returncode != 0
    assert "Hash Sum mismatch" in installed.stdout


def test_the_keys_are_their_owners_alone(repository: Repository) -> None:
    folder = repository.folder.parent / "keys"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not [file for file in repository.folder.rglob("*") if "private" in file.name]


def test_a_key_of_ones_own_can_sign(repository: Repository, package: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="p1-gpg-") as folder:
        own = {"GNUPGHOME": folder}
        generate = ("--quick-generate-key", "me@example.org", "ed25519", "sign")
        run("gpg", "--batch", "--passphrase", "", *generate, **own)
        shutil.rmtree(repository.folder / "dists")
        script = str(CHECKOUT / "packaging/apt-repo")
        run(script, "--key", "me@example.org", str(repository.folder), str(package), **own)
        for release in repository.folder.glob("dists/*/InRelease"):
            assert 'Good signature from "me@example.org"' in run("gpg", "--verify", str(release), **own)
        run("gpgconf", "--kill", "gpg-agent", **own)
