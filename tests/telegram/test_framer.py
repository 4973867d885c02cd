from __future__ import annotations

import itertools
import tracemalloc

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from p1_exporter.telegram import parity
from p1_exporter.telegram.cipher import LUXEMBOURG_AUTHENTICATION_KEY, Cipher
from p1_exporter.telegram.crc import ARC, X25
from p1_exporter.telegram.events import Event, Noise, Rejection, Telegram
from p1_exporter.telegram.framer import MAX_TELEGRAM, Framer
from tests.telegram.telegrams import HEADER, LINES, OLD_TELEGRAM, TELEGRAM, X25_TELEGRAM, sealed, telegram

KEY = bytes(range(16))
TITLE = b"TSTMETER"


def frame(text: bytes, counter: int = 1, key: bytes = KEY) -> bytes:
    count = counter.to_bytes(4, "big")
    body = AESGCM(key).encrypt(TITLE + count, text, b"\x30" + LUXEMBOURG_AUTHENTICATION_KEY)
    body = body[:-4]  # the tag is cut to 12 bytes
    return b"\xdb\x08" + TITLE + b"\x82" + (len(body) + 5).to_bytes(2, "big") + b"\x30" + count + body


def events_of(stream: bytes, *, size: int = 0, cipher: Cipher | None = None) -> list[Event]:
    framer = Framer(cipher)
    events: list[Event] = []
    for start in range(0, len(stream), size or len(stream) or 1):
        events += framer.receive(stream[start : start + (size or len(stream))])
        decided = sum(event.size for event in events)
        assert decided + framer.pending_bytes == min(len(stream), start + (size or len(stream)))
    events += framer.silence()
    assert framer.pending_bytes == 0
    assert not framer.pending
    return merged(events)


