"""The doctor in a terminal: colours, and figures that move while it listens. Needs the library rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from p1_exporter.doctor.terminal import Screen, summary

if TYPE_CHECKING:
    from p1_exporter.doctor.line import Progress

_WIDEST: Final = 100
_STYLES: Final = {"ok": "bold green", "!!": "bold yellow", "NO": "bold red", "??": "bold cyan"}


class LiveScreen(Screen):
    """Writes to a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, highlight=False)
        self._console.width = min(self._console.width, _WIDEST)
        self._live: Live | None = None

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._console.print()
        self._console.rule(Text(text, style="bold"), align="left", style="dim")

    def line(self, text: str, *, sign: str = "", indent: int = 0) -> None:
        """Say something, behind a sign."""
        if not sign:
            self._console.print(Padding(Text(text), (0, 0, 0, indent)))
            return
        row = Table.grid(padding=(0, 1))
        row.add_column(no_wrap=True)
        row.add_column()
        row.add_row(Text(f"{sign:<2}", style=_STYLES.get(sign, "dim")), Text(text))
        self._console.print(Padding(row, (0, 0, 0, indent)))

    def block(self, text: str) -> None:
        """Show a drawing, with what is between # signs in red."""
        shown = Text(text)
        shown.highlight_regex(r"#[^#\n]+#", "bold red reverse")
        self._console.print(shown, soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        """Show the figures in place."""
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=5, transient=True)
            self._live.start()
        text = Text.assemble(
            (f"{progress.what}: {progress.seconds_left:3.0f} s  ", "bold"), summary(progress)
        )
        self._live.update(text)

    def finish_progress(self) -> None:
        """Take the moving figures away."""
        if self._live is not None:
            self._live.stop()
            self._live = None
