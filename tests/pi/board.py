"""An emulated Raspberry Pi that boots Debian from its card."""

from __future__ import annotations

import base64
import contextlib
import re
import shlex
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.system.pi.machine import Pi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pi.image import Image

COMMAND_PATIENCE = 300.0
"""Seconds that a command may print nothing."""
READY = "emulated pi: ready"
"""Line on the console."""


class Write(NamedTuple):
    """A program wrote a value into a register of the GPIO, which is named by its physical address."""

    register: int
    value: int


def chosen_pull(writes: list[Write], pin: int) -> int | None:
    """Return which pull of a pin of GPIO 0 to 15 was chosen last, 0 for none, or None if nobody chose.

    As BCM2711 ARM Peripherals, 5.2, describes it: RPi.GPIO tells that chip from the older one, whose pulls nobody can
    read, by a register that QEMU's GPIO does not have.
    """
    values = [value for register, value in writes if register == Board.PULLS]
    return values[-1] >> 2 * pin & 3 if values else None


class Board(Pi):
    """An emulated Pi; what is written to its card is gone after its end.

    Args of the constructor: what it boots.
    """

    # Pull-up and pull-down of pins 0 to 15, two bits each.
    PULLS = 0x3F20_00E4

    def __init__(self, image: Image) -> None:
        super().__init__(image.folder, "-drive", f"if=sd,format=raw,snapshot=on,file={image.card}")

    def run(self, *command: str) -> str:
        """Run a command as root, which must end well; return what it prints, errors too."""
        return self.shell(f"LC_ALL=C.UTF-8 {shlex.join(command)}", COMMAND_PATIENCE)

    def write(self, path: str, text: str) -> None:
        """Write a file into a folder that is there."""
        self.shell(f"printf %s {shlex.quote(text)} >{shlex.quote(path)}")

    def read(self, path: str) -> str:
        """Return what is in a file."""
        # In a form that does not lose the last end of a line.
        return base64.b64decode(self.run("base64", path)).decode()

    def put(self, file: Path) -> str:
        """Copy a file into the home directory of root; return its path there."""
        target = f"/root/{file.name}"
        text = base64.encodebytes(file.read_bytes()).decode()
        self.shell(f"base64 -d >{shlex.quote(target)} <<END\n{text}END")
        return target

    def set_clock(self) -> None:
        """Do what a time server does: the board itself has no clock that outlives a power failure."""
        self.run("date", "--set", f"@{time.time():.0f}")

    def reboot(self) -> None:
        """Restart it, as `reboot` does."""
        with self._changed:
            self._console.clear()
        self.run("systemctl", "--no-block", "reboot")
        self._await(READY)
        self.set_clock()

    @contextlib.contextmanager
    def writes_to_gpio(self) -> Iterator[list[Write]]:
        """Watch all that is written to the registers of the GPIO; the list is filled in the end."""
        writes: list[Write] = []
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder, "trace")
            self._monitor.command(f"logfile {trace}")
            self._monitor.command("log trace:memory_region_ops_write")
            try:
                yield writes
            finally:
                self._monitor.command("log none")
            found = re.findall(
                r"^memory_region_ops_write.* addr (\w+) value (\w+) .*'bcm2835_gpio'",
                trace.read_text(),
                re.MULTILINE,
            )
        writes += (Write(int(address, 16), int(value, 16)) for address, value in found)
