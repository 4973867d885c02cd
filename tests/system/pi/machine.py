"""An emulated Raspberry Pi 3B: its serial line and its pins from outside, and what runs on it.

The PL011 (/dev/ttyAMA0) is QEMU's first serial port, and its other end a socket that the test writes to. The mini
UART is the console. A shell answers on port 23 and the exporter on 9786, both through QEMU's user network.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.system.scrape import OPENMETRICS, Scrape, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUILD_PATIENCE = 600.0
"""Seconds to fetch and put together all parts; with a fast network it takes twenty."""
BOOT_PATIENCE = 600.0
"""Seconds that the machine may take to start; on an idle computer it takes fifteen, and with systemd ninety."""
PATIENCE = 60.0
"""Seconds: a test that waits longer for something that must come has failed."""
PORT = "/dev/ttyAMA0"

_BUILD = Path(__file__).parent / "build.sh"
_POLL_SECONDS = 0.1
_SHELL, _METRICS = 23, 9786
# BCM2837 ARM Peripherals, 6.1: function select of pins 0 to 9, levels of pins 0 to 31.
_GPFSEL0, _GPLEV0 = 0x3F20_0000, 0x3F20_0034


def build(folder: Path) -> Path:
    """Make all that the machine is started with, in an empty folder; return that."""
    subprocess.run([_BUILD, folder], check=True, timeout=BUILD_PATIENCE)
    return folder


class Command:
    """A command that runs on the Pi; what it prints, errors included, is read line by line.

    Args of the constructor: the address of the shell, a script, and for how many seconds that may print nothing.
    """

    def __init__(self, address: tuple[str, int], script: str, patience: float = PATIENCE) -> None:
        self._connection = socket.create_connection(address, patience)
        self._connection.sendall(f"{{ {script}\n}} 2>&1; echo exit $?\n".encode())
        self._connection.shutdown(socket.SHUT_WR)
        self._output = self._connection.makefile()

    def line(self) -> str:
        """Return the next line that it prints, without its end; the last one is `exit` and the exit code."""
        line = self._output.readline()
        assert line, "the connection ended before the command"
        return line.rstrip()

    def runs(self) -> bool:
        """Whether it has neither ended nor printed anything that nobody read."""
        readable, _, _ = select.select([self._connection], [], [], 0)
        return not readable

    def ends(self) -> str:
        """Wait for its end, which must be a good one, and return what it has printed and nobody read."""
        *output, code = self._output.read().splitlines() or [""]
        self.close()
        assert code == "exit 0", "\n".join([*output, code])
        return "\n".join(output)

    def close(self) -> None:
        """Stop listening to it. May be called more than once."""
        self._output.close()
        self._connection.close()


class Exporter:
    """`p1-exporter run` on the Pi, with the flags given; what it logs goes to the console."""

    def __init__(self, pi: Pi, *flags: str) -> None:
        self._pi = pi
        run = ["python3.11", "-m", "p1_exporter", "run", f"--serial.port={PORT}", *flags]
        # The shell waits for it, and tells how it ended.
        self._command = pi.start(f"{' '.join(run)} >/dev/console 2>&1 & echo $!; wait $!")
        self._process = int(self._command.line())
        self._running = True

    def scrape(self) -> Scrape:
        """The metrics, checked for what is true in every scrape."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._pi.ports[_METRICS]}/metrics", headers={"Accept": OPENMETRICS}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310 - of our own program
            return parse(response.read().decode(), openmetrics=True)

    def until(self, condition: Callable[[Scrape], bool]) -> Scrape:
        """Scrape until the condition holds; return that scrape."""
        deadline = time.monotonic() + PATIENCE
        while True:
            scrape = None
            # Until the exporter listens, connections end before they answer.
            with contextlib.suppress(OSError):
                scrape = self.scrape()
                if condition(scrape):
                    return scrape
            assert self._command.runs(), "it has ended"
            assert time.monotonic() < deadline, f"not so within {PATIENCE} s: {scrape}"
            time.sleep(_POLL_SECONDS)  # nothing tells when a metric changes

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let it not run for a while, as on a computer that has no time for it."""
        self._pi.shell(f"kill -STOP {self._process}")
        try:
            yield
        finally:
            self._pi.shell(f"kill -CONT {self._process}")

    def stop(self) -> None:
        """End it by SIGTERM, which must end it well. May be called more than once."""
        if self._running:
            self._running = False
            # If it has ended already, its exit code tells more than a failure to kill it.
            self._pi.shell(f"kill {self._process} || true")
            self._command.ends()


class Pi:
    """The machine, from its start to its end.

    Args of the constructor: a folder with the kernel `vmlinuz`, the device tree `pi.dtb`, and `initrd`, as `build`
    makes them; and more options of QEMU.
    """

    # Functions of a pin. An input has a high impedance: it floats.
    INPUT, OUTPUT = 0, 1

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._console: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._stack = contextlib.ExitStack()
        self.ports: dict[int, int] = {}
        """Ports of this computer, by port of the Pi."""

    def __enter__(self) -> Self:
        with self._stack as stack:
            self._boot(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _boot(self, stack: contextlib.ExitStack) -> None:
        (self._line, line), (monitor, qmp) = socket.socketpair(), socket.socketpair()
        for end in (self._line, monitor):
            stack.enter_context(end).settimeout(PATIENCE)
        with line, qmp:
            qemu = subprocess.Popen(
                self._qemu(line.fileno(), qmp.fileno()),
                pass_fds=(line.fileno(), qmp.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        console = threading.Thread(target=self._read_console, args=(qemu,))
        console.start()
        stack.callback(console.join)
        stack.callback(qemu.kill)
        self._await("emulated pi: ready")
        self._monitor = stack.enter_context(Monitor(monitor))
        forwarded = re.findall(
            r"HOST_FORWARD.* (\d+) +10\.0\.2\.15 +(\d+)", self._monitor.command("info usernet")
        )
        self.ports = {int(there): int(here) for here, there in forwarded}

    def _qemu(self, line: int, qmp: int) -> list[str]:
        forward = ",".join(f"hostfwd=tcp:127.0.0.1:0-:{port}" for port in (_SHELL, _METRICS))
        return [
            *("qemu-system-aarch64", "-M", "raspi3b", "-nodefaults", "-display", "none"),
            *("-kernel", f"{self._folder}/vmlinuz", "-dtb", f"{self._folder}/pi.dtb"),
            *("-initrd", f"{self._folder}/initrd"),
            # The mini UART is the second port of the 8250 driver. RPi.GPIO reaches the pins through /dev/mem, which
            # Debian's kernel guards more strictly than the Pi's own.
            *("-append", "console=ttyS1 8250.nr_uarts=2 quiet iomem=relaxed"),
            *("-chardev", f"socket,id=line,fd={line}", "-serial", "chardev:line"),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control"),
            *("-netdev", f"user,id=net,{forward}", "-device", "usb-net,netdev=net"),
            *self._options,
        ]

    # The console.

    def _read_console(self, qemu: subprocess.Popen[bytes]) -> None:
        with qemu:
            assert qemu.stdout is not None
            for line in qemu.stdout:
                with self._changed:
                    self._console.append(line.decode(errors="replace").rstrip())
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _await(self, line: str) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or line in self._console or self._panicked(), BOOT_PATIENCE
            )
        assert line in self._console, f"no {line!r} on the console:\n{self.console()}"

    def _panicked(self) -> bool:
        return any("Kernel panic" in line for line in self._console)

    def console(self) -> str:
        """What was printed on the console so far."""
        with self._changed:
            return "\n".join(self._console)

    # What runs there.

    def start(self, script: str, patience: float = PATIENCE) -> Command:
        """Start a shell script on the Pi, which may print nothing for so many seconds."""
        return Command(("127.0.0.1", self.ports[_SHELL]), script, patience)

    def shell(self, script: str, patience: float = PATIENCE) -> str:
        """Run a shell script on the Pi, which must end well, and return what it prints."""
        return self.start(script, patience).ends()

    # The line and the pins.

    def send(self, data: bytes) -> None:
        """Send characters without errors over the line."""
        self._line.sendall(data)

    def send_break(self) -> None:
        """Hold the line low for longer than a character."""
        self._monitor.execute("chardev-send-break", id="line")

    def inject(self, word: int, count: int = 1) -> None:
        """Let the PL011 receive words of its data register, some of whose bits are errors."""
        self.shell(f"echo {word} {count} >/sys/module/pl011_inject/parameters/receive")

    def pin_level(self, pin: int) -> int:
        """Return what a pin of GPIO 0 to 31 is at, as a voltmeter would see it."""
        return self._register(_GPLEV0) >> pin & 1

    def pin_function(self, pin: int) -> int:
        """Return the function of a pin of GPIO 0 to 9."""
        return self._register(_GPFSEL0) >> 3 * pin & 7

    def _register(self, address: int) -> int:
        return int(self._monitor.command(f"xp /1wx {address:#x}").split(":")[1], 16)


class Monitor:
    """QEMU's monitor, which speaks QMP.

    Args of the constructor: the connection to it, which somebody else closes.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile()
        self._answers.readline()  # its greeting
        self.execute("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()

    def execute(self, command: str, **arguments: str) -> Any:  # noqa: ANN401 - whatever the command returns
        """Execute a command; return what it returns."""
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        # Events come in between.
        while not ({"return", "error"} & (answer := json.loads(self._answers.readline())).keys()):
            pass
        assert "return" in answer, answer["error"]
        return answer["return"]

    def command(self, line: str) -> str:
        """Execute a command of the monitor for people; return what it prints."""
        text: str = self.execute("human-monitor-command", **{"command-line": line})
        return text
