"""How many of the rejected telegrams are looked into, so that a bad link costs little more than a good one."""

from __future__ import annotations

from typing import Final

_BURST: Final = 5
_PRICE: Final = 10
"""Telegrams that pay for looking into one."""


class Ration:
    """How many rejected telegrams are looked into: each while few are rejected, one in ten while all are.

    It counts telegrams. After a good while the first five rejected ones are all looked into, and so they are at the
    beginning; but there they are an advance, which the first fifty telegrams pay back.
    """

    def __init__(self) -> None:
        self._credit = _BURST * _PRICE
        self._advance = _BURST * _PRICE

    def passed(self) -> None:
        """A telegram was accepted, or rejected for what did not happen on the wire."""
        if self._advance:
            self._advance -= 1
        else:
            self._credit = min(self._credit + 1, _BURST * _PRICE)

    def take(self) -> bool:
        """A telegram was rejected: return whether it is to be looked into."""
        self.passed()
        if self._credit < _PRICE:
            return False
        self._credit -= _PRICE
        return True
