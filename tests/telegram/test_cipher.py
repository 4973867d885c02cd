from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.errors import UserError
from p1_exporter.telegram.cipher import (
    LUXEMBOURG_AUTHENTICATION_KEY,
    MAX_FRAME_SIZE,
    MAX_HEADER_SIZE,
    NEED_MORE,
    Cipher,
    CipherError,
    CipherLibraryMissingError,
    FrameHeader,
    is_embedded,
    parse_embedded_header,
    parse_header,
)
from p1_exporter.telegram.crc import ARC

KEY = bytes.fromhex("8F1D2C3B4A5968778695A4B3C2D1E0FF")
GAK = bytes.fromhex("00102030405060708090A0B0C0D0E0F1")
TITLE = b"TST5\x01\x02\x03\x04"
COUNTER = bytes.fromhex("0012D687")
BOTH, ENCRYPTED = 0x30, 0x20
TAG_SIZE = 12

HEADER_LINE = b"/TST5CIPHER-1\r\n\r\n"
LINES = (
    b"1-3:0.2.8(50)\r\n0-0:1.0.0(250704121500S)\r\n1-0:1.8.0(001234.567*kWh)\r\n"
    b"1-0:2.8.0(000089.012*kWh)\r\n1-0:1.7.0(00.345*kW)\r\n1-0:2.7.0(00.000*kW)\r\n"
    b"1-0:3.8.0(000012.340*kvarh)\r\n1-0:4.8.0(000056.780*kvarh)\r\n0-0:96.13.0(21212F2F21)\r\n"
)
TELEGRAM = HEADER_LINE + LINES + b"!%04X\r\n" % ARC.of(HEADER_LINE + LINES + b"!")

SECURITY_AT = 13
"""Place of the security byte in a frame whose length takes three bytes, as that of `TELEGRAM` does."""


def ber(length: int, form: int) -> bytes:
    """Write `length` in as many bytes as `form` says: 0 for the short form, else 1 or 2 after the first."""
    return bytes([0x80 | form]) + length.to_bytes(form, "big") if form else bytes([length])


def sealed(
    text: bytes,
    *,
    authentication_key: bytes = LUXEMBOURG_AUTHENTICATION_KEY,
    security: int = BOTH,
    start: bytes = b"\xdb\x08" + TITLE,
    form: int | None = None,
) -> bytes:
    title = start[2:] or bytes(8)
    content = AESGCM(KEY).encrypt(title + COUNTER, text, bytes([security]) + authentication_key)
    content = content[: len(text) + (TAG_SIZE if security == BOTH else 0)]
    length = 1 + len(COUNTER) + len(content)
    if form is None:
        form = (length >= 0x80) + (length >= 0x100)
    return start + ber(length, form) + bytes([security]) + COUNTER + content


def embedded(lines: bytes = LINES, *, security: int = BOTH) -> bytes:
    return HEADER_LINE + sealed(lines, security=security, start=b"\x00") + b"!D770\r\n"


