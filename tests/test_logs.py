"""One line an event, whatever it holds and wherever it goes."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from p1_exporter import logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
KEYS = st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True).filter(
    lambda key: (
        key not in {"ts", "level", "msg", "event", "exception", "exc_info", "self", "args", "stack_info"}
    )
)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Give back what is global about logging."""
    root = logging.getLogger()
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    level = root.level
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    root.removeHandler(logs._FROM_LOGGING)
    root.setLevel(level)
    structlog.reset_defaults()


def parsed_logfmt(line: str) -> dict[str, str]:
    """Return the fields of a logfmt line, values as text; what is left over fails the test."""
    pair = r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"=]*)'
    assert re.fullmatch(rf"{pair}(?: {pair})*", line)
    return {
        key: json.loads(value) if value.startswith('"') else value for key, value in re.findall(pair, line)
    }


def logged(level: str, log_format: str) -> tuple[Any, io.StringIO]:
    """Return a logger and where its lines go."""
    stream = io.StringIO()
    logs.configure(level, log_format, stream)
    return structlog.get_logger(), stream


def as_json(value: object) -> object:
    """Return the value that is to arrive for `value`."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):  # noqa: PLR0124  not a number
        return str(value)
    return value


def test_logfmt_lines_look_as_those_of_prometheus() -> None:
    log, stream = logged("info", "logfmt")
    log.warning(
        "port vanished", port="/dev/ttyUSB0", reason="No such device", meter="main", tries=3, quiet=False
    )
    assert re.fullmatch(
        r'ts=\S+Z level=warning msg="port vanished" meter=main port=/dev/ttyUSB0 reason="No such device" '
        r"tries=3 quiet=false\n",
        stream.getvalue(),
    )


def test_json_lines_hold_the_same_fields() -> None:
    log, stream = logged("info", "json")
    log.warning("port vanished", tries=3, quiet=False, last=None, meter="main")
    fields = json.loads(stream.getvalue())
    assert list(fields) == ["ts", "level", "msg", "meter", "tries", "quiet", "last"]
    assert fields.items() >= {"msg": "port vanished", "tries": 3, "quiet": False, "last": None}.items()


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_the_time_stamp_is_now_in_utc(log_format: str) -> None:
    log, stream = logged("info", log_format)
    log.info("x")
    line = stream.getvalue()
    stamp = json.loads(line)["ts"] if log_format == "json" else parsed_logfmt(line.rstrip("\n"))["ts"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(stamp)) < timedelta(minutes=1)


@given(st.text(), st.dictionaries(KEYS, VALUES))
@example("\x7f\x1b[31m\u2028\u202e", {"a": 'x\ny\r="\\', "b": "\udc80\ud800", "c": b"\xff\n", "d": ""})
def test_json_lines_parse_back_to_what_was_logged(message: str, fields: dict[str, object]) -> None:
    log, stream = logged("info", "json")
    log.info(message, **fields)
    assert re.fullmatch(r"[ -~]*\n", stream.getvalue())
    back = json.loads(stream.getvalue())
    del back["ts"]
    assert back == {"level": "info", "msg": message} | {key: as_json(value) for key, value in fields.items()}


@given(st.text(), st.dictionaries(KEYS, VALUES))
@example("\x7f\x1b[31m\u2028\u202e", {"a": 'x\ny\r="\\', "b": "\udc80\ud800", "c": b"\xff\n", "d": ""})
def test_logfmt_lines_parse_back_to_what_was_logged(message: str, fields: dict[str, object]) -> None:
    log, stream = logged("info", "logfmt")
    log.info(message, **fields)
    assert re.fullmatch(r"[ -~]*\n", stream.getvalue())
    back = parsed_logfmt(stream.getvalue().removesuffix("\n"))
    del back["ts"]
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in ((key, as_json(value)) for key, value in fields.items())
    }
    assert back == {"level": "info", "msg": message} | texts


@given(st.text(min_size=1))
def test_no_key_breaks_a_logfmt_line(key: str) -> None:
    log, stream = logged("info", "logfmt")
    log.bind(**{f"x{key}": 1}).info("x")
    fields = parsed_logfmt(stream.getvalue().removesuffix("\n"))
    assert len(fields) == 4


def test_other_objects_are_shown_as_text() -> None:
    log, stream = logged("info", "json")
    log.info("x", error=OSError(2, "No such device"), meters=["a", "b"])
    fields = json.loads(stream.getvalue())
    assert (fields["error"], fields["meters"]) == ("[Errno 2] No such device", "['a', 'b']")


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_events_below_the_level_are_not_written(level: str, expected: list[str]) -> None:
    log, stream = logged(level, "json")
    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)("by structlog")
        getattr(logging.getLogger("library"), method)("by logging")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["level"] for line in lines] == [name for name in expected for _ in range(2)]
    assert [line["msg"] for line in lines] == ["by structlog", "by logging"] * len(expected)


def test_records_of_libraries_become_lines_of_the_same_form() -> None:
    # pytest has handlers of its own here, which take offence at wrong arguments.
    logging.getLogger().handlers.clear()
    _, stream = logged("info", "logfmt")
    library = logging.getLogger("serial.rfc2217")
    library.warning("port %s\nis slow", "/dev/ttyUSB0")
    library.log(25, "between info and warning")
    library.critical("beyond error")
    library.warning("%d arguments", "too", "many")
    lines = [parsed_logfmt(line) for line in stream.getvalue().splitlines()]
    assert [(line["level"], line["msg"]) for line in lines] == [
        ("warning", "port /dev/ttyUSB0\nis slow"),
        ("info", "between info and warning"),
        ("error", "beyond error"),
        ("warning", "%d arguments ('too', 'many')"),
    ]
    assert {line["logger"] for line in lines} == {"serial.rfc2217"}


def test_an_exception_is_one_line_with_type_and_text() -> None:
    log, stream = logged("info", "logfmt")
    try:
        raise ValueError("first\nsecond")  # noqa: TRY301  an exception with a traceback is the thing under test
    except ValueError:
        log.exception("cannot go on")
        logging.getLogger("library").exception("neither can I")
    for line in stream.getvalue().splitlines():
        assert parsed_logfmt(line)["exception"] == "ValueError: first\nsecond"
    assert stream.getvalue().count("\n") == 2
    assert "Traceback" not in stream.getvalue()


def test_at_level_debug_the_line_of_an_exception_holds_the_traceback() -> None:
    log, stream = logged("debug", "logfmt")
    try:
        raise ValueError("first\nsecond")  # noqa: TRY301  as above
    except ValueError as error:
        log.warning("cannot go on", exc_info=error)
    (line,) = stream.getvalue().splitlines()
    text = parsed_logfmt(line)["exception"]
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: first\nsecond")


def test_the_journal_gets_priorities_instead_of_time_stamps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+", encoding="utf-8") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        logs.configure("debug", "logfmt", stream)
        log = structlog.get_logger()
        for method in ("debug", "info", "warning", "error", "critical"):
            getattr(log, method)("x\ny")
        stream.seek(0)
        assert stream.read().splitlines() == [
            r'<7>level=debug msg="x\ny"',
            r'<6>level=info msg="x\ny"',
            r'<4>level=warning msg="x\ny"',
            r'<3>level=error msg="x\ny"',
            r'<2>level=critical msg="x\ny"',
        ]


def test_a_journal_that_is_not_where_the_lines_go_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path.stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    with (tmp_path / "elsewhere").open("w+", encoding="utf-8") as stream:
        logs.configure("info", "json", stream)
        structlog.get_logger().info("x")
        stream.seek(0)
        assert "ts" in json.load(stream)


def test_threads_do_not_break_into_each_others_lines(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+", encoding="utf-8") as stream:
        logs.configure("info", "json", stream)
        log = structlog.get_logger()

        def write(name: str) -> None:
            for number in range(200):
                log.info("x" * 50, thread=name, number=number)

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stream.seek(0)
        seen = [json.loads(line) for line in stream]
    assert sorted((line["thread"], line["number"]) for line in seen) == [
        (name, number) for name in "abcd" for number in range(200)
    ]


def run(script: str, stderr: int) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "import structlog, sys, threading\nfrom p1_exporter import logs\n" + script,
    ]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False, timeout=60)


GOES_ON = """
logs.configure("info", "logfmt")
for _ in range(1000): structlog.get_logger().info("x" * 100)
print("still here")
"""


def test_a_full_disk_does_not_end_the_program() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123  a device
        done = run(GOES_ON, full.fileno())
    assert (done.returncode, done.stdout) == (0, "still here\n")


def test_a_closed_pipe_does_not_end_the_program() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = run(GOES_ON, write_end)
    finally:
        os.close(write_end)
    assert (done.returncode, done.stdout) == (0, "still here\n")


@pytest.mark.parametrize("loss", ["sys.stderr.close()", "sys.stderr = None"])
def test_a_missing_standard_error_does_not_end_the_program(loss: str) -> None:
    done = run(f"{loss}\n{GOES_ON}", subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, "still here\n")


IN_THREAD = """
def fail(): raise OSError('disk on\\nfire')
thread = threading.Thread(target=fail)
thread.start()
thread.join()
"""
IN_DESTRUCTOR = """
class Last:
    def __del__(self): raise OSError('disk on\\nfire')
