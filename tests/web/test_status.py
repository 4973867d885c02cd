"""The status of the meters' links, as scripts see it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from p1_exporter import __version__
from p1_exporter.link.circuits import CIRCUITS
from p1_exporter.link.counters import Counters
from p1_exporter.link.diagnosis import SITUATIONS, Diagnosis
from p1_exporter.link.faults import faults
from p1_exporter.link.reception import Accepted, Reception, Understanding
from p1_exporter.link.record import LinkRecord, PortInfo
from p1_exporter.link.state import FAULT_NAMES
from p1_exporter.link.watch import DamageTotals, WatchSnapshot
from p1_exporter.meter import MeterSnapshot, NewestTelegram
from p1_exporter.web.app import App
from p1_exporter.web.app import json as json_document
from p1_exporter.web.message import Request
from p1_exporter.web.status import STATUS_PATH, meters, status
from tests.telegram.telegrams import TELEGRAM

if TYPE_CHECKING:
    from p1_exporter.link.circuits import Circuit

PORT = PortInfo("/dev/ttyUSB0", "ftdi_sio", 115_200, "8N1", "none")
WALL = 1_795_425_300.0
REASONS = ("crc", "truncated", "too_long", "malformed", "parity", "implausible", "decrypt")
NOISE = Diagnosis("noise", 0.85, "Bits flip both ways", frozenset({"some_good", "brief"}))


def accepted() -> Accepted:
    """A telegram with all that identifies its meter."""
    (found,) = Reception(Understanding(identities=True)).received(TELEGRAM, 95.0)
    assert isinstance(found, Accepted)
    return found


def silent_meter(name: str = "main", port: PortInfo = PORT, circuit: Circuit = "cable") -> MeterSnapshot:
    """A meter of which nothing was seen since 0 s."""
    link = LinkRecord(0.0, port).snapshot(pending_bytes=0, pending=False)
    return MeterSnapshot(name, link, WatchSnapshot(), circuit, None)


def meter(*found: Diagnosis, circuit: Circuit = "cable", damage: DamageTotals | None = None) -> MeterSnapshot:
    """A meter whose ten telegrams came until 95 s, but for one that was rejected and one that was missed."""
    record = LinkRecord(0.0, PORT)
    record.port_opened(
        PORT,
        request_asserted=None,
        line_errors_supported=frozenset({"framing", "break"}),
        counters=Counters(framing=3, break_=0),
    )
    for began in range(5, 96, 10):
        record.received(len(TELEGRAM), began)
        if began == 45:
            record.rejected(began, len(TELEGRAM), began, "crc")
        else:
            record.accepted(began, len(TELEGRAM), began, WALL + began)
    record.passed(110.5)
    link = record.snapshot(pending_bytes=0, pending=False)
    watch = WatchSnapshot(faults=found, damage=damage or DamageTotals())
    return MeterSnapshot("main", link, watch, circuit, NewestTelegram(accepted(), WALL + 95))


def parsed(*snapshots: MeterSnapshot, now: float = 110.5) -> list[dict[str, Any]]:
    document = json.loads(status(snapshots, now))
    assert document.keys() == {"version", "meters"}
    assert document["version"] == __version__
    found: list[dict[str, Any]] = document["meters"]
    return found


def fault_of(snapshot: MeterSnapshot) -> dict[str, Any]:
    ((fault,),) = [each["faults"] for each in parsed(snapshot)]
    found: dict[str, Any] = fault
    return found


def test_the_status_of_a_known_meter_is_exactly_this() -> None:
    assert parsed(meter(damage=DamageTotals(up=3, down=5, lost=7, foreign=11))) == [
        {
            "name": "main",
            "port": "/dev/ttyUSB0",
            "driver": "ftdi_sio",
            "baudrate": 115_200,
            "circuit": "cable",
            "state": "degraded",
            "up": True,
            "last_telegram_age": 15.5,
            "telegrams": {
                "accepted": 9,
                "errors": {**dict.fromkeys(REASONS, 0), "crc": 1},
                "missed": 1,
            },
            "line_errors": {"framing": 3, "break": 0},
            "damage": {"0_to_1": 3, "1_to_0": 5, "lost": 7, "inserted": 11},
            "faults": [],
        }
    ]


def test_before_the_first_telegram_it_has_no_age() -> None:
    (found,) = parsed(silent_meter(), now=10.0)
    assert (found["last_telegram_age"], found["up"], found["state"]) == (None, False, "disconnected")
    assert found.keys() == parsed(meter())[0].keys()


@pytest.mark.parametrize(
    ("now", "age", "up"), [(95.0, 0.0, True), (96.26, 1.3, True), (125.0, 30.0, True), (126.0, 31.0, False)]
)
def test_the_age_is_that_at_the_time_of_asking(now: float, age: float, up: bool) -> None:  # noqa: FBT001 - a column of the table above
    (found,) = parsed(meter(), now=now)
    assert (found["last_telegram_age"], found["up"]) == (age, up)


def test_every_meter_has_its_own_status_in_the_order_of_the_configuration() -> None:
    other = PortInfo("socket://meter:2000", "tcp", 9600)
    found = parsed(meter(NOISE), silent_meter("garage", other, "bridge"))
    assert [
        (each["name"], each["port"], each["driver"], each["baudrate"], each["circuit"]) for each in found
    ] == [
        ("main", "/dev/ttyUSB0", "ftdi_sio", 115_200, "cable"),
        ("garage", "socket://meter:2000", "tcp", 9600, "bridge"),
    ]
    assert [len(each["faults"]) for each in found] == [1, 0]


# Faults.


def test_a_fault_says_what_it_is_what_was_seen_and_what_to_do() -> None:
    fault = fault_of(meter(NOISE))
    assert fault.keys() == {"fault", "confidence", "meaning", "seen", "part", "advice", "situation"}
    assert (fault["fault"], fault["confidence"], fault["seen"]) == ("noise", 0.85, "Bits flip both ways")
    assert fault["meaning"] == faults()["noise"].meaning
    assert fault["situation"] == ["brief", "some_good"]


def test_the_likeliest_fault_comes_first() -> None:
    (found,) = parsed(meter(NOISE, NOISE._replace(fault="hum", confidence=0.4)))
    assert [(each["fault"], each["confidence"]) for each in found["faults"]] == [
        ("noise", 0.85),
        ("hum", 0.4),
    ]


@pytest.mark.parametrize("circuit", CIRCUITS)
@pytest.mark.parametrize("name", FAULT_NAMES)
def test_every_fault_has_a_part_and_advice_for_every_circuit(name: str, circuit: Circuit) -> None:
    fault = fault_of(meter(NOISE._replace(fault=name, situation=frozenset(SITUATIONS)), circuit=circuit))
    assert fault["part"]
    assert fault["advice"]
    assert all(isinstance(step, str) and step for step in fault["advice"])


def test_part_and_advice_are_those_of_the_circuit() -> None:
    found = {
        circuit: fault_of(meter(NOISE._replace(fault="disconnected"), circuit=circuit))
        for circuit in CIRCUITS
    }
    assert "server" in found["bridge"]["part"]
    assert "adapter" in found["cable"]["part"]
    assert len({tuple(each["advice"]) for each in found.values()}) >= 3


def test_advice_depends_on_the_situation() -> None:
    fault = next(
        name for name, fault in faults().items() if any(step.when == "unrequested" for step in fault.steps)
    )
    without, asked = (
        fault_of(meter(Diagnosis(fault, 0.9, "Seen", frozenset(situation)), circuit="transistor"))["advice"]
        for situation in ({"unrequested"}, set())
    )
    assert set(asked) < set(without)


# What is not in it.


def test_nothing_that_identifies_the_meter_is_in_it() -> None:
    snapshot = meter(NOISE)
    assert snapshot.telegram
    samples = str(snapshot.telegram.accepted.samples)
    text = status([snapshot], 110.5).decode()
    for identity in ("E000000000000000", "4530303030303030", "TST5"):
        assert identity in samples + TELEGRAM.decode()
        assert identity not in text


def test_whatever_a_meter_is_called_the_status_is_json() -> None:
    name = 'a"b\\c\n\udcff é'
    assert parsed(replace(meter(), name=name))[0]["name"] == name


def test_the_page_for_people_is_given_the_same_facts() -> None:
    snapshots = [meter(NOISE), silent_meter("garage")]
    assert json.loads(json.dumps(meters(snapshots, 110.5))) == parsed(*snapshots)


def test_the_status_is_served_under_its_path() -> None:
    app = App(
        "/metrics",
        list,
        healthy=lambda: True,
        ready=lambda: True,
        documents={STATUS_PATH: json_document(lambda: status([meter()], 110.5))},
    )
    response = app(Request("GET", "/api/v1/status", "", {}))
    assert (response.status, response.content_type) == (200, "application/json")
    assert response.body == status([meter()], 110.5)
