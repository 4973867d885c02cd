"""The configuration: flags and file in, one immutable `Config` out.

Nothing is opened here but the file, and nothing is remembered: to reload, call `load` again.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from p1_exporter.errors import UserError
from p1_exporter.flags import FlagParser, add_run_flags, flag_settings
from p1_exporter.keys import check_variables
from p1_exporter.options import METER_OPTIONS, OPTIONS, PROGRAM_OPTIONS, FileSettings, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from p1_exporter.link.circuits import Circuit
    from p1_exporter.options import Option

__all__ = ["Config", "FlagParser", "MeterConfig", "add_run_flags", "load"]

_BY_NAME: Final = {option.name: option for option in OPTIONS}


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """One meter and the port that it is read from."""

    name: str  # value of the label `meter`
    port: str | None  # device path or URL; None: find it
    baudrate: int | None  # None: find it
    request_line: str  # none, rts, dtr, or gpio:N
    request_interval: float | None  # seconds; None: the line is held
    circuit: Circuit | None  # None: the usual one of that kind of port
    time_zone: str  # a name that zoneinfo knows
    key_file: Path | None
    check_tag: bool  # of encrypted telegrams
    max_power: float  # watts
    share_listen_address: str | None  # HOST:PORT


@dataclass(frozen=True, slots=True)
class Config:
    """All that flags and file say."""

    meters: tuple[MeterConfig, ...]  # at least one; names differ
    web_listen_addresses: tuple[str, ...]  # HOST:PORT, at least one
    telemetry_path: str
    web_config_file: Path | None
    systemd_socket: bool
    equipment_ids: bool
    log_level: str  # debug, info, warning or error
    log_format: str  # logfmt or json
    config_file: Path | None


@dataclass(frozen=True, slots=True)
class _Claim:
    """What only one may have, in the form in which it is compared, and where it was claimed."""

    thing: str
    origin: str


def load(flags: argparse.Namespace | Sequence[str], environ: Mapping[str, str]) -> Config:
    """Return the configuration that `flags`, parsed or not, and the file that they name give together.

    `environ` is looked at for keys of encrypted meters that could belong to no meter. Raises UserError only;
    its text says where (flag, or file, line and key), what is wrong and what to do.
    """
    given = flag_settings(flags if isinstance(flags, argparse.Namespace) else _parsed(flags))
    path = cast("Path | None", _BY_NAME["config.file"].value(given.get("config.file")))
    file = _read_file(path) if path else FileSettings({})
    settings = file.settings | given
    _check_single_or_several(file, settings)
    by_meter = [settings] if file.meters is None else [meter.settings for meter in file.meters]
    # The tables of options and the fields agree by test.
    meters = tuple(MeterConfig(**_values(METER_OPTIONS, of_meter)) for of_meter in by_meter)
    config = Config(meters=meters, **_values(PROGRAM_OPTIONS, settings))
    _check_claims(config, settings, by_meter)
    check_variables([meter.name for meter in meters], environ)
    return config


def _read_file(path: Path) -> FileSettings:
    from p1_exporter.config_file import read_file  # noqa: PLC0415 - most exporters do with flags

    return read_file(path)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = FlagParser(prog="p1-exporter run")
    add_run_flags(parser)
    return parser.parse_args(arguments)


def _values(options: Iterable[Option], settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the values of `options` by field."""
    return {option.field: option.value(settings.get(option.name)) for option in options}


def _check_single_or_several(file: FileSettings, settings: Mapping[str, Setting]) -> None:
    """Refuse a list of meters that is incomplete, or stands beside settings that speak of one meter."""
    if file.meters is None:
        return
    for option in METER_OPTIONS:
        if option.name in settings:
            raise UserError(
                f"{settings[option.name].origin}: this is about one meter, but the file has a list of "
                f"meters. Move it into the items of the list, as {option.meter_key}."
            )
    for meter in file.meters:
        for option in (_BY_NAME["meter.name"], _BY_NAME["serial.port"]):
            if option.name not in meter.settings:
                raise UserError(
                    f"{meter.origin}: {option.meter_key} is missing. Every meter of a list needs its own "
                    "name and port."
                )


def _check_claims(
    config: Config, settings: Mapping[str, Setting], by_meter: Sequence[Mapping[str, Setting]]
) -> None:
    """Refuse what two meters, or a meter and the web server, cannot both have."""
    names, ports, gpios, addresses = [], [], [], []
    web = _BY_NAME["web.listen-address"]
    web_origin = settings[web.name].origin if web.name in settings else f"{web.flag} (default)"
    if not config.systemd_socket:
        addresses = [_Claim(address, web_origin) for address in config.web_listen_addresses]
    for meter, given in zip(config.meters, by_meter, strict=True):
        if "meter.name" in given:
            # As different as the names of their environment variables.
            names.append(_Claim(meter.name.upper().replace("-", "_"), given["meter.name"].origin))
        if meter.port:
            # One adapter has several paths: links in /dev/serial and the device itself.
            port = meter.port if "://" in meter.port else os.path.realpath(meter.port)
            ports.append(_Claim(port, given["serial.port"].origin))
        if meter.request_line.startswith("gpio:"):
            gpios.append(_Claim(meter.request_line, given["serial.request-line"].origin))
        if meter.share_listen_address:
            addresses.append(_Claim(meter.share_listen_address, given["share.listen-address"].origin))
    _check_once(names, "Meters must differ in more than upper and lower case, - and _. Choose another name.")
    _check_once(ports, "Only one meter can be read from a port. Give this one another port.")
    _check_once(gpios, "Only one meter can be asked by a GPIO. Give this one another GPIO.")
    _check_once(
        # The system finds a free port for each 0.
        (claim for claim in addresses if not claim.thing.endswith(":0")),
        "Only one can listen on an address. Choose another port.",
    )


def _check_once(claims: Iterable[_Claim], advice: str) -> None:
    first: dict[str, str] = {}
    for claim in claims:
        if claim.thing in first:
            raise UserError(f"{claim.origin}: this is the same as {first[claim.thing]}. {advice}")
        first[claim.thing] = claim.origin
