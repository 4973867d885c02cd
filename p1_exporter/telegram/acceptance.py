"""What disqualifies a telegram that was framed whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p1_exporter.telegram.decoder import Decoded
    from p1_exporter.telegram.events import Reason, Telegram


def objection(telegram: Telegram, decoded: Decoded) -> Reason | None:
    """Return why `telegram`, decoded as `decoded`, is rejected by itself; None if nothing is to be said against it."""
    if not decoded.lines:
        return "malformed"
    if telegram.checksum == "absent" and telegram.parity_errors:
        return "parity"
    return None
