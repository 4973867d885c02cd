"""From bytes to judged telegrams: what begins when, and what is accepted.

`Reception` knows no clock and no port: it is given what arrives and when (seconds of a monotonic clock).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from p1_exporter.link.arrivals import Arrivals
from p1_exporter.telegram.acceptance import objection
from p1_exporter.telegram.decoder import Decoded, Decoder
from p1_exporter.telegram.events import Event, Noise, Reason, Rejection, Telegram
from p1_exporter.telegram.framer import Framer
from p1_exporter.telegram.plausibility import Plausibility, registers
from p1_exporter.telegram.samples import Samples, samples

if TYPE_CHECKING:
    from p1_exporter.telegram.cipher import Cipher

SILENCE_SECONDS: Final = 5.0
"""After so long without a byte, a telegram that has begun will not be finished."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """What it takes to understand a meter."""

    time_zone: str = "Europe/Amsterdam"
    max_power: float = 55_200.0
    """Bound of plausible readings, in watts."""
    cipher: Cipher | None = None
    identities: bool = False
    """Whether serial numbers may be exported."""


@dataclass(frozen=True)
class Accepted:
    """A telegram that was accepted; what is costly is worked out when it is asked for."""

    telegram: Telegram
    decoded: Decoded
    began: float
    """When its first byte arrived."""
    identities: bool = False

    @cached_property
    def samples(self) -> Samples:
        """Its samples."""
        return samples(self.decoded, identities=self.identities)

    @property
    def damaged(self) -> bool:
        """Whether lines of it cannot be read, though there is no checksum to say so."""
        return self.telegram.checksum == "absent" and bool(self.decoded.malformed)


class Refused(NamedTuple):
    """A telegram that was rejected."""

    event: Telegram | Rejection
    began: float
    reason: Reason
    why: str = ""
    """More about the reason, in words, where there is more to say."""


class Stray(NamedTuple):
    """Bytes outside telegrams."""

    noise: Noise
    began: float


Judged = Accepted | Refused | Stray


class Reception:
    """Judges the telegrams of one meter.

    Args of the constructor: `understanding`, what it takes to understand it.
    """

    def __init__(self, understanding: Understanding) -> None:
        self._understanding = understanding
        self._framer = Framer(understanding.cipher)
        self._decoder = Decoder(ZoneInfo(understanding.time_zone))
        self._plausibility = Plausibility(understanding.max_power)
        self._arrivals = Arrivals()
        self._last_byte = 0.0

    @property
    def pending_bytes(self) -> int:
        """Bytes that are not decided yet."""
        return self._framer.pending_bytes

    @property
    def pending(self) -> bool:
        """Whether a telegram has begun that is not decided yet."""
        return self._framer.pending

    @property
    def begun(self) -> tuple[int, float] | None:
        """Place in the stream and time of the beginning of the undecided telegram, if there is one."""
        offset = self._framer.pending_offset
        return None if offset is None else (offset, self._arrivals.at(offset))

    def understand(self, understanding: Understanding) -> None:
        """Go on with other settings. What was learned of the meter stays, unless it was learned by the old ones."""
        before, self._understanding = self._understanding, understanding
        if understanding.cipher is not before.cipher:
            self._framer = Framer(understanding.cipher, self._arrivals.size)
        if understanding.time_zone != before.time_zone:
            self._decoder = Decoder(ZoneInfo(understanding.time_zone))
        if understanding.max_power != before.max_power:
            self._plausibility = Plausibility(understanding.max_power)

    def received(self, data: bytes, now: float) -> list[Judged]:
        """Take bytes, the first of which arrived at `now`, after `passed` was called for that time."""
        self._last_byte = now
        self._arrivals.add(len(data), now)
        judged = self._judged(self._framer.receive(data))
        # What arrived before the first undecided byte is not asked for any more.
        self._arrivals.at(self._arrivals.size - self._framer.pending_bytes)
        return judged

    def passed(self, now: float) -> list[Judged]:
        """Take note of the time: what falls silent is not finished any more."""
        silent = self._framer.pending_bytes and now - self._last_byte >= SILENCE_SECONDS
        return self.silence() if silent else []

    def silence(self) -> list[Judged]:
        """Decide everything: nothing follows."""
        return self._judged(self._framer.silence())

    def _judged(self, events: list[Event]) -> list[Judged]:
        return [self._judge(event, self._arrivals.at(event.offset)) for event in events]

    def _judge(self, event: Event, began: float) -> Judged:
        if isinstance(event, Noise):
            return Stray(event, began)
        if isinstance(event, Rejection):
            return Refused(event, began, event.reason, event.why)
        decoded = self._decoder.decode(event.data)
        reason = objection(event, decoded)
        if reason:
            return Refused(event, began, reason)
        accepted = Accepted(event, decoded, began, self._understanding.identities)
        if event.checksum == "absent" and not self._plausible(accepted):
            return Refused(event, began, "implausible")
        return accepted

    def _plausible(self, accepted: Accepted) -> bool:
        found = registers(sample for line in accepted.samples.by_line for sample in line)
        return self._plausibility.accepts(found, accepted.began)
