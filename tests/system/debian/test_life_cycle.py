"""What happens to a service over the years."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.system.debian.package import SERVICE

if TYPE_CHECKING:
    from tests.system.debian.meter import Cable
    from tests.system.debian.service import Service
    from tests.system.lines import Feeder

CONFIGURATION = "/etc/prometheus-p1-exporter/p1-exporter.yml"
YEAR = 365 * 24 * 3600


def test_a_reload_takes_a_changed_configuration_and_keeps_the_process(service: Service) -> None:
    service.container.write(CONFIGURATION, "meter: {name: before}\n")
    service.configure(f"--config.file={CONFIGURATION}")
    service.until(lambda scrape: scrape.meters == {"before"})
    process = service.pid
    service.container.write(CONFIGURATION, "meter: {name: after}\n")
    service.container.run("systemctl", "reload", SERVICE)
    # systemd waits until the service says that it is ready again.
    assert service.scrape().meters == {"after"}
    assert service.show("ActiveState") == "active"
    assert service.pid == process


def test_a_reload_of_a_broken_configuration_keeps_the_old_one(service: Service) -> None:
    service.container.write(CONFIGURATION, "meter: {name: good}\n")
    service.configure(f"--config.file={CONFIGURATION}")
    service.container.write(CONFIGURATION, "meter: {nmae: bad}\n")
    service.container.run("systemctl", "reload", SERVICE)
    service.container.until(f"journalctl --unit={SERVICE} | grep 'keeping on with the old one.*nmae'")
    assert service.scrape().meters == {"good"}
    assert service.show("ActiveState") == "active"


def test_it_comes_back_after_kill_9(service: Service, cable: Cable, meter: Feeder) -> None:
    process = service.pid
    service.container.run("kill", "-KILL", str(process))
    # The lock on a serial port ends with who has it, but that on a pseudo-terminal with the pseudo-terminal.
    cable.unplug()
    cable.plug()
    service.container.until(f'[ "$(systemctl show --value --property=MainPID {SERVICE})" != {process} ]')
    service.until(lambda scrape: scrape("p1_up") == 1)
    assert service.show("Result") == "success"


def test_it_is_restarted_when_it_hangs(service: Service) -> None:
    # In seconds what takes minutes otherwise.
    service.override("hangs", "WatchdogSec=4", "TimeoutAbortSec=1", "RestartSec=1")
    process = service.pid
    service.container.run("kill", "-STOP", str(process))
    service.container.until(f"journalctl --unit={SERVICE} | grep -i 'watchdog timeout'")
    service.until(lambda scrape: scrape.state() == "disconnected")
    assert service.pid != process
    service.override("hangs")


def test_it_does_not_take_long_pauses_of_the_meter_for_a_hang(service: Service, cable: Cable) -> None:
    service.override("hangs", "WatchdogSec=4")
    process = service.pid
    service.until(lambda scrape: scrape("p1_port_open") == 1)
    time.sleep(10)  # of silence
    assert service.pid == process
    service.override("hangs")


def test_it_takes_up_the_meter_again_after_the_cable_was_pulled_out(
    service: Service, cable: Cable, meter: Feeder
) -> None:
    process = service.pid
    cable.unplug()
    service.until(lambda scrape: scrape.state() == "disconnected" and not scrape("p1_port_open"))
    cable.plug()
    service.until(lambda scrape: scrape("p1_port_open") == 1)
    service.until_accepted(2)
    assert service.pid == process


def test_it_does_not_care_when_the_clock_jumps(service: Service, meter: Feeder) -> None:
    # Of this service alone, by a library: a container shares its clock with the whole machine.
    clock = "/etc/p1-clock"
    service.container.write(clock, "+0")
    library = service.container.shell("find /usr/lib -name libfaketime.so.1").strip()
    service.override(
        "clock",
        f"Environment=LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={clock} FAKETIME_NO_CACHE=1",
        "Environment=FAKETIME_DONT_FAKE_MONOTONIC=1",
    )
    before = service.until_accepted(2)
    for jump in (YEAR, -YEAR):
        service.container.write(clock, f"{jump:+d}")
        after = service.until_accepted(3)
        told = after("p1_last_telegram_timestamp_seconds") - before("p1_last_telegram_timestamp_seconds")
        assert abs(told - jump) < 3600
        assert after("p1_up") == 1
        assert after("p1_telegrams_missed_total") == 0
        assert after.total("p1_telegram_errors_total") == before.total("p1_telegram_errors_total")
    service.override("clock")


def test_it_comes_back_after_a_reboot(service: Service, meter: Feeder) -> None:
    boot = service.container.run("cat", "/proc/sys/kernel/random/boot_id")
    service.container.reboot()
    assert service.container.run("cat", "/proc/sys/kernel/random/boot_id") != boot
    assert service.show("ActiveState") == "active"
    service.until(lambda scrape: scrape("p1_up") == 1)
    assert service.container.run("systemctl", "is-system-running").strip() == "running"
