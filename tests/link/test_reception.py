"""From bytes to judged telegrams, without a port and without a clock."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.link.reception import (
    SILENCE_SECONDS,
    Accepted,
    Judged,
    Reception,
    Refused,
    Stray,
    Understanding,
)
from p1_exporter.simulator.encryption import KEY
from p1_exporter.simulator.models import MODELS, wire_bytes
from p1_exporter.telegram import parity
from p1_exporter.telegram.cipher import Cipher
from tests.telegram.telegrams import HEADER, LINES, OLD_TELEGRAM, TELEGRAM, sealed, telegram

Arrival = tuple[float, bytes]
"""When the first byte of some bytes arrived, and these."""

DEFAULT = Understanding()
NOON = 1_795_425_300
"""A moment near that of TELEGRAM, in seconds since 1970 UTC."""
EMPTY = sealed(b"/TST5\\2M550T-1011\r\n\r\n")
DAMAGED = TELEGRAM.replace(b"00.345", b"99.345")


def receive(reception: Reception, *arrivals: Arrival) -> list[Judged]:
    """Let bytes arrive, as one reads them from a port; return what was decided."""
    judged: list[Judged] = []
    for time, data in arrivals:
        judged += reception.passed(time)
        judged += reception.received(data, time)
    return judged


def judged(*arrivals: Arrival, by: Understanding = DEFAULT) -> list[Judged]:
    return receive(Reception(by), *arrivals)


def every(seconds: float, *telegrams: bytes) -> list[Arrival]:
    return [(seconds * number, data) for number, data in enumerate(telegrams, 1)]


def size_of(each: Judged) -> int:
    match each:
        case Accepted():
            return each.telegram.size
        case Refused():
            return each.event.size
        case Stray():
            return each.noise.size


def verdicts(found: list[Judged]) -> list[str]:
    """What became of the telegrams; noise is none."""
    return [
        each.reason if isinstance(each, Refused) else "accepted"
        for each in found
        if not isinstance(each, Stray)
    ]


def noise(found: list[Judged]) -> bytes:
    return b"".join(each.noise.data for each in found if isinstance(each, Stray))


def decisions(found: list[Judged]) -> list[object]:
    """All that was decided, in order, but for the times; noise in one piece, however it came."""
    facts: list[object] = []
    stray = b""
    for each in found:
        if isinstance(each, Stray):
            stray += each.noise.data
            continue
        facts.append(stray)
        stray = b""
        facts.append(
            (each.telegram, each.samples) if isinstance(each, Accepted) else (each.event, each.reason)
        )
    return [*facts, stray]


def value(each: Judged, name: str) -> float:
    """The value of the only sample of this name."""
    assert isinstance(each, Accepted)
    (found,) = [sample.value for line in each.samples.by_line for sample in line if sample.name == name]
    return found


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


# Telegrams.


def test_a_telegram_is_accepted_with_what_is_in_it() -> None:
    (accepted,) = judged((7.0, TELEGRAM))
    assert isinstance(accepted, Accepted)
    assert (accepted.telegram.data, accepted.telegram.offset, accepted.began) == (TELEGRAM, 0, 7)
    assert value(accepted, "p1_power_import_watts") == 345


def test_a_telegram_whose_checksum_fails_is_refused_with_all_that_came_of_it() -> None:
    first, second = judged((7.0, DAMAGED), (8.0, TELEGRAM))
    assert isinstance(first, Refused)
    assert (first.reason, first.event.data, first.event.size, first.began) == (
        "crc",
        DAMAGED,
        len(DAMAGED),
        7,
    )
    assert isinstance(second, Accepted)


def test_bytes_outside_telegrams_are_stray_and_have_a_time() -> None:
    before, _, between, _ = judged((7.0, b"\0\xff" + TELEGRAM), (8.0, b"????" + TELEGRAM))
    assert isinstance(before, Stray)
    assert isinstance(between, Stray)
    assert (before.noise.data, before.began) == (b"\0\xff", 7)
    assert (between.noise.data, between.began) == (b"????", 8)


def test_a_telegram_without_any_object_line_is_malformed() -> None:
    found = judged(*every(1, EMPTY, TELEGRAM))
    assert verdicts(found) == ["malformed", "accepted"]
    assert size_of(found[0]) == len(EMPTY)


@pytest.mark.parametrize("name", MODELS)
def test_the_telegrams_of_every_simulated_meter_are_accepted(name: str) -> None:
    model = MODELS[name]
    household = model.household(1)
    wire = [wire_bytes(model, household, NOON + number * model.interval) for number in range(4)]
    by = Understanding(time_zone=model.time_zone, cipher=Cipher(KEY) if model.encrypted else None)
    # Without a checksum, two must agree at first.
    first = "accepted" if model.checksum else "implausible"
    assert verdicts(judged(*every(model.interval, *wire), by=by)) == [first] + ["accepted"] * 3


def test_lines_that_cannot_be_read_are_damage_where_no_checksum_vouches_for_them() -> None:
    garbled = OLD_TELEGRAM.replace(b"0000.98", b"0000.X8")
    *_, good, bad = judged(*every(10, OLD_TELEGRAM, OLD_TELEGRAM, garbled))
    (vouched,) = judged((1.0, sealed(HEADER + LINES.replace(b"00.345", b"0O.345"))))
    assert [each.damaged for each in (good, bad, vouched) if isinstance(each, Accepted)] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("identities", [False, True])
def test_identities_are_among_the_samples_only_where_they_are_wanted(*, identities: bool) -> None:
    (accepted,) = judged((1.0, TELEGRAM), by=Understanding(identities=identities))
    assert isinstance(accepted, Accepted)
    assert ("E00000000000000" in str(accepted.samples)) is identities


def test_the_time_zone_of_the_meter_is_used() -> None:
    without_letter = sealed(HEADER + LINES.replace(b"101500W", b"101500"))
    for zone, hours in (("Europe/Amsterdam", 0), ("Europe/London", 1)):
        (accepted,) = judged((1.0, without_letter), by=Understanding(time_zone=zone))
        assert value(accepted, "p1_meter_timestamp_seconds") == NOON + 3600 * hours


# Without checksum.


def old(kilowatt_hours: int) -> bytes:
    return OLD_TELEGRAM.replace(b"00185.000", b"%05d.000" % kilowatt_hours)


def test_without_checksum_two_telegrams_must_agree_at_first() -> None:
    assert verdicts(judged(*every(10, OLD_TELEGRAM, OLD_TELEGRAM))) == ["implausible", "accepted"]


@pytest.mark.parametrize("flipped", [184, 585, 99185])
def test_without_checksum_a_register_that_falls_or_leaps_rejects_the_telegram(flipped: int) -> None:
    found = judged(*every(10, old(185), old(185), old(flipped), old(185)))
    assert verdicts(found) == ["implausible", "accepted", "implausible", "accepted"]


def test_without_checksum_a_leap_is_accepted_once_a_second_telegram_agrees() -> None:
    found = judged(*every(10, old(185), old(185), old(99185), old(99185)))
    assert verdicts(found) == ["implausible", "accepted", "implausible", "accepted"]
    assert value(found[-1], "p1_electricity_import_joules_total") == 99185 * 3_600_000


def test_without_checksum_the_time_since_the_last_telegram_and_the_power_decide_what_is_a_leap() -> None:
    # One kilowatt-hour in 80 s are 45 kW, in 45 s they are 80 kW; 10 s are granted.
    arrivals = [(10.0, old(185)), (20.0, old(185)), (100.0, old(186)), (145.0, old(187))]
    assert verdicts(judged(*arrivals)) == ["implausible", "accepted", "accepted", "implausible"]
    strong = Understanding(max_power=100_000.0)
    assert verdicts(judged(*arrivals, by=strong)) == ["implausible", "accepted", "accepted", "accepted"]


def test_it_is_the_beginnings_of_telegrams_that_decide_what_is_a_leap() -> None:
    # A kilowatt-hour more, 60 s after the last beginning though only 50 s after the last byte: as far as it may go.
    slow = [(20.0, old(185)[:60]), (24.0, old(185)[60:90]), (28.0, old(185)[90:])]
    found = judged((10.0, old(185)), *slow, (80.0, old(186)))
    assert verdicts(found) == ["implausible", "accepted", "accepted"]


def test_with_checksum_registers_may_do_what_they_like() -> None:
    fallen = sealed(HEADER + LINES.replace(b"001234.567", b"000000.001"))
    assert verdicts(judged(*every(1, TELEGRAM, fallen))) == ["accepted", "accepted"]


def test_a_parity_error_rejects_a_telegram_without_checksum() -> None:
    good = parity.with_parity(OLD_TELEGRAM)
    bad = good[:40] + bytes([good[40] ^ 0x80]) + good[41:]
    found = judged(*every(10, good, good, bad, good))
    assert verdicts(found) == ["implausible", "accepted", "parity", "accepted"]


# Encrypted meters.


def encrypted(count: int) -> list[bytes]:
    model = MODELS["luxembourg"]
    household = model.household(1)
    return [wire_bytes(model, household, NOON + 10 * number) for number in range(count)]


def refusal(frame: bytes, by: Understanding) -> Refused:
    """What is said to an encrypted frame that cannot be opened, after which nothing comes."""
    reception = Reception(by)
    (refused,) = [*receive(reception, (1.0, frame)), *reception.silence()]
    assert isinstance(refused, Refused)
    return refused


def test_an_encrypted_telegram_without_its_key_is_refused_and_it_is_said_why() -> None:
    (frame,) = encrypted(1)
    without, other = refusal(frame, DEFAULT), refusal(frame, Understanding(cipher=Cipher(bytes(16))))
    assert [without.reason, other.reason] == ["decrypt", "decrypt"]
    assert (without.event.size, without.began) == (len(frame), 1)
    assert "key" in without.why
    assert without.why != other.why


# When things arrived.


@pytest.mark.parametrize("size", [1, 7, 50, 223])
def test_a_telegram_is_as_old_as_its_first_byte_however_it_comes(size: int) -> None:
    arrivals = [(20 + 0.01 * number, piece) for number, piece in enumerate(pieces(TELEGRAM, size))]
    (accepted,) = judged((19.0, b"????"), *arrivals)[-1:]
    assert isinstance(accepted, Accepted)
    assert accepted.began == 20


def test_a_telegram_that_begins_with_the_last_byte_of_a_chunk_is_as_old_as_that_chunk() -> None:
    one, two = telegram(1), telegram(2)
    first, second = judged((1.0, one + two[:1]), (2.0, two[1:]))
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (first.began, second.began) == (1, 1)


def test_a_telegram_that_is_refused_late_began_when_it_began() -> None:
    *_, cut, whole = judged((1.0, b"??"), (2.0, TELEGRAM[:99]), (3.0, TELEGRAM))
    assert isinstance(cut, Refused)
    assert isinstance(whole, Accepted)
    assert (cut.reason, cut.began, whole.began) == ("truncated", 2, 3)


def test_the_beginning_of_the_undecided_telegram_is_known_while_there_is_one() -> None:
    reception = Reception(DEFAULT)

    def undecided(*arrivals: Arrival) -> tuple[tuple[int, float] | None, bool, int]:
        receive(reception, *arrivals)
        return reception.begun, reception.pending, reception.pending_bytes

    assert undecided() == (None, False, 0)
    assert undecided((1.0, b"??"), (2.0, b"??" + TELEGRAM[:30]), (3.0, TELEGRAM[30:50])) == (
        (4, 2.0),
        True,
        50,
    )
    # A slash may be the beginning of a telegram, or not.
    assert undecided((4.0, TELEGRAM[50:] + TELEGRAM[:1])) == (None, False, 1)
    assert undecided((5.0, TELEGRAM[1:50])) == ((4 + len(TELEGRAM), 4.0), True, 50)
    assert undecided((6.0, TELEGRAM[50:])) == (None, False, 0)


# Silence.


def test_a_telegram_is_given_up_after_5_seconds_of_silence() -> None:
    reception = Reception(DEFAULT)
    receive(reception, (1.0, TELEGRAM[:70]), (2.0, TELEGRAM[70:100]))
    assert reception.passed(2 + SILENCE_SECONDS - 0.1) == []
    assert reception.pending_bytes == 100
    (refused,) = reception.passed(2 + SILENCE_SECONDS)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.event.data, refused.began) == ("truncated", TELEGRAM[:100], 1)
    assert reception.pending_bytes == 0


def test_what_comes_after_the_silence_does_not_continue_the_telegram() -> None:
    found = judged((1.0, TELEGRAM[:100]), (6.0, TELEGRAM[100:]), (7.0, TELEGRAM))
    assert verdicts(found) == ["truncated", "accepted"]
    assert noise(found) == TELEGRAM[100:]


def test_a_telegram_that_pauses_for_less_than_5_seconds_is_accepted_whole() -> None:
    thirds = [(1.0, TELEGRAM[:70]), (5.9, TELEGRAM[70:140]), (10.8, TELEGRAM[140:])]
    assert verdicts(judged(*thirds)) == ["accepted"]


def test_without_checksum_the_silence_ends_a_telegram_that_lacks_its_line_end() -> None:
    reception = Reception(DEFAULT)
    for time in (10.0, 20.0):
        assert receive(reception, (time, OLD_TELEGRAM[:-2])) == []
        assert verdicts(reception.passed(time + SILENCE_SECONDS)) == ["truncated"]


def test_silence_ends_also_what_is_only_perhaps_the_beginning_of_a_telegram() -> None:
    reception = Reception(DEFAULT)
    receive(reception, (1.0, b"/T"))
    (stray,) = reception.passed(6.0)
    assert isinstance(stray, Stray)
    assert (stray.noise.data, stray.began) == (b"/T", 1)


def test_silence_after_a_decided_telegram_means_nothing() -> None:
    reception = Reception(DEFAULT)
    receive(reception, (1.0, TELEGRAM))
    assert reception.passed(1000.0) == []
    assert reception.silence() == []


def test_when_the_port_closes_everything_is_decided_at_once() -> None:
    reception = Reception(DEFAULT)
    receive(reception, (1.0, TELEGRAM + TELEGRAM[:40]))
    assert verdicts(reception.silence()) == ["truncated"]
    assert verdicts(receive(reception, (1.1, TELEGRAM))) == ["accepted"]


# Other settings.


def after_two_old_ones(by: Understanding = DEFAULT) -> Reception:
    """One that has learned what the registers of a meter without checksum are."""
    reception = Reception(by)
    assert verdicts(receive(reception, *every(10, old(185), old(185)))) == ["implausible", "accepted"]
    return reception


@pytest.mark.parametrize(
    "other",
    [
        DEFAULT,
        replace(DEFAULT, identities=True),
        replace(DEFAULT, time_zone="Europe/London"),
        replace(DEFAULT, cipher=Cipher(KEY)),
    ],
    ids=["the same", "identities", "time zone", "cipher"],
)
def test_registers_stay_known_when_other_things_change(other: Understanding) -> None:
    reception = after_two_old_ones()
    reception.understand(other)
    assert verdicts(receive(reception, (30.0, old(99185)), (40.0, old(185)))) == ["implausible", "accepted"]


def test_registers_accepted_by_another_bound_are_forgotten() -> None:
    reception = after_two_old_ones()
    reception.understand(replace(DEFAULT, max_power=17_250.0))
    assert verdicts(receive(reception, (30.0, old(99185)), (40.0, old(99185)))) == ["implausible", "accepted"]


def test_that_a_meter_sends_checksums_stays_known_when_the_time_zone_changes() -> None:
    # A bare ! would end a telegram of a meter that has never sent a checksum.
    bare = TELEGRAM[:150] + b"\r\n!\r\n"
    reception = Reception(DEFAULT)
    receive(reception, (1.0, TELEGRAM))
    reception.understand(replace(DEFAULT, time_zone="Europe/London"))
    assert receive(reception, (2.0, bare)) == []
    assert reception.pending_bytes == len(bare)


def test_the_new_time_zone_holds_also_for_lines_that_were_seen_before() -> None:
    without_letter = sealed(HEADER + LINES.replace(b"101500W", b"101500"))
    reception = Reception(DEFAULT)
    receive(reception, (1.0, without_letter))
    reception.understand(replace(DEFAULT, time_zone="Europe/London"))
    (accepted,) = receive(reception, (2.0, without_letter))
    assert value(accepted, "p1_meter_timestamp_seconds") == NOON + 3600


def test_a_new_key_is_used_from_then_on_and_places_in_the_stream_go_on() -> None:
    one, two, three = encrypted(3)
    reception = Reception(DEFAULT)
    assert verdicts([*receive(reception, (1.0, b"??" + one)), *reception.silence()]) == ["decrypt"]
    reception.understand(replace(DEFAULT, cipher=Cipher(KEY)))
    second, third = receive(reception, (11.0, two), (21.0, three))
    assert isinstance(second, Accepted)
    assert isinstance(third, Accepted)
    assert [second.telegram.offset, third.telegram.offset] == [2 + len(one), 2 + len(one) + len(two)]
    assert [second.began, third.began] == [11, 21]


def test_whether_identities_are_wanted_is_decided_when_a_telegram_is_accepted() -> None:
    reception = Reception(DEFAULT)
    (before,) = receive(reception, (1.0, TELEGRAM))
    reception.understand(replace(DEFAULT, identities=True))
    (after,) = receive(reception, (2.0, TELEGRAM))
    assert isinstance(before, Accepted)
    assert isinstance(after, Accepted)
    assert "E00000000000000" not in str(before.samples)
    assert "E00000000000000" in str(after.samples)


# What holds always.

PARTS = st.sampled_from(
    [
        TELEGRAM,
        telegram(7),
        OLD_TELEGRAM,
        old(186),
        parity.with_parity(OLD_TELEGRAM),
        DAMAGED,
        EMPTY,
        HEADER,
        encrypted(1)[0],
        b"!",
        b"!1234\r\n",
        b"\r\n!\r\n",
        b"/ABC",
        b"\xdb\x08",
        b"\0" * 12_000,
    ]
) | st.binary(max_size=30)
STREAMS = st.lists(PARTS | st.builds(lambda one, cut: one[:cut], PARTS, st.integers(1, 200)), max_size=6).map(
    b"".join
)
CIPHERS = st.sampled_from([None, Cipher(KEY)])


def cut_at(stream: bytes, cuts: set[int]) -> list[bytes]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    return [chunk for chunk in chunks if chunk]


@given(stream=STREAMS, cuts=st.sets(st.integers(1, 3000), max_size=40), cipher=CIPHERS)
@settings(max_examples=150, deadline=None)
def test_the_chunks_in_which_bytes_arrive_make_no_difference(
    stream: bytes, cuts: set[int], cipher: Cipher | None
) -> None:
    whole, cut = (Reception(Understanding(cipher=cipher)) for _ in range(2))
    at_once = receive(whole, (1.0, stream)) if stream else []
    piecemeal = receive(cut, *((1.0, chunk) for chunk in cut_at(stream, cuts)))
    assert (cut.begun, cut.pending, cut.pending_bytes) == (whole.begun, whole.pending, whole.pending_bytes)
    assert decisions([*piecemeal, *cut.silence()]) == decisions([*at_once, *whole.silence()])


@given(
    stream=STREAMS, cuts=st.sets(st.integers(1, 3000), max_size=40), pause=st.sampled_from([0.05, 1.0, 6.0])
)
@settings(max_examples=150, deadline=None)
def test_every_byte_is_decided_once_or_pending_and_every_time_is_that_of_a_chunk(
    stream: bytes, cuts: set[int], pause: float
) -> None:
    reception = Reception(DEFAULT)
    times: list[float] = []
    found: list[Judged] = []
    for number, chunk in enumerate(cut_at(stream, cuts)):
        times += [number * pause] * len(chunk)
        found += receive(reception, (number * pause, chunk))
        assert sum(map(size_of, found)) + reception.pending_bytes == len(times)
        if reception.begun is not None:
            offset, began = reception.begun
            assert offset == len(times) - reception.pending_bytes
            assert began == times[offset]
    found += reception.silence()
    place = 0
    for each in found:
        assert each.began == times[place]
        place += size_of(each)
    assert place == len(stream)


def test_the_arrivals_of_what_is_decided_take_no_memory() -> None:
    reception = Reception(DEFAULT)
    found: list[Judged] = []
    for number in range(100):
        for place, piece in enumerate(pieces(telegram(number), 20)):
            found += receive(reception, (number + place / 50, piece))
        assert len(reception._arrivals._times) == 1
    assert verdicts(found) == ["accepted"] * 100
