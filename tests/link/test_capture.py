"""Link captures: what is written is read again, and what is wrong in a file is said."""

from __future__ import annotations

import errno
import gzip
import io
import json
import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.errors import UserError
from p1_exporter.link.capture import (
    CaptureEvent,
    CaptureHeader,
    CaptureWriter,
    CounterReading,
    Truncated,
    read_capture,
)
from p1_exporter.link.capture_lines import MAX_LINE
from p1_exporter.link.counters import Counters
from p1_exporter.link.port import READ_LIMIT, Chunk

if TYPE_CHECKING:
    from pathlib import Path

HEADER = CaptureHeader("ftdi_sio", 9600, 8, "E", "gpio:4")
HEADER_LINE = (
    b'{"format": "p1-capture", "version": 1, "driver": "ftdi_sio", "baudrate": 9600, "bits": 8, "parity": "E", '
    b'"request_line": "gpio:4"}\n'
)
EVENTS = (
    CounterReading(0.0, Counters(17, 0, 0, 1, 0, 0)),
    Chunk(0.25, b"/TST5\r\n"),
    Chunk(0.5, b"\x00\xff\x80", ((0, "break"), (2, "framing"))),
    CounterReading(1.0, Counters(rx=27, overrun=2)),
)


def written(*events: Chunk | CounterReading, header: CaptureHeader = HEADER, start: float = 0.0) -> bytes:
    file = io.BytesIO()
    writer = CaptureWriter(file, header, start)
    for event in events:
        writer.write(event)
    return file.getvalue()


def read(content: bytes) -> tuple[CaptureHeader, list[CaptureEvent]]:
    header, events = read_capture(io.BytesIO(content))
    return header, list(events)


def events_of(*lines: str) -> list[CaptureEvent]:
    return read(HEADER_LINE + "".join(line + "\n" for line in lines).encode())[1]


def complaint(content: bytes) -> str:
    with pytest.raises(UserError) as error:
        read(content)
    return str(error.value)


def with_header(**keys: object) -> bytes:
    return json.dumps({**json.loads(HEADER_LINE), **keys}).encode() + b"\n"


def test_what_is_written_is_read_again() -> None:
    assert read(written(*EVENTS)) == (HEADER, list(EVENTS))


def test_a_file_looks_as_the_contract_says() -> None:
    lines = [json.loads(line) for line in written(*EVENTS).splitlines()]
    assert lines == [
        json.loads(HEADER_LINE),
        {
            "t": 0.0,
            "counters": {"rx": 17, "framing": 0, "parity": 0, "break": 1, "overrun": 0, "buffer_overrun": 0},
        },
        {"t": 0.25, "data": "2f545354350d0a", "marks": []},
        {"t": 0.5, "data": "00ff80", "marks": [[0, "break"], [2, "framing"]]},
        {
            "t": 1.0,
            "counters": {
                "rx": 27,
                "framing": None,
                "parity": None,
                "break": None,
                "overrun": 2,
                "buffer_overrun": None,
            },
        },
    ]


TIMES = st.floats(0, 1e6).map(lambda time: round(time, 4))
CHUNKS = st.builds(
    lambda time, data, marks: Chunk(
        time,
        data,
        tuple(sorted({(offset % len(data), kind) for offset, kind in marks})),
    ),
    TIMES,
    st.binary(min_size=1, max_size=64),
    st.lists(st.tuples(st.integers(0, 63), st.sampled_from(["framing", "parity", "break"])), max_size=8),
)
COUNTS = st.none() | st.integers(0, 2**32)
READINGS = st.builds(CounterReading, TIMES, st.builds(Counters, *[COUNTS] * 6))


@given(st.lists(CHUNKS | READINGS, max_size=20))
def test_any_recording_survives_writing_and_reading(events: list[Chunk | CounterReading]) -> None:
    events.sort(key=lambda event: event.time)
    assert read(written(*events))[1] == events


def test_times_count_from_the_start_of_the_recording() -> None:
    content = written(Chunk(5021.123456789, b"a"), Chunk(5022.0, b"b"), start=5020.0)
    assert [event.time for event in read(content)[1] if isinstance(event, Chunk)] == [1.1235, 2.0]


def test_a_clock_that_was_read_in_another_order_than_the_lines_were_written_gives_a_file_in_order() -> None:
    content = written(CounterReading(7.0, Counters()), Chunk(6.99, b"a"), Chunk(1.0, b"b"), start=6.0)
    assert [event.time for event in read(content)[1] if not isinstance(event, Truncated)] == [1.0, 1.0, 1.0]


