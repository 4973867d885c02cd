from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from p1_exporter.exposition.families import LINK
from p1_exporter.exposition.page import page
from p1_exporter.telegram.obis import REGISTRY

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading of the page, without its two head lines."""
    section = page().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.replace("\\|", "/").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_page_of_metrics_is_what_the_tables_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/metrics.md is out of date: run `make docs`"


def test_the_page_has_one_row_for_each_line_of_the_registry() -> None:
    found = rows("The meter")
    assert [row[0] for row in found] == [entry.code for entry in REGISTRY]
    assert {len(row) for row in found} == {5}


def test_the_page_has_one_row_for_each_metric_of_the_link() -> None:
    found = rows("The link")
    assert [row[0].strip("`").partition("{")[0] for row in found] == list(LINK)
    assert {len(row) for row in found} == {3}


def test_every_metric_that_the_registry_names_is_on_the_page() -> None:
    table = {row[0]: row[2] for row in rows("The meter")}
    assert '`p1_electricity_import_joules_total{tariff="1"}`' in table["1-0:1.8.1"]
    assert '`p1_phase_power_import_watts{phase="l2"}`' in table["1-0:41.7.0"]
    assert "`p1_mbus_reading_timestamp_seconds{channel}`" in table["0-n:24.2.1"]
    assert "`p1_*device*_cubic_meters_total" in table["0-n:24.2.1"]
    assert "`p1_limiter_threshold_volt_amperes`" in table["0-0:17.0.0"]
    assert table["0-0:96.1.1"] == table["0-0:96.13.0"] == "not exported"


def test_the_page_is_printed_by_the_command_that_make_docs_runs() -> None:
    command = [sys.executable, "-m", "p1_exporter.exposition.page"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode() == page()
