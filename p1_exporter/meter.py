"""One meter: the thread that reads its port, frames, checks and decodes, and publishes what it knows.

The thread owns everything but the snapshot, which it replaces and never changes: whoever reads takes the newest,
and no lock is held while anything is parsed or rendered.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import structlog

from p1_exporter.errors import UserError
from p1_exporter.link.backoff import Backoff
from p1_exporter.link.port import Chunk, EndOfInput, Port, PortError, PortSettings, open_port
from p1_exporter.link.record import LinkRecord, LinkSnapshot, PortInfo
from p1_exporter.link.request import Demand
from p1_exporter.telegram.acceptance import objection
from p1_exporter.telegram.decoder import Decoded, Decoder
from p1_exporter.telegram.events import Event, Noise, Reason, Rejection, Telegram
from p1_exporter.telegram.framer import Framer
from p1_exporter.telegram.plausibility import Plausibility, registers
from p1_exporter.telegram.samples import MAX_OBIS_VALUES, Samples, samples

if TYPE_CHECKING:
    from p1_exporter.link.share import ShareServer
    from p1_exporter.telegram.cipher import Cipher

SILENCE_SECONDS: Final = 5.0
"""After so long without a byte, a telegram that has begun will not be finished."""

_CUT: Final = ("truncated", "crc")
"""What a telegram is rejected for that was cut at either end."""

_TICK_SECONDS: Final = 1.0
_HEARTBEAT_SECONDS: Final = 60.0
_TIME_RESOLUTION: Final = 0.005


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """How to read and understand one meter."""

    name: str
    port: PortSettings
    port_reason: str = ""
    """Why this port, if nobody named it."""
    time_zone: str = "Europe/Amsterdam"
    max_power: float = 55_200.0
    """Bound of plausible readings, in watts."""
    cipher: Cipher | None = None
    identities: bool = False
    """Whether serial numbers may be exported."""


@dataclass(frozen=True)
class AcceptedTelegram:
    """The newest accepted telegram; what is costly is worked out when it is asked for."""

    decoded: Decoded
    meter_time: float | None
    """The meter's clock in seconds since 1970 UTC, None where the telegram has none."""
    received: float
    """The system's clock when its first byte arrived."""
    identities: bool = False

    @cached_property
    def samples(self) -> Samples:
        """Its samples."""
        return samples(self.decoded, identities=self.identities)


@dataclass(frozen=True, slots=True)
class MeterSnapshot:
    """All that is known of a meter at one moment; immutable."""

    name: str
    link: LinkSnapshot
    telegram: AcceptedTelegram | None


