"""What the framer makes of a stream of bytes. Every byte of the stream is in exactly one event."""

from __future__ import annotations

from typing import Literal, NamedTuple

Reason = Literal["crc", "truncated", "too_long", "malformed", "parity", "implausible", "decrypt"]
REASONS: tuple[Reason, ...] = (
    "crc",
    "truncated",
    "too_long",
    "malformed",
    "parity",
    "implausible",
    "decrypt",
)

Verdict = Literal["valid", "invalid", "absent"]


class Noise(NamedTuple):
    """Bytes outside telegrams.

    A run of noise comes in pieces, as it arrived; only their concatenation is independent of the chunks.
    """

    offset: int
    """Place of the first byte in the stream, counted from 0."""
    data: bytes

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.data)


class Telegram(NamedTuple):
    """A whole telegram whose checksum verifies, or that has none."""

    offset: int
    size: int
    """Bytes on the wire."""
    data: bytes
    """From ``/`` to the line end after the checksum: decrypted, and without parity bits."""
    checksum: Verdict
    parity_errors: int = 0
    """Characters whose parity bit was wrong; 0 for a meter that sends none."""


class Rejection(NamedTuple):
    """A telegram that began and came to nothing."""

    offset: int
    size: int
    data: bytes
    """As far as it came, without parity bits; encrypted if the meter encrypts."""
    reason: Reason
    checksum: Verdict = "absent"
    why: str = ""
    """More about the reason, in words, where there is more to say."""


Event = Noise | Telegram | Rejection
