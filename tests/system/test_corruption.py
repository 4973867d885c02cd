"""Thousands of damaged telegrams through the real program, scraped all the while."""

from __future__ import annotations

import math
import random
import re
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p1_exporter.exposition.collector import MeterCollector
from p1_exporter.link.port import Chunk, EndOfInput, Port, PortSettings
from p1_exporter.meter import Meter, MeterSettings
from p1_exporter.telegram.parity import with_parity
from tests.system.damage import cut, damage, drop_a_byte, drop_bytes, flip_a_bit, insert_garbage, verifies
from tests.system.exporter import PATIENCE
from tests.system.scrape import Scrape, Series, check_laws, series
from tests.system.telegrams import expected, on_the_wire, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from p1_exporter.meter import MeterSnapshot
    from tests.system.exporter import Exporter
    from tests.system.lines import SerialServer

Harm = Callable[[bytes, random.Random], bytes]

TELEGRAMS = 2000
MEBIBYTE = 1 << 20
TO_TELL_FAULTS = 5 * MEBIBYTE
TO_GO_ON = 2 * MEBIBYTE
"""Memory that garbage may take: the first of it, and what comes later."""
STREAM_SECONDS = 30
"""More than it takes the program to read a stream of this file."""


def scrapes_meanwhile(exporter: Exporter, server: SerialServer, data: bytes) -> Iterator[Scrape]:
    """Scrape while a stream is sent, until all of it was read; the laws are checked by every scrape."""
    before = exporter.scrape()("p1_received_bytes_total")
    # With pauses, so that there is something to be seen between what the program reads at once.
    server.send_meanwhile(data, pause=0.01, piece=8192)
    deadline = time.monotonic() + STREAM_SECONDS
    while True:
        yield (scrape := exporter.scrape())
        if scrape("p1_received_bytes_total") == before + len(data):
            return
        assert time.monotonic() < deadline


def after_the_end(exporter: Exporter, server: SerialServer) -> Scrape:
    """Hang up, so that nothing stays undecided; return what came of everything."""
    server.close()
    return exporter.until(lambda scrape: not scrape("p1_port_open") and not scrape("p1_pending_bytes"))


# A meter with checksum.


@pytest.mark.parametrize("harm", [flip_a_bit, drop_bytes, insert_garbage, cut])
def test_all_telegrams_that_came_whole_are_accepted_and_no_other(
    run: Callable[..., Exporter], serial_server: SerialServer, harm: Harm
) -> None:
    telegrams = simulated("dsmr5", TELEGRAMS)
    stream = damage(telegrams, harm, verifies, seed=1)
    # A damaged line end leaves a telegram valid, and so does the other case of a letter of the checksum.
    assert TELEGRAMS // 2 == stream.intact <= stream.valid < stream.intact * 1.01
    by_time = {sent["p1_meter_timestamp_seconds", frozenset()]: sent for sent in map(expected, telegrams)}

    exporter = run(f"--serial.port={serial_server.url}")
    moments = set()
    for scrape in scrapes_meanwhile(exporter, serial_server, stream.data):
        if values := scrape.of_meter():
            moment = values["p1_meter_timestamp_seconds", frozenset()]
            assert values == by_time[moment]
            moments.add(moment)
    assert len(moments) >= 10, "too few telegrams were seen to say so"

    end = after_the_end(exporter, serial_server)
    assert end("p1_received_bytes_total") == len(stream.data)
    assert end("p1_telegrams_accepted_total") == stream.valid
    assert end.total("p1_telegram_errors_total") <= TELEGRAMS - stream.valid


# A meter without checksum, whose characters have parity bits.

REGISTERS = {
    series("p1_electricity_import_joules_total", tariff="1"): r"1-0:1\.8\.1\((.*)\*kWh\)",
    series("p1_electricity_import_joules_total", tariff="2"): r"1-0:1\.8\.2\((.*)\*kWh\)",
    series("p1_electricity_export_joules_total", tariff="1"): r"1-0:2\.8\.1\((.*)\*kWh\)",
    series("p1_electricity_export_joules_total", tariff="2"): r"1-0:2\.8\.2\((.*)\*kWh\)",
}
PLAUSIBLE_JOULES = 55_200 * 60
"""What the largest plausible power adds to a register in a minute: what damage may add to it before it is noticed."""
RUN_OF_DAMAGE = 20
"""No more telegrams than this are rejected in a row."""


