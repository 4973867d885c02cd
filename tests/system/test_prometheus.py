"""Debian's Prometheus scrapes the real program, which reads a meter at the pace of a real line.

Needs the Debian package prometheus, for /usr/bin/prometheus and /usr/bin/promtool; its service need not run.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from p1_exporter.simulator.models import MODELS
from tests.system.prometheus import SCRAPE_SECONDS, Prometheus, TextOnly
from tests.system.scrape import Scrape, Series, check_laws, parse, series
from tests.system.telegrams import expected, on_the_wire, simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.system.exporter import Exporter
    from tests.system.lines import Feeder, SerialServer, Terminal

# By itself Prometheus asks for OpenMetrics, and versions before 2.49 can be told nothing else. So that it reads the
# text format too, its second job goes through a forwarder that asks the exporter for text; what comes back is the
# exporter's own body under the exporter's own Content-Type, and it is Prometheus that reads it.
JOBS = ("openmetrics", "text")
EXPIRY_SECONDS = 30.0


@pytest.fixture
def exporter(run: Callable[..., Exporter], terminal: Terminal) -> Exporter:
    exporter = run(f"--serial.port={terminal.path}")
    exporter.event("port open")
    return exporter


@pytest.fixture
def prometheus(exporter: Exporter, tmp_path: Path) -> Iterator[Prometheus]:
    with contextlib.ExitStack() as stack:
        text = TextOnly(exporter.url)
        stack.callback(text.stop)
        server = Prometheus(tmp_path, {"openmetrics": "{}:{}".format(*exporter.address), "text": text.target})
        stack.callback(server.stop)
        server.wait_until_ready()
        server.until(lambda: all(server.instant(job).get(series("up")) == 1 for job in JOBS))
        yield server


def of_meter(samples: dict[Series, float]) -> dict[Series, float]:
    return Scrape(samples).of_meter()


def wait_for(prometheus: Prometheus, values: dict[Series, float]) -> None:
    """Wait until a query of either job gives these values of the meter, and no others."""
    prometheus.until(lambda: all(of_meter(prometheus.instant(job)) == values for job in JOBS))


def test_every_value_of_a_telegram_is_in_prometheus_by_either_format(
    prometheus: Prometheus, terminal: Terminal, feed: Callable[..., Feeder]
) -> None:
    telegrams = simulated("dsmr5", 3)
    feeder = feed(terminal, telegrams)
    wait_for(prometheus, expected(telegrams[-1]))
    assert feeder.sent == list(telegrams)
    for job in JOBS:
        samples = prometheus.instant(job)
        assert samples[series("p1_up", meter="main")] == 1
        assert samples[series("p1_telegrams_accepted_total", meter="main")] == len(telegrams)
        assert samples[series("p1_received_bytes_total", meter="main")] == sum(map(len, telegrams))
        assert samples[series("up")] == 1


def test_no_scrape_mixes_two_telegrams_or_breaks_a_law(
    prometheus: Prometheus, terminal: Terminal, feed: Callable[..., Feeder]
) -> None:
    telegrams = simulated("dsmr5", 7)
    feed(terminal, telegrams)
    wait_for(prometheus, expected(telegrams[-1]))
    known = {tuple(sorted(expected(telegram).items(), key=str)) for telegram in telegrams}
    for job in JOBS:
        scrapes = [
            scrape for scrape in prometheus.history(job, "1m") if series("p1_up", meter="main") in scrape
        ]
        seen = {tuple(sorted(values.items(), key=str)) for scrape in scrapes if (values := of_meter(scrape))}
        assert seen <= known
        assert len(seen) >= 4, "too few telegrams were seen to say so"
        for scrape in scrapes:
            check_laws(Scrape(scrape), "main")


def test_values_vanish_at_their_expiry_and_come_back_with_the_meter(
    exporter: Exporter, prometheus: Prometheus, terminal: Terminal, feed: Callable[..., Feeder]
) -> None:
    telegrams = simulated("dsmr5", 6)
    feeder = feed(terminal, telegrams[:3])
    wait_for(prometheus, expected(telegrams[2]))
    before = {job: Scrape(prometheus.instant(job)).of_link() for job in JOBS}

    def gone() -> bool:
        return all(not of_meter(prometheus.instant(job)) for job in JOBS)

    prometheus.until(gone, EXPIRY_SECONDS + 5)
    silence = time.monotonic() - feeder.last_byte
    # The expiry counts from the first byte of the last telegram; a scrape of each job is under way at any moment.
    assert EXPIRY_SECONDS - 1 < silence < EXPIRY_SECONDS + 2 * SCRAPE_SECONDS
    for job in JOBS:
        samples = prometheus.instant(job)
        assert samples[series("p1_up", meter="main")] == 0
        assert samples[series("up")] == 1
        assert Scrape(samples).of_link() == before[job]
    assert exporter.scrape()("p1_telegrams_accepted_total") == 3

    feed(terminal, telegrams[3:6])
    wait_for(prometheus, expected(telegrams[5]))
    for job in JOBS:
        assert prometheus.instant(job)[series("p1_up", meter="main")] == 1


@pytest.mark.parametrize("model", [name for name, model in MODELS.items() if not model.encrypted])
def test_promtool_finds_nothing_to_complain_about_but_bits_that_are_no_amount_of_data(
    run: Callable[..., Exporter], serial_server: SerialServer, model: str
) -> None:
    exporter = run(f"--serial.port={serial_server.url}")
    serial_server.send(b"".join(on_the_wire(model, 3)))
    exporter.until(
        lambda scrape: scrape("p1_telegrams_accepted_total") >= 2 and not scrape("p1_pending_bytes")
    )
    body = exporter.body()
    assert parse(body, openmetrics=False).of_meter() == exporter.scrape().of_meter()
    checked = subprocess.run(
        ["promtool", "check", "metrics"],  # noqa: S607 - where the system keeps it
        input=body,
        capture_output=True,
        text=True,
        check=False,
    )
    # It takes every name with "bits" in it for an amount of data. These are bits of characters, counted one by one.
    bits = 'p1_damage_flipped_bits_total use base unit "bytes" instead of "bits"'
    assert (checked.stdout.strip(), checked.stderr.strip(), checked.returncode) == ("", bits, 3)
