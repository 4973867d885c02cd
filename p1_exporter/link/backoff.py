"""How long to wait before a port is tried again."""

from __future__ import annotations

import random

FIRST_SECONDS = 1.0
REMOTE_CAP_SECONDS = 60.0
# Trying a local device costs next to nothing, and an adapter that is plugged in again should be back quickly.
LOCAL_CAP_SECONDS = 5.0
# Many readers that lost one server must not all come back in the same instant.
JITTER = 0.2


class Backoff:
    """Waiting times that double from 1 s up to a cap, each shortened at random by up to a fifth.

    Args:
        cap: the longest waiting time in seconds.
        source: where the randomness comes from.
    """

    def __init__(self, cap: float = REMOTE_CAP_SECONDS, source: random.Random | None = None) -> None:
        self._cap = cap
        self._random = source or random.Random()  # noqa: S311 - spreads retries, guards no secret
        self._next = min(FIRST_SECONDS, cap)

    @classmethod
    def for_port(cls, url: str) -> Backoff:
        """The one that suits a port: patient with URLs, eager with device paths."""
        return cls(REMOTE_CAP_SECONDS if "://" in url else LOCAL_CAP_SECONDS)

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        seconds = self._next
        self._next = min(self._cap, seconds * 2)
        return seconds * self._random.uniform(1 - JITTER, 1)

    def reset(self) -> None:
        """An attempt succeeded: the next failure starts from the shortest wait again."""
        self._next = min(FIRST_SECONDS, self._cap)
