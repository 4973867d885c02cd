"""A fault is named when it was found long enough, and forgotten when it was gone long enough; nothing in between."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.link.diagnosis import Diagnosis
from p1_exporter.link.verdict import Verdict

NOISE = Diagnosis("noise", 0.85, "bits flipped")
CLOCK = Diagnosis("clock", 0.7, "the last bit is wrong")
UNCLEAR = Diagnosis("unclear", 0.5, "2 of 3 telegrams are bad")
SETTLING = 4.0


def named(*looks: tuple[Diagnosis, ...], settling: float = SETTLING) -> list[tuple[str, ...]]:
    """Return what is named after each look, one a second."""
    verdict = Verdict()
    return [
        tuple(diagnosis.fault for diagnosis in verdict.update(float(second), diagnoses, settling))
        for second, diagnoses in enumerate(looks)
    ]


def test_nothing_is_named_where_nothing_is_found() -> None:
    assert named(*[()] * 10) == [()] * 10


def test_what_is_found_for_long_enough_is_named_and_not_before() -> None:
    assert named(*[(NOISE,)] * 6) == [()] * 4 + [("noise",)] * 2


def test_what_is_gone_for_long_enough_is_named_no_longer_and_not_before() -> None:
    assert named(*[(NOISE,)] * 9, *[()] * 6)[9:] == [("noise",)] * 3 + [()] * 3


def test_what_is_found_at_every_other_look_is_not_named() -> None:
    assert named(*[(NOISE,), ()] * 50) == [()] * 100


def test_a_name_stays_while_it_is_found_at_every_other_look() -> None:
    names = named(*[(NOISE,)] * 5, *[(), (NOISE,)] * 50)
    assert names[4:] == [("noise",)] * 101


def test_what_was_found_leaks_away() -> None:
    assert named(*([(NOISE,)] * 3 + [()] * 3) * 10) == [()] * 60


def test_the_first_look_tells_of_no_time() -> None:
    assert Verdict().update(1e6, (NOISE,), 0.001) == ()


def test_a_look_that_comes_late_does_not_name_at_once() -> None:
    verdict = Verdict()
    verdict.update(0.0, (NOISE,), 10.0)
    assert verdict.update(3600.0, (NOISE,), 10.0) == ()
    assert verdict.update(7200.0, (NOISE,), 10.0) == (NOISE,)


def test_the_name_comes_with_the_newest_diagnosis() -> None:
    newer = NOISE._replace(seen="stray bytes", confidence=0.6)
    verdict = Verdict()
    for second in range(6):
        verdict.update(float(second), (NOISE,), SETTLING)
    assert verdict.update(6.0, (newer,), SETTLING) == (newer,)
    assert verdict.update(7.0, (), SETTLING) == (newer,)


def test_the_likeliest_comes_first() -> None:
    assert named(*[(UNCLEAR, NOISE, CLOCK)] * 5)[-1] == ("noise", "clock", "unclear")


def test_one_fault_takes_the_place_of_another_without_a_time_in_which_none_is_named() -> None:
    names = named(*[(NOISE,)] * 8, *[(CLOCK,)] * 8)
    assert names[-1] == ("clock",)
    assert all(names[5:])


def test_a_fault_that_comes_back_is_named_anew_after_the_same_time() -> None:
    names = named(*[(NOISE,)] * 6, *[()] * 10, *[(NOISE,)] * 5)
    assert names[16:] == [()] * 3 + [("noise",)] * 2


looks = st.lists(st.sets(st.sampled_from([NOISE, CLOCK, UNCLEAR])).map(tuple), max_size=60)


@given(looks, st.floats(1.5, 20))
def test_no_name_comes_or_goes_sooner_than_the_settling_time(
    found: list[tuple[Diagnosis, ...]], settling: float
) -> None:
    names = named(*found, settling=settling)
    for fault in ("noise", "clock", "unclear"):
        turns = [
            second
            for second, (before, after) in enumerate(pairwise(names))
            if (fault in before) != (fault in after)
        ]
        assert all(later - earlier >= settling - 1e-6 for earlier, later in pairwise(turns))
        assert not turns or turns[0] + 1 >= settling - 1e-6


@given(looks)
def test_only_what_was_found_is_named(found: list[tuple[Diagnosis, ...]]) -> None:
    known = {diagnosis.fault for diagnoses in found for diagnosis in diagnoses}
    assert {fault for names in named(*found) for fault in names} <= known


@given(looks)
def test_whatever_was_found_before_a_link_that_works_has_no_name_in_the_end(
    found: list[tuple[Diagnosis, ...]],
) -> None:
    assert named(*found, *[()] * 4)[-1] == ()
