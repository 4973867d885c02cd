"""What the values of flags and file keys mean.

Every function takes the text of one value and returns what it stands for, or raises ValueError with a text
for people: what is wrong with it and what to give instead. Who knows where the text came from puts that in
front.
"""

from __future__ import annotations

import os
import re
import socket
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p1_exporter.link.circuits import CIRCUITS, Circuit
from p1_exporter.link.request import REQUEST_INTERVALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# BCM2835 numbers of the 40-pin header; the lines beyond are not led out.
_HIGHEST_HEADER_GPIO: Final = 27
# What the UARTs and adapters in use can do at all; P1 itself is 115200 or 9600.
_BAUDRATES: Final = range(300, 4_000_001)
_HIGHEST_TCP_PORT: Final = 65535
# A gigawatt: beyond any meter, and far from where a float would no longer be exact.
_HIGHEST_POWER: Final = 1e9
_POWER_EXPONENTS: Final = {"": "", "W": "", "kW": "e3", "MW": "e6"}
_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_URL_SCHEMES: Final = ("socket", "rfc2217", "file", "simulate")
# The exporter answers on these itself.
_RESERVED_PATHS: Final = ("/api/v1/status", "/-/healthy", "/-/ready")
_KEY_DIGITS: Final = 32


def quoted(text: str) -> str:
    """Return `text` as messages show it: in quotes, on one line, and no longer than any sensible path."""
    longest = 240
    return repr(text if len(text) <= longest else f"{text[: longest - 3]}...")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names the one of `known` that is nearest to `word`, or nothing.

    Names whose last part agrees are nearest of all: `web.listen-address` to `listen-address`.
    """
    import difflib  # noqa: PLC0415  only a program that is about to end needs it

    names = list(known)
    last_part = word.lstrip("-").rpartition(".")[2]
    same_end = [name for name in names if name.rpartition(".")[2] == last_part]
    # Only the first characters count: a difference of long texts takes time that grows with their product.
    near = difflib.get_close_matches(word[:100], same_end or names, n=1, cutoff=0 if same_end else 0.6)
    return f" Did you mean {near[0]}?" if near else ""


def choice(*words: str) -> Callable[[str], str]:
    """Return a parser that takes one of `words` as it is."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{quoted(text)} is none of {', '.join(words)}.{did_you_mean(text, words)}")
        return text

    return parse


def boolean(text: str) -> bool:
    """Parse the words that YAML 1.1 takes for true and false."""
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(f"{quoted(text)} is neither true nor false: write one of these.") from None


def path(text: str) -> Path:
    """Parse a path of the file system; nothing is looked up."""
    return Path(text)


def key_file(text: str) -> Path:
    """Parse the path of a key file.

    A key in the place of its file would be seen by everybody who sees the list of processes, and in the
    message that no such file exists. It is refused without being shown.
    """
    name = re.sub(r"[\s:-]", "", Path(text).name)
    if len(name) >= _KEY_DIGITS and re.fullmatch(r"[0-9A-Fa-f]+", name):
        raise ValueError(
            "this is a key, but the path of a file that holds the key is wanted: write the key into a file "
            "of its own, chmod 600 that file, and give its path."
        )
    return Path(text)


def port(text: str) -> str:
    """Parse a serial port: a device path or a URL. Devices need not exist: adapters come and go."""
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        if os.path.isdir(text):  # noqa: PTH112  a pathlib.Path would be made for this one question
            raise ValueError(
                f"{quoted(text)} is a directory, not a serial port: ls -l /dev/serial/by-id shows the USB "
                "serial adapters of this computer."
            )
    elif scheme not in _URL_SCHEMES:
        known = ", ".join(f"{name}://" for name in _URL_SCHEMES)
        raise ValueError(
            f"{quoted(text)} is no kind of port that is known: give a device path or one of {known}."
            + did_you_mean(scheme, _URL_SCHEMES)
        )
    elif scheme in {"socket", "rfc2217"}:
        authority = re.match(r"(?:\[[0-9A-Fa-f:.]+\]|[^][:/?#\s]+):([0-9]{1,5})(?=[/?]|$)", rest)
        if authority is None or not 0 < int(authority[1]) <= _HIGHEST_TCP_PORT:
            raise ValueError(
                f"{quoted(text)} does not say where to connect: write {scheme}://HOST:PORT, "
                f"for example {scheme}://192.168.1.20:2001."
            )
    elif scheme == "file" and not rest.startswith("/"):
        raise ValueError(
            f"{quoted(text)} does not name a file: write file:// and the whole path, for example "
            "file:///var/tmp/telegrams.txt."
        )
    return text


