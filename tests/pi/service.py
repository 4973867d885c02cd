"""The service of the package on an emulated Pi, seen from outside."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, cast

from tests.system.debian.package import NAME
from tests.system.debian.service import Service
from tests.system.pi.machine import PATIENCE
from tests.system.scrape import OPENMETRICS, Scrape, parse

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pi.board import Board
    from tests.system.debian.container import Container

_METRICS = 9786


class ServiceOnBoard(Service):
    """The same as in a container, on a board."""

    def __init__(self, board: Board) -> None:
        # A board does all that is asked of a container here.
        super().__init__(cast("Container", board))
        self.board = board

    def scrape(self) -> Scrape:
        """Return the metrics, checked for what is true in every scrape."""
        address = f"http://127.0.0.1:{self.board.ports[_METRICS]}/metrics"
        request = urllib.request.Request(address, headers={"Accept": OPENMETRICS})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310 - of our own program
            return parse(response.read().decode(), openmetrics=True)

    def stop(self) -> None:
        """Stop it."""
        self.board.run("systemctl", "stop", NAME)


def install(board: Board, package: Path) -> str:
    """Install the package as its user does, by apt and without a configuration; return what apt prints."""
    return board.run("apt-get", "install", "--yes", board.put(package))