Last()
"""
UNCAUGHT = ["raise OSError('disk on\\nfire')", IN_THREAD, IN_DESTRUCTOR]


@pytest.mark.parametrize("script", UNCAUGHT, ids=["in the program", "in a thread", "in a destructor"])
def test_an_exception_that_nobody_caught_is_one_line(script: str) -> None:
    done = run(f"logs.configure('info', 'logfmt')\n{script}", subprocess.PIPE)
    (line,) = done.stderr.splitlines()
    fields = parsed_logfmt(line)
    assert fields["level"] == "error"
    assert fields["exception"] == "OSError: disk on\nfire"
    assert "--log.level=debug" in fields["msg"]


@pytest.mark.parametrize("script", UNCAUGHT, ids=["in the program", "in a thread", "in a destructor"])
def test_at_level_debug_an_exception_that_nobody_caught_has_its_traceback(script: str) -> None:
    done = run(f"logs.configure('debug', 'logfmt')\n{script}", subprocess.PIPE)
    (line,) = done.stderr.splitlines()
    assert parsed_logfmt(line)["exception"].startswith("Traceback (most recent call last):\n")


def test_an_uncaught_exception_still_ends_the_program_as_a_failure() -> None:
    assert run(f"logs.configure('info', 'logfmt')\n{UNCAUGHT[0]}", subprocess.PIPE).returncode == 1
