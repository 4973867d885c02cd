"""Bytes that are no telegrams: CPU time, for two amounts, to show that it grows with them and no faster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from p1_exporter.telegram.framer import Framer
from tests.benchmarks.measure import figure, ratio, rounds
from tests.benchmarks.stream import READ_SIZE, as_read
from tests.benchmarks.table import show_table

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUNDS: Final = 3
_TURNS: Final = 20
_KILOBYTE: Final = 1024
_FEW: Final = 256 * _KILOBYTE
_MANY: Final = 1024 * _KILOBYTE

_GARBAGE: Final = {
    "without /": bytes(byte for byte in range(256) if byte != ord("/")),
    "only /": b"/",
    "only /ABC": b"/ABC",
}


def show_garbage() -> None:
    """Measure and print."""
    works = {
        f"{kind} {amount}": partial(_frame, as_read((pattern * amount)[:amount]))
        for kind, pattern in _GARBAGE.items()
        for amount in (_FEW, _MANY)
    }
    taken = rounds(works, _ROUNDS, warm_up=False)
    show_table(
        f"CPU time for framing bytes that are no telegrams, in seconds, in reads of {READ_SIZE} bytes; "
        f"median (range) of {_ROUNDS} rounds\n(linear: the ratio is {_MANY / _FEW:.0f})",
        ("", f"{_FEW // _KILOBYTE} KiB", f"{_MANY // _KILOBYTE} KiB", "ratio"),
        [
            (
                kind,
                figure(taken[f"{kind} {_FEW}"]).shown(digits=3),
                figure(taken[f"{kind} {_MANY}"]).shown(digits=3),
                ratio(taken[f"{kind} {_MANY}"], taken[f"{kind} {_FEW}"]).shown(),
            )
            for kind in _GARBAGE
        ],
    )


def _frame(data: list[bytes]) -> Iterator[None]:
    framer = Framer()
    each = len(data) // _TURNS
    for first in range(0, len(data), each):
        for read in data[first : first + each]:
            framer.receive(read)
        yield
    framer.silence()
