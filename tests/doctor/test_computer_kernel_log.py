from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.doctor.fake_computer import CABLE, FakeComputer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pc(tmp_path: Path) -> FakeComputer:
    computer = FakeComputer(tmp_path)
    computer.usb_cable()
    return computer


def test_what_happened_to_the_adapter_is_counted_with_the_last_time(pc: FakeComputer) -> None:
    pc.kernel_log(
        "usb 1-1.2: USB disconnect, device number 4",
        "ftdi_sio ttyUSB0: FTDI USB Serial Device converter now disconnected from ttyUSB0",
        "usb 1-1.2: reset full-speed USB device number 5 using xhci_hcd",
        "usb 1-1.2: USB disconnect, device number 5",
        "ftdi_sio ttyUSB0: usb_serial_generic_read_bulk_callback - urb stopped: -32",
        "usb 1-1.2: FTDI USB Serial Device converter now attached to ttyUSB0",
    )
    finding = pc.findings(CABLE)["kernel_log"]
    assert (finding.status, finding.fault) == ("warning", "disconnected")
    assert "this port was unplugged 2 times, reset 1 time, stalled 1 time;" in finding.summary
    assert finding.summary.endswith("last on 2026-11-22 10:11:04.")
    assert finding.advice


@pytest.mark.parametrize(
    "text",
    [
        "usb 1-1.20: USB disconnect, device number 4",
        "usb 1-1: USB disconnect, device number 2",
        "usb 2-1.2: reset full-speed USB device number 5 using xhci_hcd",
        "ftdi_sio ttyUSB1: usb_serial_generic_read_bulk_callback - urb stopped: -32",
        "serial ttyUSB10: 3 input overrun(s)",
        "usb 1-1-port3: disabled by hub (EMI?), re-enabling...",
        "usb 1-1.2: Product: FT232R USB UART",
    ],
)
def test_what_happened_to_others_is_none_of_its_business(pc: FakeComputer, text: str) -> None:
    pc.kernel_log(text)
    assert pc.findings(CABLE)["kernel_log"].status == "ok"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("usb 1-1-port2: disabled by hub (EMI?), re-enabling...", "switched off for interference 1 time;"),
        ("usb 1-1.2: device descriptor read/64, error -71", "in error 1 time;"),
        ("usb 1-1.2: device not accepting address 7, error -71", "in error 1 time;"),
    ],
)
def test_a_socket_with_trouble_counts_for_its_adapter(pc: FakeComputer, text: str, words: str) -> None:
    pc.kernel_log(text)
    assert words in pc.findings(CABLE)["kernel_log"].summary


def test_overruns_add_up_to_characters_fetched_too_late(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.pl011()
    pi.kernel_log("uart-pl011 ttyAMA0: 3 input overrun(s)", "uart-pl011 ttyAMA0: 2 input overrun(s)")
    finding = pi.findings("/dev/ttyAMA0")["kernel_log"]
    assert finding.fault == "overrun"
    assert "too late to fetch characters 5 times;" in finding.summary
    assert "top" in finding.advice[0]


def test_an_adapter_that_is_gone_is_found_by_the_name_that_it_had(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.kernel_log("ftdi_sio ttyUSB0: FTDI USB Serial Device converter now disconnected from ttyUSB0")
    finding = pc.findings("/dev/ttyUSB0")["kernel_log"]
    assert "unplugged 1 time;" in finding.summary


def test_dmesg_is_asked_where_the_journal_says_nothing(pc: FakeComputer) -> None:
    pc.answers["journalctl"] = "-- No entries --\n"
    pc.answers["dmesg"] = "2026-11-22T10:11:12,345678+01:00 usb 1-1.2: USB disconnect, device number 4\n"
    assert pc.findings(CABLE)["kernel_log"].summary.endswith("last on 2026-11-22 10:11:12.")


def test_a_forbidden_log_is_unknown_and_root_is_asked_for(pc: FakeComputer) -> None:
    pc.answers["journalctl"] = "-- No entries --\n"
    pc.answers["dmesg"] = ""
    finding = pc.findings(CABLE)["kernel_log"]
    assert (finding.status, finding.needs_root) == ("unknown", True)
    as_root = pc.findings(CABLE, uid=0)["kernel_log"]
    assert (as_root.status, as_root.needs_root) == ("unknown", False)
