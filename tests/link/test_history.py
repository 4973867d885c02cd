"""The recent past of a link: complete from a time on, and bounded whatever arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.counters import Counters
from p1_exporter.link.history import History, Outcome
from p1_exporter.link.port import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT = 1000

Happening = tuple[float, Chunk | Outcome | Counters]


def history(happenings: Iterable[Happening], kept_bytes: int = KEPT) -> History:
    """Return the history of what happened, begun at 0."""
    past = History(0.0, kept_bytes)
    for time, happening in happenings:
        match happening:
            case Chunk():
                past.received(happening)
            case Outcome():
                past.decided(happening)
            case Counters():
                past.counted(time, happening)
    return past


def _at(time: float, kind: str, size: int) -> Happening:
    match kind:
        case "read":
            return time, Chunk(time, b"x" * size)
        case "telegram":
            return time, Outcome(time, size, "crc")
        case _:
            return time, Counters(rx=size)


happenings = st.lists(
    st.builds(
        _at,
        st.floats(0, 1000),
        st.sampled_from(["read", "telegram", "count"]),
        st.integers(1, 700),
    ),
    max_size=80,
).map(lambda found: sorted(found, key=lambda happening: happening[0]))


def reads(*times: float, size: int = 10) -> list[Happening]:
    return [(time, Chunk(time, b"x" * size)) for time in times]


def counts(*times: float) -> list[Happening]:
    return [(time, Counters(rx=int(time))) for time in times]


def test_a_history_begins_with_nothing() -> None:
    look = history([]).since(0.0)
    assert look == (0.0, (), (), (), None, False)


def test_what_happened_from_a_time_on_is_what_is_asked_for() -> None:
    past = history([*reads(1, 2, 3), *((time, Outcome(time, 10, None)) for time in (1.0, 2.0, 3.0))])
    look = past.since(2.0)
    assert [chunk.time for chunk in look.chunks] == [2, 3]
    assert [outcome.began for outcome in look.outcomes] == [2, 3]
    assert look.began == 2.0


def test_the_last_count_before_a_time_is_told_too() -> None:
    assert [count.time for count in history(counts(1, 2, 3, 4)).since(3.0).counts] == [2, 3, 4]
    assert [count.time for count in history(counts(1, 2)).since(3.0).counts] == [2]
    assert history(counts(4)).since(3.0).counts[0].time == 4


def test_a_count_comes_with_what_was_read_by_then_though_that_is_forgotten() -> None:
    past = history([*reads(1, 2, size=600), *counts(3.0)])
    assert past.since(0.0).counts[0].read == 1200
    assert sum(len(chunk.data) for chunk in past.chunks) == 600


def test_the_newest_bytes_are_kept_and_what_is_left_is_said_to_begin_with_them() -> None:
    past = history(reads(*range(20), size=100))
    assert [chunk.time for chunk in past.chunks] == list(range(10, 20))
    assert past.began == past.since(0.0).began == 10


def test_a_read_that_is_larger_than_what_is_kept_is_kept_alone() -> None:
    past = history([*reads(1, 2), *reads(3, size=5000)])
    assert [chunk.time for chunk in past.chunks] == [3]
    past.received(Chunk(4.0, b"x"))
    assert [chunk.time for chunk in past.chunks] == [4]


def test_the_time_of_the_last_byte_is_remembered_longer_than_the_byte() -> None:
    past = history(reads(1, 2))
    past.forget_before(100.0)
    assert past.since(0.0) == (100.0, (), (), (), 2, False)


@given(happenings)
def test_it_is_bounded_whatever_arrives(found: list[Happening]) -> None:
    past = history(found)
    kept = sum(len(chunk.data) for chunk in past.chunks)
    assert kept <= KEPT
    assert past.read == sum(len(chunk.data) for _, chunk in found if isinstance(chunk, Chunk))


def test_it_is_bounded_in_telegrams_and_counts_too() -> None:
    past = history(_at(float(time), kind, 1) for time in range(5000) for kind in ("telegram", "count"))
    assert len(past.outcomes) <= 1024
    assert len(past.counts) <= 1024
    assert past.outcomes[-1].began == past.counts[-1].time == 4999


@given(happenings, st.floats(0, 1000))
def test_from_when_it_begins_nothing_is_missing(found: list[Happening], time: float) -> None:
    past = history(found)
    look = past.since(time)
    expected = [chunk for _, chunk in found if isinstance(chunk, Chunk) and chunk.time >= look.began]
    assert look.began >= time
    # Reads at the very moment at which it begins may have been forgotten in part.
    assert list(look.chunks) == expected[len(expected) - len(look.chunks) :]
    assert all(chunk.time == look.began for chunk in expected[: len(expected) - len(look.chunks)])


@given(happenings, st.floats(0, 1000), st.floats(0, 1000))
def test_to_forget_changes_nothing_that_came_later(
    found: list[Happening], forgotten: float, time: float
) -> None:
    whole, rest = history(found), history(found)
    rest.forget_before(forgotten)
    asked = max(time, forgotten)
    assert rest.since(asked) == whole.since(asked)
    assert all(chunk.time >= forgotten for chunk in rest.chunks)
    assert all(outcome.began >= forgotten for outcome in rest.outcomes)


@given(happenings, st.floats(0, 1000))
def test_what_is_forgotten_makes_room(found: list[Happening], time: float) -> None:
    past = history(found)
    past.forget_before(time)
    size = sum(len(chunk.data) for chunk in past.chunks)
    past.received(Chunk(1000.0, b"x" * (KEPT - size)))
    assert sum(len(chunk.data) for chunk in past.chunks) == KEPT
