"""Encrypted telegrams: frames of DLMS general global ciphering, AES-128 in Galois/counter mode.

Luxembourg (P1 specification of the Smarty meter, 3.2.5) and Austria (Sagemcom T210-D-r) send only frames:

    DB 08 <system title, 8> <length, BER> <security> <frame counter, 4> <ciphertext> [<tag, 12>]

The length counts everything that follows it. The initialization vector is system title and counter.
Security 30 is encrypted and authenticated, and has the tag, over the security byte, the authentication key
and the ciphertext. Security 20 is encrypted only, and has no tag (DLMS UA 1000-2, security suite 0). The
plaintext is a telegram from ``/`` to the line end after its checksum. (In a frame that is authenticated only,
10, the telegram would stand in the clear: no frame need be opened to read it.)

Poland (Stoen Operator: Elgama GAMA 150 and 350, Kaifa MA309M) embeds a frame in a telegram:

    <header line> CR LF CR LF
    00 <length, BER> <security> <frame counter, 4> <ciphertext> <tag, 12>
    ! <checksum> CR LF

- Seen in captures (UtilitechAS/amsreader-firmware, issues 986, 1067, 1177, 1198; esphome/issues, 6500):
  system title empty, security 30, counter always 00000000; no line end before ``!``; in the ciphertext any
  byte, ``/``, ``!`` and LF too.
- Known because that firmware reads a GAMA 150 and an MA309M in this way: the initialization vector is twelve
  zero bytes; the plaintext is the object lines alone, without header, blank line and ``!``, the last line end
  included.
- Computed from the only complete capture, an MA309M's (issue 1067): the checksum is CRC-16/X-25 from ``/``
  up to and including ``!``, encrypted as on the wire, its low byte printed first. The GAMA's is not known.
- Assumed: the tag is made as in Luxembourg, with the authentication key that the operator issues. No report
  says that it was verified. The GAMA 350 of issue 1198 gave no text with its owner's key; why is not known.
"""

from __future__ import annotations

import enum
from typing import Final, Literal, NamedTuple

from p1_exporter.errors import P1Error, UserError

KEY_SIZE: Final = 16
"""Bytes of an AES-128 key."""

LUXEMBOURG_AUTHENTICATION_KEY: Final = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
"""Printed in Luxembourg's specification, meant to be the same for all meters there."""

MAX_FRAME_SIZE: Final = 11520
"""Bytes, header and tag included: a second's worth of characters at 115200 baud."""

MAX_HEADER_SIZE: Final = 18
"""Bytes in front of the ciphertext, at most."""

_TAG_SIZES: Final = {0x30: 12, 0x20: 0}

# The last byte of each is the length of the system title that follows.
_FRAME_START: Final = b"\xdb\x08"
_EMBEDDED_START: Final = b"\x00"

_BLANK_LINE: Final = b"\r\n\r\n"
_TITLE_SIZE: Final = 8
_COUNTER_SIZE: Final = 4

# The first byte of a BER length: below 80h the length itself, else how many bytes of length follow.
_LONG_FORM: Final = 0x80
_LONGEST_FORM: Final = 0x82

# GCM numbers its blocks; number 1 makes the tag, the ciphertext begins at number 2.
_FIRST_BLOCK: Final = (2).to_bytes(4, "big")


class CipherError(P1Error):
    """A frame that cannot be opened; the text is the reason."""


class CipherLibraryMissingError(UserError):
    """The optional library that knows AES is not installed."""


class Verdict(enum.Enum):
    """What `parse_header` says when there is no header to return yet."""

    NEED_MORE = enum.auto()


NEED_MORE: Final = Verdict.NEED_MORE
"""The bytes so far may become a header when more arrive."""