def registers(telegram: bytes) -> dict[Series, float]:
    text = telegram.decode("ascii")
    found = {name: re.search(pattern, text) for name, pattern in REGISTERS.items()}
    return {name: round(float(match[1]) * 1000) * 3600 for name, match in found.items() if match}


def survives_parity(telegram: bytes, came: bytes) -> bool:
    """Whether nothing but the line feed at the end was damaged: the carriage return before it ends a telegram."""
    return came[:-1] == telegram[:-1] and came[-1] & 0x7F != ord("\n")


@pytest.mark.parametrize("harm", [flip_a_bit, drop_a_byte])
def test_registers_without_checksum_stay_within_what_is_plausible(
    run: Callable[..., Exporter], serial_server: SerialServer, harm: Harm
) -> None:
    true = [registers(telegram) for telegram in simulated("dsmr2", TELEGRAMS)]
    sent = on_the_wire("dsmr2", TELEGRAMS)
    stream = damage(sent[:-2], harm, survives_parity, seed=2)
    # Two good ones at the end agree with each other, whatever came before.
    data = stream.data + b"".join(sent[-2:])
    bytes_a_telegram = len(data) / TELEGRAMS

    exporter = run(f"--serial.port={serial_server.url}")
    seen = 0
    for scrape in scrapes_meanwhile(exporter, serial_server, data):
        values = scrape.of_meter()
        newest = min(int(scrape("p1_received_bytes_total") / bytes_a_telegram) + 2, TELEGRAMS - 1)
        oldest = max(newest - RUN_OF_DAMAGE, 0)
        for name in REGISTERS.keys() & values.keys():
            seen += 1
            assert (
                true[oldest][name] - PLAUSIBLE_JOULES <= values[name] <= true[newest][name] + PLAUSIBLE_JOULES
            )
    assert seen >= 10 * len(REGISTERS), "too little was seen to say so"

    end = after_the_end(exporter, serial_server)
    assert {name: end.of_meter()[name] for name in REGISTERS} == true[-1]
    if harm is flip_a_bit:
        # Parity finds every one. The very first telegram waited for a second one to agree.
        assert end("p1_telegrams_accepted_total") == stream.valid + 2 - 1
        assert end("p1_telegram_errors_total", reason="implausible") == 1
    else:
        assert end("p1_telegrams_accepted_total") > stream.intact


class Line(Port):
    """A port that gives one telegram at each read, and keeps what is known when all before it is dealt with."""

    def __init__(
        self, telegrams: Sequence[bytes], interval: float, known: Callable[[], MeterSnapshot]
    ) -> None:
        super().__init__(PortSettings("line"), "unknown")
        # Up to now, so that nothing comes from the future.
        began = time.monotonic() - interval * len(telegrams)
        self._chunks = (
            Chunk(began + interval * number, data) for number, data in enumerate(telegrams) if data
        )
        self._known = known
        self.seen: list[dict[Series, float]] = []
        self.over = threading.Event()

    def _read(self, _timeout: float) -> Chunk:
        # At a time before all times nothing is too old to be shown.
        families = MeterCollector(lambda: [self._known()], clock=lambda: -math.inf).collect()
        scrape = Scrape({series(s.name, **s.labels): s.value for family in families for s in family.samples})
        check_laws(scrape, "main")
        self.seen.append(scrape.of_meter())
        try:
            return next(self._chunks)
        except StopIteration:
            self.over.set()
            raise EndOfInput from None

    def _close(self) -> None:
        """Nothing is held."""


