from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from p1_exporter.telegram.decoder import Decoded, Decoder
from tests.telegram.telegrams import (
    AMSTERDAM,
    AUSTRIAN,
    BELGIAN,
    FAILURES,
    HEADER,
    HUNGARIAN,
    LINES,
    LUXEMBOURG,
    OLD_TELEGRAM,
    POLISH,
    TELEGRAM,
    decoded,
    exported,
    problems,
    sealed,
    telegram,
    with_lines,
)


def decode(data: bytes) -> Decoded:
    return Decoder(AMSTERDAM).decode(data)


def facts(found: Decoded) -> object:
    """Return all that a decoded telegram holds, to compare."""
    lines = [(line.obis, line.raw, line.readings, line.malformed, line.device) for line in found.lines]
    return found.header, lines, found.malformed


def raw(found: Decoded) -> list[tuple[str, tuple[bytes, ...]]]:
    return [(line.obis, line.raw) for line in found.lines]


# Headers and lines.


def test_a_telegram_is_its_header_and_its_lines() -> None:
    found = decode(TELEGRAM)
    assert found.header == "TST5\\2M550T-1011"
    assert [line.obis for line in found.lines] == [
        "1-3:0.2.8",
        "0-0:1.0.0",
        "0-0:96.1.1",
        "1-0:1.8.1",
        "1-0:1.7.0",
        "0-1:24.1.0",
        "0-1:24.2.1",
    ]
    assert found.lines[-1].raw == (b"261123101000W", b"00123.456*m3")
    assert found.malformed == ()


@pytest.mark.parametrize(
    "header",
    [b"/TST5\\2M\r\n", b"/TST5\\2M\r\n\r\n", b"/TST5\\2M \r\n\r\n\r\n", b"/TST5\\2M\n\n", b"/TST5\\2M\r\r"],
)
def test_the_blank_line_after_the_header_may_be_missing_or_repeated(header: bytes) -> None:
    found = decode(header + b"1-0:1.7.0(00.345*kW)\r\n1-0:2.7.0(00.000*kW)\r\n!\r\n")
    assert found.header == "TST5\\2M"
    assert [line.obis for line in found.lines] == ["1-0:1.7.0", "1-0:2.7.0"]
    assert found.malformed == ()


@pytest.mark.parametrize(
    "header", [b"/HLY5/D545-METER", b"/NWA-WARMTELINK", b"/WSE5!Meter--- 1", b"/TST5\xe9\xff"]
)
def test_a_header_may_hold_nearly_anything(header: bytes) -> None:
    found = decode(sealed(header + b"\r\n\r\n1-0:1.7.0(00.345*kW)\r\n"))
    assert found.header == header[1:].decode("latin-1")
    assert len(found.lines) == 1


@pytest.mark.parametrize("end", [b"!\r\n", b"!ABCD\r\n", b"!b2f\r\n", b"!1\r\n", b"!ABCD\0\r\n", b"!ABCD\n"])
def test_the_ending_is_no_line(end: bytes) -> None:
    old = decode(OLD_TELEGRAM.removesuffix(b"!\r\n") + end)
    assert len(old.lines) == 4
    assert old.malformed == ()
    new = decode(HEADER + LINES + end)
    assert len(new.lines) == 7
    assert new.malformed == ()


@pytest.mark.parametrize(
    ("code", "obis"),
    [
        (b"1-0:1.7.0", "1-0:1.7.0"),
        (b"1-0:1.7.0*255", "1-0:1.7.0"),
        (b"1-0:1.7.0.255", "1-0:1.7.0"),
        (b"1-0:1.7.0  ", "1-0:1.7.0"),
        (b"0-0:C.1.0", "0-0:C.1.0"),
        (b"0-12:24.2.1", "0-12:24.2.1"),
        (b"255-255:255.255.255", "255-255:255.255.255"),
    ],
)
def test_a_code_is_shown_without_group_f(code: bytes, obis: str) -> None:
    assert raw(decoded(code + b"(text)")) == [(obis, (b"text",))]


def test_groups_may_be_empty_and_hold_parentheses() -> None:
    assert raw(decoded(b"1-0:99.9.9()(a)((ER11))(b)")) == [("1-0:99.9.9", (b"", b"a", b"(ER11)", b"b"))]


def test_stray_asterisks_and_blanks_between_groups_are_overlooked() -> None:
    assert raw(decoded(b"1-0:1.7.0(00.345*kW)* ()")) == [("1-0:1.7.0", (b"00.345*kW", b""))]
    assert exported(b"1-0:1.7.0(00.345*kW)* ()") == {"p1_power_import_watts": 345}