class TestHeader:
    @pytest.mark.parametrize(
        ("text_size", "form", "header_size"),
        [(1, 0, 16), (110, 0, 16), (111, 1, 17), (238, 1, 17), (239, 2, 18), (11000, 2, 18), (40, 2, 18)],
    )
    @pytest.mark.parametrize("security", [BOTH, ENCRYPTED])
    def test_tells_title_security_counter_and_sizes_for_every_form_of_length(
        self, text_size: int, form: int, header_size: int, security: int
    ) -> None:
        frame = sealed(b"x" * text_size, security=security, form=form)

        assert parse_header(frame) == FrameHeader(TITLE, security, COUNTER, header_size, len(frame))

    def test_is_found_at_an_offset_in_a_longer_buffer(self) -> None:
        frame = sealed(TELEGRAM)

        header = parse_header(bytearray(b"noise" + frame + b"more noise"), 5)

        assert isinstance(header, FrameHeader)
        assert header.size == len(frame)

    @pytest.mark.parametrize("form", [0, 1, 2])
    def test_needs_more_at_every_byte_short_of_a_header_and_then_never_changes(self, form: int) -> None:
        frame = sealed(b"x" * 60, form=form)
        whole = parse_header(frame)
        assert isinstance(whole, FrameHeader)

        verdicts = [parse_header(frame[:size]) for size in range(len(frame) + 1)]

        assert verdicts[: whole.header_size] == [NEED_MORE] * whole.header_size
        assert set(verdicts[whole.header_size :]) == {whole}

    @given(data=st.binary(max_size=24) | st.binary(max_size=16).map(lambda rest: b"\xdb\x08" + TITLE + rest))
    def test_verdict_on_a_prefix_holds_for_the_whole(self, data: bytes) -> None:
        whole = parse_header(data)

        for size in range(len(data)):
            verdict = parse_header(data[:size])
            assert verdict in (whole, NEED_MORE)

    @given(rest=st.binary(min_size=MAX_HEADER_SIZE, max_size=MAX_HEADER_SIZE + 4))
    def test_eighteen_bytes_are_always_enough(self, rest: bytes) -> None:
        assert parse_header(b"\xdb\x08" + rest) is not NEED_MORE
        assert parse_embedded_header(b"\x00" + rest) is not NEED_MORE

    @pytest.mark.parametrize(
        "data",
        [
            b"/TST5",
            b"\xdb\x07",
            b"\xdc\x08",
            b"\xdb\x08" + TITLE + b"\x80",
            b"\xdb\x08" + TITLE + b"\x83",
            b"\xdb\x08" + TITLE + b"\xff",
            b"\xdb\x08" + TITLE + ber(40, 0) + b"\x10" + COUNTER,
            b"\xdb\x08" + TITLE + ber(40, 0) + b"\x31" + COUNTER,
            b"\xdb\x08" + TITLE + ber(40, 0) + b"\x00" + COUNTER,
        ],
    )
    def test_what_no_meter_sends_is_no_header(self, data: bytes) -> None:
        assert parse_header(data) is None

    @pytest.mark.parametrize(
        ("security", "shortest"), [(BOTH, 1 + len(COUNTER) + 1 + TAG_SIZE), (ENCRYPTED, 1 + len(COUNTER) + 1)]
    )
    def test_announces_one_byte_of_text_at_least(self, security: int, shortest: int) -> None:
        def announcing(length: int) -> bytes:
            return b"\xdb\x08" + TITLE + ber(length, 0) + bytes([security]) + COUNTER

        assert isinstance(parse_header(announcing(shortest)), FrameHeader)
        assert parse_header(announcing(shortest - 1)) is None

    def test_announces_a_frame_of_the_greatest_size_at_most(self) -> None:
        def announcing(size: int) -> bytes:
            return b"\xdb\x08" + TITLE + ber(size - 13, 2) + bytes([BOTH]) + COUNTER

        header = parse_header(announcing(MAX_FRAME_SIZE))

        assert isinstance(header, FrameHeader)
        assert header.size == MAX_FRAME_SIZE
        assert parse_header(announcing(MAX_FRAME_SIZE + 1)) is None


