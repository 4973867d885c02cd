"""A link that works is never said to have a fault, however long one looks: weeks of telegrams, byte by byte."""

from __future__ import annotations

import datetime as dt
from typing import Final

import pytest

from p1_exporter.telegram.crc import X25
from tests.system.households import DAY, HOUR, GoodLink
from tests.system.watched import Watched

WEEK: Final = 7 * DAY
BEFORE_WINTER: Final = int(dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC).timestamp())
"""Half an hour before clocks go back, and a little less than a week before a month ends."""
NOVEMBER: Final = int(dt.datetime(2026, 10, 31, 23, 0, tzinfo=dt.UTC).timestamp())
FIRST_MONTH_ENDS: Final = int(dt.datetime(2024, 1, 31, 23, 0, tzinfo=dt.UTC).timestamp())
"""In Brussels: from then on a Belgian meter lists the peak of a month, in a line that was not there before."""


def listen(link: GoodLink, seconds: int) -> None:
    """Listen for so long; no fault may be named at any look, and every telegram that is intact must be accepted."""
    watched = Watched(link.line)
    accepted = 0
    for chunk, counters in link.events(seconds):
        watched.received(chunk, counters)
        if len(watched.accepted) > HOUR:
            accepted += len(watched.accepted)
            watched.accepted.clear()
        assert not watched.changes, (watched.changes, link.sent)
    accepted += len(watched.accepted)
    assert watched.looks >= seconds / 1.2
    assert link.sent.disturbed == seconds // HOUR
    # A meter without checksum is believed from its second telegram on.
    assert link.sent.intact - accepted == (0 if link.meter.checksum else 1)


def test_a_week_of_dsmr_5_names_no_fault() -> None:
    listen(
        GoodLink(
            "dsmr5",
            "amba-pl011",
            BEFORE_WINTER,
            message=range(NOVEMBER, NOVEMBER + HOUR),
            jump=(NOVEMBER - DAY, 40),
        ),
        WEEK,
    )


@pytest.mark.parametrize(("driver", "seconds"), [("amba-pl011", WEEK), ("ch341", DAY)])
def test_a_week_of_dsmr_2_names_no_fault(driver: str, seconds: int) -> None:
    listen(
        GoodLink(
            "dsmr2",
            driver,
            BEFORE_WINTER,
            message=range(NOVEMBER, NOVEMBER + HOUR),
            jump=(NOVEMBER - DAY, 40),
            seed=2,
        ),
        seconds,
    )


@pytest.mark.parametrize("driver", ["ftdi_sio", "tcp"])
def test_a_week_of_dsmr_4_names_no_fault(driver: str) -> None:
    listen(GoodLink("dsmr4", driver, BEFORE_WINTER, message=range(NOVEMBER, NOVEMBER + HOUR), seed=3), WEEK)


@pytest.mark.parametrize("driver", ["bcm2835aux", "tcp"])
def test_a_day_in_which_a_belgian_month_ends_names_no_fault(driver: str) -> None:
    listen(GoodLink("belgium", driver, FIRST_MONTH_ENDS - DAY // 2, seed=4), DAY)


def test_a_day_of_a_meter_with_another_checksum_names_no_fault() -> None:
    listen(GoodLink("dsmr5", "ftdi_sio", BEFORE_WINTER, checksum=X25, seed=5), DAY)
