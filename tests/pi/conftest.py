"""Flags: `--suite bookworm|trixie`, and `--deb FILE` for a package that is there already."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.pi.board import Board
from tests.pi.image import image
from tests.pi.service import ServiceOnBoard, install
from tests.system.debian.image import SUITES
from tests.system.debian.package import DEFAULTS, build, copy_of_checkout

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--suite", choices=SUITES, default="bookworm", help="which Debian the Pi runs")
    parser.addoption("--deb", type=Path, help="package to test; the default is one of this checkout")


@pytest.fixture(scope="session")
def package(request: pytest.FixtureRequest) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("cards and packages take root")
    given: Path | None = request.config.getoption("--deb")
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="p1-packages-") as folder:
        checkout = copy_of_checkout(Path(folder, "checkout"))
        yield build(checkout, request.config.getoption("--suite"), Path(folder, "packages"))


@pytest.fixture(scope="session")
def board(request: pytest.FixtureRequest, package: Path) -> Iterator[Board]:
    with Board(image(request.config.getoption("--suite"))) as board:
        board.set_clock()
        yield board


class Installed(NamedTuple):
    """A board on which the package was installed."""

    service: ServiceOnBoard
    output: str
    """What apt printed."""


@pytest.fixture(scope="session")
def installed(board: Board, package: Path) -> Installed:
    return Installed(ServiceOnBoard(board), install(board, package))


@pytest.fixture
def service(installed: Installed) -> Iterator[ServiceOnBoard]:
    """The installed service, with its own configuration again after the test."""
    defaults = installed.service.board.read(DEFAULTS)
    yield installed.service
    print(installed.service.journal())  # noqa: T201 - pytest shows it if the test failed
    if installed.service.board.read(DEFAULTS) != defaults:
        installed.service.board.write(DEFAULTS, defaults)
        installed.service.restart()
