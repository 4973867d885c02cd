from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.system.exporter import Exporter
from tests.system.lines import Feeder, SerialServer, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def run() -> Iterator[Callable[..., Exporter]]:
    """Start exporters, with the arguments of `Exporter`; none is left after the test."""
    with contextlib.ExitStack() as stack:

        def start(*flags: str, **options: object) -> Exporter:
            exporter = Exporter(*flags, **options)  # type: ignore[arg-type] # passed on as they are
            stack.callback(exporter.stop)
            return exporter

        yield start


@pytest.fixture
def plug() -> Iterator[Callable[[], Terminal]]:
    """Plug in meters, which are pseudo-terminals."""
    with contextlib.ExitStack() as stack:

        def make() -> Terminal:
            terminal = Terminal()
            stack.callback(terminal.vanish)
            return terminal

        yield make


@pytest.fixture
def terminal(plug: Callable[[], Terminal]) -> Terminal:
    """A meter behind a pseudo-terminal."""
    return plug()


@pytest.fixture
def feed(run: Callable[..., Exporter], plug: Callable[[], Terminal]) -> Iterator[Callable[..., Feeder]]:
    """Let meters send, with the arguments of `Feeder`; they stop before anything is unplugged."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: object, **options: object) -> Feeder:
            feeder = Feeder(*arguments, **options)  # type: ignore[arg-type] # passed on as they are
            stack.callback(feeder.stop)
            return feeder

        yield start


@pytest.fixture
def serial_server() -> Iterator[SerialServer]:
    """A meter behind a TCP port."""
    server = SerialServer()
    yield server
    server.close()