# Lines that go on.


def test_a_line_that_begins_with_a_group_continues_the_one_before() -> None:
    found = decode(OLD_TELEGRAM)
    assert raw(found)[-1] == (
        "0-1:24.3.0",
        (b"120517020000", b"08", b"60", b"1", b"0-1:24.2.1", b"m3", b"00124.477"),
    )


def test_a_group_may_go_on_over_lines() -> None:
    lines = (
        b"0-0:98.1.0",
        b"(",
        b"260701000000S)(00000",
        b"1.125*kWh)(000002.250*kWh",
        b")",
        b"1-0:1.7.0(00.345*kW)",
    )
    assert raw(decoded(*lines)) == [
        ("0-0:98.1.0", (b"260701000000S", b"000001.125*kWh", b"000002.250*kWh")),
        ("1-0:1.7.0", (b"00.345*kW",)),
    ]
    assert problems(*lines) == []


def test_a_message_may_go_on_over_lines() -> None:
    lines = (b"0-0:96.13.0(line one", b"/line two!", b"", b"three)", b"1-0:1.7.0(00.345*kW)")
    found = decoded(*lines)
    assert raw(found) == [
        ("0-0:96.13.0", (b"line one/line two!three",)),
        ("1-0:1.7.0", (b"00.345*kW",)),
    ]
    assert found.malformed == ()


def test_a_line_that_lost_its_end_does_not_swallow_its_neighbour() -> None:
    lines = (b"1-0:1.8.1(001234.5", b"1-0:1.8.2(000001.000*kWh)")
    assert exported(*lines) == {'p1_electricity_import_joules_total{tariff="2"}': 3_600_000}
    assert problems(*lines) == ["a parenthesis is missing"]


def test_nothing_continues_the_header() -> None:
    found = decode(b"/TST5(X\r\n(00124.477)\r\n1-0:1.7.0(00.345*kW)\r\n!\r\n")
    assert found.header == "TST5(X"
    assert [line.obis for line in found.lines] == ["1-0:1.7.0"]
    assert [one.line for one in found.malformed] == ["(00124.477)"]


# Messages and bytes.


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"21212F2F21",
        b"/TST5 slash! and (parentheses)",
        b"!1234",
        b"1-0:1.8.1",
        b"\xff" * 1024,
        b"41" * 1024,
        b"\x00\x01\x7f\x80",
    ],
)
def test_a_message_may_hold_nearly_anything_and_is_never_exported(message: bytes) -> None:
    lines = (b"0-0:96.13.0(" + message + b")", b"1-0:1.7.0(00.345*kW)")
    found = decoded(*lines)
    assert raw(found) == [("0-0:96.13.0", (message,)), ("1-0:1.7.0", (b"00.345*kW",))]
    assert found.malformed == ()
    assert exported(*lines) == {"p1_power_import_watts": 345}


# What cannot be read.


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello", "it does not begin with an OBIS code"),
        (b"F.F(00)", "it does not begin with an OBIS code"),
        (b"\xff1-0:1.7.0(00.345*kW)", "it does not begin with an OBIS code"),
        (b"1-0:1.7.0(00.345*kW", "a parenthesis is missing"),
        (b"1-0:1.7.0 00.345*kW)", "a parenthesis is missing"),
        (b"1-0:1.7.0", "no code followed by values in parentheses"),
        (b"1-0:1.7.0(00.345*kW)x", "no code followed by values in parentheses"),
        (b"1-0:1.7.0(1)x(2)", "no code followed by values in parentheses"),
        (b"1-0:1.7.0000(00.345*kW)", "no code followed by values in parentheses"),
    ],
)
def test_a_line_that_is_no_object_is_named_and_costs_nothing_else(line: bytes, why: str) -> None:
    found = decoded(b"1-0:2.7.0(00.001*kW)", line, b"1-0:1.8.0(000001.000*kWh)")
    assert [one.obis for one in found.lines] == ["1-0:2.7.0", "1-0:1.8.0"]
    assert [(one.line, one.why) for one in found.malformed] == [(line.decode("latin-1"), why)]


WHOLE = (*BELGIAN, *AUSTRIAN, FAILURES)


@settings(deadline=None)
@given(
    place=st.integers(0, len(WHOLE) - 1),
    bad=st.binary(max_size=40).filter(lambda text: not set(text) & set(b"\r\n()")),
)
@example(place=0, bad=b"1-0:1.7.0")
def test_one_bad_line_costs_none_of_the_others(place: int, bad: bytes) -> None:
    good = decoded(*WHOLE)
    found = decoded(*WHOLE[:place], bad, *WHOLE[place:])
    assert raw(found) == raw(good)
    assert [one.line for one in found.malformed] == ([bad.decode("latin-1")] if bad else [])


