"""The exporter on an emulated Raspberry Pi: a real UART driver with real counters, real marks and real pins.

Needs the Debian packages qemu-system-arm and those that pi/build.sh names.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p1_exporter.link.counters import LINE_ERRORS
from tests.system.pi.machine import PORT, Exporter, Pi, build
from tests.system.scrape import series
from tests.system.telegrams import expected, simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.system.scrape import Scrape

# Bits of the PL011's data register, above those of the character.
FRAMING, PARITY, BREAK, OVERRUN = 0x100, 0x200, 0x400, 0x800

TELEGRAMS = simulated("dsmr5", 4)


@pytest.fixture(scope="module")
def machine() -> Iterator[Pi]:
    # Not pytest's folder for such things, which keeps them: this is half a gigabyte.
    with tempfile.TemporaryDirectory() as folder, Pi(build(Path(folder))) as pi:
        yield pi


@pytest.fixture
def pi(machine: Pi) -> Iterator[Pi]:
    yield machine
    print(machine.console())  # noqa: T201 - pytest shows it if the test failed


@pytest.fixture
def run(pi: Pi) -> Iterator[Callable[..., Exporter]]:
    """Start an exporter on the Pi, with an open port and one accepted telegram; it stops after the test."""
    with contextlib.ExitStack() as stack:

        def start(*flags: str) -> Exporter:
            exporter = Exporter(pi, "--serial.baudrate=115200", *flags)
            stack.callback(exporter.stop)
            exporter.until(lambda scrape: scrape("p1_port_open") == 1)
            pi.send(TELEGRAMS[0])
            exporter.until(accepted(1))
            return exporter

        yield start


def accepted(count: int) -> Callable[[Scrape], bool]:
    return lambda scrape: scrape("p1_telegrams_accepted_total") == count


def line_errors(scrape: Scrape) -> dict[str, float]:
    """Return those that were counted at least once."""
    counts = {error: scrape("p1_line_errors_total", error=error) for error in LINE_ERRORS}
    return {error: count for error, count in counts.items() if count}


def noise(scrape: Scrape) -> float:
    return scrape("p1_dropped_bytes_total", reason="noise")


def counted(characters: int) -> Callable[[Scrape], bool]:
    """Whether so much noise came and errors were counted; the exporter asks the driver once a second."""
    return lambda scrape: noise(scrape) >= characters and bool(line_errors(scrape))


def test_telegrams_are_read_from_the_pl011(pi: Pi, run: Callable[..., Exporter]) -> None:
    exporter = run()
    for telegram in TELEGRAMS[1:]:
        pi.send(telegram)
    scrape = exporter.until(accepted(len(TELEGRAMS)))
    assert scrape.of_meter() == expected(TELEGRAMS[-1])
    assert scrape("p1_received_bytes_total") == sum(map(len, TELEGRAMS))
    info = {
        "port": PORT,
        "driver": "amba-pl011",
        "baudrate": "115200",
        "format": "8N1",
        "request_line": "none",
    }
    assert series("p1_port_info", meter="main", **info) in scrape.samples
    assert all(scrape("p1_line_errors_supported", error=error) == 1 for error in LINE_ERRORS)


def test_a_break_is_counted_and_is_one_character(pi: Pi, run: Callable[..., Exporter]) -> None:
    exporter = run()
    pi.send_break()
    scrape = exporter.until(counted(1))
    assert line_errors(scrape) == {"break": 1}
    assert noise(scrape) == 1


def test_what_the_uart_notices_is_counted_and_escapes_are_no_characters(
    pi: Pi, run: Callable[..., Exporter]
) -> None:
    exporter = run()
    pi.inject(FRAMING | 0xFF, 1)
    pi.inject(PARITY | ord("0"), 2)
    pi.inject(BREAK, 3)
    pi.inject(OVERRUN | ord("0"), 4)
    every = {"framing": 1, "parity": 2, "break": 3, "overrun": 4}
    characters = sum(every.values())
    scrape = exporter.until(lambda scrape: line_errors(scrape) == every and noise(scrape) >= characters)
    assert noise(scrape) == characters


def test_good_characters_that_look_like_escapes_are_taken_as_they_are(
    pi: Pi, run: Callable[..., Exporter]
) -> None:
    exporter = run()
    good = b"\xff\xff\x00\xff\x00\x00\xff"
    pi.send(good)
    exporter.until(lambda scrape: noise(scrape) >= len(good))
    pi.send_break()
    scrape = exporter.until(counted(len(good) + 1))
    assert line_errors(scrape) == {"break": 1}
    assert noise(scrape) == len(good) + 1


def test_characters_that_the_kernel_had_no_room_for_are_counted(pi: Pi, run: Callable[..., Exporter]) -> None:
    exporter = run()
    sent = 1_500_000  # there is room for 1.3 million (drivers/tty/tty_buffer.c)
    with exporter.paused():
        pi.inject(ord("0"), sent)
    scrape = exporter.until(lambda scrape: noise(scrape) + sum(line_errors(scrape).values()) == sent)
    assert line_errors(scrape).keys() == {"buffer_overrun"}
    pi.send(TELEGRAMS[1])
    exporter.until(accepted(2))


@pytest.mark.parametrize("word", [FRAMING | ord("0"), BREAK])
def test_a_damaged_character_costs_the_telegram_that_it_is_in(
    pi: Pi, run: Callable[..., Exporter], word: int
) -> None:
    exporter = run()
    _, damaged, good, _ = TELEGRAMS
    half = len(damaged) // 2
    pi.send(damaged[:half])
    exporter.until(lambda scrape: scrape("p1_pending_bytes") == half)
    pi.inject(word)
    pi.send(damaged[half + 1 :] + good)
    scrape = exporter.until(accepted(2))
    assert scrape("p1_telegram_errors_total", reason="crc") == 1
    assert scrape("p1_dropped_bytes_total", reason="crc") == len(damaged)
    assert scrape.of_meter() == expected(good)


LISTEN = f"""
import json
from p1_exporter.link.port import PortSettings, open_port

with open_port(PortSettings("{PORT}", 115200)) as port:
    print("open", flush=True)
    data, marks = b"", []
    while not data.endswith(b"!"):
        chunk = port.read(30)
        marks += [(len(data) + place, kind) for place, kind in chunk.marks]
        data += chunk.data
    print(json.dumps([data.hex(" "), marks, port.counters()._asdict()]))
"""


def test_marks_tell_which_characters_arrived_in_error(pi: Pi) -> None:
    with contextlib.closing(pi.start(f"python3.11 -c {shlex.quote(LISTEN)}")) as listener:
        assert listener.line() == "open"
        for word in [ord("A"), FRAMING | 0x41, FRAMING | 0xFF, 0xFF, BREAK, 0, OVERRUN | ord("B"), ord("!")]:
            pi.inject(word)
        data, marks, counters = json.loads(listener.ends())
    assert data == "41 41 ff ff 00 00 42 21"
    assert marks == [[1, "framing"], [2, "framing"], [4, "break"]]
    assert counters == {"rx": 8, "framing": 2, "parity": 0, "break_": 1, "overrun": 1, "buffer_overrun": 0}


def test_the_request_pin_is_high_while_it_runs_and_floats_after_its_end(
    pi: Pi, run: Callable[..., Exporter]
) -> None:
    assert pi.pin_function(4) == pi.INPUT
    exporter = run("--serial.request-line=gpio:4")
    assert (pi.pin_function(4), pi.pin_level(4)) == (pi.OUTPUT, 1)
    assert exporter.scrape()("p1_request_line_asserted") == 1
    exporter.stop()
    assert pi.pin_function(4) == pi.INPUT
