"""One meter: the thread that reads its port, judges and decodes, and publishes what it knows.

The thread owns everything but the snapshot, which it replaces and never changes: whoever reads takes the newest,
and no lock is held while anything is parsed or rendered.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from p1_exporter.errors import UserError
from p1_exporter.link.backoff import Backoff
from p1_exporter.link.circuits import Circuit, usual_circuit
from p1_exporter.link.detect import RateSearch
from p1_exporter.link.line import Line
from p1_exporter.link.port import Chunk, EndOfInput, Port, PortError, PortSettings, open_port
from p1_exporter.link.reception import Accepted, Judged, Reception, Refused, Stray, Understanding
from p1_exporter.link.record import LinkRecord, LinkSnapshot, PortInfo
from p1_exporter.link.request import Demand
from p1_exporter.link.watch import LinkWatch, WatchSnapshot
from p1_exporter.telegram.samples import MAX_OBIS_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable

    from p1_exporter.link.share import ShareServer

_CUT: Final = ("truncated", "crc")
"""What a telegram is rejected for that was cut at either end."""

_TICK_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 60.0
"""The longest that a turn of the thread can take: the kernel closes a port 30 s late where it waits for a driver, and
to set an adapter's speed takes a driver up to 5 s for each of a few messages."""
_OPENING_SECONDS: Final = 180.0
"""The same while a port is opened: a resolver looks 2 minutes for a name, and each of its addresses may take 5 s."""


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """How to read and understand one meter."""

    name: str
    port: PortSettings
    port_reason: str = ""
    """Why this port, if nobody named it."""
    locate: Callable[[], tuple[PortSettings, str]] | None = None
    """What looks for the port anew, and tells why that one; None if somebody named it."""
    circuit: Circuit | None = None
    """What stands between meter and computer; None for what is usual with that kind of port."""
    understanding: Understanding = field(default_factory=Understanding)


@dataclass(frozen=True, slots=True)
class NewestTelegram:
    """The newest accepted telegram."""

    accepted: Accepted
    received: float
    """The system's clock when its first byte arrived, in seconds since 1970 UTC."""

    @property
    def meter_time(self) -> float | None:
        """The meter's clock in seconds since 1970 UTC, None where the telegram has none."""
        for line in self.accepted.decoded.lines:
            for reading in line.readings:
                if reading.name == "p1_meter_timestamp_seconds":
                    return reading.value
        return None


