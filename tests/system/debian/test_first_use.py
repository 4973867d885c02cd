"""The package on a fresh Debian: installed by apt, without any configuration, with and without a meter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.system.debian.meter import PORT
from tests.system.debian.package import DEFAULTS, NAME, SERVICE
from tests.system.telegrams import expected, simulated

if TYPE_CHECKING:
    from tests.system.debian.conftest import Installed
    from tests.system.debian.meter import Cable
    from tests.system.debian.service import Service

HIGHEST_EXPOSURE = 1.6


def test_the_package_is_installed_whole(installed: Installed) -> None:
    status = installed.container.run("dpkg-query", "--show", "--showformat=${db:Status-Status}", NAME)
    assert status == "installed"
    assert installed.container.run("dpkg", "--verify", NAME) == ""
    assert "rror" not in installed.output
    assert "arning" not in installed.output


def test_the_service_starts_by_itself_and_waits_for_its_port(installed: Installed) -> None:
    service = installed.service
    assert service.show("ActiveState") == "active"
    assert service.show("UnitFileState") == "enabled"
    scrape = service.until(lambda scrape: scrape("p1_link_fault", fault="disconnected") == 1)
    assert scrape.state() == "disconnected"
    assert scrape("p1_up") == 0
    assert scrape("p1_port_open") == 0


def test_systemd_understands_every_line_of_the_unit(installed: Installed) -> None:
    verified = installed.container.run("systemd-analyze", "verify", "--man=no", SERVICE)
    assert [line for line in verified.splitlines() if NAME in line] == []
    assert "ignoring" not in installed.service.journal()


def test_udev_understands_the_rule(installed: Installed) -> None:
    # Of every file of rules it says that it reads it, and then what it does not understand in it, by line.
    said = installed.container.shell("udevadm test --action=add /sys/class/tty/tty 2>&1")
    about = [line for line in said.splitlines() if f"{NAME}.rules" in line]
    assert len(about) == 1, about


def test_the_service_is_exposed_little(installed: Installed) -> None:
    unit = installed.service.show("FragmentPath")
    report = installed.container.run("systemd-analyze", "security", "--no-pager", "--offline=yes", unit)
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+) ", report)
    assert exposure is not None
    assert float(exposure[1]) <= HIGHEST_EXPOSURE, report


def test_the_service_has_no_privileges(installed: Installed) -> None:
    status = installed.service.status()
    users = {int(user) for user in status["Uid"].split()}
    assert len(users) == 1
    # The range of the users of DynamicUser=.
    assert 61184 <= users.pop() <= 65519
    sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert {int(status[name], 16) for name in sets} == {0}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    dialout = installed.container.run("getent", "group", "dialout").split(":")[2]
    assert dialout in status["Groups"].split()


def test_telegrams_of_a_meter_that_is_plugged_in_later_are_served(service: Service, cable: Cable) -> None:
    service.restart()
    cable.unplug()
    service.until(lambda scrape: scrape.state() == "disconnected")
    cable.plug()
    service.until(lambda scrape: scrape("p1_port_open") == 1)
    telegram = simulated("dsmr5", 1)[0]
    cable.send(telegram)
    scrape = service.until_accepted()
    wanted = expected(telegram)
    assert wanted.items() <= scrape.of_meter().items()
    assert scrape("p1_accepted_bytes_total") == len(telegram)


def test_the_log_tells_which_port_was_taken_and_why(service: Service, cable: Cable) -> None:
    service.restart()
    service.until(lambda scrape: scrape("p1_port_open") == 1)
    opened = [line for line in service.journal().splitlines() if 'msg="port open"' in line]
    assert f"port={PORT}" in opened[-1]
    assert "no USB serial adapter is there" in opened[-1]


def test_devices_other_than_serial_ports_cannot_be_opened(service: Service) -> None:
    # The numbers are those of /dev/fuse, and of the last port of a PC, which hardly any has.
    service.container.shell("mknod -m 666 /dev/other c 10 229; mknod -m 666 /dev/serial c 4 67")
    service.configure("--serial.port=/dev/other")
    service.until(lambda scrape: scrape("p1_port_errors_total", reason="forbidden") > 0)
    assert "DeviceAllow=/dev/other rw" in service.journal()
    # There may be no such port behind it, but it is not forbidden.
    service.configure("--serial.port=/dev/serial")
    tried = service.until(lambda scrape: scrape("p1_port_open") + scrape.total("p1_port_errors_total") > 0)
    assert tried("p1_port_errors_total", reason="forbidden") == 0


def test_flags_of_the_defaults_file_count(service: Service) -> None:
    service.configure("--meter.name=cellar --web.telemetry-path=/metrics")
    service.until(lambda scrape: scrape.meters == {"cellar"})


def test_a_wrong_flag_is_named_in_the_journal(service: Service) -> None:
    service.container.write(DEFAULTS, 'ARGS="--serial.prot=/dev/ttyUSB0"\n')
    service.container.run("systemctl", "restart", NAME, check=False)
    service.container.until(f"journalctl --unit={SERVICE} | grep -- '--serial.prot. is no flag'")