def test_a_driver_that_no_capture_knows_is_written_as_unknown() -> None:
    assert json.loads(written(header=CaptureHeader("simulated")))["driver"] == "unknown"


def test_every_line_is_in_the_file_as_soon_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "link.jsonl"
    with path.open("wb") as file:
        writer = CaptureWriter(file, HEADER, 0.0)
        assert read(path.read_bytes()) == (HEADER, [])
        writer.write(EVENTS[0])
        assert read(path.read_bytes()) == (HEADER, [EVENTS[0]])


class FullDisk(io.RawIOBase):
    name = "/mnt/stick/link.jsonl"

    def write(self, _data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told() -> None:
    with pytest.raises(
        UserError, match=r"/mnt/stick/link\.jsonl: cannot be written: No space left on device"
    ):
        CaptureWriter(FullDisk(), HEADER, 0.0)  # type: ignore[arg-type]  # all that it uses is there


class BrokenDisk(io.RawIOBase):
    name = "/mnt/stick/link.jsonl"

    def readline(self, _size: object = -1) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


def test_a_file_that_cannot_be_read_is_told() -> None:
    with pytest.raises(UserError, match=r"/mnt/stick/link\.jsonl: cannot be read: Input/output error"):
        read_capture(BrokenDisk())  # type: ignore[arg-type]  # all that it uses is there


def test_messages_name_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "link.jsonl"
    path.write_bytes(HEADER_LINE + b'\n{"t": 1, "data": "0"}\n')
    with path.open("rb") as file:
        _, events = read_capture(file)
        with pytest.raises(UserError) as error:
            list(events)
    assert str(error.value) == (
        f"{path}: line 3: data must have two hexadecimal digits for each byte. "
        "Record the capture anew with p1-exporter doctor --record, or correct the line."
    )


# What does no harm.


def test_keys_that_nobody_knows_are_ignored() -> None:
    content = with_header(meter="main") + b'{"t": 1, "data": "2f", "temperature": 21.5}\n'
    assert read(content) == (HEADER, [Chunk(1.0, b"/")])


@pytest.mark.parametrize("driver", ["xr_serial", "", 7, None, ["ftdi_sio"]])
def test_a_driver_that_nobody_knows_becomes_unknown(driver: object) -> None:
    assert read(with_header(driver=driver))[0].driver == "unknown"


@pytest.mark.parametrize("marks", ["", ', "marks": null', ', "marks": []'])
def test_marks_may_be_missing(marks: str) -> None:
    assert events_of('{"t": 1, "data": "2f"' + marks + "}") == [Chunk(1.0, b"/")]


def test_marks_come_in_the_order_of_the_bytes_and_once() -> None:
    marks = '[[1, "parity"], [0, "break"], [1, "parity"]]'
    assert events_of('{"t": 1, "data": "0041", "marks": ' + marks + "}") == [
        Chunk(1.0, b"\x00A", ((0, "break"), (1, "parity")))
    ]


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ("null", Counters()),
        ("{}", Counters()),
        ('{"rx": 5, "break": null, "cts": 1}', Counters(rx=5)),
        ('{"break": 3}', Counters(break_=3)),
    ],
)
def test_counters_may_be_missing(counters: str, expected: Counters) -> None:
    assert events_of('{"t": 0, "counters": ' + counters + "}") == [CounterReading(0.0, expected)]


def test_counters_are_those_of_the_file_and_no_differences() -> None:
    lines = [f'{{"t": {time}, "counters": {{"rx": 400000000{time}}}}}' for time in range(2)]
    assert events_of(*lines) == [
        CounterReading(0.0, Counters(rx=4_000_000_000)),
        CounterReading(1.0, Counters(rx=4_000_000_001)),
    ]


def test_a_line_may_have_data_and_counters() -> None:
    assert events_of('{"t": 1, "data": "2f", "counters": {"rx": 1}}') == [
        Chunk(1.0, b"/"),
        CounterReading(1.0, Counters(rx=1)),
    ]


def test_blank_lines_and_reads_without_bytes_are_nothing() -> None:
    assert events_of("", '{"t": 1, "data": ""}', "  ", '{"t": 2, "data": "2F 2f"}') == [Chunk(2.0, b"//")]


def test_the_line_ends_and_the_byte_order_mark_of_windows_do_no_harm() -> None:
    content = b"\xef\xbb\xbf" + written(*EVENTS).replace(b"\n", b"\r\n")
    assert read(content) == (HEADER, list(EVENTS))


def test_the_last_line_may_lack_its_line_end() -> None:
    assert read(written(*EVENTS).rstrip(b"\n")) == (HEADER, list(EVENTS))