@dataclass(frozen=True, slots=True)
class MeterSnapshot:
    """All that is known of a meter at one moment; immutable."""

    name: str
    link: LinkSnapshot
    watch: WatchSnapshot
    circuit: Circuit
    telegram: NewestTelegram | None
    trouble: str = ""
    """Why the port is closed, in words; empty while it is open, and until it was tried."""


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
        self._reception = Reception(settings.understanding)
        self._watch = LinkWatch(time.monotonic())
        self._search = _rate_search(settings.port)
        self._telegram: NewestTelegram | None = None
        self._last_count = 0.0
        self._trouble = ""
        self._why_rejected = ""
        self._stopping = False
        self._reopening = False
        self._was_open = False
        self._wake = threading.Event()
        self._port: Port | None = None
        self._demand: Demand | None = None
        """None where there is no request line."""
        self._due = time.monotonic() + _TURN_SECONDS
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
        return not self.ailment()

    def ailment(self) -> str:
        """Return what is wrong with the thread, in words; empty while it comes round."""
        if not self._thread.is_alive():
            return "its thread has ended"
        return "its thread is stuck" if time.monotonic() >= self._due else ""

    def _interrupt(self) -> None:
        self._wake.set()
        port = self._port
        if port is not None:
            port.wake()

    # The thread.

    def _run(self) -> None:
        try:
            self._read_for_ever()
        except Exception:
            # What it was, is logged by whoever logs all that is unexpected; which meter it was, is known here.
            self._log.error("this meter is read no more, its thread has ended")
            raise

    def _read_for_ever(self) -> None:
        backoff = Backoff.for_port(self._settings.port.url)
        while not self._stopping:
            self._wake.clear()
            if self._reopening:
                self._reopening = False
                self._use(self._next_settings)
                backoff = Backoff.for_port(self._settings.port.url)
            self._due = time.monotonic() + _OPENING_SECONDS
            try:
                self._look_for_port()
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

    def _look_for_port(self) -> None:
        """Where nobody named a port, look again for one until one was open: an adapter may be plugged in any time.

        After that, it is that one which is waited for.
        """
        if self._settings.locate is None or self._was_open:
            return
        port, reason = self._settings.locate()
        if port != self._settings.port:
            self._use(replace(self._settings, port=port, port_reason=reason))
            self._record.port_changed(_port_info(self._settings))

    def _use(self, settings: MeterSettings) -> None:
        """Take over new settings."""
        self._was_open = False
        if settings.understanding.cipher is not self._settings.understanding.cipher:
            self._why_rejected = ""
        self._reception.understand(settings.understanding)
        if settings.port != self._settings.port:
            self._search = _rate_search(settings.port)
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
            self._take(self._reception.passed(time.monotonic()))
            self._search_rate(port, chunk)
            self._ask(port)
            self._count(port)
            self._publish()

    def _search_rate(self, port: Port, chunk: Chunk | None) -> None:
        """Listen at another speed if nothing is understood at this one. A link that works is left alone."""
        now = time.monotonic()
        search = self._search
        if search is not None and self._watch.probing and not search.trying:
            self._begin_watch(port)
        if search is None or self.snapshot.link.fresh(now):
            return
        if (search.heard(chunk.data, chunk.time) if chunk else search.passed(now)) and not self._set_rate(
            port
        ):
            self._search = None

    def _set_rate(self, port: Port) -> bool:
        """Listen at the speed that the search wants; return False if that is not to be had."""
        search = self._search
        if search is None or not port.set_baudrate(search.rate):
            return False
        self._take(self._reception.silence())
        self._record.port_changed(self._port_info(port))
        if search.trying:
            self._watch.probe(time.monotonic())
        elif self._watch.probing:
            self._watch.resume(time.monotonic())
        else:
            self._begin_watch(port)
        self._log.info("listening at another speed", port=port.url, baudrate=port.baudrate)
        return True

    def _begin_watch(self, port: Port) -> None:
        line = Line(port.driver, port.baudrate, request_line=port.request_line)
        self._watch.opened(time.monotonic(), line)

    def _port_info(self, port: Port) -> PortInfo:
        return replace(
            _port_info(self._settings), driver=port.driver, baudrate=port.baudrate, format=port.format
        )

    def _patience(self) -> float:
        """Return how long to wait for bytes: no longer than until the request line is to be raised."""
        due = self._demand.due if self._demand else math.inf
        return min(_TICK_SECONDS, max(0.0, due - time.monotonic()))

    def _ask(self, port: Port) -> None:
        """Raise or release the request line, if it is time."""
        demand, now = self._demand, time.monotonic()
        if demand is None or demand.wanted(now, arriving=self._reception.pending) == demand.raised:
            return
        if not demand.raised:
            # What was cut when the line was released does not go on.
            self._take(self._reception.silence())
        port.request(not demand.raised)
        demand.switched(now)
        self._record.requested(asserted=demand.raised)
        # What arrives on a line that nobody drives, or does not arrive, says nothing about it.
        self._watch.pause(now, paused=not demand.raised)

    def _count(self, port: Port) -> None:
        """Ask what the driver counted, once a second; but go on asking until no byte waits, to see what others took."""
        now = time.monotonic()
        if now - self._last_count >= _TICK_SECONDS:
            counters = port.counters()
            # Asked last: what was counted before and is not read yet is waiting.
            waiting = port.bytes_waiting()
            self._record.counted(counters, waiting)
            if counters is not None:
                self._watch.counted(now, counters)
            if not waiting:
                self._last_count = now

    def _opened(self, port: Port) -> None:
        self._port = port
        self._was_open = True
        settings = self._settings.port
        asks = port.request_asserted is not None
        self._demand = Demand(time.monotonic(), settings.request_interval) if asks else None
        self._record.port_opened(
            self._port_info(port),
            request_asserted=port.request_asserted,
            line_errors_supported=port.line_errors_supported,
            counters=port.counters(),
        )
        self._begin_watch(port)
        self._search = self._search or _rate_search(settings)
        if self._search is not None and self._search.rate != port.baudrate:
            self._set_rate(port)
        self._trouble = ""
        reason = {"reason": self._settings.port_reason} if self._settings.port_reason else {}
        self._log.info("port open", port=settings.url, driver=port.driver, baudrate=port.baudrate, **reason)
        self._publish()

    def _closed(self, why: str) -> None:
        """Whatever was arriving stays unfinished."""
        self._port = None
        self._trouble = why
        self._take(self._reception.silence())
        self._record.port_closed()
        self._watch.closed(time.monotonic(), "")
        self._log.info("port closed", port=self._settings.port.url, reason=why)
        self._publish()

    def _failed(self, error: PortError) -> None:
        """The port is gone, or does not open: said once, until something changes."""
        self._port = None
        self._record.port_failed(error.reason)
        self._take(self._reception.silence())
        self._record.port_closed()
        self._watch.closed(time.monotonic(), str(error))
        if str(error) != self._trouble:
            self._trouble = str(error)
            self._log.warning("port is not available, trying again", reason=error.reason, error=str(error))
        self._publish()

    # What arrives.

    def _received(self, chunk: Chunk) -> None:
        self._take(self._reception.passed(chunk.time))
        share = self._share
        if share is not None:
            share.publish(chunk.data)
        self._record.received(len(chunk.data), chunk.time, chunk.marks)
        self._watch.received(chunk)
        self._take(self._reception.received(chunk.data, chunk.time))
        if (begun := self._reception.begun) and not self._may_be_cut:
            self._record.begun(*begun)

    @property
    def _may_be_cut(self) -> bool:
        """Whether the telegram that is arriving may be cut by the request line: it counts only if it is whole."""
        return self._demand is not None and self._demand.may_be_cut

    def _take(self, judged: list[Judged]) -> None:
        for each in judged:
            if isinstance(each, Stray):
                self._record.noise(each.noise.size)
                self._watch.judged(each)
            elif isinstance(each, Refused):
                self._refused(each)
            else:
                self._accepted(each)

    def _refused(self, refused: Refused) -> None:
        event = refused.event
        forgiven = self._may_be_cut and refused.reason in _CUT
        if self._demand is not None:
            self._demand.decided(forgiven=forgiven)
        if forgiven:
            self._record.noise(event.size)
            return
        if refused.reason == "decrypt" and self._search is not None:
            self._search.understood()  # it has the form of a frame
        self._record.rejected(event.offset, event.size, refused.began, refused.reason)
        self._watch.judged(refused)
        if refused.reason == "decrypt" and refused.why != self._why_rejected:
            self._why_rejected = refused.why
            self._log.error(
                "an encrypted telegram cannot be read; further ones are only counted",
                error=refused.why,
                hint="set the keys that your grid operator gave you: --meter.key-file, see the documentation",
            )

    def _accepted(self, accepted: Accepted) -> None:
        if self._demand is not None:
            self._demand.decided(forgiven=False)
        if self._search is not None:
            self._search.understood()
        event, decoded = accepted.telegram, accepted.decoded
        wall = time.time() - (time.monotonic() - accepted.began)
        self._record.accepted(event.offset, event.size, accepted.began, wall)
        self._watch.judged(accepted)
        # Only a telegram with very many values can have more than are kept.
        many = sum(len(line.readings) for line in decoded.lines) > MAX_OBIS_VALUES
        self._record.values(malformed=len(decoded.malformed), dropped=accepted.samples.dropped if many else 0)
        self._telegram = NewestTelegram(accepted, wall)
        self._why_rejected = ""

    # What others see.

    def _publish(self) -> None:
        now = time.monotonic()
        self._record.passed(now)
        self._watch.look(now)
        self.snapshot = self._snapshot()
        self._due = time.monotonic() + _TURN_SECONDS

    def _snapshot(self) -> MeterSnapshot:
        pending = self._reception.pending and not self._may_be_cut
        link = self._record.snapshot(pending_bytes=self._reception.pending_bytes, pending=pending)
        circuit = self._settings.circuit or usual_circuit(link.port.driver)
        return MeterSnapshot(
            self.name, link, self._watch.snapshot(), circuit, self._telegram, trouble=self._trouble
        )


def _rate_search(port: PortSettings) -> RateSearch | None:
    """Return what finds the speed, None where it is given."""
    return RateSearch() if port.baudrate is None else None


def _port_info(settings: MeterSettings) -> PortInfo:
    port = settings.port
    return PortInfo(
        port.url,
        baudrate=port.initial_baudrate,
        request_line=port.request_line,
        request_interval=port.request_interval,
    )
