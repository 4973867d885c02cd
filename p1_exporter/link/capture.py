"""Link captures: what arrived on a link, with all that the driver said about it. JSON Lines, for bug reports.

The first line tells how the port was read, each other line is one event: what one read gave, or what the driver had
counted. Times are seconds since the recording began. Counters are as the driver gave them, from whatever they began
at: consumers take differences. A line of counters that are all null says no more than that time passed until then,
as the end of a recording of a silent line does.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, get_args

from p1_exporter.errors import UserError
from p1_exporter.link.capture_lines import capture_lines, file_name
from p1_exporter.link.counters import Counters, Mark, MarkKind
from p1_exporter.link.port import BAUDRATES, Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p1_exporter.link.capture_lines import CaptureLine

FORMAT: Final = "p1-capture"
VERSION: Final = 1
DRIVERS: Final = (
    "amba-pl011",
    "bcm2835aux",
    "8250",
    "ftdi_sio",
    "cp210x",
    "pl2303",
    "ch341",
    "tcp",
    "pty",
    "unknown",
)
"""Drivers that a diagnosis knows something about; every other one is `unknown`."""

# A character at 115200 baud lasts 0.00009 s, and nobody's clock tells better when it came.
_DECIMALS: Final = 4
_BEYOND_ALL_TIMES: Final = 1e9
_COUNTS: Final = range(1 << 63)
_BITS: Final = range(7, 9)
_PARITIES: Final = ("N", "E")
_REQUEST_LINE: Final = re.compile(r"none|rts|dtr|gpio:[0-9]{1,3}")
_MARK_KINDS: Final[tuple[str, ...]] = get_args(MarkKind)
_MARK_SIZE: Final = 2

# What the counters are called in a file, in the order of `Counters`: `break` is a word that Python keeps.
_COUNTERS: Final = tuple(name.rstrip("_") for name in Counters._fields)


@dataclass(frozen=True, slots=True)
class CaptureHeader:
    """How the port was read.

    Attributes:
        driver: one of DRIVERS.
        baudrate: of the port.
        bits: data bits that the UART was set to, 7 or 8.
        parity: that the UART checked: `N` for none, `E` for even.
        request_line: none, rts, dtr or gpio:N.
    """

    driver: str = "unknown"
    baudrate: int = 115_200
    bits: int = 8
    parity: str = "N"
    request_line: str = "none"


@dataclass(frozen=True, slots=True)
class CounterReading:
    """What the driver had counted by a time, in seconds since the recording began."""

    time: float
    counters: Counters


@dataclass(frozen=True, slots=True)
class Truncated:
    """The file ends within this line, which was left out: the recording was killed, or the file was cut."""

    line: int


CaptureEvent = Chunk | CounterReading | Truncated
"""What a capture consists of, in order of time; `Truncated`, if at all, comes last."""


class CaptureClock:
    """Times as a capture keeps them: seconds since it began, no finer than it tells, and never backwards.

    Args of the constructor: `start`, when the recording began, on the clock of the times to come (seconds of
    `time.monotonic()`).
    """

    def __init__(self, start: float) -> None:
        self._start = start
        self._until = 0.0

    def at(self, time: float) -> float:
        """Return what a capture calls a time."""
        # Who looks at the clock first and who writes first are two things: a capture is in order of time.
        self._until = max(self._until, round(time - self._start, _DECIMALS))
        return self._until


class CaptureWriter:
    """Writes a capture line by line: whatever stops the recording, all that was written before can be read.

    Args of the constructor: `file`, open for writing bytes; `header`; `start`, when the recording began, on the
    clock of the times to come (seconds of `time.monotonic()`).

    Raises:
        UserError: the file cannot be written to; here and in `write`.
    """

    def __init__(self, file: IO[bytes], header: CaptureHeader, start: float) -> None:
        self._file = file
        self._clock = CaptureClock(start)
        self._line(
            {
                "format": FORMAT,
                "version": VERSION,
                "driver": _known(header.driver),
                "baudrate": header.baudrate,
                "bits": header.bits,
                "parity": header.parity,
                "request_line": header.request_line,
            }
        )

    def write(self, event: Chunk | CounterReading) -> None:
        """Add what a read gave, or what the driver has counted."""
        facts: dict[str, object] = {"t": self._clock.at(event.time)}
        if isinstance(event, Chunk):
            facts |= {"data": event.data.hex(), "marks": event.marks}
        else:
            facts["counters"] = dict(zip(_COUNTERS, event.counters, strict=True))
        self._line(facts)

    def _line(self, facts: dict[str, object]) -> None:
        try:
            self._file.write(json.dumps(facts, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{file_name(self._file)}: cannot be written: {error.strerror or error}. "
                "Record to a file on a disk that has room."
            ) from error


def read_capture(file: IO[bytes]) -> tuple[CaptureHeader, Iterator[CaptureEvent]]:
    """Read the header of a capture; its events are read from `file`, open for reading bytes, as they are asked for.

    What does no harm is let pass: keys that this version does not know, drivers that it does not know (they become
    `unknown`), blank lines, reads without bytes, missing marks and counters. A last line that is cut off gives
    `Truncated`. No more of the file is held than a line.

    Raises:
        UserError: the file cannot be read, or is no capture; also while events are asked for.
    """
    lines = capture_lines(file)
    line = next(lines, None)
    if line is None:
        raise UserError(
            f"{file_name(file)}: is empty. Record a capture with p1-exporter doctor --record {file_name(file)}."
        )
    return _header(line), _events(lines)


def _known(driver: object) -> str:
    return driver if isinstance(driver, str) and driver in DRIVERS else "unknown"


def _header(line: CaptureLine) -> CaptureHeader:
    facts = line.header()
    if facts.get("format") != FORMAT:
        line.wrong(f"is no header of a link capture: format is not {FORMAT!r}")
    version = facts.get("version")
    if type(version) is not int or version != VERSION:
        raise UserError(
            f"{line.file}: version {version!s:.40} of the capture format is not known here, only {VERSION}. "
            "Read the file with the release of p1-exporter that recorded it, or with a newer one."
        )
    driver = _known(line.required(facts, "driver"))
    baudrate = line.integer(line.required(facts, "baudrate"), "baudrate", BAUDRATES)
    bits = line.integer(line.required(facts, "bits"), "bits", _BITS)
    parity = line.required(facts, "parity")
    if not isinstance(parity, str) or parity not in _PARITIES:
        line.wrong("parity must be N or E")
    request_line = line.required(facts, "request_line")
    if not isinstance(request_line, str) or not _REQUEST_LINE.fullmatch(request_line):
        line.wrong("request_line must be none, rts, dtr or gpio:N")
    return CaptureHeader(driver, baudrate, bits, parity, request_line)


def _events(lines: Iterator[CaptureLine]) -> Iterator[CaptureEvent]:
    time = 0.0
    for line in lines:
        facts = line.facts()
        if facts is None:
            if line.whole:
                line.wrong("is no JSON object")
            yield Truncated(line.number)
            return
        time = _time(line, facts, time)
        if "data" not in facts and "counters" not in facts:
            line.wrong("has neither data nor counters")
        if "data" in facts:
            data = _data(line, facts["data"])
            marks = _marks(line, facts.get("marks"), len(data))
            if data:
                yield Chunk(time, data, marks)
        if "counters" in facts:
            yield CounterReading(time, _counters(line, facts["counters"]))


def _time(line: CaptureLine, facts: dict[str, object], before: float) -> float:
    time = line.required(facts, "t")
    if isinstance(time, bool) or not isinstance(time, int | float) or not 0 <= time < _BEYOND_ALL_TIMES:
        line.wrong("t must be a number of seconds since the recording began")
    if time < before:
        line.wrong(f"t is {time:g}, before the {before:g} of an earlier line; lines must be in order of time")
    return float(time)


def _data(line: CaptureLine, text: object) -> bytes:
    if not isinstance(text, str):
        line.wrong("data must be a text of hexadecimal digits")
    try:
        return bytes.fromhex(text)
    except ValueError:
        line.wrong("data must have two hexadecimal digits for each byte")


def _marks(line: CaptureLine, marks: object, size: int) -> tuple[Mark, ...]:
    if marks is None:
        return ()
    if not isinstance(marks, list):
        line.wrong("marks must be a list")
    return tuple(sorted({_mark(line, mark, size) for mark in marks}))


def _mark(line: CaptureLine, mark: object, size: int) -> Mark:
    if not isinstance(mark, list) or len(mark) != _MARK_SIZE or mark[1] not in _MARK_KINDS:
        line.wrong(f"each of the marks must be [offset, kind], and kind one of {', '.join(_MARK_KINDS)}")
    offset, kind = mark
    if type(offset) is not int or not 0 <= offset < size:
        line.wrong(f"the offset of a mark must be that of one of the {size} bytes of data, from 0")
    return offset, kind


def _counters(line: CaptureLine, counters: object) -> Counters:
    if counters is None:
        return Counters()
    if not isinstance(counters, dict):
        line.wrong("counters must be an object")
    given = (counters.get(name) for name in _COUNTERS)
    return Counters(
        *(
            None if count is None else line.integer(count, f"counter {name}", _COUNTS)
            for name, count in zip(_COUNTERS, given, strict=True)
        )
    )
