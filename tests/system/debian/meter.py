"""A meter outside of a container, and its cable: a serial port inside."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.system.debian.container import Container

PORT = "/dev/serial0"
"""Where the cable is plugged in; the service finds it by itself."""

_UNIT = "p1-cable.service"


class Cable:
    """A cable from a meter here to a serial port in a container, which is there again after a reboot.

    The port is a pseudo-terminal, the only kind that a container can have of its own; every service may use those.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self._listener = socket.create_server((container.outside, 0))
        self._wire: socket.socket | None = None
        port = self._listener.getsockname()[1]
        terminal = f"PTY,link={PORT},rawer,group=dialout,mode=660"
        container.write(
            f"/etc/systemd/system/{_UNIT}",
            f"""\
[Service]
ExecStart=/usr/bin/socat -u TCP:{container.outside}:{port},forever,interval=0.1 {terminal}
Restart=always
RestartSec=0.1

[Install]
WantedBy=multi-user.target
""",
        )
        container.run("systemctl", "daemon-reload")

    def plug(self) -> None:
        """Plug it in; also what it takes after it fell out."""
        self._container.run("systemctl", "--quiet", "enable", "--now", _UNIT)

    def unplug(self) -> None:
        """Pull it out: the port vanishes."""
        self._container.run("systemctl", "--quiet", "disable", "--now", _UNIT)

    def send(self, data: bytes) -> None:
        """Send bytes; where no cable is plugged in, they are lost."""
        self._accept()
        if self._wire is not None:
            try:
                self._wire.sendall(data)
            except ConnectionError:
                self._hang_up()

    def _accept(self) -> None:
        """Take the newest connection, if there is a new one: the cable has been plugged in again."""
        while select.select([self._listener], [], [], 0)[0]:
            self._hang_up()
            self._wire, _ = self._listener.accept()

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def close(self) -> None:
        """Throw it away."""
        self._hang_up()
        self._listener.close()
