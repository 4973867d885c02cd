"""How to read each meter, from what the configuration says."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from p1_exporter.keys import cipher_of
from p1_exporter.link.reception import Understanding
from p1_exporter.meter import MeterSettings
from p1_exporter.ports import port_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from p1_exporter.config import Config, MeterConfig


def meter_settings(config: Config, environ: Mapping[str, str]) -> list[MeterSettings]:
    """Return how to read each meter; looks for keys and for the port where none is named, but opens nothing.

    Raises:
        UserError: A key or port that cannot work.
    """
    return [_meter_settings(meter, config, environ) for meter in config.meters]


def _meter_settings(meter: MeterConfig, config: Config, environ: Mapping[str, str]) -> MeterSettings:
    port, reason = port_settings(meter)
    return MeterSettings(
        name=meter.name,
        port=port,
        port_reason=reason,
        locate=None if meter.port else partial(port_settings, meter),
        circuit=meter.circuit,
        understanding=Understanding(
            time_zone=meter.time_zone,
            max_power=meter.max_power,
            cipher=cipher_of(meter, environ),
            identities=config.equipment_ids,
        ),
    )
