"""Marks of bad characters: taken out of the stream wherever it is cut, and nothing else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.link.marks import MarkDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p1_exporter.link.counters import Mark

# What matters to the decoder is frequent.
BYTES = st.sampled_from([0x00, 0xFF, 0x41]) | st.integers(0, 255)
CHARACTERS = st.lists(st.tuples(BYTES, st.booleans()), max_size=60)
STREAM = st.lists(BYTES, max_size=100).map(bytes)
CUTS = st.lists(st.integers(0, 200), max_size=20)


def escaped(characters: Iterable[tuple[int, bool]]) -> bytes:
    """What the kernel makes of characters and whether each is bad."""
    stream = b""
    for character, bad in characters:
        byte = bytes([character])
        stream += b"\xff\x00" + byte if bad else byte.replace(b"\xff", b"\xff\xff")
    return stream


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places)]


def decoded(parts: Iterable[bytes]) -> tuple[bytes, list[Mark], bytes]:
    """Return data, marks by their place in all data, and what is held in the end."""
    decoder = MarkDecoder()
    data = b""
    marks: list[Mark] = []
    for part in parts:
        more, marked = decoder.decode(part)
        marks += [(len(data) + place, kind) for place, kind in marked]
        data += more
        assert len(decoder.held) <= 2
        assert len(more) <= len(part) + 2
    return data, marks, decoder.held


@pytest.mark.parametrize(
    ("stream", "data", "marks"),
    [
        (b"", b"", ()),
        (b"/ISK5\r\n", b"/ISK5\r\n", ()),
        (b"a\xff\x00bc", b"abc", ((1, "framing"),)),
        (b"a\xff\x00\x00c", b"a\x00c", ((1, "break"),)),
        (b"a\xff\xffc", b"a\xffc", ()),
        (b"a\x00c", b"a\x00c", ()),
        (b"\xff\x00\xff\xff\xff", b"\xff\xff", ((0, "framing"),)),
        (b"\xff\xff\x00\xff\x00\n", b"\xff\x00\n", ((2, "framing"),)),
    ],
)
def test_bad_characters_breaks_and_a_real_ff_are_told_apart(
    stream: bytes, data: bytes, marks: tuple[Mark, ...]
) -> None:
    assert MarkDecoder().decode(stream) == (data, marks)


@settings(deadline=None)
@given(CHARACTERS)
def test_what_the_kernel_escaped_comes_out_as_it_was(characters: list[tuple[int, bool]]) -> None:
    data, marks, held = decoded([escaped(characters)])
    assert data == bytes(character for character, _ in characters)
    assert marks == [
        (place, "framing" if character else "break")
        for place, (character, bad) in enumerate(characters)
        if bad
    ]
    assert held == b""


@settings(deadline=None)
@given(CHARACTERS, CUTS)
def test_an_escape_may_be_cut_anywhere(characters: list[tuple[int, bool]], cuts: list[int]) -> None:
    stream = escaped(characters)
    assert decoded(pieces(stream, cuts)) == decoded([stream])


@settings(deadline=None)
@given(STREAM, CUTS)
def test_any_stream_gives_the_same_however_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    assert decoded(pieces(stream, cuts)) == decoded([stream])


@settings(deadline=None)
@given(STREAM)
def test_no_byte_is_lost_whether_it_is_in_an_escape_or_not(stream: bytes) -> None:
    data, marks, held = decoded([stream])
    # Each mark stands for two bytes, and each escaped FF for one; others that are there were no escape.
    doubled = len(stream) - len(data) - 2 * len(marks) - len(held)
    assert 0 <= doubled <= stream.count(b"\xff") // 2


@settings(deadline=None)
@given(st.lists(st.integers(1, 254), max_size=100).map(bytes))
def test_an_ff_that_nobody_escaped_passes_as_it_is(text: bytes) -> None:
    data, marks, _ = decoded([b"\xff" + text + b"."])
    assert (data, marks) == (b"\xff" + text + b".", [])


@pytest.mark.parametrize("beginning", [b"\xff", b"\xff\x00"])
def test_the_beginning_of_an_escape_waits_for_its_end(beginning: bytes) -> None:
    decoder = MarkDecoder()
    assert decoder.decode(b"a" + beginning) == (b"a", ())
    assert decoder.decode(b"") == (b"", ())
    assert decoder.held == beginning
    assert decoder.decode((b"\xff\x00\nb")[len(beginning) :]) == (b"\nb", ((0, "framing"),))
    assert decoder.held == b""
