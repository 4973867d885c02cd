"""Plain text tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def show(*lines: str) -> None:
    """Print lines at once, so that a long run can be watched."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    show("", title, "")
    for row in (header, *rows):
        first, *figures = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        show("  " + "   ".join((first, *figures)).rstrip())
