"""The package on an emulated Raspberry Pi: the PL011 of its header read, and a pin of its header raised.

    pytest -v tests/pi [--suite bookworm|trixie] [--deb FILE]

The meter is this computer: it sees the pin from outside, as a voltmeter does. Needs root, the Debian packages that
image.py names, qemu-system-arm, and what packaging/build-deb needs if no package is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p1_exporter.link.counters import LINE_ERRORS
from tests.pi.board import chosen_pull
from tests.system.telegrams import expected, simulated

if TYPE_CHECKING:
    from tests.pi.board import Board
    from tests.pi.conftest import Installed
    from tests.pi.service import ServiceOnBoard
    from tests.system.scrape import Scrape

PIN = 4
# Bits of the PL011's data register, above those of the character.
FRAMING, PARITY, BREAK, OVERRUN = 0x100, 0x200, 0x400, 0x800

TELEGRAMS = simulated("dsmr5", 4)


def labels_of(scrape: Scrape, name: str) -> dict[str, str]:
    (labels,) = (dict(labels) for known, labels in scrape.samples if known == name)
    return labels


def asserted(scrape: Scrape) -> bool:
    return scrape("p1_request_line_asserted") == 1


def request_by_pin(service: ServiceOnBoard) -> None:
    service.configure(f"--serial.request-line=gpio:{PIN}")
    service.until(asserted)


def served(service: ServiceOnBoard, *telegrams: bytes) -> Scrape:
    """Send telegrams, and return a scrape by which all of them were accepted."""
    before = service.until(lambda scrape: scrape("p1_port_open") == 1)("p1_telegrams_accepted_total")
    for telegram in telegrams:
        service.board.send(telegram)
    return service.until(lambda scrape: scrape("p1_telegrams_accepted_total") == before + len(telegrams))


def test_the_package_is_installed_and_its_service_runs(installed: Installed) -> None:
    assert "rror" not in installed.output
    assert "arning" not in installed.output
    assert installed.service.show("ActiveState") == "active"
    assert installed.service.show("UnitFileState") == "enabled"


def test_telegrams_on_the_uart_of_the_header_are_served_without_any_configuration(
    service: ServiceOnBoard,
) -> None:
    scrape = served(service, *TELEGRAMS)
    assert expected(TELEGRAMS[-1]).items() <= scrape.of_meter().items()
    info = labels_of(scrape, "p1_port_info")
    assert (info["port"], info["driver"], info["baudrate"]) == ("/dev/serial0", "amba-pl011", "115200")


def test_line_errors_are_counted(service: ServiceOnBoard, board: Board) -> None:
    service.restart()
    served(service, TELEGRAMS[0])
    for count, word in enumerate((FRAMING | 0xFF, PARITY | ord("0"), BREAK, OVERRUN | ord("0")), 1):
        board.inject(word, count)
    every = {"framing": 1, "parity": 2, "break": 3, "overrun": 4, "buffer_overrun": 0}
    scrape = service.until(lambda scrape: scrape("p1_line_errors_total", error="overrun") == every["overrun"])
    assert {error: scrape("p1_line_errors_total", error=error) for error in LINE_ERRORS} == every
    assert all(scrape("p1_line_errors_supported", error=error) == 1 for error in LINE_ERRORS)


@pytest.mark.parametrize("group", ["gpio", "dialout"])
def test_the_pin_is_high_while_the_service_runs_and_floats_after_its_end(
    service: ServiceOnBoard, board: Board, group: str
) -> None:
    # Whom the pins belong to: the first on Raspberry Pi OS, the second on Debian.
    board.run("chgrp", group, "/dev/gpiomem")
    assert board.pin_function(PIN) == board.INPUT
    request_by_pin(service)
    assert (board.pin_function(PIN), board.pin_level(PIN)) == (board.OUTPUT, 1)
    with board.writes_to_gpio() as writes:
        service.stop()
    assert board.pin_function(PIN) == board.INPUT
    assert chosen_pull(writes, PIN) == 0


def test_a_meter_that_is_asked_by_the_pin_answers_and_is_served(
    service: ServiceOnBoard, board: Board
) -> None:
    request_by_pin(service)
    assert board.pin_level(PIN) == 1
    scrape = served(service, TELEGRAMS[0])
    assert expected(TELEGRAMS[0]).items() <= scrape.of_meter().items()
    assert labels_of(scrape, "p1_port_info")["request_line"] == f"gpio:{PIN}"


def test_the_service_raises_the_pin_without_privileges(service: ServiceOnBoard) -> None:
    request_by_pin(service)
    status = service.status()
    assert "0" not in status["Uid"].split()
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


def test_the_service_is_back_after_a_crash(service: ServiceOnBoard, board: Board) -> None:
    request_by_pin(service)
    served(service, TELEGRAMS[0])
    board.run("kill", "-KILL", str(service.pid))
    # The one that comes back has counted nothing yet.
    service.until(lambda scrape: asserted(scrape) and scrape("p1_telegrams_accepted_total") == 0)
    served(service, TELEGRAMS[0])


def test_the_pin_is_high_again_after_a_reboot(service: ServiceOnBoard, board: Board) -> None:
    request_by_pin(service)
    board.reboot()
    service.until(asserted)
    assert (board.pin_function(PIN), board.pin_level(PIN)) == (board.OUTPUT, 1)
    served(service, TELEGRAMS[0])