class Meter:
    """Reads one meter, for ever.

    Args of the constructor: `settings`; `share`, the server that passes the meter's bytes on, if there is one.
    """

    def __init__(self, settings: MeterSettings, share: ShareServer | None = None) -> None:
        self.name = settings.name
        self._log = structlog.get_logger().bind(meter=settings.name)
        self._share = share
        self._settings = settings
        self._next_settings = settings
        self._record = LinkRecord(time.monotonic(), _port_info(settings))
        self._telegram: AcceptedTelegram | None = None
        self._framer = Framer(settings.cipher)
        self._decoder = Decoder(ZoneInfo(settings.time_zone))
        self._plausibility = Plausibility(settings.max_power)
        self._arrivals: deque[tuple[int, float]] = deque()
        self._stream = 0
        self._last_byte = 0.0
        self._last_count = 0.0
        self._trouble = ""
        self._why_rejected = ""
        self._stopping = False
        self._reopening = False
        self._wake = threading.Event()
        self._port: Port | None = None
        self._demand: Demand | None = None
        """None where there is no request line."""
        self._heartbeat = time.monotonic()
        self.snapshot = self._snapshot()
        """What is known now; replaced, never changed."""
        self._thread = threading.Thread(target=self._run, name=f"meter-{settings.name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread; wait at most `timeout` seconds for it."""
        self._stopping = True
        self._interrupt()
        self._thread.join(timeout)

    def reopen(self, settings: MeterSettings, share: ShareServer | None) -> None:
        """Close the port and open it again, with `settings`; every counter goes on."""
        self._share = share
        self._next_settings = settings
        self._reopening = True
        self._interrupt()

    def healthy(self) -> bool:
        """Whether the thread is alive and not stuck."""
        return self._thread.is_alive() and time.monotonic() - self._heartbeat < _HEARTBEAT_SECONDS

    def _interrupt(self) -> None:
        self._wake.set()
        port = self._port
        if port is not None:
            port.wake()

    # The thread.

    def _run(self) -> None:
        backoff = Backoff.for_port(self._settings.port.url)
        while not self._stopping:
            self._wake.clear()
            if self._reopening:
                self._reopening = False
                self._use(self._next_settings)
                backoff = Backoff.for_port(self._settings.port.url)
            try:
                with open_port(self._settings.port) as port:
                    self._opened(port)
                    self._read(port, backoff)
                    self._closed("closed")
            except PortError as error:
                self._failed(error)
            except UserError as error:
                self._failed(PortError("settings", str(error)))
            except EndOfInput:
                self._closed("end of the recording")
                self._wait(None)
                continue
            self._wait(backoff.next())

    def _use(self, settings: MeterSettings) -> None:
        """Take over new settings. What was learned of the meter stays, unless it was learned by the old ones."""
        if settings.cipher is not self._settings.cipher:
            self._framer = Framer(settings.cipher, self._stream)
            self._why_rejected = ""
        if settings.time_zone != self._settings.time_zone:
            self._decoder = Decoder(ZoneInfo(settings.time_zone))
        if settings.max_power != self._settings.max_power:
            self._plausibility = Plausibility(settings.max_power)
        self._settings = settings

    def _wait(self, seconds: float | None) -> None:
        """Wait before the next attempt, counting what is missed; None waits until somebody asks for it."""
        until = None if seconds is None else time.monotonic() + seconds
        while not (self._stopping or self._reopening):
            self._publish()
            left = _TICK_SECONDS if until is None else min(_TICK_SECONDS, until - time.monotonic())
            if left <= 0 or self._wake.wait(left):
                return

    def _read(self, port: Port, backoff: Backoff) -> None:
        while not (self._stopping or self._reopening):
            chunk = port.read(self._patience())
            if chunk is not None:
                # Not earlier: a busy serial server accepts every client, only to close the connection.
                backoff.reset()
                self._received(chunk)
            elif self._framer.pending_bytes and time.monotonic() - self._last_byte >= SILENCE_SECONDS:
                self._decided(self._framer.silence())
            self._ask(port)
            self._count(port)
            self._publish()

    def _patience(self) -> float:
        """Return how long to wait for bytes: no longer than until the request line is to be raised."""
        due = self._demand.due if self._demand else math.inf
        return min(_TICK_SECONDS, max(0.0, due - time.monotonic()))

    def _ask(self, port: Port) -> None:
        """Raise or release the request line, if it is time."""
        demand, now = self._demand, time.monotonic()
        if demand is None or demand.wanted(now, arriving=self._framer.pending) == demand.raised:
            return
        if not demand.raised:
            # What was cut when the line was released does not go on.
            self._decided(self._framer.silence())
        port.request(not demand.raised)
        demand.switched(now)
        self._record.requested(asserted=demand.raised)

    def _count(self, port: Port) -> None:
        """Ask what the driver counted, once a second; but go on asking until no byte waits, to see what others took."""
        now = time.monotonic()
        if now - self._last_count >= _TICK_SECONDS:
            counters = port.counters()
            # Asked last: what was counted before and is not read yet is waiting.
            waiting = port.bytes_waiting()
            self._record.counted(counters, waiting)
            if not waiting:
                self._last_count = now

    def _opened(self, port: Port) -> None:
        self._port = port
        settings = self._settings.port
        info = replace(
            _port_info(self._settings), driver=port.driver, baudrate=port.baudrate, format=port.format
        )
        asks = port.request_asserted is not None
        self._demand = Demand(time.monotonic(), settings.request_interval) if asks else None
        self._record.port_opened(
            info,
            request_asserted=port.request_asserted,
            line_errors_supported=port.line_errors_supported,
            counters=port.counters(),
        )
        self._trouble = ""
        reason = {"reason": self._settings.port_reason} if self._settings.port_reason else {}
        self._log.info("port open", port=settings.url, driver=port.driver, baudrate=port.baudrate, **reason)
        self._publish()

    def _closed(self, why: str) -> None:
        """Whatever was arriving stays unfinished."""
        self._port = None
        self._decided(self._framer.silence())
        self._record.port_closed()
        self._log.info("port closed", port=self._settings.port.url, reason=why)
        self._publish()

    def _failed(self, error: PortError) -> None:
        """The port is gone, or does not open: said once, until something changes."""
        self._port = None
        self._record.port_failed(error.reason)
        self._decided(self._framer.silence())
        self._record.port_closed()
        if str(error) != self._trouble:
            self._trouble = str(error)
            self._log.warning("port is not available, trying again", reason=error.reason, error=str(error))
        self._publish()

    # What arrives.

    def _received(self, chunk: Chunk) -> None:
        data, now = chunk.data, chunk.time
        if self._framer.pending_bytes and now - self._last_byte >= SILENCE_SECONDS:
            self._decided(self._framer.silence())
        self._last_byte = now
        share = self._share
        if share is not None:
            share.publish(data)
        if not self._arrivals or now - self._arrivals[-1][1] > _TIME_RESOLUTION:
            self._arrivals.append((self._stream, now))
        self._stream += len(data)
        self._record.received(len(data), now, chunk.marks)
        self._decided(self._framer.receive(data))
        # What arrived before the first undecided byte is not asked for any more.
        self._arrived(self._stream - self._framer.pending_bytes)
        offset = self._framer.pending_offset
        if offset is not None and not self._may_be_cut:
            self._record.begun(offset, self._arrived(offset))

    def _arrived(self, offset: int) -> float:
        """Return when the byte at `offset` of the stream arrived; arrivals before it are forgotten."""
        arrivals = self._arrivals
        while len(arrivals) > 1 and arrivals[1][0] <= offset:
            arrivals.popleft()
        return arrivals[0][1]

    @property
    def _may_be_cut(self) -> bool:
        """Whether the telegram that is arriving may be cut by the request line: it counts only if it is whole."""
        return self._demand is not None and self._demand.may_be_cut

    def _decided(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Noise):
                self._record.noise(event.size)
                continue
            began = self._arrived(event.offset)
            if isinstance(event, Rejection):
                self._rejected(event, began, event.reason, event.why)
            else:
                self._judge(event, began)

    def _rejected(self, event: Telegram | Rejection, began: float, reason: Reason, why: str = "") -> None:
        forgiven = self._may_be_cut and reason in _CUT
        if self._demand is not None:
            self._demand.decided(forgiven=forgiven)
        if forgiven:
            self._record.noise(event.size)
            return
        self._record.rejected(event.offset, event.size, began, reason)
        if reason == "decrypt" and why != self._why_rejected:
            self._why_rejected = why
            self._log.error(
                "an encrypted telegram cannot be read; further ones are only counted",
                error=why,
                hint="set the keys that your grid operator gave you: --meter.key-file, see the documentation",
            )

    def _judge(self, event: Telegram, began: float) -> None:
        decoded = self._decoder.decode(event.data)
        wall = time.time() - (time.monotonic() - began)
        telegram = AcceptedTelegram(decoded, _meter_time(decoded), wall, self._settings.identities)
        reason = objection(event, decoded)
        if reason:
            self._rejected(event, began, reason)
        elif event.checksum == "absent" and not self._plausible(telegram, began):
            self._rejected(event, began, "implausible")
        else:
            if self._demand is not None:
                self._demand.decided(forgiven=False)
            self._record.accepted(event.offset, event.size, began, wall)
            # Only a telegram with very many values can have more than are kept.
            many = sum(len(line.readings) for line in decoded.lines) > MAX_OBIS_VALUES
            self._record.values(
                malformed=len(decoded.malformed), dropped=telegram.samples.dropped if many else 0
            )
            self._telegram = telegram
            self._why_rejected = ""

    def _plausible(self, telegram: AcceptedTelegram, began: float) -> bool:
        found = registers(sample for line in telegram.samples.by_line for sample in line)
        return self._plausibility.accepts(found, began)

    # What others see.

    def _publish(self) -> None:
        self._heartbeat = time.monotonic()
        self._record.passed(self._heartbeat)
        self.snapshot = self._snapshot()

    def _snapshot(self) -> MeterSnapshot:
        pending = self._framer.pending and not self._may_be_cut
        link = self._record.snapshot(pending_bytes=self._framer.pending_bytes, pending=pending)
        return MeterSnapshot(self.name, link, self._telegram)


def _port_info(settings: MeterSettings) -> PortInfo:
    port = settings.port
    return PortInfo(
        port.url,
        baudrate=port.initial_baudrate,
        request_line=port.request_line,
        request_interval=port.request_interval,
    )


def _meter_time(decoded: Decoded) -> float | None:
    for line in decoded.lines:
        for reading in line.readings:
            if reading.name == "p1_meter_timestamp_seconds":
                return reading.value
    return None
