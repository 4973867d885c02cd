"""Which baud rate the meter has, found by listening.

There are two: 115200, and 9600 of DSMR 2 and 3. The character format needs no search: 8 bits are read, and whether the
top one is parity is seen by the framer.

`RateSearch` knows no clock and no port. It is told what arrives, and says when to listen at the other rate. What it
goes by are bursts: each is a telegram, or what is left of one. One that reads as P1 text, be it upside down or with
its bits out of place, proves the rate; NULs alone are what slow characters leave at a fast port, a few odd characters
what fast ones leave at a slow port. Where neither is seen, most of the time is spent at the likelier rate, so that
the link can be diagnosed.
"""

from __future__ import annotations

from typing import Final

FAST: Final = 115_200
SLOW: Final = 9_600

_PAUSE: Final = 0.3
# Less than this is no telegram, at whatever rate it was sent and read.
_SHORTEST_BURST: Final = 16
# What is kept of a burst: enough to recognise text.
_LOOKED_AT: Final = 4096
_READABLE: Final = 0.15
_MOSTLY: Final = 0.6
# A line that never pauses has bursts too: one in so many seconds.
_LONGEST: Final = 10.0
# The longest that fast telegrams become at a slow port: 8 % of their characters are left.
_LEFT_OF_FAST: Final = 250
# Bursts that are listened to at the likelier rate before the other is tried, growing with each time in vain.
_FIRST_PATIENCE: Final = 2
_PATIENCE_GROWTH: Final = 6
_MOST_PATIENCE: Final = 600
_TRIAL: Final = 2
_TRIAL_SECONDS: Final = 25.0


class RateSearch:
    """Finds the rate of one meter, and finds it again when nothing is understood any more.

    Args of the constructor: `rate`, the likelier one.
    """

    def __init__(self, rate: int = FAST) -> None:
        self.rate = rate
        """What to listen at."""
        self._home = rate
        self._burst = bytearray()
        """The beginning of what arrives now, without NULs."""
        self._size = 0
        """How many characters it has, with NULs."""
        self._burst_began = 0.0
        self._last_byte = 0.0
        self._foreign = 0
        """Bursts in a row that are no text."""
        self._patience = _FIRST_PATIENCE
        self._trial_began = 0.0
        self._strange_at_home = False
        """Whether what arrived at the likelier rate looked as if it had another one."""

    @property
    def trying(self) -> bool:
        """Whether the other rate is only tried."""
        return self.rate != self._home

    def heard(self, data: bytes, time: float) -> bool:
        """Take what arrived at `time` (seconds); return whether `rate` changed."""
        changed = self.passed(time)
        if not self._size:
            self._burst_began = time
        self._size += len(data)
        self._burst += data.translate(None, b"\0")[: _LOOKED_AT - len(self._burst)]
        self._last_byte = time
        return changed

    def passed(self, now: float) -> bool:
        """Take note of the time; return whether `rate` changed."""
        if self._size and (now - self._last_byte > _PAUSE or now - self._burst_began > _LONGEST):
            return self._end_burst(now)
        if self.trying and now - self._trial_began > _TRIAL_SECONDS:
            return self._use(self._home, now)
        return False

    def understood(self) -> None:
        """A telegram was accepted: this is the rate."""
        self._home = self.rate
        self._foreign = 0
        self._patience = _FIRST_PATIENCE
        self._burst.clear()
        self._size = 0

    def _end_burst(self, now: float) -> bool:
        burst, size = bytes(self._burst), self._size
        endless = now - self._burst_began > _LONGEST
        self._burst.clear()
        self._size = 0
        if size < _SHORTEST_BURST:
            return False
        if _readable(burst):
            self._home = self.rate
            self._foreign = 0
            return False
        self._foreign += 1
        strange = not endless and _from_another_rate(size, size - len(burst), self.rate)
        if self.trying:
            return self._foreign >= _TRIAL and self._end_trial(now, strange=strange)
        if self._foreign < (_TRIAL if strange else self._patience):
            return False
        self._strange_at_home = strange
        self._patience = min(self._patience * _PATIENCE_GROWTH, _MOST_PATIENCE)
        return self._use(SLOW if self.rate == FAST else FAST, now)

    def _end_trial(self, now: float, *, strange: bool) -> bool:
        if self._strange_at_home and not strange:
            # Nothing can be read here either, but it has the looks of this rate.
            self._home = self.rate
            return False
        return self._use(self._home, now)

    def _use(self, rate: int, now: float) -> bool:
        self.rate = rate
        self._foreign = 0
        self._trial_began = now
        self._burst.clear()
        self._size = 0
        return True


def _readable(burst: bytes) -> bool:
    """Tell whether a burst reads as P1 text, whatever it went through."""
    from p1_exporter.link.distortion import DISTORTIONS, text_share  # noqa: PLC0415 - where telegrams are good, never

    return any(text_share(burst, name) > _READABLE for name in DISTORTIONS)


def _from_another_rate(size: int, nuls: int, rate: int) -> bool:
    """Tell whether a burst that is no text looks like one that was sent at the other rate."""
    return nuls > _MOSTLY * size or (rate == SLOW and size < _LEFT_OF_FAST)