def baudrate(text: str) -> int | None:
    """Parse a baud rate; None is `auto`."""
    if text == "auto":
        return None
    if not re.fullmatch(r"[0-9]{1,7}", text) or int(text) not in _BAUDRATES:
        raise ValueError(
            f"{quoted(text)} is no baud rate: give auto or a number from {_BAUDRATES[0]} to "
            f"{_BAUDRATES[-1]}; P1 ports have 115200, old ones 9600."
        )
    return int(text)


def request_line(text: str) -> str:
    """Parse what asks the meter for data: `none`, `rts`, `dtr`, or `gpio:N` with the BCM number N."""
    if text in {"none", "rts", "dtr"}:
        return text
    gpio = re.fullmatch(r"gpio:([0-9]{1,2})", text)
    if gpio is None or int(gpio[1]) > _HIGHEST_HEADER_GPIO:
        raise ValueError(
            f"{quoted(text)} is no request line: give none, rts, dtr, or gpio:N with the BCM number "
            f"(0 to {_HIGHEST_HEADER_GPIO}, not the number of the pin), for example gpio:4."
        )
    return f"gpio:{int(gpio[1])}"


def circuit(text: str) -> Circuit | None:
    """Parse what stands between meter and computer; `auto` is None."""
    for known in CIRCUITS:
        if text == known:
            return known
    if text != "auto":
        raise ValueError(f"{quoted(text)} is no circuit: give auto, {', '.join(CIRCUITS)}.")
    return None


def request_interval(text: str) -> float:
    """Parse the seconds between telegrams that are asked for: `60` or `60s`."""
    match = re.fullmatch(r"([0-9]{1,4}(?:\.[0-9]{1,3})?) ?s?", text)
    shortest, longest = REQUEST_INTERVALS
    if match is None or not shortest <= float(match[1]) <= longest:
        raise ValueError(
            f"{quoted(text)} is no interval between telegrams: give seconds, {shortest:g} to {longest:g}, for "
            "example 60."
        )
    return float(match[1])


def meter_name(text: str) -> str:
    """Parse the name of a meter: a label value that can be typed, and be part of a variable's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        raise ValueError(
            f"{quoted(text)} cannot name a meter: use 1 to 64 letters (a to z), digits, - and _, and begin "
            "with a letter or digit, for example heat-pump."
        )
    return text


def time_zone(text: str) -> str:
    """Parse the name of a time zone of the IANA database as installed on this computer."""
    try:
        zoneinfo.ZoneInfo(text)
    # KeyError: no such name; ValueError: a path; OSError: a region ("Europe") is a directory.
    except (KeyError, ValueError, OSError):
        names = zoneinfo.available_timezones()
        advice = (
            "timedatectl list-timezones, or ls -R /usr/share/zoneinfo, lists the names."
            f"{did_you_mean(text, sorted(names))}"
            if names
            else "This computer has no list of time zones at all: install the package tzdata."
        )
        raise ValueError(f"{quoted(text)} is no time zone. {advice}") from None
    return text


def max_power(text: str) -> float:
    """Parse a power in watts: `55200`, `55200W` or `55.2kW`."""
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?(W|kW|MW|)", text)
    # The unit becomes the exponent of the literal, so that 55.2kW is exactly 55200.
    watts = float(match[1] + _POWER_EXPONENTS[match[2]]) if match else 0.0
    if not 0 < watts <= _HIGHEST_POWER:
        raise ValueError(
            f"{quoted(text)} is no power above 0: give watts or kilowatts, with a decimal point, for example "
            "55200, 55200W or 55.2kW."
        )
    return watts


def listen_address(text: str) -> str:
    """Parse an address to listen on: `HOST:PORT`, `[IPv6]:PORT`, or `:PORT` for all addresses."""
    match = re.fullmatch(r"(?:\[(?P<ipv6>[^]]*)\]|[^][:/\s]*):(?P<port>[0-9]{1,5})", text)
    if match is None or int(match["port"]) > _HIGHEST_TCP_PORT or not _is_ipv6(match["ipv6"]):
        raise ValueError(
            f"{quoted(text)} is no address to listen on: write HOST:PORT, or :PORT for all addresses, and "
            "IPv6 in brackets, for example :9786, 127.0.0.1:9786 or [::1]:9786."
        )
    return text


def _is_ipv6(text: str | None) -> bool:
    """Tell whether what stood in brackets, if anything did, is an IPv6 address."""
    if text is None:
        return True
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


def telemetry_path(text: str) -> str:
    """Parse the path of the metrics in the exporter's URL."""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+){1,16}", text):
        raise ValueError(
            f"{quoted(text)} cannot be the path of the metrics: begin with / and use letters, digits, and . "
            "_ ~ - for example /metrics. The path / is the status page."
        )
    if text in _RESERVED_PATHS:
        raise ValueError(
            f"{text} is already a page of the exporter: choose another path, for example /metrics."
        )
    return text
