"""Telegrams out of a stream of bytes, whatever else is in it.

`Framer.receive` takes bytes as they come and gives events; which chunks they came in makes no difference.
Memory is bounded by one telegram, time is linear in the bytes.

A slash and three letters may be the start of a telegram or part of a message; an exclamation mark, four digits and a
line end may be its end or part of a header. Nothing but the checksum can tell. So starts and ends are provisional:
each start stays open until an end gives a checksum that verifies from there. The earliest such start wins, starts
inside its telegram are forgotten, and the telegrams begun before it are rejected. Because a CRC can be run backwards
(`crc.Checksum.normalized`), one look into a list finds the start, however many are open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from p1_exporter.telegram import parity
from p1_exporter.telegram.cipher import (
    NEED_MORE,
    CipherError,
    FrameHeader,
    parse_embedded_header,
    parse_header,
)
from p1_exporter.telegram.crc import X25
from p1_exporter.telegram.events import Event, Noise, Reason, Rejection, Telegram
from p1_exporter.telegram.starts import Start, Starts
from p1_exporter.telegram.structure import (
    LINE_ENDS,
    at_line_start,
    follows_whole_line,
    last_header,
    line_end,
    start_without_checksum,
)

if TYPE_CHECKING:
    from p1_exporter.telegram.cipher import Cipher
    from p1_exporter.telegram.events import Verdict

MAX_TELEGRAM: Final = 11_520
"""Bytes that 115200 baud carry in the second that DSMR 5.0.2 P1 (section 6) allows for a telegram."""

# Of how many open starts it is asked whether an embedded frame ends: enough for cut telegrams before a good one.
_STARTS_WITH_FRAMES: Final = 8

_FRAME_TAG: Final = 0xDB
_FRAME_START: Final = b"\xdb\x08"
_SLASH: Final = ord("/")
_END_MARK: Final = ord("!")
_BLANK_LINE: Final = b"\r\n\r\n"

_PLAIN_START: Final = re.compile(rb"/[A-Za-z]{3}")
_SEVEN_BIT_START: Final = re.compile(parity.SLASH + b"[" + re.escape(parity.LETTERS) + b"]{3}")
_START: Final = re.compile(
    b"|".join((_PLAIN_START.pattern, re.escape(_FRAME_START), _SEVEN_BIT_START.pattern))
)
# The beginning of a start, cut off by the end of what has arrived.
_START_CUT: Final = re.compile(
    rb"(?:/[A-Za-z]{0,2}|\xdb|" + parity.SLASH + b"[" + re.escape(parity.LETTERS) + rb"]{0,2})\Z"
)
_POINT_SIZE: Final = 4
_ENDING: Final = re.compile(rb"!([0-9A-Fa-f]{0,4})")
_USUAL_ENDING: Final = re.compile(rb"!([0-9A-Fa-f]{4})\r\n")

# A decrypted telegram: what follows the checksum is padding at most.
_PLAINTEXT: Final = re.compile(rb"(/[A-Za-z]{3}.*!)([0-9A-Fa-f]{0,4})[\r\n\0]*", re.DOTALL)


class Framer:
    """Finds the telegrams in the bytes of one meter.

    Args of the constructor: `cipher` opens encrypted frames, without it every such frame is rejected; `offset`, the
    place in the stream of the first byte to be received.
    """

    def __init__(self, cipher: Cipher | None = None, offset: int = 0) -> None:
        self._cipher = cipher
        self._wire = bytearray()
        """What is not decided yet, as received."""
        self._text = self._wire
        """The same characters without parity bits: the same object, unless a 7E1 telegram is open."""
        self._base = offset
        """Place of the first of these bytes in the stream."""
        self._at = offset
        """Place in the stream up to which starts and ends were looked for."""
        self._starts = Starts()

    @property
    def pending_bytes(self) -> int:
        """Bytes received that are in no event yet."""
        return len(self._wire)

    @property
    def pending(self) -> bool:
        """Whether a telegram has begun that is not decided yet."""
        return bool(self._starts.open)

    @property
    def pending_offset(self) -> int | None:
        """Place in the stream where the undecided telegram began."""
        return self._starts.open[0].offset if self._starts.open else None

    def receive(self, data: bytes) -> list[Event]:
        """Take the next bytes of the stream; return what is decided by now, in the order of the stream.

        Raises nothing, whatever the bytes.
        """
        self._wire += data
        if self._text is not self._wire:
            self._text += parity.without_parity(data)
        events: list[Event] = []
        while self._wire and (self._scan if self._starts.open else self._search)(events, last=False):
            pass
        return events

    def silence(self) -> list[Event]:
        """Decide everything: nothing follows for 5 s, the port was closed or the input has come to its end."""
        events: list[Event] = []
        while (self._scan if self._starts.open else self._search)(events, last=True):
            pass
        return events

    # Outside a telegram.

    def _search(self, events: list[Event], *, last: bool) -> bool:
        """Look for the next start. Return whether there is more to do with the bytes at hand."""
        position = self._at - self._base
        while found := _START.search(self._wire, position):
            position = found.start()
            frame = None
            if self._wire[position] == _FRAME_TAG:
                header = parse_header(self._wire, position)
                if header is NEED_MORE and not last:
                    break
                if not isinstance(header, FrameHeader):
                    position += 1
                    continue
                frame = header
            self._drop_noise(position, events)
            if frame or not self._take_whole(events):
                self._begin(frame)
            return True
        if not found:
            cut = (
                None
                if last
                else _START_CUT.search(self._wire, max(position, len(self._wire) - _POINT_SIZE + 1))
            )
            position = cut.start() if cut else len(self._wire)
        self._drop_noise(position, events)
        return False

    def _take_whole(self, events: list[Event]) -> bool:
        """Accept the telegram at the first of the undecided bytes at once, if its first ``!`` verifies.

        The usual case, and nothing but a short cut: it is the earliest start, so that it wins if it verifies.
        """
        ending = _USUAL_ENDING.match(self._wire, self._wire.find(b"!"))
        if ending is None or not self._starts.sends_checksum:
            return False
        data = bytes(self._wire[: ending.end()])
        if len(data) > MAX_TELEGRAM or parity.SLASH in data:
            return False
        checksum = self._starts.checksums[0]
        if checksum.of(data[: ending.start() + 1]) != int(ending[1], 16):
            return False
        self._starts.verified(checksum)
        events.append(Telegram(self._base, len(data), data, "valid"))
        self._close(len(data))
        return True

    def _drop_noise(self, count: int, events: list[Event]) -> None:
        if count:
            events.append(Noise(self._base, bytes(self._text[:count])))
            self._remove(count)
        self._at = max(self._at, self._base)

    def _begin(self, frame: FrameHeader | None) -> None:
        """Open the first start, at the first of the undecided bytes."""
        if self._wire[0] == parity.SLASH[0]:
            self._text = bytearray(parity.without_parity(self._wire))
        self._starts.begin(self._base, frame)
        self._at = self._base + _POINT_SIZE

    # Inside a telegram.

    def _scan(self, events: list[Event], *, last: bool) -> bool:
        """Look at the next point of interest of the open telegram. Return whether there is more to do."""
        first = self._starts.open[0]
        alone = len(self._starts.open) == 1 and not (first.end or first.frame) and self._text is self._wire
        if alone and not last and self._unended():
            return False
        if alone and self._take_whole(events):
            return True
        arrived = self._base + len(self._wire)
        limit = self._base + MAX_TELEGRAM
        # A start that begins before the limit is seen whole.
        horizon = min(arrived, limit + _POINT_SIZE - 1)
        place = self._next_point(horizon)
        frame = self._starts.next_complete_frame(min(place, limit)) if self._starts.untried else None
        if frame:
            self._complete_frame(frame, events)
        elif first.tried and self._nothing_inside(place, arrived, last=last):
            self._give_up("decrypt", events)
        elif place < min(arrived, limit):
            return self._look_at(place, limit, events, last=last)
        elif arrived >= limit + _POINT_SIZE - 1 or (last and arrived > limit):
            self._give_up("too_long", events)
        elif last:
            self._give_up("truncated", events)
        else:
            self._at = max(self._at, arrived - _POINT_SIZE + 1)
            return False
        return True

    def _unended(self) -> bool:
        """Whether the only start may yet become the usual telegram: then there is nothing to look for so far."""
        return (
            self._starts.sends_checksum
            and len(self._wire) < MAX_TELEGRAM
            and b"!" not in self._wire
            and _FRAME_START not in self._wire
        )

    def _next_point(self, horizon: int) -> int:
        """Return the place of the next start or end, `horizon` if there is none before it."""
        position, point = self._at - self._base, horizon - self._base
        # Each kind is looked for up to the nearest found so far: several times as fast as one pattern for all.
        for text, pattern in (self._text, b"!"), (self._wire, _FRAME_START):
            found = text.find(pattern, position, point)
            if found >= 0:
                point = found
        start = _PLAIN_START.search(self._text, position, point + _POINT_SIZE - 1)
        if start and start.start() < point:
            point = start.start()
        if self._text is self._wire and parity.SLASH in self._wire:
            start = _SEVEN_BIT_START.search(self._text, position, point + _POINT_SIZE - 1)
            if start and start.start() < point:
                point = start.start()
        return self._base + point

    def _look_at(self, place: int, limit: int, events: list[Event], *, last: bool) -> bool:
        """Look at a point of interest. Return whether there is more to do with the bytes at hand."""
        index = place - self._base
        if self._wire[index] == _FRAME_TAG:
            header = parse_header(self._wire, index)
            if header is NEED_MORE and not last:
                self._at = place
                return False
            if isinstance(header, FrameHeader):
                self._add_start(place, header)
            else:
                self._at = place + 1
        elif self._text[index] == _END_MARK:
            return self._end(place, limit, events, last=last)
        elif self._text[index] == _SLASH:
            self._add_start(place, None)
        elif self._starts.open[0].frame:
            self._at = place + 1
        else:
            # The parity bits of a 7E1 meter: what was taken for a start before was a damaged character.
            self._reject_all(place, events)
        return True

    def _reject_all(self, place: int, events: list[Event]) -> None:
        """Give up every open telegram: from `place` on, the stream is something else."""
        rest = self._wire[place - self._base :]
        del self._wire[place - self._base :]
        while self._starts.open:
            self._give_up("truncated", events)
        self._drop_noise(len(self._wire), events)
        self._wire += rest

    def _add_start(self, place: int, frame: FrameHeader | None) -> None:
        self._sum_to(place)
        self._starts.add(frame)
        self._at = place + (len(_FRAME_START) if frame else _POINT_SIZE)

    def _end(self, place: int, limit: int, events: list[Event], *, last: bool) -> bool:
        """Look at an exclamation mark: does a telegram end here, and which?"""
        index = place - self._base
        ending = _ENDING.match(self._text, index)
        stop, whole = line_end(self._text, ending.end() if ending else index)
        if not whole and not last:
            self._at = place
            return False
        if ending is None or stop == ending.end():
            self._at = place + 1
        elif self._base + stop > limit:
            self._give_up("too_long", events)
        elif ending[1]:
            self._checksum_end(place, int(ending[1], 16), self._base + stop, events)
        else:
            self._bare_end(place, self._base + stop, events)
        return True

    def _bare_end(self, place: int, stop: int, events: list[Event]) -> None:
        """Look at an exclamation mark without digits: the end of a telegram without checksum, or nothing."""
        index = place - self._base
        self._at = place + 1
        starts = self._starts
        if starts.sends_checksum or starts.open[0].frame or not at_line_start(self._text, index):
            return
        plain = [start for start in starts.open if not start.frame]
        offsets = [start.offset - self._base for start in plain]
        self._win(plain[start_without_checksum(self._text, offsets, index)], stop, "absent", events)

    def _checksum_end(self, place: int, printed: int, stop: int, events: list[Event]) -> None:
        """Look at an exclamation mark with the checksum `printed` and a line end up to `stop`."""
        self._sum_to(place + 1)
        start = self._starts.verified_by(printed)
        if start:
            self._win(start, stop, "valid", events)
            return
        self._at = place + 1
        first = self._starts.open[0]
        if self._embedded_end(place, printed, stop, events) or first.frame:
            return
        first.end, first.reason = stop, "crc"
        if follows_whole_line(self._text, place - self._base):
            self._reject_checksum(stop, events)

    def _reject_checksum(self, stop: int, events: list[Event]) -> None:
        """Reject the telegram that certainly ends at `stop`: that of the last header line."""
        lines = [start for start in self._starts.open if at_line_start(self._text, start.offset - self._base)]
        start = lines[last_header(self._text, [start.offset - self._base for start in lines])]
        start.reason = "crc"
        self._starts.failed()
        self._reject_whole(start, stop, events)

    def _reject_whole(self, start: Start, stop: int, events: list[Event]) -> None:
        """Reject the telegram from `start` to its end at `stop`, and those begun before; forget those inside."""
        while self._starts.open[0] is not start:
            self._give_up("truncated", events)
        del self._starts.open[1:]
        self._reject(stop, start.reason, events)

    # Encrypted frames.

    def _nothing_inside(self, place: int, arrived: int, *, last: bool) -> bool:
        """Whether no telegram begins inside the first frame, which could not be opened.

        `place` is the next point of interest. A start may begin at the frame's last byte: then it must be seen whole.
        """
        first = self._starts.open[0]
        if len(self._starts.open) > 1 or place < first.end:
            return False
        return last or place < arrived or arrived >= first.end + _POINT_SIZE - 1

    def _complete_frame(self, start: Start, events: list[Event]) -> None:
        stop = start.frame_end
        sealed = bytes(self._wire[start.offset - self._base : stop - self._base])
        start.tried = True
        self._starts.untried.remove(start)
        try:
            data = self._key().open(sealed)
            verdict = self._verdict(data)
        except CipherError as error:
            start.end, start.reason, start.why = stop, "decrypt", str(error)
        else:
            if verdict != "invalid":
                self._win(start, stop, verdict, events, data)
                return
            start.end, start.reason, start.why = stop, "crc", "decrypted, but its checksum does not verify"

    def _key(self) -> Cipher:
        if self._cipher is None:
            raise CipherError("no key is configured for this encrypted meter")
        return self._cipher

    def _embedded_end(self, place: int, printed: int, stop: int, events: list[Event]) -> bool:
        """Whether an encrypted frame inside a telegram (Poland) ends at the exclamation mark at `place`."""
        for start in self._starts.open[:_STARTS_WITH_FRAMES]:
            index = start.offset - self._base
            body = self._wire.find(_BLANK_LINE, index) + len(_BLANK_LINE)
            header = parse_embedded_header(self._wire, body)
            if start.frame or not isinstance(header, FrameHeader) or self._base + body + header.size != place:
                continue
            sealed = bytes(self._wire[index : stop - self._base])
            try:
                data = self._key().open_embedded(sealed)
            except CipherError as error:
                start.reason, start.why = "decrypt", str(error)
                self._reject_whole(start, stop, events)
                return True
            # The checksum is over the bytes on the wire, with its low byte printed first.
            checksum = X25.of(sealed[: place + 1 - start.offset])
            verdict: Verdict = "valid" if printed == (checksum & 0xFF) << 8 | checksum >> 8 else "absent"
            self._win(start, stop, verdict, events, data)
            return True
        return False

    def _verdict(self, data: bytes) -> Verdict:
        """Return what the checksum inside a decrypted telegram says."""
        plain = _PLAINTEXT.fullmatch(data)
        if plain is None:
            raise CipherError("what the key gives is no telegram: the key is wrong, or the frame damaged")
        if not plain[2]:
            return "invalid" if self._starts.sends_checksum else "absent"
        for checksum in self._starts.checksums:
            if checksum.of(plain[1]) == int(plain[2], 16):
                self._starts.verified(checksum)
                return "valid"
        return "invalid"

    # Verdicts.

    def _win(
        self, start: Start, stop: int, verdict: Verdict, events: list[Event], data: bytes | None = None
    ) -> None:
        """Accept the telegram from `start` to `stop`; reject those begun before, forget those inside."""
        while self._starts.open[0] is not start:
            self._give_up("truncated", events)
        size = stop - start.offset
        errors = parity.parity_errors(self._wire[:size]) if self._text is not self._wire else 0
        events.append(Telegram(start.offset, size, data or bytes(self._text[:size]), verdict, errors))
        self._close(size)

    def _give_up(self, reason: Reason, events: list[Event]) -> None:
        """Reject the first open telegram: up to its end if it seemed to have one, else to the next start."""
        first = self._starts.open[0]
        others = self._starts.open[1:2]
        following = others[0].offset if others else self._base + len(self._text)
        if first.end and first.end <= following and self._ends_before(first, following):
            self._reject(first.end, first.reason, events)
        else:
            self._reject(min(following, first.offset + MAX_TELEGRAM), reason, events)

    def _reject(self, stop: int, reason: Reason, events: list[Event]) -> None:
        """Reject the first open telegram, up to `stop`; what lies between it and the next start is noise."""
        first = self._starts.remove_first()
        size = stop - first.offset
        verdict: Verdict = "invalid" if reason == "crc" else "absent"
        why = first.why if reason == first.reason else ""
        events.append(Rejection(first.offset, size, bytes(self._text[:size]), reason, verdict, why))
        if self._starts.open:
            self._remove(size)
            self._drop_noise(self._starts.open[0].offset - self._base, events)
        else:
            self._close(size)

    def _ends_before(self, first: Start, following: int) -> bool:
        """Whether the end that `first` seemed to have is its end: nothing but line ends lie between it and the next."""
        if first.frame:
            return True
        return not self._text[first.end - self._base : following - self._base].strip(LINE_ENDS)

    # The buffer.

    def _sum_to(self, place: int) -> None:
        """Run the checksums over the text up to `place`."""
        self._starts.advance(bytes(self._text[self._starts.summed - self._base : place - self._base]))

    def _close(self, size: int) -> None:
        """Remove the first `size` bytes; no telegram is open any more, and starts are looked for from there on."""
        self._starts.open.clear()
        self._remove(size)
        self._text = self._wire
        self._at = self._base

    def _remove(self, count: int) -> None:
        del self._wire[:count]
        if self._text is not self._wire:
            del self._text[:count]
        self._base += count
