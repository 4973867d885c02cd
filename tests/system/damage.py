"""What bad lines do to telegrams, seeded so that every run does the same."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def flip_a_bit(telegram: bytes, rng: random.Random) -> bytes:
    """Flip one bit, as noise on the line does."""
    place = rng.randrange(len(telegram))
    return telegram[:place] + bytes([telegram[place] ^ 1 << rng.randrange(8)]) + telegram[place + 1 :]


def drop_bytes(telegram: bytes, rng: random.Random) -> bytes:
    """Lose up to 32 bytes in a row, as a full FIFO does."""
    place = rng.randrange(len(telegram))
    return telegram[:place] + telegram[place + rng.randint(1, 32) :]


def drop_a_byte(telegram: bytes, rng: random.Random) -> bytes:
    """Lose one byte."""
    place = rng.randrange(len(telegram))
    return telegram[:place] + telegram[place + 1 :]


def insert_garbage(telegram: bytes, rng: random.Random) -> bytes:
    """Put up to 32 bytes of anything somewhere between two bytes."""
    place = rng.randint(0, len(telegram))
    return telegram[:place] + rng.randbytes(rng.randint(1, 32)) + telegram[place:]


def cut(telegram: bytes, rng: random.Random) -> bytes:
    """Send only the beginning, as when the data request is withdrawn, or only the end, as when it comes late."""
    place = rng.randrange(1, len(telegram))
    return telegram[:place] if rng.random() < 0.5 else telegram[place:]


class Damaged(NamedTuple):
    """A stream of telegrams on a bad line."""

    telegrams: list[bytes]
    """What came of each; perhaps nothing."""
    intact: int
    """How many telegrams are as they were sent."""
    valid: int
    """How many an exporter must accept: those, and the damaged ones that are valid all the same."""

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.telegrams)


def damage(
    telegrams: Sequence[bytes],
    harm: Callable[[bytes, random.Random], bytes],
    still_valid: Callable[[bytes, bytes], bool],
    seed: int,
) -> Damaged:
    """Damage half of the telegrams, chosen at random, so that there are runs of damaged ones and of good ones."""
    rng = random.Random(seed)
    chosen = set(rng.sample(range(len(telegrams)), len(telegrams) // 2))
    sent = [
        harm(telegram, rng) if number in chosen else telegram for number, telegram in enumerate(telegrams)
    ]
    valid = sum(
        number not in chosen or still_valid(telegram, came)
        for number, (telegram, came) in enumerate(zip(telegrams, sent, strict=True))
    )
    return Damaged(sent, len(telegrams) - len(chosen), valid)


def verifies(telegram: bytes, came: bytes) -> bool:
    """Whether what came of a telegram still holds all of it that its checksum is about.

    The digits of the checksum are a number, whether they are large or small letters, and of the line end after them
    one character is enough.
    """
    text, _, checksum = telegram.rstrip(b"\r\n").rpartition(b"!")
    return bool(re.search(re.escape(text + b"!") + b"(?i:" + checksum + rb")[\r\n\0]", came))
