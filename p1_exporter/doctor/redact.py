"""Captures without what identifies a meter or its owner, for bug reports.

Serial numbers, EANs and messages give way to zeros, in headers and lines, in all reads of a capture. Everything else
stays: lengths, times, marks, counters, the boundaries of reads, parity bits as right or wrong as they were, and the
damage, also that of the identities themselves (see `stand_in`). A printed checksum changes by what the identities
changed: with the old one a serial number could be guessed. So what verified verifies, what did not does not, and a
flipped bit is found at the same place as before.

Damage is what makes this hard. Identities are looked for

- in the text as it is, with or without parity bits, and in inverted text, by the code of the line and in headers;
- in what did not arrive intact, by similarity to the identities that were read elsewhere, by codes that went through
  a fault of the wire, by the place in the telegram if nothing else can be recognised, and by their look.

Where nothing was read, bytes stay as they are: that is the price for a capture that still shows what is wrong. With a
wrong speed most bits of a serial number were never sampled, and in text of which every other character is damaged a
few of its digits stand here and there; but from the worst of captures, where not one line could be read, somebody who
finds out how the wire distorted it and compares its telegrams may recover more. In damaged text, digits next to an
identity may become zeros with it.

A meter that prints its checksum without leading zeros leaves no room for more digits than it printed. There the last
zeros of an identity are varied until the checksum fits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from p1_exporter.doctor.redaction import Redaction
from p1_exporter.doctor.reseal import unseal
from p1_exporter.doctor.stand_in import Wire, as_text
from p1_exporter.errors import UserError
from p1_exporter.link.port import Chunk
from p1_exporter.link.reception import SILENCE_SECONDS
from p1_exporter.telegram.cipher import is_embedded
from p1_exporter.telegram.events import Rejection, Telegram
from p1_exporter.telegram.framer import Framer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p1_exporter.link.capture import CaptureEvent
    from p1_exporter.telegram.events import Event

_MOST_LOOKS: Final = 4
_MOST_ACCIDENTS: Final = 4

_FRAME_START: Final = b"\xdb\x08"
# The header of an encrypted frame without its top bits, which is all that is left of it in distorted characters.
_SEVEN_BIT_FRAME: Final = re.compile(rb"\x5b\x08.{8}\x02..[\x20\x30]", re.DOTALL)


def redact(events: Iterable[CaptureEvent]) -> list[CaptureEvent]:
    """Return the events of a capture without serial numbers, EANs and messages.

    The whole capture is held in memory, about ten times.

    Raises:
        UserError: the meter encrypts.
    """
    captured = list(events)
    reads = [event for event in captured if isinstance(event, Chunk)]
    stream = b"".join(read.data for read in reads)
    framed = _framed(reads, stream)
    _refuse(framed, stream)
    redacted = _redacted(reads, stream, framed)
    position = 0
    result: list[CaptureEvent] = []
    for event in captured:
        if isinstance(event, Chunk):
            start, position = position, position + len(event.data)
            result.append(Chunk(event.time, redacted[start:position], event.marks))
        else:
            result.append(event)
    return result


def refuse_encrypted(events: Iterable[CaptureEvent]) -> None:
    """Refuse a capture of a meter that encrypts: the name of the meter stands in every frame in the clear.

    Raises:
        UserError: there are encrypted frames in the capture.
    """
    reads = [event for event in events if isinstance(event, Chunk)]
    stream = b"".join(read.data for read in reads)
    _refuse(_framed(reads, stream), stream)


def _refuse(events: Sequence[Event], stream: bytes) -> None:
    encrypted = any(
        event.reason == "decrypt" or event.data.startswith(_FRAME_START) or is_embedded(event.data)
        for event in events
        if isinstance(event, Rejection)
    )
    if encrypted or any(
        _SEVEN_BIT_FRAME.search(as_text(stream, wire)) for wire in (Wire.SEVEN, Wire.INVERTED)
    ):
        raise UserError(
            "the capture is that of a meter that encrypts: each frame names the meter, and the rest of it says nothing "
            "about the line to anybody else. Report what p1-exporter doctor says of it instead."
        )


def _framed(reads: Sequence[Chunk], stream: bytes) -> list[Event]:
    """Return what the framer makes of `stream`, which came in `reads`."""
    framer = Framer()
    events: list[Event] = []
    position, last = 0, 0.0
    for read in reads:
        if framer.pending_bytes and read.time - last >= SILENCE_SECONDS:
            events += framer.silence()
        start, position, last = position, position + len(read.data), read.time
        events += framer.receive(stream[start:position])
    return events + framer.silence()


def _redacted(reads: Sequence[Chunk], stream: bytes, events: Sequence[Event]) -> bytes:
    """Look for identities until no more are found: what one look replaced may show the next one what it missed."""
    verified = _verified(events)
    for _ in range(_MOST_LOOKS):
        redaction = Redaction(reads, stream, events)
        redacted = bytearray(redaction.result())
        events = _framed(reads, bytes(redacted))
        for _ in range(_MOST_ACCIDENTS):
            accidents = _verified(events) - verified
            if not accidents:
                break
            # Once in 65,536 rejected telegrams, the new checksum happens to verify.
            for start, stop in accidents:
                redacted[start:stop] = unseal(redaction.wire, redacted[start:stop])
            events = _framed(reads, bytes(redacted))
        if redacted == stream:
            break
        stream = bytes(redacted)
    return stream


def _verified(events: Iterable[Event]) -> set[tuple[int, int]]:
    """Return where the telegrams are of which the checksum verifies."""
    return {
        (event.offset, event.offset + event.size)
        for event in events
        if isinstance(event, Telegram) and event.checksum == "valid"
    }
