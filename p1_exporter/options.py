"""The options of `run`: one table from which flags, keys of the file, help and messages come.

To add an option, add a row here and a field to `MeterConfig` or `Config`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p1_exporter import config_values as parse
from p1_exporter.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable


# Control characters, and halves of UTF-16 pairs but for those that stand for arguments that are no UTF-8.
_UNUSABLE: Final = re.compile(r"[\0-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")


@dataclass(frozen=True, slots=True)
class Setting:
    """What was given for one option, as text, and where."""

    origin: str  # as messages name it: `--serial.port`, or `p1.yml, line 3: serial.port`
    texts: tuple[str, ...]
    folder: Path  # that relative paths start from


@dataclass(frozen=True, slots=True)
class FileMeter:
    """One item of `meters:`: where it stands, and its settings by option name."""

    origin: str
    settings: dict[str, Setting]


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What a file gives: its settings by option name, and its meters; None where there is no `meters:`."""

    settings: dict[str, Setting]
    meters: tuple[FileMeter, ...] | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table.

    `name` is the flag without its dashes, and the path of the key in the file (`web: {listen-address: ...}`).
    `field` is the field of `MeterConfig` (`per_meter`) or `Config`; with - for _ it is also the key in an
    item of `meters:`. `default` is text as somebody would give it, so that it is parsed and shown like all
    other.
    """

    name: str
    field: str
    parse: Callable[[str], object]
    default: str | None
    metavar: str
    help: str
    per_meter: bool = False
    repeatable: bool = False
    is_path: bool = False
    in_file: bool = True

    @property
    def flag(self) -> str:
        """Return the flag with its dashes."""
        return f"--{self.name}"

    @property
    def meter_key(self) -> str:
        """Return the key in an item of `meters:`."""
        return self.field.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        """Tell whether the flag takes no value and has a twin that begins with `--no-`."""
        return self.parse is parse.boolean

    def value(self, setting: Setting | None) -> object:
        """Return the value that `setting`, or without one the default, stands for.

        Repeatable options give a tuple, others one value, or None if there is not even a default. Raises
        UserError that begins with the setting's origin.
        """
        if setting is None:
            setting = Setting(self.flag, () if self.default is None else (self.default,), Path())
        if len(setting.texts) > 1 and not self.repeatable:
            raise UserError(f"{setting.origin}: given {len(setting.texts)} times. Give it once.")
        values = tuple(self._parse(text, setting) for text in setting.texts)
        if self.repeatable:
            return values
        return values[0] if values else None

    def _parse(self, text: str, setting: Setting) -> object:
        if not text:
            raise UserError(f"{setting.origin}: the value is empty. Give a value or leave it out altogether.")
        if _UNUSABLE.search(text):
            raise UserError(
                f"{setting.origin}: the value holds a line break or another control character. Write it on "
                "one line."
            )
        if self.is_path and "://" not in text:
            text = str(setting.folder / text)
        try:
            return self.parse(text)
        except ValueError as error:
            raise UserError(f"{setting.origin}: {error}") from error


OPTIONS: Final = (
    Option(
        "serial.port",
        "port",
        parse.port,
        None,
        "PORT",
        "Device path of the port, or a URL: socket://HOST:PORT, rfc2217://HOST:PORT, file:///PATH (replay), "
        "simulate://dsmr5. Without it: the first that exists of /dev/serial/by-id/*P1*, the only USB serial "
        "adapter, /dev/serial0.",
        per_meter=True,
        is_path=True,
    ),
    Option(
        "serial.baudrate",
        "baudrate",
        parse.baudrate,
        "auto",
        "BAUD",
        "Baud rate of the meter; auto finds it out. Meters of DSMR 2.2 and 3.0 have 9600, all others 115200.",
        per_meter=True,
    ),
    Option(
        "serial.request-line",
        "request_line",
        parse.request_line,
        "none",
        "LINE",
        "What asks the meter for data: none (the line is wired), rts, dtr, or gpio:N with the BCM number.",
        per_meter=True,
    ),
    Option(
        "serial.request-interval",
        "request_interval",
        parse.request_interval,
        None,
        "SECONDS",
        "Seconds between telegrams; the request line is released in between. Without it the line is held.",
        per_meter=True,
    ),
    Option(
        "serial.circuit",
        "circuit",
        parse.circuit,
        "auto",
        "CIRCUIT",
        "What stands between meter and computer, for the advice on a bad link: transistor, optocoupler, cable, or "
        "bridge (a serial server); auto goes by the kind of port.",
        per_meter=True,
    ),
    Option(
        "meter.name",
        "name",
        parse.meter_name,
        "main",
        "NAME",
        "Value of the label meter.",
        per_meter=True,
    ),
    Option(
        "meter.time-zone",
        "time_zone",
        parse.time_zone,
        "Europe/Amsterdam",
        "ZONE",
        "Time zone of the meter's clock.",
        per_meter=True,
    ),
    Option(
        "meter.key-file",
        "key_file",
        parse.key_file,
        None,
        "FILE",
        "File with the keys of an encrypted meter, readable by its owner alone. Instead of a file: the "
        "environment variables P1_EXPORTER_KEY and P1_EXPORTER_AUTHENTICATION_KEY.",
        per_meter=True,
        is_path=True,
    ),
    Option(
        "meter.check-tag",
        "check_tag",
        parse.boolean,
        "true",
        "BOOL",
        "Check the authentication tag of encrypted telegrams.",
        per_meter=True,
    ),
    Option(
        "meter.max-power",
        "max_power",
        parse.max_power,
        # 3 x 80 A x 230 V, the largest household connection in the Netherlands.
        "55.2kW",
        "POWER",
        "Upper bound of plausible readings, in W or kW. A telegram without checksum in which a register "
        "rises faster is not believed.",
        per_meter=True,
    ),
    Option(
        "share.listen-address",
        "share_listen_address",
        parse.listen_address,
        None,
        "ADDRESS",
        "Give the meter's bytes, raw, to other programs over TCP on this address.",
        per_meter=True,
    ),
    Option(
        "web.listen-address",
        "web_listen_addresses",
        parse.listen_address,
        ":9786",
        "ADDRESS",
        "Address of the metrics. Repeatable.",
        repeatable=True,
    ),
    Option(
        "web.telemetry-path",
        "telemetry_path",
        parse.telemetry_path,
        "/metrics",
        "PATH",
        "Path of the metrics.",
    ),
    Option(
        "web.config.file",
        "web_config_file",
        parse.path,
        None,
        "FILE",
        "TLS and basic authentication, in the format of the Prometheus exporter-toolkit.",
        is_path=True,
    ),
    Option(
        "web.systemd-socket",
        "systemd_socket",
        parse.boolean,
        "false",
        "BOOL",
        "Take the listening sockets from systemd instead of opening the listen addresses.",
    ),
    Option(
        "collector.equipment-ids",
        "equipment_ids",
        parse.boolean,
        "false",
        "BOOL",
        "Export the serial numbers of meter and M-Bus devices, which are personal data.",
    ),
    Option(
        "log.level",
        "log_level",
        parse.choice("debug", "info", "warning", "error"),
        "info",
        "LEVEL",
        "The least severe messages to log: debug, info, warning or error.",
    ),
    Option(
        "log.format",
        "log_format",
        parse.choice("logfmt", "json"),
        "logfmt",
        "FORMAT",
        "Form of the log: logfmt or json.",
    ),
    Option(
        "config.file",
        "config_file",
        parse.path,
        None,
        "FILE",
        "YAML file with the same keys, needed only for several meters. Flags win over the file.",
        is_path=True,
        in_file=False,
    ),
)

METER_OPTIONS: Final = tuple(option for option in OPTIONS if option.per_meter)
PROGRAM_OPTIONS: Final = tuple(option for option in OPTIONS if not option.per_meter)
