"""Snapshots of meters into metric families: the link's from a table, the meter's from the registry of OBIS codes.

Nothing is kept between scrapes: each works on the newest snapshots, so that it never mixes two telegrams, and what
is no longer fresh is gone from the next one.
"""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from prometheus_client.core import Metric

from p1_exporter import __version__
from p1_exporter.exposition.families import LINK, Family, meter_family
from p1_exporter.link.record import INTERVAL_BUCKETS
from p1_exporter.link.state import FAULT_NAMES, STATES, link_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from p1_exporter.link.record import LinkSnapshot
    from p1_exporter.link.watch import WatchSnapshot
    from p1_exporter.meter import MeterSnapshot

Labels = dict[str, str]


class MeterCollector:
    """A collector of prometheus_client over the newest snapshot of every meter.

    Args of the constructor: `snapshots`, called once for each scrape; `clock`, as `time.monotonic`.
    """

    def __init__(
        self, snapshots: Callable[[], Sequence[MeterSnapshot]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._snapshots = snapshots
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Return the families of one scrape."""
        families = _Families()
        now = self._clock()
        for snapshot in self._snapshots():
            _add_link(families, snapshot, now)
            _add_meter(families, snapshot, now)
        families.add(
            LINK["p1_exporter_build_info"],
            {"version": __version__, "python_version": platform.python_version()},
            1.0,
        )
        return iter(families.metrics.values())


class _Families:
    """The families of one scrape, by name, in the order of their first sample."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}

    def add(self, family: Family, labels: Labels, value: float, suffix: str = "") -> None:
        metric = self.metrics.get(family.name)
        if metric is None:
            metric = Metric(family.name, family.help, family.type, family.unit)
            self.metrics[family.name] = metric
        metric.add_sample(family.sample + suffix, labels, value)


def _add_link(families: _Families, snapshot: MeterSnapshot, now: float) -> None:
    meter = {"meter": snapshot.name}
    for name, values in _link_values(snapshot.link, snapshot.watch, now).items():
        family = LINK[name]
        for key, value in values.items():
            if value is not None:
                families.add(family, {**meter, family.label: key} if family.label else meter, value)
    link = snapshot.link
    port = link.port
    info = {
        "port": port.port,
        "driver": port.driver,
        "baudrate": str(port.baudrate),
        "format": port.format,
        "request_line": port.request_line,
    }
    families.add(LINK["p1_port_info"], {**meter, **info}, 1.0)
    _add_intervals(families, meter, link)
    if snapshot.telegram and snapshot.telegram.meter_time is not None:
        offset = snapshot.telegram.meter_time - snapshot.telegram.received
        families.add(LINK["p1_meter_clock_offset_seconds"], meter, offset)


def _link_values(
    link: LinkSnapshot, watch: WatchSnapshot, now: float
) -> dict[str, Mapping[str, float | None]]:
    """Return the values of a link by metric and by label value; a value of None is absent."""
    state = link_state(link, now)
    named = {diagnosis.fault for diagnosis in watch.faults}
    asserted = None if link.request_asserted is None else float(link.request_asserted)
    return {
        "p1_up": {"": float(link.fresh(now))},
        "p1_telegrams_total": {"": link.telegrams},
        "p1_telegrams_accepted_total": {"": link.accepted},
        "p1_telegram_errors_total": dict(link.errors),
        "p1_telegrams_pending": {"": link.pending},
        "p1_telegrams_missed_total": {"": link.missed},
        "p1_received_bytes_total": {"": link.received_bytes},
        "p1_accepted_bytes_total": {"": link.accepted_bytes},
        "p1_dropped_bytes_total": dict(link.dropped_bytes),
        "p1_pending_bytes": {"": link.pending_bytes},
        "p1_telegram_size_bytes": {"": link.telegram_size},
        "p1_last_telegram_timestamp_seconds": {"": link.last_accepted_wall},
        "p1_reachability_ratio": {"": link.reachability},
        "p1_line_errors_total": dict(link.line_errors),
        "p1_line_errors_supported": {error: float(can) for error, can in link.line_errors_supported.items()},
        "p1_damage_flipped_bits_total": {"0_to_1": watch.damage.up, "1_to_0": watch.damage.down},
        "p1_damage_lost_bytes_total": {"": watch.damage.lost},
        "p1_damage_inserted_bytes_total": {"": watch.damage.foreign},
        "p1_link_fault": {name: float(name in named) for name in FAULT_NAMES},
        "p1_link_state": {name: float(name == state) for name in STATES},
        "p1_port_open": {"": float(link.port_open)},
        "p1_port_opens_total": {"": link.port_opens},
        "p1_port_errors_total": dict(link.port_errors),
        "p1_request_line_asserted": {"": asserted},
        "p1_malformed_values_total": {"": link.malformed_values},
        "p1_obis_values_dropped_total": {"": link.dropped_values},
    }


def _add_intervals(families: _Families, meter: Labels, link: LinkSnapshot) -> None:
    family = LINK["p1_telegram_interval_seconds"]
    count = 0
    bounds = [*(str(bound) for bound in INTERVAL_BUCKETS), "+Inf"]
    for bound, inside in zip(bounds, link.interval_counts, strict=True):
        count += inside
        families.add(family, {**meter, "le": bound}, count, "_bucket")
    families.add(family, meter, count, "_count")
    families.add(family, meter, link.interval_sum, "_sum")


def _add_meter(families: _Families, snapshot: MeterSnapshot, now: float) -> None:
    telegram = snapshot.telegram
    if telegram is None or not snapshot.link.fresh(now):
        return
    found = telegram.accepted.samples
    for line in (*found.by_line, found.of_telegram):
        for sample in line:
            families.add(
                meter_family(sample.name), {"meter": snapshot.name, **dict(sample.labels)}, sample.value
            )