# Meters with a second between telegrams never are silent; those with ten are between any two.
@pytest.mark.parametrize("interval", [1, 10])
@pytest.mark.parametrize("harm", [flip_a_bit, drop_a_byte])
def test_after_each_telegram_without_checksum_the_registers_are_plausible(
    monkeypatch: pytest.MonkeyPatch, harm: Harm, interval: int
) -> None:
    true = [registers(telegram) for telegram in simulated("dsmr2", TELEGRAMS)]
    stream = damage(on_the_wire("dsmr2", TELEGRAMS), harm, survives_parity, seed=4)
    meter = Meter(MeterSettings("main", PortSettings("line")))
    line = Line(stream.telegrams, interval, lambda: meter.snapshot)
    monkeypatch.setattr("p1_exporter.meter.open_port", lambda _settings: line)
    meter.start()
    assert line.over.wait(STREAM_SECONDS)
    meter.stop(PATIENCE)
    assert len(line.seen) == TELEGRAMS + 1

    shown = 0
    for values, truth in zip(line.seen[1:], true, strict=True):
        for name in REGISTERS.keys() & values.keys():
            shown += 1
            assert abs(values[name] - truth[name]) <= PLAUSIBLE_JOULES
    assert shown > TELEGRAMS * (len(REGISTERS) - 1), "too little was seen to say so"


def test_a_register_that_was_missing_once_is_still_checked(
    run: Callable[..., Exporter], serial_server: SerialServer
) -> None:
    first, second, third, fourth = simulated("dsmr2", 4)
    import_1 = series("p1_electricity_import_joules_total", tariff="1")
    exporter = run(f"--serial.port={serial_server.url}")
    serial_server.send(with_parity(first + second))
    exporter.until(lambda scrape: scrape("p1_telegrams_accepted_total") == 1)
    # Two lost bytes: one makes a line unknown, the other turns kWh into Wh.
    serial_server.send(with_parity(third.replace(b"1-0:1.8.1(", b"1-0:18.1(", 1)))
    exporter.until(lambda scrape: scrape("p1_telegrams_total") == 3 and not scrape("p1_telegrams_pending"))
    serial_server.send(with_parity(fourth.replace(b"*kWh)", b"*Wh)", 1)))
    end = exporter.until(
        lambda scrape: scrape("p1_telegrams_total") == 4 and not scrape("p1_telegrams_pending")
    )
    assert end("p1_telegram_errors_total", reason="implausible") == 2, "the first of all, and the last"
    assert end.of_meter().get(import_1, registers(second)[import_1]) >= registers(second)[import_1]


# What is no telegram at all.


def garbage_without_slash() -> bytes:
    return random.Random(3).randbytes(MEBIBYTE).replace(b"/", b"0")


@pytest.mark.parametrize("model", ["dsmr5", "dsmr2"])
def test_after_megabytes_of_garbage_the_next_telegram_is_accepted_and_no_memory_is_lost(
    run: Callable[..., Exporter], serial_server: SerialServer, model: str
) -> None:
    exporter = run(f"--serial.port={serial_server.url}")
    telegrams = iter(on_the_wire(model, 7))
    serial_server.send(b"".join(islice(telegrams, 3)))
    exporter.until(lambda scrape: not scrape("p1_telegrams_pending") and scrape("p1_telegrams_total") == 3)

    # What it takes to tell faults apart is loaded once, when there is one.
    for bound in (TO_TELL_FAULTS, TO_GO_ON):
        resident = memory(exporter, "VmRSS")
        # Forgets the peak of memory so far (proc(5)).
        Path(f"/proc/{exporter.process.pid}/clear_refs").write_text("5")
        for garbage in (garbage_without_slash(), b"/" * MEBIBYTE):
            before = exporter.scrape()
            *_, after = scrapes_meanwhile(exporter, serial_server, garbage + next(telegrams))
            assert after("p1_telegrams_accepted_total") == before("p1_telegrams_accepted_total") + 1
            dropped = after.total("p1_dropped_bytes_total") - before.total("p1_dropped_bytes_total")
            assert dropped == len(garbage)
        assert memory(exporter, "VmHWM") - resident < bound


def memory(exporter: Exporter, name: str) -> int:
    """Return a figure of the kernel about the process, in bytes."""
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    found = re.search(rf"^{name}:\s*(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024