def test_a_last_line_that_is_cut_off_is_left_out_and_that_is_said() -> None:
    content = written(*EVENTS)
    whole = content.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(whole + 1, len(content) - 1):
        assert read(content[:end]) == (HEADER, [*EVENTS[:-1], Truncated(5)])


def test_zeros_that_a_power_failure_left_at_the_end_are_a_cut_line() -> None:
    assert read(written(EVENTS[1]) + bytes(512)) == (HEADER, [EVENTS[1], Truncated(3)])


# What is wrong.


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"])
def test_an_empty_file_is_told(content: bytes) -> None:
    assert "is empty. Record a capture with p1-exporter doctor --record" in complaint(content)


def test_a_compressed_file_is_told() -> None:
    assert "is compressed. Unpack it (gunzip)" in complaint(gzip.compress(written(*EVENTS)))


def test_a_long_compressed_file_without_line_ends_is_told() -> None:
    assert "is compressed. Unpack it (gunzip)" in complaint(b"\x1f\x8b" + b"x" * (MAX_LINE + 10))


@pytest.mark.parametrize(
    "content",
    [
        b"/TST5\\2M550T-1011\r\n\r\n1-3:0.2.8(50)\r\n!ABCD\r\n",
        b"23.456*kWh)\r\n!ABCD\r\n/TST5",
        b"\xdb\x08\x00\xff\n",
        b"x" * (MAX_LINE + 10),
        b"[1]\n",
        b"null\n",
        b"[" * 100_000,
    ],
)
def test_for_a_plain_recording_of_bytes_the_way_to_look_at_it_is_told(content: bytes) -> None:
    assert "If it is a plain recording of a meter's bytes, p1-exporter decode" in complaint(content)


def test_of_a_recording_that_was_killed_at_once_the_damage_is_told() -> None:
    assert "line 1: is damaged or cut off" in complaint(HEADER_LINE[:50])


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"format": "other"}, "format is not 'p1-capture'"),
        ({"format": None}, "format is not 'p1-capture'"),
        ({"version": 2}, "version 2 of the capture format is not known here, only 1"),
        ({"version": True}, "version True of the capture format is not known here"),
        ({"version": 1.0}, "version 1.0 of the capture format is not known here"),
        ({"baudrate": 0}, "baudrate must be a whole number from 300 to 4000000"),
        ({"baudrate": True}, "baudrate must be"),
        ({"baudrate": 9600.0}, "baudrate must be"),
        ({"baudrate": "9600"}, "baudrate must be"),
        ({"bits": 9}, "bits must be a whole number from 7 to 8"),
        ({"parity": "O"}, "parity must be N or E"),
        ({"parity": 0}, "parity must be N or E"),
        ({"request_line": "cts"}, "request_line must be none, rts, dtr or gpio:N"),
        ({"request_line": "gpio:4\n"}, "request_line must be none, rts, dtr or gpio:N"),
        ({"request_line": None}, "request_line must be none, rts, dtr or gpio:N"),
    ],
)
def test_a_header_that_cannot_be_is_told(keys: dict[str, object], what: str) -> None:
    assert what in complaint(with_header(**keys))