class TestOpening:
    def test_example_of_the_dlms_green_book_opens(self) -> None:
        frame = bytes.fromhex(
            "DB08 4D4D4D0000BC614E 1E 30 01234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B"
        )
        cipher = Cipher(bytes(range(0x10)), bytes(range(0xD0, 0xE0)))

        assert cipher.open(frame) == bytes.fromhex("C0010000080000010000FF0200")

    @pytest.mark.parametrize("text", [b"/", TELEGRAM[:111], TELEGRAM, TELEGRAM * 40], ids=len)
    @pytest.mark.parametrize("security", [BOTH, ENCRYPTED])
    @pytest.mark.parametrize("check_tag", [True, False])
    def test_gives_the_text_back_for_every_size_and_security(
        self, text: bytes, security: int, *, check_tag: bool
    ) -> None:
        assert Cipher(KEY, check_tag=check_tag).open(sealed(text, security=security)) == text

    @pytest.mark.parametrize("form", [0, 1, 2])
    def test_gives_the_text_back_for_every_form_of_length(self, form: int) -> None:
        assert Cipher(KEY).open(sealed(b"/TST5", form=form)) == b"/TST5"

    def test_operators_own_authentication_key_is_used(self) -> None:
        frame = sealed(TELEGRAM, authentication_key=GAK)

        assert Cipher(KEY, GAK).open(frame) == TELEGRAM
        with pytest.raises(CipherError, match="wrong authentication key"):
            Cipher(KEY).open(frame)

    def test_wrong_encryption_key_is_an_error(self) -> None:
        with pytest.raises(CipherError, match=r"wrong encryption key.* or a damaged frame"):
            Cipher(GAK).open(sealed(TELEGRAM))

    def test_without_tag_check_the_authentication_key_does_not_matter(self) -> None:
        assert Cipher(KEY, check_tag=False).open(sealed(TELEGRAM, authentication_key=GAK)) == TELEGRAM

    def test_without_tag_check_a_wrong_key_gives_another_text_of_the_same_size(self) -> None:
        text = Cipher(GAK, check_tag=False).open(sealed(TELEGRAM))

        assert text != TELEGRAM
        assert len(text) == len(TELEGRAM)

    @pytest.mark.parametrize("mask", [0x01, 0x10, 0x80, 0xFF])
    def test_a_flip_anywhere_is_an_error(self, mask: int) -> None:
        frame = sealed(TELEGRAM)
        cipher = Cipher(KEY)

        for place in range(len(frame)):
            damaged = bytearray(frame)
            damaged[place] ^= mask
            if damaged[SECURITY_AT] == ENCRYPTED:
                continue  # it says that it has no tag: a test of its own, below
            with pytest.raises(CipherError):
                cipher.open(bytes(damaged))

    @pytest.mark.parametrize("mask", [0x01, 0x10, 0x80, 0xFF])
    def test_without_tag_check_a_flip_outside_the_tag_is_an_error_or_changes_the_text(
        self, mask: int
    ) -> None:
        frame = sealed(TELEGRAM)
        cipher = Cipher(KEY, check_tag=False)

        for place in range(len(frame) - TAG_SIZE):
            damaged = bytearray(frame)
            damaged[place] ^= mask
            try:
                text = cipher.open(bytes(damaged))
            except CipherError:
                continue
            assert text != TELEGRAM

    def test_a_frame_whose_security_turned_into_encrypted_only_opens_with_its_tag_as_foreign_text(
        self,
    ) -> None:
        frame = bytearray(sealed(TELEGRAM))
        frame[SECURITY_AT] = ENCRYPTED

        text = Cipher(KEY).open(bytes(frame))

        assert text.startswith(TELEGRAM)
        assert len(text) == len(TELEGRAM) + TAG_SIZE

    def test_a_frame_that_lost_bytes_or_got_foreign_ones_has_the_wrong_length(self) -> None:
        frame = sealed(TELEGRAM)

        for wrong in (frame[:-1], frame[: MAX_HEADER_SIZE + 1], frame + b"\r"):
            with pytest.raises(CipherError, match=rf"wrong length: {len(wrong)} .* {len(frame)}"):
                Cipher(KEY).open(wrong)

    @pytest.mark.parametrize("length", [5, 17])
    def test_a_frame_without_text_has_the_wrong_length(self, length: int) -> None:
        frame = b"\xdb\x08" + TITLE + ber(length, 0) + bytes([BOTH]) + COUNTER + bytes(length - 5)

        with pytest.raises(CipherError, match="wrong length"):
            Cipher(KEY).open(frame)

    @pytest.mark.parametrize("security", [0x00, 0x10, 0x31, 0xB0])
    def test_another_security_byte_is_named(self, security: int) -> None:
        frame = bytearray(sealed(TELEGRAM))
        frame[SECURITY_AT] = security

        with pytest.raises(CipherError, match=f"unsupported security byte {security:02X}"):
            Cipher(KEY).open(bytes(frame))

    @pytest.mark.parametrize("data", [b"", b"\xdb", TELEGRAM, sealed(TELEGRAM)[:17]])
    def test_what_is_no_frame_is_an_error(self, data: bytes) -> None:
        with pytest.raises(CipherError, match="no header"):
            Cipher(KEY).open(data)

    @given(
        data=st.binary(max_size=80)
        | st.binary(max_size=80).map(lambda rest: b"\xdb\x08" + TITLE + rest)
        | st.binary(min_size=5, max_size=80).map(lambda rest: b"\xdb\x08" + TITLE + ber(len(rest), 0) + rest),
        check_tag=st.booleans(),
    )
    def test_no_bytes_raise_anything_else(self, data: bytes, *, check_tag: bool) -> None:
        for opened in (Cipher(KEY, check_tag=check_tag).open, Cipher(KEY, check_tag=check_tag).open_embedded):
            with suppress(CipherError):
                assert isinstance(opened(data), bytes)


