"""How to read each meter, from what the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.keys import cipher_of
from p1_exporter.link.locate import default_port
from p1_exporter.link.port import PortSettings, check_settings
from p1_exporter.link.reception import Understanding
from p1_exporter.meter import MeterSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from p1_exporter.config import Config, MeterConfig

# Where a Raspberry Pi has its serial port: what is waited for if no port is named and none is there yet.
_FALLBACK_PORT: Final = "/dev/serial0"


def meter_settings(config: Config, environ: Mapping[str, str]) -> list[MeterSettings]:
    """Return how to read each meter; looks for keys and for the port where none is named, but opens nothing.

    Raises:
        UserError: A key or port that cannot work.
    """
    return [_meter_settings(meter, config, environ) for meter in config.meters]


def _meter_settings(meter: MeterConfig, config: Config, environ: Mapping[str, str]) -> MeterSettings:
    url, reason = (
        (meter.port, "") if meter.port else default_port() or (_FALLBACK_PORT, "no serial port was found")
    )
    port = PortSettings(url, meter.baudrate, meter.request_line, meter.request_interval)
    check_settings(port)
    return MeterSettings(
        name=meter.name,
        port=port,
        port_reason=reason,
        circuit=meter.circuit,
        understanding=Understanding(
            time_zone=meter.time_zone,
            max_power=meter.max_power,
            cipher=cipher_of(meter, environ),
            identities=config.equipment_ids,
        ),
    )
