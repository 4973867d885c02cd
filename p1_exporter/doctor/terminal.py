"""What people see of the doctor: in a terminal with the library rich live and in colour, elsewhere as plain lines."""

from __future__ import annotations

import shutil
import sys
import textwrap
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, TextIO

from p1_exporter.doctor.drawing import drawing
from p1_exporter.doctor.finding import AS_ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p1_exporter.doctor.finding import Finding, Status
    from p1_exporter.doctor.line import Progress
    from p1_exporter.doctor.report import NamedFault, Report

_SIGNS: Final[dict[Status, str]] = {"ok": "ok", "warning": "!!", "problem": "NO", "unknown": "??"}
_WIDEST: Final = 100
_PERCENT: Final = 100


class Screen(ABC):
    """Where the doctor tells what it does and finds."""

    @abstractmethod
    def heading(self, text: str) -> None:
        """Begin a part."""

    @abstractmethod
    def line(self, text: str, *, sign: str = "", indent: int = 0) -> None:
        """Say something, behind a sign, wrapped to the width of the terminal."""

    @abstractmethod
    def block(self, text: str) -> None:
        """Show a drawing, as it is."""

    @abstractmethod
    def progress(self, progress: Progress) -> None:
        """Show how far listening has come."""

    @abstractmethod
    def finish_progress(self) -> None:
        """Listening is over."""

    def findings(self, findings: Sequence[Finding]) -> None:
        """Show what the checks of the computer found."""
        for finding in findings:
            self.line(finding.summary, sign=_SIGNS[finding.status])
            for step in finding.advice if finding.status != "ok" else ():
                if step != AS_ROOT:
                    self.line(step, sign="-", indent=4)
        if any(finding.needs_root or AS_ROOT in finding.advice for finding in findings):
            self.line(f"Root can see more. {AS_ROOT}")

    def report(self, report: Report) -> None:
        """Show the verdict, the circuit with the suspected part marked, and what to do."""
        self.heading("Verdict")
        self.line(report.verdict, sign="NO" if report.faults else "ok")
        for named in report.faults:
            self._fault(named)
        marked = [part for named in report.faults for part in named.marked]
        if marked:
            self.heading("Where to look: the parts between # signs")
            self.block(drawing(report.circuit, marked))
        for named in report.faults:
            self.heading("What to do, the likeliest and easiest first")
            for number, step in enumerate(named.advice, 1):
                self.line(step, sign=f"{number}.")

    def _fault(self, named: NamedFault) -> None:
        sure = f"{named.confidence * _PERCENT:.0f} % sure"
        self.line(f"{named.fault} ({sure}): {named.seen}.", indent=3)


class Silence(Screen):
    """Says nothing: for scripts, which get JSON in the end."""

    def heading(self, text: str) -> None:
        """Say nothing."""

    def line(self, text: str, *, sign: str = "", indent: int = 0) -> None:
        """Say nothing."""

    def block(self, text: str) -> None:
        """Say nothing."""

    def progress(self, progress: Progress) -> None:
        """Say nothing."""

    def finish_progress(self) -> None:
        """Say nothing."""


class PlainScreen(Screen):
    """Lines of text. While listening it says once what it does."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._width = min(shutil.get_terminal_size().columns, _WIDEST)
        self._listening = ""

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._write(f"\n{text}\n{'-' * len(text)}")

    def line(self, text: str, *, sign: str = "", indent: int = 0) -> None:
        """Say something."""
        first = " " * indent + (f"{sign:<2} " if sign else "")
        self._write(
            textwrap.fill(
                text,
                self._width,
                initial_indent=first,
                subsequent_indent=" " * len(first),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )

    def block(self, text: str) -> None:
        """Show a drawing."""
        self._write(text)

    def progress(self, progress: Progress) -> None:
        """Say what is listened to, once."""
        if progress.what != self._listening:
            self._listening = progress.what
            self._write(f"{progress.what} for {progress.seconds_left:.0f} s ...")

    def finish_progress(self) -> None:
        """Nothing is left to be taken away."""

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def summary(progress: Progress) -> str:
    """Return in a line what was heard so far."""
    listener = progress.listener
    heard = listener.watch.history.read
    return f"{heard} bytes, {listener.accepted} good telegrams, {listener.rejected} bad"


def screen(out: TextIO | None = None) -> Screen:
    """Return the best screen for where the output goes."""
    out = out or sys.stdout
    if out.isatty():
        try:
            from p1_exporter.doctor.live import LiveScreen  # noqa: PLC0415 - the library rich is optional
        except ImportError:
            return PlainScreen(out)
        return LiveScreen(out)
    return PlainScreen(out)