class TestEmbeddedFrame:
    @pytest.mark.parametrize("security", [BOTH, ENCRYPTED])
    @pytest.mark.parametrize("check_tag", [True, False])
    def test_object_lines_come_back_between_header_and_ending(
        self, security: int, *, check_tag: bool
    ) -> None:
        cipher = Cipher(KEY, check_tag=check_tag)

        assert cipher.open_embedded(embedded(security=security)) == HEADER_LINE + LINES + b"!D770\r\n"

    def test_counter_of_zeros_gives_an_initialization_vector_of_zeros(self) -> None:
        header = parse_embedded_header(bytes.fromhex("00 82028F 30 00000000"))

        assert header == FrameHeader(b"", BOTH, bytes(4), 9, 4 + 0x28F)
        assert isinstance(header, FrameHeader)
        assert header.initialization_vector == bytes(12)

    def test_header_is_found_just_after_the_blank_line(self) -> None:
        telegram = embedded()
        at = len(HEADER_LINE)

        header = parse_embedded_header(telegram, at)

        assert isinstance(header, FrameHeader)
        assert telegram[at + header.size :] == b"!D770\r\n"
        for size in range(at, at + header.header_size):
            assert parse_embedded_header(telegram[:size], at) is NEED_MORE

    def test_text_with_line_ends_and_exclamation_marks_in_the_ciphertext_comes_back(self) -> None:
        key_stream = embedded(bytes(40))[len(HEADER_LINE) + 7 :][:40]
        wanted = (b"\r\n\r\n!0000\r\n/TST5\r\n\r\n" * 2)[:40]
        text = bytes(stream ^ byte for stream, byte in zip(key_stream, wanted, strict=True))
        telegram = embedded(text)
        assert wanted in telegram

        assert Cipher(KEY).open_embedded(telegram) == HEADER_LINE + text + b"!D770\r\n"

    def test_is_told_from_a_plain_telegram(self) -> None:
        assert is_embedded(embedded())
        assert not is_embedded(TELEGRAM)
        assert not is_embedded(HEADER_LINE)
        assert not is_embedded(b"")
        assert not is_embedded(embedded()[1:])
        assert not is_embedded(HEADER_LINE + b"\x00" + TELEGRAM)

    def test_plain_telegram_does_not_open(self) -> None:
        with pytest.raises(CipherError, match="no header"):
            Cipher(KEY).open_embedded(TELEGRAM)

    def test_wrong_key_is_an_error(self) -> None:
        with pytest.raises(CipherError, match="wrong encryption key"):
            Cipher(GAK).open_embedded(embedded())

    def test_lost_and_foreign_bytes_are_a_wrong_length(self) -> None:
        telegram = embedded()
        middle = len(HEADER_LINE) + 50

        for wrong in (
            telegram[:middle] + telegram[middle + 1 :],
            telegram[:middle] + b"U" + telegram[middle:],
        ):
            assert is_embedded(wrong)
            with pytest.raises(CipherError, match="wrong length: no '!' after"):
                Cipher(KEY).open_embedded(wrong)

    def test_a_flip_in_the_frame_is_an_error(self) -> None:
        telegram = embedded()
        for place in range(len(HEADER_LINE), telegram.rindex(b"!")):
            damaged = bytearray(telegram)
            damaged[place] ^= 0x04
            with pytest.raises(CipherError):
                Cipher(KEY).open_embedded(bytes(damaged))

    @given(
        body=st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: ber(len(rest), 0) + rest + b"!")
    )
    def test_no_bytes_raise_anything_else(self, body: bytes) -> None:
        telegram = HEADER_LINE + b"\x00" + body
        with suppress(CipherError):
            assert Cipher(KEY, check_tag=False).open_embedded(telegram).startswith(HEADER_LINE)


class TestSetUp:
    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ((KEY[:15],), "encryption key has 15 bytes"),
            ((KEY.hex().encode(),), "encryption key has 32 bytes"),
            ((KEY, b""), "authentication key has 0 bytes"),
        ],
    )
    def test_a_key_of_another_length_is_the_users_error_and_not_shown(
        self, keys: tuple[bytes, ...], message: str
    ) -> None:
        with pytest.raises(UserError, match=message) as caught:
            Cipher(*keys)

        assert KEY.hex()[:8] not in str(caught.value)

    def test_missing_library_is_an_error_that_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "cryptography", None)

        with pytest.raises(CipherLibraryMissingError) as caught:
            Cipher(KEY)

        assert isinstance(caught.value, UserError)
        assert "apt install python3-cryptography" in str(caught.value)
        assert "pip install 'p1-exporter[encrypted]'" in str(caught.value)

    def test_reading_headers_needs_no_library(self) -> None:
        script = (
            "import sys; sys.modules['cryptography'] = None\n"
            "from p1_exporter.telegram.cipher import parse_header\n"
            f"print(parse_header(bytes.fromhex('{sealed(TELEGRAM).hex()}')).size)"
        )

        result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)

        assert int(result.stdout) == len(sealed(TELEGRAM))
