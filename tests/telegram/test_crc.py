from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.telegram.crc import ARC, CHECKSUMS, X25, Checksum

POLYNOMIAL = {ARC.name: 0xA001, X25.name: 0x8408}


def bit_by_bit(checksum: Checksum, state: int, data: bytes) -> int:
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (POLYNOMIAL[checksum.name] if state & 1 else 0)
    return state


@pytest.mark.parametrize(
    ("checksum", "expected"), [(ARC, 0xBB3D), (X25, 0x906E)], ids=lambda c: getattr(c, "name", "")
)
def test_check_value_of_the_crc_catalogue(checksum: Checksum, expected: int) -> None:
    assert checksum.of(b"123456789") == expected


@given(checksum=st.sampled_from(CHECKSUMS), state=st.integers(0, 0xFFFF), data=st.binary(max_size=3000))
def test_advances_as_the_shift_register_does(checksum: Checksum, state: int, data: bytes) -> None:
    assert checksum.advance(state, data) == bit_by_bit(checksum, state, data)


@given(
    checksum=st.sampled_from(CHECKSUMS),
    before=st.binary(max_size=40),
    telegram=st.binary(max_size=40),
    other=st.binary(max_size=40),
)
def test_normalized_states_find_the_start_of_a_telegram(
    checksum: Checksum, before: bytes, telegram: bytes, other: bytes
) -> None:
    def origin(state: int, stream: bytes) -> int:
        return checksum.normalized(checksum.advance(0, stream) ^ state, len(stream))

    start = origin(checksum.initial, before)
    end = origin(checksum.of(telegram) ^ checksum.final, before + telegram)
    assert start == end
    if checksum.of(other) != checksum.of(telegram):
        assert origin(checksum.of(other) ^ checksum.final, before + telegram) != start