def merged(events: list[Event]) -> list[Event]:
    """Return `events` with runs of noise as one."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, Noise) and result and isinstance(result[-1], Noise):
            result[-1] = Noise(result[-1].offset, result[-1].data + event.data)
        else:
            result.append(event)
    return result


def summary(stream: bytes, cipher: Cipher | None = None) -> list[tuple[str, bytes]]:
    events = events_of(stream, cipher=cipher)
    assert events_of(stream, size=1, cipher=cipher) == events
    place = 0
    for event in events:
        assert event.offset == place
        place += event.size
    assert place == len(stream)
    return [
        ("noise" if isinstance(event, Noise) else getattr(event, "reason", event.checksum), event.data)
        for event in events
    ]


def test_a_telegram_is_one_event_with_its_line_end() -> None:
    assert summary(TELEGRAM) == [("valid", TELEGRAM)]


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\0", b"\0\r\n"])
def test_the_line_end_may_be_any_of_nul_cr_lf(end: bytes) -> None:
    one = sealed(HEADER + LINES, line_end=end)
    assert summary(one + TELEGRAM) == [("valid", one), ("valid", TELEGRAM)]


def test_the_line_end_may_come_late() -> None:
    framer = Framer()
    assert framer.receive(TELEGRAM[:-2]) == []
    assert framer.receive(b"\r") == []
    assert framer.receive(b"\n") == [Telegram(0, len(TELEGRAM), TELEGRAM, "valid")]


def test_what_follows_the_checksum_must_be_a_line_end() -> None:
    assert summary(TELEGRAM[:-2] + b"X\r\n")[0][0] == "truncated"


@pytest.mark.parametrize("form", ["04X", "04x", "X", "x"])
def test_a_checksum_is_one_to_four_digits_in_any_case(form: str) -> None:
    for number in itertools.count():
        body = HEADER + b"1-0:1.7.0(%06d*kW)\r\n" % number
        if ARC.of(body + b"!") < 0x100:
            break
    assert summary(sealed(body, form=form)) == [("valid", sealed(body, form=form))]


def test_x25_is_understood_and_then_expected() -> None:
    assert summary(X25_TELEGRAM) == [("valid", X25_TELEGRAM)]
    assert [verdict for verdict, _ in summary(TELEGRAM + X25_TELEGRAM)] == ["valid", "crc"]


def test_a_meter_that_was_exchanged_is_understood_again() -> None:
    verdicts = [verdict for verdict, _ in summary(TELEGRAM * 3 + X25_TELEGRAM * 20)]
    assert verdicts == ["valid"] * 3 + ["crc"] * 16 + ["valid"] * 4


def test_one_wrong_digit_is_a_crc_error_at_once() -> None:
    bad = TELEGRAM.replace(b"00.345", b"00.346")
    framer = Framer()
    (event,) = framer.receive(bad)
    assert isinstance(event, Rejection)
    assert (event.reason, event.checksum, event.data) == ("crc", "invalid", bad)


def test_a_cut_telegram_costs_only_itself() -> None:
    cut = TELEGRAM[:90]
    assert summary(cut + TELEGRAM) == [("truncated", cut), ("valid", TELEGRAM)]


def test_several_cut_telegrams_are_counted_each() -> None:
    cuts = [TELEGRAM[:90], TELEGRAM[:40], TELEGRAM[:70]]
    assert summary(b"".join(cuts) + TELEGRAM) == [*(("truncated", cut) for cut in cuts), ("valid", TELEGRAM)]


def test_slashes_and_exclamation_marks_inside_a_telegram_are_part_of_it() -> None:
    tricky = sealed(
        b"/TST5!12AB\r\n\r\n0-0:96.13.0(see /ABC5!9\r\n/DEF5 or\r\n!1234\r\nend)\r\n1-0:1.7.0(00.100*kW)\r\n"
    )
    assert summary(tricky + TELEGRAM) == [("valid", tricky), ("valid", TELEGRAM)]


def test_a_damaged_line_before_the_checksum_is_a_crc_error_all_the_same() -> None:
    bad = TELEGRAM.replace(b"*m3)\r\n!", b"*m3)\rZ!")
    assert summary(bad + TELEGRAM) == [("crc", bad), ("valid", TELEGRAM)]
    assert summary(bad) == [("crc", bad)]


def test_bytes_between_telegrams_are_noise() -> None:
    assert summary(b"abc/de" + TELEGRAM + b"\r\n\xff/") == [
        ("noise", b"abc/de"),
        ("valid", TELEGRAM),
        ("noise", b"\r\n\xff/"),
    ]


def test_line_ends_beyond_one_are_noise() -> None:
    assert summary(TELEGRAM + b"\0" * 100)[1] == ("noise", b"\0" * 100)


def test_a_bare_end_counts_at_the_start_of_a_line_only() -> None:
    with_mark = OLD_TELEGRAM.replace(b"OLD0001", b"OLD!\r")
    assert summary(OLD_TELEGRAM) == [("absent", OLD_TELEGRAM)]
    assert summary(with_mark) == [("absent", with_mark)]


def test_a_bare_end_counts_only_while_the_meter_has_sent_no_checksum() -> None:
    assert [verdict for verdict, _ in summary(TELEGRAM + OLD_TELEGRAM)] == ["valid", "truncated"]
    assert [verdict for verdict, _ in summary(OLD_TELEGRAM + TELEGRAM)] == ["absent", "valid"]


def test_without_checksum_a_restart_is_told_from_a_message() -> None:
    cut = OLD_TELEGRAM[:45]
    message = OLD_TELEGRAM.replace(b"1-0:1.7.0", b"0-0:96.13.0(read /ABC5 now)\r\n1-0:1.7.0")
    assert summary(cut + OLD_TELEGRAM) == [("truncated", cut), ("absent", OLD_TELEGRAM)]
    assert summary(message) == [("absent", message)]


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_telegram_has_at_most_11520_bytes(extra: int) -> None:
    size = MAX_TELEGRAM + extra - len(sealed(HEADER + b"0-0:96.13.0()\r\n" + LINES))
    one = sealed(HEADER + b"0-0:96.13.0(" + b"F" * size + b")\r\n" + LINES)
    assert len(one) == MAX_TELEGRAM + extra
    result = summary(one + TELEGRAM)
    assert result[-1] == ("valid", TELEGRAM)
    assert result[0][0] == ("too_long" if extra > 0 else "valid")


def test_what_follows_a_telegram_that_is_too_long_is_noise_up_to_the_next_start() -> None:
    long = HEADER + b"x" * MAX_TELEGRAM
    assert summary(long + TELEGRAM) == [
        ("too_long", long[:MAX_TELEGRAM]),
        ("noise", long[MAX_TELEGRAM:]),
        ("valid", TELEGRAM),
    ]


@pytest.mark.parametrize("place", range(MAX_TELEGRAM - 6, MAX_TELEGRAM + 3))
def test_a_start_at_the_limit_is_not_lost(place: int) -> None:
    long = HEADER + b"x" * (place - len(HEADER))
    assert summary(long + TELEGRAM)[-1] == ("valid", TELEGRAM)


def test_seven_bits_with_parity_are_recognised_and_stripped() -> None:
    assert events_of(parity.with_parity(OLD_TELEGRAM)) == [
        Telegram(0, len(OLD_TELEGRAM), OLD_TELEGRAM, "absent", 0)
    ]
    assert summary(parity.with_parity(OLD_TELEGRAM) + TELEGRAM)[1] == ("valid", TELEGRAM)


def test_parity_errors_are_counted() -> None:
    wire = bytearray(parity.with_parity(OLD_TELEGRAM))
    wire[40] ^= 0x04
    wire[60] ^= 0x80
    (event,) = events_of(bytes(wire))
    assert isinstance(event, Telegram)
    assert event.parity_errors == 2


def test_a_damaged_slash_does_not_hide_the_next_telegram_with_parity() -> None:
    one = parity.with_parity(OLD_TELEGRAM.replace(b"/TST5", b"/KMP5"))
    damaged = b"\x2f" + one[1:]
    assert summary(damaged + one)[-1] == ("absent", OLD_TELEGRAM.replace(b"/TST5", b"/KMP5"))


def test_encrypted_frames_are_opened() -> None:
    wire = frame(TELEGRAM)
    assert events_of(wire, cipher=Cipher(KEY)) == [Telegram(0, len(wire), TELEGRAM, "valid")]
    assert summary(b"\xdb" + wire + frame(telegram(7), 2), Cipher(KEY)) == [
        ("noise", b"\xdb"),
        ("valid", TELEGRAM),
        ("valid", telegram(7)),
    ]


def test_a_frame_that_cannot_be_opened_is_one_error() -> None:
    wire = frame(TELEGRAM)
    assert summary(wire) == [("decrypt", wire)]
    assert summary(wire, Cipher(bytes(16))) == [("decrypt", wire)]
    damaged = wire[:100] + bytes([wire[100] ^ 1]) + wire[101:]
    assert summary(damaged + wire, Cipher(KEY)) == [("decrypt", damaged), ("valid", TELEGRAM)]


@pytest.mark.parametrize("cut", [12, 13, 14, 18, 20, 100, -1])
def test_a_cut_frame_costs_only_itself(cut: int) -> None:
    wire = frame(TELEGRAM)
    result = summary(wire[:cut] + wire + frame(telegram(7), 2), Cipher(KEY))
    assert [data for verdict, data in result if verdict == "valid"] == [TELEGRAM, telegram(7)]


def test_a_cut_frame_does_not_swallow_plain_telegrams() -> None:
    result = summary(frame(TELEGRAM * 5)[:100] + telegram(1) + telegram(2) + telegram(3), Cipher(KEY))
    assert [data for verdict, data in result if verdict == "valid"] == [telegram(1), telegram(2), telegram(3)]


def test_a_frame_inside_a_telegram_is_opened() -> None:
    body = AESGCM(KEY).encrypt(bytes(12), LINES, b"\x30" + LUXEMBOURG_AUTHENTICATION_KEY)[:-4]
    embedded = HEADER + b"\0\x82" + (len(body) + 5).to_bytes(2, "big") + b"\x30\0\0\0\0" + body + b"!"
    checksum = X25.of(embedded)
    swapped = (checksum & 0xFF) << 8 | checksum >> 8
    wire = embedded + b"%04X\r\n" % swapped
    assert summary(wire, Cipher(KEY)) == [("valid", HEADER + LINES + b"!%04X\r\n" % swapped)]
    assert [verdict for verdict, _ in summary(wire + wire)] == ["decrypt", "decrypt"]


PIECES = st.sampled_from(
    [
        TELEGRAM,
        OLD_TELEGRAM,
        X25_TELEGRAM,
        parity.with_parity(OLD_TELEGRAM),
        frame(TELEGRAM),
        HEADER,
        b"!",
        b"!12",
        b"!1234\r\n",
        b"\r\n!\r\n",
        b"/ABC",
        b"/",
        b"\xdb\x08",
        b"\0",
        b"\xaf",
    ]
) | st.binary(max_size=30)
STREAMS = st.lists(
    PIECES | st.builds(lambda one, cut: one[:cut], PIECES, st.integers(0, 200)), max_size=12
).map(b"".join)


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 3000), max_size=20))
@settings(max_examples=400, deadline=None)
def test_any_chunks_give_the_same_events_and_every_byte_is_in_one(stream: bytes, cuts: list[int]) -> None:
    whole = events_of(stream, cipher=Cipher(KEY))
    assert b"".join(stream[event.offset : event.offset + event.size] for event in whole) == stream
    assert events_of(stream, size=1, cipher=Cipher(KEY)) == whole
    framer = Framer(Cipher(KEY))
    events: list[Event] = []
    for start, stop in itertools.pairwise([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]):
        events += framer.receive(stream[start:stop])
    assert merged(events + framer.silence()) == whole


@given(before=STREAMS, position=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=200, deadline=None)
def test_intact_telegrams_after_damage_are_accepted(before: bytes, position: int, bit: int) -> None:
    # A meter keeps to one kind of checksum.
    damaged = bytearray(before.replace(X25_TELEGRAM, TELEGRAM))
    if damaged:
        damaged[position % len(damaged)] ^= 1 << bit
    # A frame's header may claim what follows for as long as a frame can be.
    stream = bytes(damaged) + b"".join(telegram(number) for number in range(60))
    accepted = [
        event.data for event in events_of(stream) if isinstance(event, Telegram) and event.checksum == "valid"
    ]
    assert accepted[-40:] == [telegram(number) for number in range(20, 60)]


@pytest.mark.parametrize(
    "garbage", [b"x", b"/", b"!", b"!1\r", b"/ABC", b"/ABC!1\r", b"\xdb\x08", b"\xaf", b"\n!\r\n"]
)
def test_garbage_costs_constant_memory_and_the_next_telegram_is_accepted(garbage: bytes) -> None:
    framer = Framer()
    piece = garbage * (4096 // len(garbage))
    for _ in range(8):
        framer.receive(piece)
    tracemalloc.start()
    try:
        for _ in range(20):
            framer.receive(piece)
            assert framer.pending_bytes <= MAX_TELEGRAM + 100
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 1_500_000
    events = framer.receive(b"\r\n" + TELEGRAM) + framer.silence()
    assert TELEGRAM in [event.data for event in events if isinstance(event, Telegram)]


def test_a_start_inside_a_telegram_without_checksum_takes_no_longer_however_many_lines_follow() -> None:
    lines = b"".join(b"1-0:%d.8.1(%05d.123*kWh)\r\n" % (number, number) for number in range(200))
    # The second start makes the framer look which of both is well-formed; neither is.
    damaged = OLD_TELEGRAM[:40] + b"/ISk5\\2MT382-1003\r\n\r\n" + lines + b"0-0:96.1.0(4\x00\r\n!\r\n"
    events = Framer().receive(damaged + OLD_TELEGRAM)
    assert [event.data for event in events if isinstance(event, Telegram)][-1] == OLD_TELEGRAM
