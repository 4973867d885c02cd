"""Which port each meter is read from, and how, from what the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.link.locate import default_port
from p1_exporter.link.port import PortSettings, check_settings

if TYPE_CHECKING:
    from p1_exporter.config import MeterConfig

# Where a Raspberry Pi has its serial port: what is waited for if no port is named and none is there yet.
_FALLBACK_PORT: Final = "/dev/serial0"


def port_settings(meter: MeterConfig) -> tuple[PortSettings, str]:
    """Return the port of a meter, looked for where none is named, and why this one (empty where it is named).

    Raises:
        UserError: A port that cannot work.
    """
    url, reason = (
        (meter.port, "") if meter.port else default_port() or (_FALLBACK_PORT, "no serial port was found")
    )
    port = PortSettings(url, meter.baudrate, meter.request_line, meter.request_interval)
    check_settings(port)
    return port, reason
