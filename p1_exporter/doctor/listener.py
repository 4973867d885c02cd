"""Listens to a line: frames what arrives, judges the telegrams, and watches the link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from p1_exporter.link.arrivals import Arrivals
from p1_exporter.link.watch import LinkWatch
from p1_exporter.telegram.acceptance import objection
from p1_exporter.telegram.decoder import Decoder
from p1_exporter.telegram.events import Noise, Rejection, Telegram
from p1_exporter.telegram.framer import Framer

if TYPE_CHECKING:
    from p1_exporter.link.counters import Counters
    from p1_exporter.link.evidence import Evidence, Line
    from p1_exporter.link.port import Chunk
    from p1_exporter.telegram.cipher import Cipher
    from p1_exporter.telegram.events import Event, Reason

SILENCE_SECONDS: Final = 5.0
"""After so long without a byte, a telegram that has begun will not be finished."""


class Listener:
    """Listens to one line.

    Args of the constructor: `now`, the time; `line`, what is known of it; `kept_bytes`, how much of what arrives is
    looked at in the end; `cipher` for encrypted meters.
    """

    def __init__(self, now: float, line: Line, kept_bytes: int, cipher: Cipher | None = None) -> None:
        self.watch = LinkWatch(now, line, kept_bytes)
        self.accepted = 0
        self.rejected = 0
        self._framer = Framer(cipher)
        # Times of the meter's clock are of no interest here.
        self._decoder = Decoder(ZoneInfo("UTC"))
        self._arrivals = Arrivals()
        self._last_byte = now

    def received(self, chunk: Chunk) -> None:
        """A read gave something."""
        self.passed(chunk.time)
        self._last_byte = chunk.time
        self._arrivals.add(len(chunk.data), chunk.time)
        self.watch.received(chunk)
        self._decided(self._framer.receive(chunk.data))

    def counted(self, now: float, counters: Counters) -> None:
        """The driver said what it counted."""
        self.watch.counted(now, counters)

    def passed(self, now: float) -> None:
        """Time passed."""
        if self._framer.pending_bytes and now - self._last_byte >= SILENCE_SECONDS:
            self._decided(self._framer.silence())

    def finish(self, now: float) -> Evidence:
        """Return the evidence on all that was heard; nothing more will come."""
        self.passed(now)
        return self.watch.all_evidence(now)

    def _decided(self, events: list[Event]) -> None:
        for event in events:
            began = self._arrivals.at(event.offset)
            if isinstance(event, Noise):
                self.watch.noise(event.data, began)
                continue
            reason = self._why_rejected(event)
            if reason:
                self.rejected += 1
                self.watch.rejected(event, began, reason)
            elif isinstance(event, Telegram):
                self.accepted += 1
                self.watch.accepted(event, began)

    def _why_rejected(self, event: Telegram | Rejection) -> Reason | None:
        if isinstance(event, Rejection):
            return event.reason
        decoded = self._decoder.decode(event.data)
        # Where no checksum tells of damage, lines that cannot be read do.
        damaged = event.checksum == "absent" and decoded.malformed
        return "malformed" if damaged else objection(event, decoded)
