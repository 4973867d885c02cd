"""Recordings that are read again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from p1_exporter.link.port import Chunk, EndOfInput, Port, PortError, PortSettings, open_port

if TYPE_CHECKING:
    from pathlib import Path

RECORDING = bytes(range(256)) * 8


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "capture #1.bin"
    path.write_bytes(RECORDING)
    return path


def replay(path: Path, query: str = "", baudrate: int | None = None) -> Port:
    return open_port(PortSettings(path.as_uri() + query, baudrate))


def chunks(port: Port) -> list[Chunk]:
    found = []
    try:
        while (chunk := port.read(5)) is not None:
            found.append(chunk)
    except EndOfInput:
        return found
    pytest.fail("the recording neither went on nor ended")


def test_a_recording_is_read_to_its_end_and_not_again(recording: Path) -> None:
    with replay(recording, "?speed=max") as port:
        assert (port.driver, port.baudrate) == ("replay", 115_200)
        assert b"".join(chunk.data for chunk in chunks(port)) == RECORDING
        with pytest.raises(EndOfInput):
            port.read(0)


def test_a_recording_comes_at_the_pace_of_the_line(recording: Path) -> None:
    with replay(recording) as port:
        before = time.monotonic()
        found = chunks(port)
        duration = time.monotonic() - before
    assert b"".join(chunk.data for chunk in found) == RECORDING
    # 2048 bytes of 10 bits at 115200 baud; each chunk says when its first byte came.
    assert 0.178 <= duration < 1
    starts = [chunk.time - found[0].time for chunk in found]
    assert starts == pytest.approx([0, 0.05, 0.1, 0.15], abs=0.001)


def test_a_recording_can_be_read_faster(recording: Path) -> None:
    with replay(recording, "?speed=120", 9600) as port:
        assert port.baudrate == 9600
        assert [len(chunk.data) for chunk in chunks(port)] == [2048]


def test_waiting_for_the_next_bytes_has_an_end_and_can_be_woken(recording: Path) -> None:
    with replay(recording, "?speed=0.001") as port:
        assert port.read(0.01) is None
        alarm = threading.Timer(0.02, port.wake)
        alarm.start()
        before = time.monotonic()
        assert port.read(30) is None
        assert time.monotonic() - before < 5
        alarm.join()


def test_an_empty_recording_only_ends(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    with replay(empty) as port:
        assert chunks(port) == []


def test_what_cannot_be_replayed_is_reported(tmp_path: Path) -> None:
    for path, reason in [
        (tmp_path / "missing", "missing"),
        (tmp_path, "settings"),
        (tmp_path / ("long" * 100), "other"),
    ]:
        with pytest.raises(PortError, match=str(path)) as caught:
            replay(path)
        assert caught.value.reason == reason
