from __future__ import annotations

import contextlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.system.debian.container import Container
from tests.system.debian.image import SUITES, image
from tests.system.debian.meter import Cable
from tests.system.debian.package import DEFAULTS, NAME, build, copy_of_checkout, field, put
from tests.system.debian.service import Service
from tests.system.lines import Feeder
from tests.system.telegrams import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def checkout() -> Iterator[Path]:
    """A copy of this checkout, which nobody works on meanwhile."""
    if os.geteuid():
        pytest.fail("containers take root: run this as root")
    with tempfile.TemporaryDirectory(prefix="p1-checkout-") as folder:
        yield copy_of_checkout(Path(folder, "checkout"))


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest, checkout: Path) -> Iterator[dict[str, Path]]:
    """The package for each suite that is tested, with the image of that suite made as well; all at the same time."""
    tested = {
        str(item.callspec.params["suite"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "suite" in item.callspec.params
    }
    with tempfile.TemporaryDirectory(prefix="p1-packages-") as folder, ThreadPoolExecutor() as pool:
        images = [pool.submit(image, suite) for suite in tested]
        built = {suite: pool.submit(build, checkout, suite, Path(folder, suite)) for suite in tested}
        for made in images:
            made.result()
        yield {suite: future.result() for suite, future in built.items()}


@pytest.fixture(scope="session")
def package(suite: str, packages: dict[str, Path]) -> Path:
    return packages[suite]


class Installed(NamedTuple):
    """A Debian on which the package was installed."""

    service: Service
    output: str
    """What apt printed."""

    @property
    def container(self) -> Container:
        return self.service.container


@pytest.fixture(scope="session")
def installed(suite: str, package: Path) -> Iterator[Installed]:
    """Install the package on a fresh Debian, as its user does; apt finds all dependencies."""
    with Container(suite) as container:
        output = container.run("apt", "install", "--yes", put(container, package))
        yield Installed(Service(container), output)


@pytest.fixture
def service(installed: Installed) -> Iterator[Service]:
    """The installed service, with its own configuration again after the test."""
    defaults = installed.container.read(DEFAULTS)
    yield installed.service
    print(installed.service.journal())  # noqa: T201 - pytest shows it if the test failed
    if installed.container.read(DEFAULTS) != defaults:
        installed.container.write(DEFAULTS, defaults)
        installed.service.restart()


@pytest.fixture
def cable(service: Service) -> Iterator[Cable]:
    """A cable to the computer of the service, which is plugged in."""
    with contextlib.closing(Cable(service.container)) as cable:
        cable.plug()
        yield cable
        cable.unplug()


@pytest.fixture
def meter(service: Service, cable: Cable) -> Iterator[Feeder]:
    """A meter that sends a telegram a second, some of which were accepted."""
    service.restart()
    feeder = Feeder(cable, simulated("dsmr5", 3600))  # type: ignore[arg-type] # all that it does is to send
    service.until_accepted()
    yield feeder
    feeder.stop()


@pytest.fixture(scope="session")
def prepared(suite: str, package: Path) -> Iterator[Container]:
    """A Debian that has all that the package depends on and recommends."""
    with Container(suite) as container:
        container.run("apt-get", "satisfy", "--yes", field(package, "Depends"))
        for recommended in field(package, "Recommends").split(","):
            # What is for a Raspberry Pi alone is not there.
            container.run("apt-get", "satisfy", "--yes", recommended, check=False)
        yield container


@pytest.fixture
def bare(prepared: Container) -> Iterator[Container]:
    """A Debian that the package can be installed on; it is gone again after the test."""
    yield prepared
    print(Service(prepared).journal())  # noqa: T201 - pytest shows it if the test failed
    prepared.run("dpkg", "--purge", NAME)
