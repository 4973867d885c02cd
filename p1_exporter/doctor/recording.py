"""Captures written by the doctor, and read by it."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final

from p1_exporter.doctor.line import KEPT_BYTES, LineLook
from p1_exporter.doctor.listener import Listener
from p1_exporter.doctor.redact import redact, refuse_encrypted
from p1_exporter.errors import UserError
from p1_exporter.link.capture import (
    CaptureHeader,
    CaptureWriter,
    CounterReading,
    Truncated,
    read_capture,
)
from p1_exporter.link.diagnosis import diagnose
from p1_exporter.link.line import Line
from p1_exporter.link.port import Chunk

if TYPE_CHECKING:
    from pathlib import Path

    from p1_exporter.link.capture import CaptureEvent

# Seconds that are taken for granted where a recording cannot tell how long nothing came, and bytes that are nothing.
_SILENCE: Final = 60.0
_NEXT_TO_NOTHING: Final = 12


class Recording:
    """Keeps what is heard, and writes it to a file.

    Args of the constructor: `file`, open for writing bytes; `redacted`, whether identities are left out, for which the
    whole capture is needed: it is written when it is complete.
    """

    def __init__(self, file: IO[bytes], *, redacted: bool) -> None:
        self._file = file
        self._redacted = redacted
        self._header = CaptureHeader()
        self._events: list[CaptureEvent] = []
        self._writer: CaptureWriter | None = None

    def begin(self, header: CaptureHeader) -> None:
        """Begin, or begin anew because the speed was changed."""
        self._header = header
        self._events.clear()
        if not self._redacted:
            self._file.seek(0)
            self._file.truncate()
            self._writer = CaptureWriter(self._file, header, 0.0)

    def write(self, event: Chunk | CounterReading) -> None:
        """Keep an event."""
        if self._writer is not None:
            self._writer.write(event)
        else:
            self._events.append(event)

    def finish(self) -> None:
        """Write what could not be written before.

        Raises:
            UserError: the meter encrypts.
        """
        if self._redacted:
            write_redacted(self._file, self._header, self._events)


def write_redacted(file: IO[bytes], header: CaptureHeader, events: list[CaptureEvent]) -> None:
    """Write a capture without identities.

    Raises:
        UserError: the meter encrypts.
    """
    refuse_encrypted(events)
    writer = CaptureWriter(file, header, 0.0)
    for event in redact(events):
        if not isinstance(event, Truncated):
            writer.write(event)


def load(path: Path) -> tuple[CaptureHeader, list[CaptureEvent]]:
    """Return a capture.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            header, events = read_capture(file)
            return header, list(events)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}. Give the path of a capture.") from error


def replay(header: CaptureHeader, events: list[CaptureEvent]) -> LineLook:
    """Return what a capture says about the line it was recorded on."""
    line = Line(header.driver, header.baudrate, header.parity, header.request_line)
    listener = Listener(line, KEPT_BYTES)
    for event in events:
        if not isinstance(event, Truncated):
            listener.hear(event)
    evidence = listener.finish(listener.now + _silence(events))
    tried = tuple(
        f"Line {event.line} of the capture is not complete: the recording was interrupted there."
        for event in events
        if isinstance(event, Truncated)
    )
    return LineLook(evidence, tuple(diagnose(evidence)), tried, header.driver, header.baudrate)


def _silence(events: list[CaptureEvent]) -> float:
    """Return for how long nothing came in the end, where a recording without counters cannot tell."""
    if any(isinstance(event, CounterReading) for event in events):
        return 0.0
    reads = [event.data for event in events if isinstance(event, Chunk)]
    fell_silent = sum(map(len, reads)) < _NEXT_TO_NOTHING or reads[-1] == b"\0"
    return _SILENCE if fell_silent else 0.0