@settings(deadline=None)
@given(
    place=st.integers(0, len(WHOLE) - 1),
    group=st.binary(max_size=20).filter(lambda text: not set(text) & set(b"\r\n()")),
)
def test_one_bad_group_costs_none_of_the_other_lines(place: int, group: bytes) -> None:
    code = WHOLE[place].partition(b"(")[0]
    found = decoded(*WHOLE[:place], code + b"(" + group + b")", *WHOLE[place + 1 :])
    good = decoded(*WHOLE)
    others = [line.readings for number, line in enumerate(found.lines) if number != place]
    assert others == [line.readings for number, line in enumerate(good.lines) if number != place]


@pytest.mark.parametrize("lines", [BELGIAN, LUXEMBOURG, HUNGARIAN, AUSTRIAN, POLISH, (FAILURES,)])
def test_telegrams_of_all_countries_are_read_without_objection(lines: tuple[bytes, ...]) -> None:
    found = decoded(*lines)
    assert found.malformed == ()
    assert len(found.lines) == len(lines)


# Any bytes.


@settings(deadline=None)
@given(data=st.binary(max_size=300))
@example(data=b"")
@example(data=b"/")
@example(data=b"\r\n!")
@example(data=b"(" * 200)
@example(data=b"/TST5\r\n\r\n1-0:1.7.0" + b"(" * 200 + b")" * 200)
def test_no_bytes_raise(data: bytes) -> None:
    found = decode(data)
    assert all(line.raw for line in found.lines)
    assert all(one.why for one in found.malformed)


def test_a_telegram_may_be_cut_off_anywhere() -> None:
    whole = raw(decode(TELEGRAM))
    for cut in range(len(TELEGRAM)):
        arrived = TELEGRAM[:cut].count(b")\r\n")
        found = raw(decode(TELEGRAM[:cut]))
        assert found[:arrived] == whole[:arrived]
        assert len(found) <= arrived + 1


# The memory of the telegrams before.

FRAGMENTS = (
    *BELGIAN,
    *LUXEMBOURG,
    *HUNGARIAN,
    *POLISH,
    FAILURES,
    b"1-0:1.8.1(001234.567*kWh)",
    b"1-0:1.8.1(001234.568*kWh)",
    b"1-0:1.7.0(00.3x5*kW)",
    b"1-0:1.7.0(00.345*kW",
    b"0-0:1.0.0(261323101500W)",
    b"0-1:24.3.0(120517020000)(08)(60)(1)(0-1:24.2.1)(m3)",
    b"(00124.477)",
    b"hello",
    b"",
)
telegrams = st.builds(
    lambda lines, blank: with_lines(*lines, header=b"/TST5X\r\n" + blank),
    st.lists(
        st.sampled_from(FRAGMENTS) | st.binary(max_size=12).filter(lambda text: not set(text) & set(b"\r\n")),
        max_size=12,
    ),
    st.sampled_from([b"\r\n", b""]),
)


@settings(deadline=None)
@given(sequence=st.lists(telegrams, max_size=6))
def test_decoding_is_the_same_with_and_without_the_memory_of_earlier_telegrams(sequence: list[bytes]) -> None:
    decoder = Decoder(AMSTERDAM)
    assert [facts(decoder.decode(data)) for data in sequence] == [facts(decode(data)) for data in sequence]


def test_the_memory_stays_right_over_many_telegrams() -> None:
    decoder = Decoder(AMSTERDAM)
    for count in range(2000):
        found = decoder.decode(telegram(count))
        (power,) = found.lines[4].readings
        assert power.value == count
        assert len(found.lines) == 7


def test_the_memory_is_bounded() -> None:
    decoder = Decoder(AMSTERDAM)

    def growth(start: int) -> int:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(start, start + 1000):
            decoder.decode(with_lines(b"1-0:1.8.1(%06d.000*kWh)" % number, b"0-0:96.13.0(%040d)" % number))
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        growth(0)
        assert growth(1000) < 200_000
    finally:
        tracemalloc.stop()


def test_what_could_not_be_read_is_named_in_every_telegram_that_holds_it() -> None:
    decoder = Decoder(AMSTERDAM)
    bad = with_lines(b"1-0:1.7.0(00.3x5*kW)", b"1-0:1.8.1(001234.567*kWh)")
    for data, expected in ((bad, 1), (bad, 1), (TELEGRAM, 0), (bad, 1), (TELEGRAM, 0)):
        assert len(decoder.decode(data).malformed) == expected