class FrameHeader(NamedTuple):
    """What stands in front of the ciphertext.

    `system_title` has 8 bytes, or none in an embedded frame; `counter` has 4. In bytes, `header_size` is
    everything up to the ciphertext, and `size` the whole frame with header and tag.
    """

    system_title: bytes
    security: int
    counter: bytes
    header_size: int
    size: int

    @property
    def initialization_vector(self) -> bytes:
        """The 12 bytes that, with the key, make the key stream; a missing system title counts as zeros."""
        return self.system_title.ljust(_TITLE_SIZE, b"\0") + self.counter


ParsedHeader = FrameHeader | Literal[Verdict.NEED_MORE] | None


def parse_header(data: bytes | bytearray, offset: int = 0) -> ParsedHeader:
    """Read the header of a frame that begins with ``DB 08`` at `offset`.

    Returns:
        The header; `NEED_MORE` if the bytes so far may become one; None if they cannot, or if what they say
        is implausible: a security byte other than 30 and 20, no ciphertext, more than `MAX_FRAME_SIZE`
        bytes. No further byte changes a header or a None.
    """
    return _plausible(_read_header(data, offset, _FRAME_START))


def parse_embedded_header(data: bytes | bytearray, offset: int = 0) -> ParsedHeader:
    """Read the header of an embedded frame, at the `offset` just after a telegram's blank line.

    Returns:
        As `parse_header`. A plain telegram has no 00 there, so its first byte already gives None.
    """
    return _plausible(_read_header(data, offset, _EMBEDDED_START))


def is_embedded(telegram: bytes) -> bool:
    """Tell whether a `telegram`, raw from ``/`` on, holds an encrypted frame in place of its object lines."""
    body = telegram.partition(_BLANK_LINE)[2]
    return telegram.startswith(b"/") and isinstance(parse_embedded_header(body), FrameHeader)


