"""One scrape, read by the parsers of prometheus_client, with what must be true of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Series = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels."""

# Everything else that has the label `meter` is about the meter itself.
_LINK_NAMES = {
    "p1_up",
    "p1_telegrams_total",
    "p1_telegrams_accepted_total",
    "p1_telegram_errors_total",
    "p1_telegrams_pending",
    "p1_telegrams_missed_total",
    "p1_received_bytes_total",
    "p1_accepted_bytes_total",
    "p1_dropped_bytes_total",
    "p1_pending_bytes",
    "p1_telegram_interval_seconds_bucket",
    "p1_telegram_interval_seconds_count",
    "p1_telegram_interval_seconds_sum",
    "p1_telegram_size_bytes",
    "p1_last_telegram_timestamp_seconds",
    "p1_reachability_ratio",
    "p1_line_errors_total",
    "p1_line_errors_supported",
    "p1_damage_flipped_bits_total",
    "p1_damage_lost_bytes_total",
    "p1_damage_inserted_bytes_total",
    "p1_link_fault",
    "p1_link_state",
    "p1_port_open",
    "p1_port_opens_total",
    "p1_port_errors_total",
    "p1_request_line_asserted",
    "p1_meter_clock_offset_seconds",
    "p1_port_info",
    "p1_malformed_values_total",
    "p1_obis_values_dropped_total",
}


def series(name: str, **labels: str) -> Series:
    """Name one series."""
    return name, frozenset(labels.items())


class Scrape:
    """The samples of one scrape, of one moment."""

    def __init__(self, samples: dict[Series, float]) -> None:
        self.samples = samples

    def __call__(self, name: str, meter: str = "main", **labels: str) -> float:
        """Return the value of one series of a meter."""
        return self.samples[series(name, meter=meter, **labels)]

    def total(self, name: str, meter: str = "main") -> float:
        """Return the sum of all series of a meter that have this name."""
        return sum(
            value
            for (known, labels), value in self.samples.items()
            if known == name and ("meter", meter) in labels
        )

    def state(self, meter: str = "main") -> str:
        """Return the state of the link."""
        (state,) = (
            dict(labels)["p1_link_state"]
            for (name, labels), value in self.samples.items()
            if name == "p1_link_state" and ("meter", meter) in labels and value
        )
        return state

    def of_meter(self, meter: str = "main") -> dict[Series, float]:
        """Return what the meter's telegram says, without the label that names the meter."""
        return {
            (name, labels - {("meter", meter)}): value
            for (name, labels), value in self.samples.items()
            if ("meter", meter) in labels and name not in _LINK_NAMES
        }

    def of_link(self, meter: str = "main") -> set[Series]:
        """Return the series that say how a meter is read."""
        return {
            (name, labels)
            for name, labels in self.samples
            if ("meter", meter) in labels and name in _LINK_NAMES
        }

    @property
    def meters(self) -> set[str]:
        """The names of the meters."""
        return {value for _, labels in self.samples for label, value in labels if label == "meter"}

    def __str__(self) -> str:
        lines = (f"{name}{sorted(labels)} {value}" for (name, labels), value in self.samples.items())
        return "\n".join(lines)


def parse(body: str, *, openmetrics: bool) -> Scrape:
    """Read a body; fails if it breaks a law that holds in every single scrape."""
    scrape = Scrape(dict(_samples(body, openmetrics=openmetrics)))
    for meter in scrape.meters:
        check_laws(scrape, meter)
    return scrape


def _samples(body: str, *, openmetrics: bool) -> Iterable[tuple[Series, float]]:
    families = openmetrics_families if openmetrics else text_families
    return _once(
        (series(sample.name, **sample.labels), sample.value, sample.timestamp)
        for family in families(body)
        for sample in family.samples
    )


def _once(samples: Iterable[tuple[Series, float, object]]) -> Iterator[tuple[Series, float]]:
    seen: set[Series] = set()
    for key, value, timestamp in samples:
        assert timestamp is None, f"{key} carries a timestamp"
        assert key not in seen, f"{key} comes twice"
        seen.add(key)
        yield key, value


def check_laws(scrape: Scrape, meter: str) -> None:
    """Check that every byte and every telegram is accounted for."""
    assert scrape("p1_received_bytes_total", meter) == (
        scrape("p1_accepted_bytes_total", meter)
        + scrape.total("p1_dropped_bytes_total", meter)
        + scrape("p1_pending_bytes", meter)
    )
    assert scrape("p1_telegrams_total", meter) == (
        scrape("p1_telegrams_accepted_total", meter)
        + scrape.total("p1_telegram_errors_total", meter)
        + scrape("p1_telegrams_pending", meter)
    )
