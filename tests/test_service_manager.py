"""What a service manager is told, as it arrives on a socket like systemd's."""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from p1_exporter.service_manager import ServiceManager
from tests.service_manager import Listener, abstract_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with Listener(str(tmp_path / "notify")) as listening:
        yield listening


@pytest.fixture
def manager(listener: Listener) -> Iterator[ServiceManager]:
    with closing(ServiceManager(listener.environ())) as told:
        yield told


def test_each_fact_is_a_message_of_its_own(manager: ServiceManager, listener: Listener) -> None:
    manager.ready()
    manager.status("main: ok")
    manager.alive()
    manager.stopping()
    assert listener.waiting() == ["READY=1", "STATUS=main: ok", "WATCHDOG=1", "STOPPING=1"]


def test_a_reload_is_told_with_the_time_of_the_monotonic_clock(
    manager: ServiceManager, listener: Listener
) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    told = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", listener.next())
    assert told
    assert before <= int(told[1]) <= after


def test_a_name_that_is_no_file_is_found() -> None:
    with (
        Listener(abstract_name("manager")) as listener,
        closing(ServiceManager(listener.environ())) as manager,
    ):
        manager.ready()
        assert listener.next() == "READY=1"


def test_its_variables_are_not_left_for_programs_that_this_one_starts(listener: Listener) -> None:
    environ = listener.environ(WATCHDOG_USEC="1000000", WATCHDOG_PID=str(os.getpid()), HOME="/root")
    ServiceManager(environ).close()
    assert environ == {"HOME": "/root"}


def test_nothing_happens_without_a_service_manager() -> None:
    environ = {"WATCHDOG_USEC": "1000000", "HOME": "/root"}
    with capture_logs() as logs, closing(ServiceManager(environ)) as manager:
        assert (manager.listens, manager.watchdog_seconds) == (False, None)
        manager.ready()
        manager.reloading()
        manager.status("main: ok")
        manager.alive()
        manager.stopping()
    assert (logs, environ) == ([], {"HOME": "/root"})


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30),
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
        ({"WATCHDOG_PID": str(os.getpid())}, None),
        ({}, None),
    ],
    ids=["ours", "nobody's", "another's", "zero", "negative", "no number", "endless", "no time", "none"],
)
def test_the_watchdog_is_the_one_that_is_meant_for_this_process(
    variables: dict[str, str], seconds: float | None, listener: Listener
) -> None:
    with closing(ServiceManager(listener.environ(**variables))) as manager:
        assert manager.watchdog_seconds == seconds


def test_a_status_is_one_line_of_utf_8_whatever_is_in_it(manager: ServiceManager, listener: Listener) -> None:
    manager.status("main: /dev/\udcff\nREADY=1")
    assert listener.next() == r"STATUS=main: /dev/\udcff READY=1"


def test_a_status_is_never_longer_than_systemd_takes(manager: ServiceManager, listener: Listener) -> None:
    manager.status("\udcff" * 5000)
    told = listener.next()
    assert len(told.encode()) < 4096
    assert told.endswith("...")


@pytest.mark.parametrize("name", ["/nonexistent/notify", "@nobody-listens", "notify", "/x" * 100])
def test_that_nobody_can_be_told_is_said_once(name: str) -> None:
    with capture_logs() as logs, closing(ServiceManager({"NOTIFY_SOCKET": name})) as manager:
        manager.ready()
        manager.status("main: ok")
        manager.stopping()
    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_a_service_manager_that_comes_back_is_told_again_and_its_next_loss_is_said_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "notify"
    with capture_logs() as logs, closing(ServiceManager({"NOTIFY_SOCKET": str(path)})) as manager:
        manager.alive()
        with Listener(str(path)) as listener:
            manager.alive()
            assert listener.next() == "WATCHDOG=1"
        path.unlink()
        manager.alive()
    assert len(logs) == 2


def test_a_service_manager_that_does_not_read_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf, capture_logs() as logs:
        deaf.bind(str(path))
        with closing(ServiceManager({"NOTIFY_SOCKET": str(path)})) as manager:
            began = time.monotonic()
            while not logs:
                assert time.monotonic() - began < 15, "its queue has no end"
                manager.status("x" * 400)
            assert time.monotonic() - began < 10


def test_what_is_closed_may_be_closed_again_and_told_anything(listener: Listener) -> None:
    manager = ServiceManager(listener.environ())
    manager.close()
    manager.close()
    manager.ready()
    assert not manager.listens
    assert listener.waiting() == []
