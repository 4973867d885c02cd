"""Encrypted frames as Luxembourg's meters send them (Luxmetering E-Meter P1 specification 1.1.3, 3.2.5).

The keys are published examples, so that anybody can read the simulated meter; they protect nothing.
"""

from __future__ import annotations

from typing import Final

from p1_exporter.errors import UserError

KEY: Final = bytes(range(16))
"""The encryption key that the examples of the DLMS UA's "Green Book" use."""
AUTHENTICATION_KEY: Final = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
"""The key that Luxmetering prints in its specification, the same for all meters."""
_GENERAL_GLO_CIPHERING: Final = b"\xdb"
_ENCRYPTED_AND_AUTHENTICATED: Final = b"\x30"
_TAG_SIZE: Final = 12


def encrypted(telegram: bytes, seed: int, counter: int) -> bytes:
    """Return the frame that carries `telegram`.

    `seed` (32 bits) makes the system title, `counter` is that of the frame and must never repeat.

    Raises:
        UserError: The library cryptography is not installed.
    """
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - optional
    except ImportError as error:
        raise UserError(
            "an encrypted meter needs the Python library cryptography: install python3-cryptography, "
            "or p1-exporter[encrypted] with pip"
        ) from error
    title = b"SIM" + seed.to_bytes(5, "big")
    frame_counter = counter.to_bytes(4, "big")
    associated = _ENCRYPTED_AND_AUTHENTICATED + AUTHENTICATION_KEY
    sealed = AESGCM(KEY).encrypt(title + frame_counter, telegram, associated)
    # The library's tag has 16 bytes; a shorter one is its beginning (NIST SP 800-38D, 7.1).
    content = _ENCRYPTED_AND_AUTHENTICATED + frame_counter + sealed[: len(telegram) + _TAG_SIZE]
    length = b"\x82" + len(content).to_bytes(
        2, "big"
    )  # telegrams always need BER's form for lengths above 255
    return _GENERAL_GLO_CIPHERING + bytes([len(title)]) + title + length + content
