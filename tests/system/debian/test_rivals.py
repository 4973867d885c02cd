"""Other programs on the port: they are named on installation and at start, with what to do, and left alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.system.debian.meter import PORT, Cable
from tests.system.debian.service import Service
from tests.system.debian.test_changes import install

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.debian.container import Container

# As systemd's own, which waits for udev, and a container has none.
GETTY = """\
[Service]
ExecStart=-/sbin/agetty --local-line %I 115200 vt220
Restart=always
"""


def test_a_login_console_on_the_port_is_told_and_kept(bare: Container, package: Path) -> None:
    bare.write("/etc/systemd/system/serial-getty@.service", GETTY)
    with contextlib.closing(Cable(bare)) as cable:
        cable.plug()
        bare.run("systemctl", "start", "serial-getty@serial0")
        output = install(bare, package)
        journal = Service(bare).journal()
        assert bare.run("systemctl", "is-active", "serial-getty@serial0").strip() == "active"
        bare.run("systemctl", "stop", "serial-getty@serial0")
        cable.unplug()
    for told in (output, journal):
        assert "A login console (getty) waits on the port" in told
        assert "sudo systemctl disable --now serial-getty@serial0" in told


def test_a_kernel_console_on_the_port_is_told(bare: Container, package: Path) -> None:
    bare.shell("mknod /dev/ttyS3 c 4 67; ln -s ttyS3 /dev/serial0")
    bare.write("/root/cmdline", "quiet console=serial0,115200 root=/dev/sda1\n")
    bare.run("mount", "--bind", "/root/cmdline", "/proc/cmdline")
    output = install(bare, package)
    journal = Service(bare).journal()
    bare.run("umount", "/proc/cmdline")
    bare.run("rm", "/dev/ttyS3", "/dev/serial0")
    for told in (output, journal):
        assert "The kernel uses the port as its console" in told
        assert "Remove console=serial0" in told


def test_another_program_that_reads_the_port_is_told_and_kept(bare: Container, package: Path) -> None:
    with contextlib.closing(Cable(bare)) as cable:
        cable.plug()
        bare.until(f"[ -e {PORT} ]")
        bare.run("systemd-run", "--unit=logger", "sh", "-c", f"exec cat {PORT}")
        bare.until("pgrep -x cat")
        output = install(bare, package)
        journal = Service(bare).journal()
        assert bare.run("systemctl", "is-active", "logger").strip() == "active"
        bare.run("systemctl", "stop", "logger")
        cable.unplug()
    for told in (output, journal):
        assert "cat of logger.service" in told
        assert "sudo systemctl stop logger" in told
