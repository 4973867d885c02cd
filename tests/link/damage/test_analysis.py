"""Damage is put into telegrams at known places, and must be found there."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.link.damage.analysis import Damage, DamageAnalysis, Flip, Run
from p1_exporter.link.damage.matching import _Region, _Search
from p1_exporter.link.damage.ration import Ration
from p1_exporter.link.damage.template import template_of
from p1_exporter.simulator.models import MODELS, telegram
from p1_exporter.telegram.crc import ARC, X25
from p1_exporter.telegram.events import Rejection, Telegram
from p1_exporter.telegram.framer import Framer
from tests.telegram.telegrams import (
    AUSTRIAN,
    BELGIAN,
    HEADER,
    HUNGARIAN,
    LINES,
    LUXEMBOURG,
    OLD_TELEGRAM,
    POLISH,
    X25_TELEGRAM,
    sealed,
    with_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NIGHT = 1_795_399_000
CHECKED = ("dsmr5", "dsmr4", "belgium", "sweden", "luxembourg")
MODELS_TRIED = (*CHECKED, "dsmr2")
BITS = {"dsmr2": 7}
"""Telegrams of 7E1 meters are rejected without their parity bits."""


class Meter(NamedTuple):
    """An analysis that knows some telegrams of a meter, and the telegram that comes next."""

    analysis: DamageAnalysis
    sent: bytes


@cache
def household(model: str) -> object:
    return MODELS[model].household(3)


def meter(model: str, rng: random.Random, *, accepted: int = 3, later: int = 1) -> Meter:
    """Return a meter of which some telegrams were accepted, at some time of three days, and one a while later."""
    interval = MODELS[model].interval
    began = NIGHT + rng.randrange(3 * 86_400)
    analysis = DamageAnalysis()
    for number in range(accepted):
        analysis.learn(sent_by(model, began + number * interval))
    return Meter(analysis, sent_by(model, began + (accepted - 1 + later) * interval))


def sent_by(model: str, when: int) -> bytes:
    return telegram(MODELS[model], household(model), when)  # type: ignore[arg-type]


def flip(data: bytes, *places: int, bits: int = 8) -> tuple[bytes, tuple[Flip, ...]]:
    """Flip bits, counted from the first one on the wire; return what arrives, and what is to be found."""
    received = bytearray(data)
    flips = []
    for place in sorted(places):
        offset, bit = divmod(place, bits)
        received[offset] ^= 1 << bit
        flips.append(Flip(offset, bit, "0_to_1" if received[offset] >> bit & 1 else "1_to_0"))
    return bytes(received), tuple(flips)


def flip_some(data: bytes, count: int, rng: random.Random, bits: int = 8) -> tuple[bytes, tuple[Flip, ...]]:
    return flip(data, *rng.sample(range(len(data) * bits), count), bits=bits)


def lose(data: bytes, sizes: list[int], rng: random.Random) -> tuple[bytes, list[Run]]:
    """Lose bytes in runs that are no neighbours, but not the checksum."""
    while True:
        places = sorted(rng.randrange(len(data) - max(sizes) - 8) for _ in sizes)
        if all(b - a > size + 10 for (a, b), size in zip(pairwise(places), sizes, strict=False)):
            break
    received, lost, at = b"", [], 0
    for place, size in zip(places, sizes, strict=True):
        received += data[at:place]
        lost.append(Run(len(received), size))
        at = place + size
    return received + data[at:], lost


def put_in(data: bytes, runs: list[bytes], rng: random.Random) -> bytes:
    places = sorted(rng.sample(range(1, len(data) - 8), len(runs)), reverse=True)
    for place, run in zip(places, runs, strict=True):
        data = data[:place] + run + data[place:]
    return data


def exact(damage: Damage | None, flips: tuple[Flip, ...]) -> bool:
    return (
        damage is not None
        and damage.flips == flips
        and not (damage.lost or damage.inserted or damage.shifted)
    )


def total(runs: tuple[Run, ...]) -> int:
    return sum(run.size for run in runs)


def share(results: Iterator[bool]) -> float:
    found = list(results)
    return sum(found) / len(found)


# Flips.


@pytest.mark.parametrize("model", CHECKED)
def test_one_flip_is_found_exactly_wherever_it_is(model: str) -> None:
    rng = random.Random(model)

    def trials() -> Iterator[bool]:
        for _ in range(120):
            analysis, sent = meter(model, rng)
            received, flips = flip_some(sent, 1, rng)
            yield exact(analysis.analyse(received), flips)

    assert share(trials()) == 1.0


def test_one_flip_is_found_in_every_place_of_one_telegram() -> None:
    analysis, sent = meter("dsmr5", random.Random(1))
    for place in range(0, 8 * len(sent), 7):
        received, flips = flip(sent, place)
        assert exact(analysis.analyse(received), flips), flips


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("model", MODELS_TRIED)
def test_up_to_five_flips_are_found_exactly_in_19_of_20_telegrams(model: str, count: int) -> None:
    rng = random.Random(f"{model} {count}")
    bits = BITS.get(model, 8)

    def trials() -> Iterator[bool]:
        for _ in range(60):
            analysis, sent = meter(model, rng)
            received, flips = flip_some(sent, count, rng, bits)
            yield exact(analysis.analyse(received), flips)

    # Without a checksum nothing tells a flip of a gauge's last digits from a new value.
    assert share(trials()) >= (0.98 if model in CHECKED else 0.93)


def test_up_to_five_flips_are_found_in_19_of_20_telegrams_without_checksum_on_the_whole() -> None:
    rng = random.Random(2)

    def trials() -> Iterator[bool]:
        for number in range(250):
            analysis, sent = meter("dsmr2", rng)
            received, flips = flip_some(sent, number % 5 + 1, rng, 7)
            yield exact(analysis.analyse(received), flips)

    assert share(trials()) >= 0.95


@pytest.mark.parametrize(("accepted", "later"), [(1, 1), (2, 1), (3, 60), (3, 3600)])
@pytest.mark.parametrize("model", CHECKED)
def test_flips_are_found_with_one_accepted_telegram_or_with_old_ones(
    model: str, accepted: int, later: int
) -> None:
    rng = random.Random(f"{model} {accepted} {later}")

    def trials() -> Iterator[bool]:
        for number in range(40):
            analysis, sent = meter(model, rng, accepted=accepted, later=later)
            received, flips = flip_some(sent, number % 5 + 1, rng)
            yield exact(analysis.analyse(received), flips)

    assert share(trials()) >= 0.95


@pytest.mark.parametrize(
    "known",
    [
        with_lines(*BELGIAN),
        with_lines(*LUXEMBOURG),
        with_lines(*HUNGARIAN),
        with_lines(*AUSTRIAN),
        with_lines(*POLISH),
        X25_TELEGRAM,
        OLD_TELEGRAM,
        sealed(HEADER + LINES, form="04x"),
    ],
    ids=["Belgium", "Luxembourg", "Hungary", "Austria", "Poland", "CRC-16/X-25", "DSMR 3", "small digits"],
)
def test_flips_are_found_whatever_the_country(known: bytes) -> None:
    rng = random.Random(3)
    analysis = DamageAnalysis()
    for _ in range(3):
        analysis.learn(known)

    def trials() -> Iterator[bool]:
        for number in range(100):
            received, flips = flip_some(known, number % 3 + 1, rng)
            yield exact(analysis.analyse(received), flips)

    assert share(trials()) >= 0.95


@pytest.mark.parametrize("character", [b"\r", b"\n", b"/", b"!"])
def test_flips_that_make_a_character_of_the_protocol_are_flips(character: bytes) -> None:
    analysis, sent = meter("dsmr5", random.Random(4))
    places = [place for place in range(40, len(sent) - 8) if (sent[place] ^ character[0]).bit_count() == 1]
    assert places
    for place in places:
        bit = (sent[place] ^ character[0]).bit_length() - 1
        received, flips = flip(sent, 8 * place + bit)
        assert exact(analysis.analyse(received), flips)


def test_a_burst_of_flips_is_no_loss() -> None:
    analysis, sent = meter("dsmr5", random.Random(5))
    place = sent.index(b"0-0:96.7.21")
    # 30 bits of noise in the middle of a code, all of them ones.
    received, flips = flip(sent, *(bit for bit in range(8 * place, 8 * place + 30) if not bit_of(sent, bit)))
    assert exact(analysis.analyse(received), flips)
    assert {found.direction for found in flips} == {"0_to_1"}


def bit_of(data: bytes, place: int) -> int:
    return data[place // 8] >> place % 8 & 1


def test_many_flips_are_found_and_their_direction_is_right() -> None:
    analysis, sent = meter("dsmr5", random.Random(6))
    zeros = [place for place in range(8 * len(sent)) if not bit_of(sent, place)]
    received, flips = flip(sent, *random.Random(6).sample(zeros, 80))
    damage = analysis.analyse(received)
    assert damage is not None
    assert len(set(damage.flips) & set(flips)) >= 76
    assert sum(found.direction == "1_to_0" for found in damage.flips) <= 4
    assert not damage.lost
    assert not damage.inserted


def test_bit_7_flipped_in_most_characters_hides_nothing() -> None:
    rng = random.Random(7)
    analysis, sent = meter("dsmr5", rng)
    received, flips = flip(sent, *(8 * place + 7 for place in range(len(sent)) if rng.random() < 0.8))
    assert exact(analysis.analyse(received), flips)


def test_characters_with_a_late_start_bit_are_told_from_flips() -> None:
    rng = random.Random(8)
    analysis, sent = meter("dsmr5", rng)
    late = rng.sample(range(10, len(sent) - 8), 40)
    received = bytes(byte >> 1 | 0x80 if place in late else byte for place, byte in enumerate(sent))
    damage = analysis.analyse(received)
    assert damage is not None
    assert (damage.shifted, damage.flips, damage.lost) == (40, (), ())


# Bytes lost and bytes foreign.


@pytest.mark.parametrize("model", MODELS_TRIED)
def test_lost_bytes_are_counted_to_within_one_and_their_runs_are_found(model: str) -> None:
    rng = random.Random(model)

    def trials() -> Iterator[bool]:
        for number in range(60):
            analysis, sent = meter(model, rng)
            received, lost = lose(sent, [rng.randint(1, 40) for _ in range(number % 3 + 1)], rng)
            damage = analysis.analyse(received)
            assert damage is not None
            assert abs(total(damage.lost) - total(tuple(lost))) <= 1
            assert total(damage.inserted) <= 1
            yield len(damage.lost) == len(lost) and all(
                abs(found.size - true.size) <= 1 and abs(found.offset - true.offset) <= 40
                for found, true in zip(damage.lost, lost, strict=True)
            )

    assert share(trials()) >= 0.95


FOREIGN: dict[str, Callable[[random.Random, int], bytes]] = {
    "anything": lambda rng, size: rng.randbytes(size),
    "text": lambda rng, size: bytes(rng.choices(b"0123456789-:.()*kWh\r\n", k=size)),
    "digits": lambda rng, size: bytes(rng.choices(b"0123456789", k=size)),
    "ones": lambda _, size: b"\xff" * size,
    "breaks": lambda _, size: bytes(size),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("model", MODELS_TRIED)
def test_foreign_bytes_are_counted_to_within_one(model: str, kind: str) -> None:
    rng = random.Random(f"{model} {kind}")

    def trials() -> Iterator[bool]:
        for number in range(30):
            analysis, sent = meter(model, rng)
            runs = [FOREIGN[kind](rng, rng.randint(1, 20)) for _ in range(number % 3 + 1)]
            damage = analysis.analyse(put_in(sent, runs, rng))
            assert damage is not None
            yield abs(total(damage.inserted) - sum(map(len, runs))) <= 1 and total(damage.lost) <= 1

    assert share(trials()) >= 0.95


def test_a_second_reader_takes_bytes_in_eights() -> None:
    rng = random.Random(9)
    for _ in range(30):
        analysis, sent = meter("dsmr5", rng)
        received, lost = lose(sent, [8 * rng.randint(1, 3) for _ in range(8)], rng)
        damage = analysis.analyse(received)
        assert damage is not None
        assert total(damage.lost) == total(tuple(lost))
        assert not damage.inserted


def test_bytes_lost_one_by_one_are_found() -> None:
    rng = random.Random(10)
    for _ in range(20):
        analysis, sent = meter("dsmr5", rng)
        received, _ = lose(sent, [1] * 12, rng)
        damage = analysis.analyse(received)
        assert damage is not None
        assert abs(total(damage.lost) - 12) <= 1
        assert total(damage.inserted) <= 1


def test_losses_foreign_bytes_and_flips_are_told_apart() -> None:
    rng = random.Random(11)

    def trials() -> Iterator[bool]:
        for _ in range(60):
            analysis, sent = meter("dsmr5", rng)
            received, lost = lose(sent, [rng.randint(5, 40)], rng)
            received = put_in(received, [rng.randbytes(rng.randint(5, 20))], rng)
            received, flips = flip_some(received, 2, rng)
            damage = analysis.analyse(received)
            assert damage is not None
            foreign = len(received) - len(sent) + total(tuple(lost))
            yield (
                abs(total(damage.lost) - total(tuple(lost))) <= 1
                and abs(total(damage.inserted) - foreign) <= 1
                and abs(len(damage.flips) - len(flips)) <= 2
            )

    assert share(trials()) >= 0.9


@pytest.mark.parametrize("size", [40, 300, 700, 880])
def test_a_telegram_that_breaks_off_has_lost_its_tail(size: int) -> None:
    analysis, sent = meter("dsmr5", random.Random(12))
    damage = analysis.analyse(sent[:size])
    assert damage is not None
    assert damage.lost == (Run(size, len(sent) - size),)
    assert (damage.tail_lost, damage.head_lost, damage.flips, damage.inserted) == (True, False, (), ())


def test_a_telegram_that_begins_late_has_lost_its_head() -> None:
    analysis, sent = meter("dsmr5", random.Random(13))
    damage = analysis.analyse(sent[200:])
    assert damage is not None
    assert damage.lost == (Run(0, 200),)
    assert (damage.tail_lost, damage.head_lost, damage.flips) == (False, True, ())


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_line_end_after_the_checksum_is_no_loss(missing: int) -> None:
    analysis, sent = meter("dsmr5", random.Random(14))
    damage = analysis.analyse(sent[:-missing])
    assert damage is not None
    assert damage.clean
    assert damage.confirmed


def test_two_telegrams_that_arrive_as_one_are_two() -> None:
    analysis, sent = meter("dsmr5", random.Random(15))
    end, start = sent.index(b"!"), len(sent)
    received, flips = flip(sent + sent, 8 * end + 3, 8 * start + 2)
    damage = analysis.analyse(received)
    assert exact(damage, flips)


def test_a_line_that_is_new_is_not_foreign() -> None:
    analysis = DamageAnalysis()
    analysis.learn(sealed(HEADER + LINES))
    new = LINES.replace(b"0-1:24.1.0", b"0-0:96.13.0(48414C4C4F)\r\n0-1:24.1.0")
    received, flips = flip(sealed(HEADER + new), 8 * 50 + 6)
    assert exact(analysis.analyse(received), flips)


def test_a_line_that_is_missing_was_lost_unless_the_checksum_knows_better() -> None:
    analysis = DamageAnalysis()
    analysis.learn(sealed(HEADER + LINES))
    line = b"0-1:24.1.0(003)\r\n"
    fewer, flips = flip(sealed(HEADER + LINES.replace(line, b"")), 8 * 50 + 6)
    assert exact(analysis.analyse(fewer), flips)
    damage = analysis.analyse(sealed(HEADER + LINES).replace(line, b""))
    assert damage is not None
    assert [run.size for run in damage.lost] == [len(line)]


def test_of_telegrams_with_and_without_a_line_the_one_that_fits_is_taken() -> None:
    analysis = DamageAnalysis()
    longer = sealed(HEADER + LINES + b"0-0:96.13.0(48414C4C4F)\r\n")
    analysis.learn(longer)
    analysis.learn(sealed(HEADER + LINES))
    received, flips = flip(longer, 8 * 300 - 800, 8 * 60 + 5)
    assert exact(analysis.analyse(received), flips)


# Where no telegram was ever accepted.


def test_without_any_knowledge_the_checksum_finds_one_flip() -> None:
    rng = random.Random(16)
    for model in ("dsmr5", "belgium", "sweden"):
        for _ in range(50):
            _, sent = meter(model, rng)
            received, flips = flip_some(sent, 1, rng)
            assert exact(DamageAnalysis().analyse(received), flips)


def test_without_any_knowledge_nothing_is_said_of_more() -> None:
    rng = random.Random(17)
    _, sent = meter("dsmr5", rng)
    for _ in range(50):
        received, _ = flip_some(sent, 2, rng)
        assert DamageAnalysis().analyse(received) is None


def never_accepted(harm: Callable[[bytes], bytes]) -> Iterator[tuple[bytes, Damage | None]]:
    """Yield what is sent and found on a link whose telegrams are all rejected."""
    analysis = DamageAnalysis()
    for second in range(12):
        sent = sent_by("dsmr5", NIGHT + second)
        yield sent, analysis.analyse(harm(sent))


def test_rejected_telegrams_tell_what_is_sent_by_what_they_agree_upon() -> None:
    rng = random.Random(18)
    expected: list[tuple[Flip, ...]] = []

    def harm(sent: bytes) -> bytes:
        zeros = [place for place in range(8 * len(sent)) if not bit_of(sent, place)]
        received, flips = flip(sent, *rng.sample(zeros, 40))
        expected.append(flips)
        return received

    found = [damage for _, damage in never_accepted(harm)]
    assert found[:2] == [None, None]
    for damage, flips in zip(found[4:], expected[4:], strict=True):
        assert damage is not None
        assert len(set(damage.flips) & set(flips)) >= 32
        assert sum(each.direction == "1_to_0" for each in damage.flips) <= 3


def test_bytes_lost_from_every_telegram_are_found() -> None:
    rng = random.Random(19)
    sizes: list[int] = []

    def harm(sent: bytes) -> bytes:
        sizes.append(rng.randint(10, 30))
        return lose(sent, [sizes[-1]], rng)[0]

    found = [damage for _, damage in never_accepted(harm)]
    for damage, size in zip(found[4:], sizes[4:], strict=True):
        assert damage is not None
        assert abs(total(damage.lost) - size) <= 1


def test_a_meter_with_another_checksum_sends_clean_text() -> None:
    found = [
        damage
        for _, damage in never_accepted(
            lambda sent: sent[:-6] + b"%04X\r\n" % (X25.of(sent[:-6]) ^ ARC.of(sent))
        )
    ]
    assert all(damage is not None and damage.clean for damage in found[2:])


def test_what_does_not_look_like_telegrams_is_no_knowledge() -> None:
    def inverted(sent: bytes) -> bytes:
        return bytes((~byte << 1 | 1) & 0xFF for byte in sent)

    assert all(damage is None for _, damage in never_accepted(inverted))


# Whatever arrives.


def test_what_the_framer_rejects_is_understood() -> None:
    rng = random.Random(20)
    framer, analysis = Framer(), DamageAnalysis()
    sent, found = 0, 0
    for second in range(200):
        data = sent_by("dsmr5", NIGHT + second)
        if second % 2 and second > 5:
            data, flips = flip_some(data, 3, rng)
            sent += len(flips)
        for event in framer.receive(data):
            if isinstance(event, Telegram):
                analysis.learn(event.data)
            elif isinstance(event, Rejection):
                damage = analysis.analyse(event.data)
                assert damage is not None
                assert not damage.lost
                assert not damage.inserted
                found += len(damage.flips)
    # Some flips are in the first characters of a telegram, which is noise then.
    assert 0.95 * sent <= found <= sent


@given(st.binary(max_size=400), st.binary(max_size=400))
@settings(deadline=None)
def test_nothing_raises_whatever_the_bytes(known: bytes, rejected: bytes) -> None:
    analysis = DamageAnalysis()
    for _ in range(4):
        analysis.analyse(rejected)
    analysis.learn(known)
    analysis.analyse(rejected)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60), st.binary(max_size=30)), max_size=6))
@settings(deadline=None)
def test_what_is_found_fits_together(edits: list[tuple[int, int, bytes]]) -> None:
    known = sealed(HEADER + LINES)
    received = known
    for place, lost, foreign in edits:
        received = received[:place] + foreign + received[place + lost :]
    analysis = DamageAnalysis()
    analysis.learn(known)
    damage = analysis.analyse(received)
    if damage is None:
        return
    arrived = damage.compared + damage.changed
    assert arrived + total(damage.inserted) == len(received)
    assert all(
        received[found.offset] >> found.bit & 1 == (found.direction == "0_to_1") for found in damage.flips
    )
    assert all(0 <= run.offset <= len(received) and run.size > 0 for run in (*damage.lost, *damage.inserted))
    assert list(damage.flips) == sorted(damage.flips)


LONG = sealed(HEADER + b"".join(b"1-0:%d.8.0(%06d.000*kWh)\r\n" % (code % 250, code) for code in range(440)))


@pytest.mark.parametrize(
    "received",
    [
        random.Random(21).randbytes(11_520),
        bytes(11_520),
        LONG,
        bytes(byte for number, byte in enumerate(LONG) if number % 20),
        bytes(byte ^ (number % 7 == 0) for number, byte in enumerate(LONG)),
        b"".join(sorted(LONG.splitlines(keepends=True), key=lambda line: bytes(line)[::-1])),
        b"1-0:1.8.0(00000.000*kWh)\r\n" * 440,
    ],
    ids=["random", "equal", "same", "holes", "flips", "shuffled", "similar"],
)
def test_the_work_is_bounded(received: bytes) -> None:
    most_steps = 4000
    search = _Search(received, template_of(LONG), most_steps)
    search.best(_Region(0, len(received), 0, len(LONG)))
    # What is begun is finished: the longest region, or looking for words in it.
    assert search._steps <= 1.5 * most_steps + len(received) + len(LONG)


# The ration.


def looked_into(ration: Ration, outcomes: str) -> str:
    """Return which telegrams are looked into, of those accepted (+) and rejected (-)."""
    taken = ""
    for outcome in outcomes:
        if outcome == "+":
            ration.passed()
            taken += " "
        else:
            taken += "x" if ration.take() else "."
    return taken


def test_each_is_looked_into_while_few_are_rejected() -> None:
    assert "." not in looked_into(Ration(), "+++++++++++++++-" * 50)


@pytest.mark.parametrize("count", [50, 100, 1000])
def test_one_in_ten_is_looked_into_while_all_are_rejected(count: int) -> None:
    taken = looked_into(Ration(), "-" * count).count("x")
    assert count // 10 - 1 <= taken <= count // 10


def test_the_first_rejected_ones_are_looked_into_at_once() -> None:
    assert looked_into(Ration(), "-" * 7) == "xxxxx.."
    ration = Ration()
    looked_into(ration, "-" * 1000 + "+" * 60)
    assert looked_into(ration, "-" * 30).count("x") == 7
