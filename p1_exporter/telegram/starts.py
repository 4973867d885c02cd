"""The places where a telegram may have begun, and the checksums that tell which one did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.telegram.crc import CHECKSUMS, Checksum

if TYPE_CHECKING:
    from p1_exporter.telegram.cipher import FrameHeader
    from p1_exporter.telegram.events import Reason

_FAILURES_OF_ANOTHER_METER: Final = 16


class Start:
    """A place where a telegram may have begun, not yet decided.

    Args of the constructor: `offset`, that place in the stream; `frame`, the header, if it is an encrypted frame.
    """

    __slots__ = ("end", "frame", "offset", "reason", "tried", "why")

    def __init__(self, offset: int, frame: FrameHeader | None) -> None:
        self.offset = offset
        self.frame = frame
        self.tried = False
        """The frame was complete and could not be opened."""
        self.end = 0
        """Where it ends if its last checksum, or its frame, was what it seemed; 0 if none was seen."""
        self.reason: Reason = "truncated"
        """What it is rejected for if it ends there."""
        self.why = ""

    @property
    def frame_end(self) -> int:
        """The place after the encrypted frame that begins here."""
        return self.offset + (self.frame.size if self.frame else 0)


class Starts:
    """The open starts of a stream, in its order, with the running checksums of what follows the first."""

    def __init__(self) -> None:
        self.open: list[Start] = []
        self.untried: list[Start] = []
        """Those that are encrypted frames and were not complete so far."""
        self.sends_checksum = False
        """Whether this meter ever sent a checksum that verified."""
        self.checksums: tuple[Checksum, ...] = CHECKSUMS
        """Those that the meter may print; one of them from the first that verified on, which halves the odds that
        a damaged telegram verifies by chance."""
        self._failures = 0
        """Checksums in a row that did not verify."""
        self._states: list[int] = []
        """State of each checksum at `summed`, counted from 0 at `_origin`."""
        self._keys: list[list[int]] = []
        """For each checksum the normalized state at each start: an end that has the same verifies."""
        self.summed = 0
        """Place in the stream up to which the checksums have run."""
        self._origin = 0

    def begin(self, offset: int, frame: FrameHeader | None) -> None:
        """Open the first start, at `offset`."""
        if self._failures >= _FAILURES_OF_ANOTHER_METER:
            self.checksums = CHECKSUMS
        self._origin = self.summed = offset
        self._states = [0] * len(self.checksums)
        self._keys = [[checksum.initial] for checksum in self.checksums]
        start = Start(offset, frame)
        self.open.append(start)
        self.untried = [start] if frame else []

    def advance(self, data: bytes) -> None:
        """Run the checksums over `data`, which begins at `summed`."""
        if data:
            self._states = [
                checksum.advance(state, data)
                for checksum, state in zip(self.checksums, self._states, strict=True)
            ]
            self.summed += len(data)

    def add(self, frame: FrameHeader | None) -> None:
        """Open another start, at `summed`."""
        position = self.summed - self._origin
        for checksum, state, keys in zip(self.checksums, self._states, self._keys, strict=True):
            keys.append(checksum.normalized(state ^ checksum.initial, position))
        start = Start(self.summed, frame)
        self.open.append(start)
        if frame:
            self.untried.append(start)

    def verified_by(self, printed: int) -> Start | None:
        """Return the earliest start from which the checksum `printed` verifies up to `summed`."""
        position = self.summed - self._origin
        for checksum, state, keys in zip(self.checksums, self._states, self._keys, strict=True):
            key = checksum.normalized(state ^ printed ^ checksum.final, position)
            if key in keys:
                start = self.open[keys.index(key)]
                self.verified(checksum)
                return start
        return None

    def verified(self, checksum: Checksum) -> None:
        """Take note that `checksum` is what this meter prints."""
        self.checksums = (checksum,)
        self.sends_checksum = True
        self._failures = 0

    def failed(self) -> None:
        """Take note that a telegram's checksum did not verify."""
        self._failures += 1

    def next_complete_frame(self, place: int) -> Start | None:
        """Return the untried frame that is complete first, if it is complete at `place`."""
        complete = [start for start in self.untried if start.frame_end <= place]
        return min(complete, key=lambda start: start.frame_end, default=None)

    def remove_first(self) -> Start:
        """Close the first start and return it."""
        first = self.open.pop(0)
        for keys in self._keys:
            del keys[:1]
        if first in self.untried:
            self.untried.remove(first)
        return first