class Cipher:
    """Opens the frames of one meter.

    Args of the constructor: `encryption_key` and `authentication_key`, 16 bytes each, as the grid operator
    issues them; without the latter, Luxembourg's. With `check_tag` off the authentication key is not used,
    and a frame of the right shape always opens, whatever text the key gives: the telegram's own checksum is
    to judge. A real Smarty is reported to need that, the printed authentication key not being its own
    (ndokter/dsmr_parser, pull request 185). A frame of security 20 has no tag and opens in that way too.

    Raises:
        CipherLibraryMissingError: the library cryptography is not installed.
        UserError: a key of another length.
    """

    def __init__(
        self, encryption_key: bytes, authentication_key: bytes | None = None, *, check_tag: bool = True
    ) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.algorithms import (  # noqa: PLC0415 - optional, and 7 MiB large
                AES,
            )
        except ImportError as error:
            message = (
                "encrypted meters need the Python library 'cryptography': apt install python3-cryptography, "
                "or pip install 'p1-exporter[encrypted]'"
            )
            raise CipherLibraryMissingError(message) from error
        if authentication_key is None:
            authentication_key = LUXEMBOURG_AUTHENTICATION_KEY
        _check_key("encryption", encryption_key)
        _check_key("authentication", authentication_key)
        self._algorithm = AES(encryption_key)
        self._authentication_key = authentication_key
        self._check_tag = check_tag

    def open(self, frame: bytes) -> bytes:
        """Return the telegram in `frame`, which is one whole frame from ``DB 08`` to its last byte.

        Raises:
            CipherError: the frame cannot be opened. No bytes whatever raise anything else.
        """
        header = _known_header(_read_header(frame, 0, _FRAME_START))
        if len(frame) != header.size:
            raise CipherError(f"wrong length: {len(frame)} bytes where the header announces {header.size}")
        return self._decrypt(header, frame)

    def open_embedded(self, telegram: bytes) -> bytes:
        """Return `telegram`, raw from ``/`` to the end of its checksum line, with decrypted object lines.

        Header, blank line and ending are passed through. The checksum in that ending is, as far as is known,
        that of the raw telegram: it says nothing about what is returned.

        Raises:
            CipherError: the telegram cannot be opened. No bytes whatever raise anything else.
        """
        head, blank_line, body = telegram.partition(_BLANK_LINE)
        header = _known_header(_read_header(body, 0, _EMBEDDED_START))
        frame, ending = body[: header.size], body[header.size :]
        if not ending.startswith(b"!"):
            raise CipherError(f"wrong length: no '!' after the {header.size} bytes that the header announces")
        return head + blank_line + self._decrypt(header, frame) + ending

    def _decrypt(self, header: FrameHeader, frame: bytes) -> bytes:
        """Return the plaintext of `frame`, after its tag, if it has one to be checked."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - optional, see the constructor
        from cryptography.hazmat.primitives import ciphers  # noqa: PLC0415 - optional, see the constructor
        from cryptography.hazmat.primitives.ciphers import modes  # noqa: PLC0415 - optional, see the constructor

        tag_at = header.size - _TAG_SIZES[header.security]
        ciphertext, tag = frame[header.header_size : tag_at], frame[tag_at:]
        if not (tag and self._check_tag):
            counter_mode = modes.CTR(header.initialization_vector + _FIRST_BLOCK)
            return ciphers.Cipher(self._algorithm, counter_mode).decryptor().update(ciphertext)
        galois_mode = modes.GCM(header.initialization_vector, tag, min_tag_length=len(tag))
        decryptor = ciphers.Cipher(self._algorithm, galois_mode).decryptor()
        decryptor.authenticate_additional_data(bytes([header.security]) + self._authentication_key)
        try:
            return decryptor.update(ciphertext) + decryptor.finalize()
        except InvalidTag as error:
            message = (
                "the tag does not verify: wrong encryption key, wrong authentication key or a damaged frame "
                "(which of them cannot be told)"
            )
            raise CipherError(message) from error


def _read_header(data: bytes | bytearray, offset: int, start: bytes) -> ParsedHeader:
    """Read a header that begins with `start` at `offset`, whatever security and size it announces."""
    head = bytes(data[offset : offset + MAX_HEADER_SIZE])
    if not head.startswith(start):
        return NEED_MORE if start.startswith(head) else None
    title_end = len(start) + start[-1]
    if len(head) <= title_end:
        return NEED_MORE
    length = head[title_end]
    if length == _LONG_FORM or length > _LONGEST_FORM:
        return None
    length_end = title_end + 1
    if length > _LONG_FORM:
        length_end += length - _LONG_FORM
        length = int.from_bytes(head[title_end + 1 : length_end], "big")
    header_size = length_end + 1 + _COUNTER_SIZE
    if len(head) < header_size:
        return NEED_MORE
    return FrameHeader(
        system_title=head[len(start) : title_end],
        security=head[length_end],
        counter=head[length_end + 1 : header_size],
        header_size=header_size,
        size=length_end + length,
    )


def _plausible(header: ParsedHeader) -> ParsedHeader:
    """Replace a `header` that announces what no meter sends by None."""
    return None if isinstance(header, FrameHeader) and _objection(header) else header


def _known_header(header: ParsedHeader) -> FrameHeader:
    """Return `header` if it is one that can be dealt with, else raise CipherError."""
    if not isinstance(header, FrameHeader):
        raise CipherError("no header of an encrypted frame where there should be one")
    if objection := _objection(header):
        raise CipherError(objection)
    return header


def _objection(header: FrameHeader) -> str:
    """Return why no meter sends such a frame, or nothing."""
    if header.security not in _TAG_SIZES:
        return f"unsupported security byte {header.security:02X}: only 30 and 20 are known"
    shortest = header.header_size + 1 + _TAG_SIZES[header.security]
    if not shortest <= header.size <= MAX_FRAME_SIZE:
        return f"wrong length: {header.size} bytes, not {shortest} to {MAX_FRAME_SIZE}"
    return ""


def _check_key(name: str, key: bytes) -> None:
    """Raise UserError unless `key` can be an AES-128 key; its digits stay out of the message."""
    if len(key) != KEY_SIZE:
        raise UserError(
            f"the {name} key has {len(key)} bytes, but needs {KEY_SIZE}: {2 * KEY_SIZE} hexadecimal digits"
        )