@pytest.mark.parametrize("key", ["format", "version", "driver", "baudrate", "bits", "parity", "request_line"])
def test_a_key_that_the_header_lacks_is_told(key: str) -> None:
    header = json.loads(HEADER_LINE)
    del header[key]
    assert key in complaint(json.dumps(header).encode() + b"\n")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2f", "is no JSON object"),
        ("[1, 2]", "is no JSON object"),
        ('{"t": 1, "data": "2f"', "is no JSON object"),
        ('{"t": NaN, "data": "2f"}', "is no JSON object"),
        ('{"t": 1, "data": "2f", "more": -Infinity}', "is no JSON object"),
        ('{"t": ' + "9" * 5000 + ', "data": "2f"}', "is no JSON object"),
        ('{"t": 1, "data": "2f", "more": ' + "[" * 100_000 + "}", "is no JSON object"),
        ('{"data": "2f"}', "t is missing"),
        ('{"t": "1", "data": "2f"}', "t must be a number of seconds"),
        ('{"t": true, "data": "2f"}', "t must be a number of seconds"),
        ('{"t": null, "data": "2f"}', "t must be a number of seconds"),
        ('{"t": -1, "data": "2f"}', "t must be a number of seconds"),
        ('{"t": 1e999, "data": "2f"}', "t must be a number of seconds"),
        ('{"t": ' + "9" * 4000 + ', "data": "2f"}', "t must be a number of seconds"),
        ('{"t": 0.4, "data": "2f"}', "t is 0.4, before the 0.5 of an earlier line"),
        ('{"t": 1}', "has neither data nor counters"),
        ('{"t": 1, "data": "2"}', "two hexadecimal digits for each byte"),
        ('{"t": 1, "data": "2g"}', "two hexadecimal digits for each byte"),
        ('{"t": 1, "data": "\\u0662f"}', "two hexadecimal digits for each byte"),
        ('{"t": 1, "data": null}', "data must be a text"),
        ('{"t": 1, "data": [47]}', "data must be a text"),
        ('{"t": 1, "data": "2f", "marks": {}}', "marks must be a list"),
        ('{"t": 1, "data": "2f", "marks": [0]}', "must be [offset, kind]"),
        ('{"t": 1, "data": "2f", "marks": [[0]]}', "must be [offset, kind]"),
        ('{"t": 1, "data": "2f", "marks": ["0f"]}', "must be [offset, kind]"),
        ('{"t": 1, "data": "2f", "marks": [[0, "overrun"]]}', "kind one of framing, parity, break"),
        ('{"t": 1, "data": "2f", "marks": [[0, ["break"]]]}', "kind one of framing, parity, break"),
        ('{"t": 1, "data": "2f", "marks": [[1, "break"]]}', "one of the 1 bytes of data"),
        ('{"t": 1, "data": "2f", "marks": [[-1, "break"]]}', "one of the 1 bytes of data"),
        ('{"t": 1, "data": "2f", "marks": [[false, "break"]]}', "one of the 1 bytes of data"),
        ('{"t": 1, "data": "", "marks": [[0, "break"]]}', "one of the 0 bytes of data"),
        ('{"t": 1, "counters": [1]}', "counters must be an object"),
        ('{"t": 1, "counters": {"rx": -1}}', "counter rx must be a whole number"),
        ('{"t": 1, "counters": {"rx": 1.5}}', "counter rx must be a whole number"),
        ('{"t": 1, "counters": {"rx": true}}', "counter rx must be a whole number"),
        ('{"t": 1, "counters": {"break": "1"}}', "counter break must be a whole number"),
        ('{"t": 1, "counters": {"rx": 99999999999999999999}}', "counter rx must be a whole number"),
    ],
)
def test_a_line_that_cannot_be_is_told_with_its_number(line: str, what: str) -> None:
    content = HEADER_LINE + b'{"t": 0.5, "data": "2f"}\n' + line.encode() + b'\n{"t": 2, "data": "2f"}\n'
    message = complaint(content)
    assert message.startswith("capture: line 3: ")
    assert what in message


def test_a_line_without_end_is_told_before_it_is_read_to_its_end() -> None:
    class Endless(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            assert size
            assert 0 < size <= MAX_LINE + 1
            return super().readline(size) or b"0" * size

    _, events = read_capture(Endless(HEADER_LINE))
    with pytest.raises(UserError, match=r"line 2: is longer than 2097152 bytes"):
        next(events)


def test_the_longest_read_with_a_mark_on_every_byte_is_no_line_too_long() -> None:
    chunk = Chunk(
        1.0, bytes(range(256)) * (READ_LIMIT // 256), tuple((n, "framing") for n in range(READ_LIMIT))
    )
    assert read(written(chunk))[1] == [chunk]


def test_events_before_a_wrong_line_are_given() -> None:
    _, events = read_capture(io.BytesIO(HEADER_LINE + b'{"t": 1, "data": "2f"}\nnonsense\n'))
    assert next(events) == Chunk(1.0, b"/")
    with pytest.raises(UserError, match="line 3: is no JSON object"):
        next(events)


def test_of_a_long_capture_no_more_is_held_than_a_line(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        writer = CaptureWriter(file, HEADER, 0.0)
        for number in range(4000):
            writer.write(Chunk(float(number), bytes(1000)))
    assert path.stat().st_size > 8_000_000
    with path.open("rb") as file:
        _, events = read_capture(file)
        tracemalloc.start()
        try:
            assert sum(1 for _ in events) == 4000
            assert tracemalloc.get_traced_memory()[1] < 500_000
        finally:
            tracemalloc.stop()


def test_no_bytes_whatever_raise_anything_but_a_user_error() -> None:
    content = written(*EVENTS)
    randomness = random.Random(20261123)
    outcomes = set()
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(randomness.randint(1, 4)):
            damaged[randomness.randrange(len(damaged))] = randomness.randrange(256)
        try:
            header, events = read(bytes(damaged))
        except UserError:
            outcomes.add("complaint")
        else:
            assert isinstance(header, CaptureHeader)
            assert all(isinstance(event, CaptureEvent) for event in events)
            outcomes.add("read")
    assert outcomes == {"complaint", "read"}
