"""Logs: one line an event, to standard error, as logfmt or JSON.

Modules take their logger from `structlog.get_logger()` and give facts as keywords:
`log.warning("port vanished", meter="main", port="/dev/ttyUSB0")`. The keywords ts, level, msg and exception
are taken. All that is written is ASCII, the rest escaped, so that no value can break a line or a terminal.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import os
import re
import sys
import threading
import traceback
from functools import partialmethod
from typing import TYPE_CHECKING, Final, TextIO

import structlog
from structlog.processors import ExceptionRenderer, TimeStamper, add_log_level

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_FIRST_FIELDS: Final = ("ts", "level", "msg", "meter")
# What logfmt can write without quotes: printable ASCII but blank, quote, = and backslash.
_BARE_VALUE: Final = re.compile(r"[!#-<>-\[\]-~]+")
_NOT_IN_KEYS: Final = re.compile(r"[^!#-<>-~]")

_Scalar = str | int | float | bool | None


def configure(level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Write events of `level` (debug, info, warning, error) and above to `stream`, by default standard error.

    `log_format` is logfmt or json. Records of the standard `logging`, and exceptions that nobody caught, go
    the same way; tracebacks are shown at level debug only. If the stream leads to the journal, lines begin
    with their syslog priority and have no time stamp: the journal has its own. To be called once, at start:
    loggers that were used before keep their level and stream.
    """
    stream = stream or sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115  stays open until the end
    to_journal = _leads_to_journal(stream)
    lines = _LineLogger(stream, with_priority=to_journal)
    stamps: list[Processor] = [] if to_journal else [TimeStamper(fmt="iso", utc=True, key="ts")]
    structlog.configure(
        processors=[
            *stamps,
            add_log_level,
            ExceptionRenderer(_traceback if level == "debug" else _type_and_text),
            _in_order,
            {"logfmt": _logfmt, "json": _json}[log_format],
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.addHandler(_FROM_LOGGING)
    root.setLevel(_LEVELS[level])
    sys.excepthook = _log_unexpected
    sys.unraisablehook = lambda args: _log_unexpected(args.exc_type, args.exc_value, args.exc_traceback)
    threading.excepthook = lambda args: _log_unexpected(args.exc_type, args.exc_value, args.exc_traceback)


def _leads_to_journal(stream: TextIO) -> bool:
    """Tell whether `stream` is the one that systemd says leads to the journal (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no descriptor, or a closed one
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _unbuffered(stream: TextIO) -> TextIO:
    """Return what writes to the same file at once, if `stream` has one.

    What cannot be written is lost then. In a buffer it would be kept until the program ends, and make it end badly.
    """
    try:
        raw = io.FileIO(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # no descriptor, or a closed one
        return stream
    return io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace", newline="", write_through=True)


class _LineLogger:
    """The end of the chain: writes rendered lines, whole ones also when several threads log."""

    def __init__(self, stream: TextIO, *, with_priority: bool) -> None:
        self._stream = _unbuffered(stream)
        self._with_priority = with_priority
        # Reentrant, because a signal handler may log while its own thread does.
        self._lock = threading.RLock()

    def _write(self, priority: int, line: str) -> None:
        prefix = f"<{priority}>" if self._with_priority else ""
        # A full disk or a closed pipe must not end the readings, and the log was the place to complain.
        # RuntimeError: a signal handler logs in the middle of a write.
        with self._lock, contextlib.suppress(OSError, ValueError, RuntimeError):
            self._stream.write(f"{prefix}{line}\n")

    # Priorities of syslog (RFC 5424, 6.2.1).
    critical = partialmethod(_write, 2)
    error = partialmethod(_write, 3)
    warning = partialmethod(_write, 4)
    info = partialmethod(_write, 6)
    debug = partialmethod(_write, 7)


class _FromLogging(logging.Handler):
    """Hands records of the standard `logging`, as libraries write them, to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log `record` at its level, or the next lower one that has a name here."""
        level = max((known for known in _LEVELS.values() if known <= record.levelno), default=logging.DEBUG)
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # the arguments do not fit the format
            text = f"{record.msg} {record.args}"
        structlog.get_logger().log(level, text, logger=record.name, exc_info=record.exc_info)


_FROM_LOGGING: Final = _FromLogging()


def _log_unexpected(
    _kind: type[BaseException], exception: BaseException | None, _traceback: TracebackType | None
) -> None:
    """Log an exception that nobody caught; for the hooks of `sys` and `threading`."""
    structlog.get_logger().error(
        "unexpected error: please report it, with the traceback that --log.level=debug shows",
        exc_info=exception,
    )


def _type_and_text(exc_info: ExcInfo) -> str:
    """Return `OSError: text`, without the traceback."""
    return "".join(traceback.format_exception_only(exc_info[1])).strip()


def _traceback(exc_info: ExcInfo) -> str:
    """Return the whole traceback; renderers escape its line breaks."""
    return "".join(traceback.format_exception(exc_info[1])).strip()


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Bring the fields that every event has to the front, and all values to what JSON knows."""
    event["msg"] = event.pop("event")
    first = [key for key in _FIRST_FIELDS if key in event]
    return {key: _scalar(event[key]) for key in dict.fromkeys((*first, *event))}


def _scalar(value: object) -> _Scalar:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return json.dumps(event)


def _logfmt(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return " ".join(f"{_NOT_IN_KEYS.sub('_', key)}={_logfmt_value(value)}" for key, value in event.items())


def _logfmt_value(value: _Scalar) -> str:
    """Return `value` bare or as JSON, whose escapes are those of logfmt."""
    if isinstance(value, str) and _BARE_VALUE.fullmatch(value):
        return value
    return json.dumps(value)
