"""TCP keep-alive: how a connection notices that its other side is gone without a word."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class KeepAlive:
    """When a silent TCP connection is probed, and when it is given up.

    Attributes:
        idle: seconds of silence before the first probe.
        interval: seconds between probes.
        count: unanswered probes after which the connection is broken.
    """

    idle: int = 10
    interval: int = 5
    count: int = 4

    @property
    def seconds(self) -> int:
        """How long after its last sign of life the other side is given up."""
        return self.idle + self.interval * self.count

    def apply(self, connection: socket.socket) -> None:
        """Set it up for one connection (see tcp(7))."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.idle)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, self.interval)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, self.count)
        # No probe is sent while bytes are on their way out; those may wait for an answer as long, no longer.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.seconds * 1000)


# A half-open connection is noticed within half a minute.
KEEP_ALIVE = KeepAlive()
