"""Asks the running exporter about a link: only one program can read a port."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from p1_exporter.link.diagnosis import Diagnosis
from p1_exporter.web.status import STATUS_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TIMEOUT: Final = 3.0
_LARGEST: Final = 1024 * 1024
_DEFAULT_PORT: Final = 9786


class ServiceAnswer(NamedTuple):
    """What the service says about a meter."""

    address: str
    diagnoses: tuple[Diagnosis, ...]
    state: str
    status: Mapping[str, Any]


def ask_service(addresses: Sequence[str], port: str) -> ServiceAnswer | None:
    """Return what the exporter that reads `port` says of it, None if none answers.

    Args:
        addresses: HOST:PORT that it may listen on.
        port: device path or URL, as the exporter was given it.
    """
    for address in dict.fromkeys([*addresses, f":{_DEFAULT_PORT}"]):
        host, _, number = address.rpartition(":")
        status = _status(host.strip("[]") or "localhost", number)
        for meter in status.get("meters", []) if status else []:
            if meter.get("port") == port:
                return ServiceAnswer(address, _diagnoses(meter), str(meter.get("state", "")), meter)
    return None


def _diagnoses(meter: Mapping[str, Any]) -> tuple[Diagnosis, ...]:
    return tuple(
        Diagnosis(fault["fault"], fault["confidence"], fault["seen"], frozenset(fault["situation"]))
        for fault in meter["faults"]
    )


def _status(host: str, number: str) -> Any:  # noqa: ANN401  whatever the other side says
    if not number.isdecimal():
        return None
    try:
        with closing(HTTPConnection(host, int(number), timeout=_TIMEOUT)) as connection:
            connection.request("GET", STATUS_PATH)
            answer = connection.getresponse()
            return json.loads(answer.read(_LARGEST)) if answer.status == 200 else None  # noqa: PLR2004 - OK
    except (OSError, HTTPException, ValueError):
        return None  # nobody there, or somebody else
