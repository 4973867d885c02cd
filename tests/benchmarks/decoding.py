"""Framing, checksum and decoding: CPU time a telegram, next to dsmr-parser's on the same bytes."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from itertools import chain
from statistics import mean
from typing import TYPE_CHECKING, Final, TypeVar
from zoneinfo import ZoneInfo

from p1_exporter.telegram.crc import ARC
from p1_exporter.telegram.decoder import Decoder
from p1_exporter.telegram.events import Telegram
from p1_exporter.telegram.framer import Framer
from p1_exporter.telegram.samples import samples
from tests.benchmarks.measure import CannotMeasureError, figure, ratio, rounds
from tests.benchmarks.stream import MODEL, READ_SIZE, SECONDS, as_read, telegrams
from tests.benchmarks.table import show_table

try:
    from dsmr_parser import telegram_specifications  # type: ignore[import-untyped]  # it has no types
    from dsmr_parser.clients.telegram_buffer import TelegramBuffer  # type: ignore[import-untyped]  # as above
    from dsmr_parser.parsers import TelegramParser  # type: ignore[import-untyped]  # as above
except ImportError as error:
    raise CannotMeasureError(f"dsmr-parser is missing, `make bench` installs it: {error}") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

_ROUNDS: Final = 11
_MICROSECONDS: Final = 1e6 / SECONDS

_WHOLE: Final = "whole telegrams (USB, TCP)"
_CUT: Final = f"reads of {READ_SIZE} bytes (UART at {MODEL.baudrate})"


def show_decoding() -> None:
    """Measure and print."""
    whole = telegrams()
    cut = [list(chain.from_iterable(map(as_read, turn))) for turn in whole]
    covered = [[data[: data.rindex(b"!") + 1] for data in turn] for turn in whole]
    size = mean(map(len, chain.from_iterable(whole)))
    decoder = Decoder(ZoneInfo(MODEL.time_zone))
    decoded = [[decoder.decode(data) for data in turn] for turn in whole]
    taken = rounds(
        {
            f"ours {_WHOLE}": partial(_ours, whole),
            f"ours {_CUT}": partial(_ours, cut),
            f"theirs {_WHOLE}": partial(_theirs, whole),
            f"theirs {_CUT}": partial(_theirs, cut),
            "checksum": partial(_each, lambda: ARC.of, covered),
            f"framing, checksum included, {_WHOLE}": partial(_each, lambda: Framer().receive, whole),
            f"framing, checksum included, {_CUT}": partial(_each, lambda: Framer().receive, cut),
            "decoding": partial(_each, lambda: Decoder(ZoneInfo(MODEL.time_zone)).decode, whole),
            "assembly of samples (at a scrape only)": partial(_each, lambda: samples, decoded),
        },
        _ROUNDS,
    )
    show_table(
        "CPU time for framing, checksum and decoding, in us a telegram: "
        f"{SECONDS} telegrams of {size:.0f} bytes,\nmodel {MODEL.name}, one second apart; "
        f"median (range) of {_ROUNDS} rounds, and of the ratio in each round",
        ("", "p1-exporter", f"dsmr-parser {version('dsmr-parser')}", "ratio"),
        [
            (
                way,
                figure(taken[f"ours {way}"]).shown(_MICROSECONDS),
                figure(taken[f"theirs {way}"]).shown(_MICROSECONDS),
                ratio(taken[f"theirs {way}"], taken[f"ours {way}"]).shown(),
            )
            for way in (_WHOLE, _CUT)
        ],
    )
    show_table(
        "The parts of p1-exporter's, each by itself, in us a telegram",
        ("", "p1-exporter"),
        [
            (part, figure(seconds).shown(_MICROSECONDS))
            for part, seconds in taken.items()
            if not part.startswith(("ours", "theirs"))
        ],
    )


def _ours(turns: Sequence[Sequence[bytes]]) -> Iterator[None]:
    framer, decoder = Framer(), Decoder(ZoneInfo(MODEL.time_zone))
    count = 0
    for turn in turns:
        for data in turn:
            for event in framer.receive(data):
                if isinstance(event, Telegram):
                    decoder.decode(event.data)
                    count += 1
        yield
    _expect_all(count, "p1-exporter")


def _theirs(turns: Sequence[Sequence[bytes]]) -> Iterator[None]:
    buffer, parser = TelegramBuffer(), TelegramParser(telegram_specifications.V5)
    count = 0
    for turn in turns:
        for data in turn:
            buffer.append(data.decode("ascii"))
            for text in buffer.get_all():
                parser.parse(text)
                count += 1
        yield
    _expect_all(count, "dsmr-parser")


def _expect_all(count: int, program: str) -> None:
    if count != SECONDS:
        raise CannotMeasureError(f"{program} found {count} of {SECONDS} telegrams")


def _each(part: Callable[[], Callable[[T], object]], turns: Sequence[Sequence[T]]) -> Iterator[None]:
    """Give each item to a part of the decoder, which is made anew for each round."""
    do = part()
    for turn in turns:
        for item in turn:
            do(item)
        yield
