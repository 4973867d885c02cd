"""Which of the two text formats a scraper gets, and the bytes of it.

The negotiation is our own because that of prometheus_client answers with whatever version was asked for (a
body of OpenMetrics 1.0 under the name of 9.9.9) and takes no notice of q-values. Here there are two answers
only, the same with every release of the library: OpenMetrics 1.0.0 and the text format 0.0.4.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics_exposition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"

_QUALITY: Final = re.compile(r"0(\.\d*)?|1(\.0*)?")
# A third of the time of the default level, for a body that is a few per cent longer.
_GZIP_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class Format:
    """The shape of a body: OpenMetrics or text, compressed or not."""

    openmetrics: bool
    gzip: bool

    @property
    def content_type(self) -> str:
        """The value of the header Content-Type."""
        return OPENMETRICS if self.openmetrics else TEXT


def negotiate(accept: str, accept_encoding: str) -> Format:
    """Choose the format from the headers Accept and Accept-Encoding ("" where the request has none).

    OpenMetrics is for those who name it and do not like text better. All others get text, also those who
    accept neither: to see something helps more than to see 406. See RFC 9110, 12.4 and 12.5.
    """
    types = _qualities(accept)
    openmetrics = types.get("application/openmetrics-text", 0.0)
    text = _first(types, "text/plain", "text/*", "*/*")

    codings = _qualities(accept_encoding)
    compressed = _first(codings, "gzip", "x-gzip", "*")
    plain = codings.get("identity", 0.0)
    return Format(openmetrics=0 < openmetrics >= text, gzip=0 < compressed >= plain)


def encode(families: Iterable[Metric], form: Format) -> bytes:
    """Render metric families in the order given. The same families give the same bytes, also compressed."""
    source = _Families(families)
    generate = openmetrics_exposition.generate_latest if form.openmetrics else exposition.generate_latest
    body: bytes = generate(source)
    return gzip.compress(body, _GZIP_LEVEL, mtime=0) if form.gzip else body


class _Families:
    """What prometheus_client's encoders want of a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _qualities(header: str) -> dict[str, float]:
    """Read `a/b;version=1;q=0.5, c/d` as {"a/b": 0.5, "c/d": 1.0}.

    Of a range that comes twice, with two versions of one format for instance, the better counts.
    One whose q-value is no number from 0 to 1 is no range.
    """
    qualities: dict[str, float] = {}
    for element in header.lower().split(","):
        name, *parameters = (part.strip() for part in element.split(";"))
        quality = "1"
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = value.strip()
        if name and _QUALITY.fullmatch(quality):
            qualities[name] = max(float(quality), qualities.get(name, 0.0))
    return qualities


def _first(qualities: dict[str, float], *names: str) -> float:
    """Return the quality of the first of these names that there is; 0 without any."""
    return next((qualities[name] for name in names if name in qualities), 0.0)
