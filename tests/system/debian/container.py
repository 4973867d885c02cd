"""A Debian that has booted, with systemd as its first process, in a container of systemd-nspawn.

It has a network of its own, with this machine alone on it. Needs root, and the Debian packages systemd-container,
iproute2 and util-linux; this machine itself may do without systemd.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.system.debian.image import ENVIRONMENT, image, in_memory, run

PATIENCE = 60.0
"""Seconds: a test that waits longer for something that must come has failed."""
COMMAND_PATIENCE = 300.0
"""Seconds that a command in the container may take."""

_DATAGRAM = 4096
_NSPAWN = (
    "systemd-nspawn",
    "--quiet",
    # Nobody may be there to be told of it.
    "--register=no",
    "--keep-unit",
    "--notify-ready=yes",
    "--console=pipe",
    "--link-journal=no",
    "--network-veth",
    # DeviceAllow= is made of BPF.
    "--capability=CAP_BPF",
    "--system-call-filter=bpf",
    # What is thrown away in the end need not outlive a power failure.
    "--suppress-sync=yes",
)


def _reserve(stack: contextlib.ExitStack) -> int:
    """Return a number that no other container has, of this process or of another, until the stack is unwound."""
    for number in range(1, 250):
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0p1-container-{number}")
        except OSError as error:
            holder.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        stack.enter_context(holder)
        # One may be left of a process that was killed.
        if not Path(f"/sys/class/net/ve-p1-{number}").exists():
            return number
    raise RuntimeError("249 containers are running")


class Container:
    """A fresh Debian; a context manager, which boots it.

    Args of the constructor: the suite.
    """

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            number = _reserve(stack)
            self._name = f"p1-{number}"
            self.outside = f"10.199.{number}.1"
            """The address of this machine, for the container."""
            self.inside = f"10.199.{number}.2"
            """The address of the container, for this machine."""
            self._folder = stack.enter_context(in_memory())
            self.root = self._folder / "root"
            for folder in ("root", "changes", "work"):
                (self._folder / folder).mkdir()
            layers = (
                f"lowerdir={image(self.suite)},upperdir={self._folder}/changes,workdir={self._folder}/work"
            )
            run("mount", "-t", "overlay", "-o", layers, "overlay", str(self.root))
            stack.callback(run, "umount", "--lazy", str(self.root))
            stack.callback(self.stop)
            self.boot()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # Its life.

    def boot(self) -> None:
        """Start it, and wait until all of its services have started."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            path = self._folder / "notify"
            path.unlink(missing_ok=True)
            notices.bind(str(path))
            notices.settimeout(PATIENCE)
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*_NSPAWN, f"--machine={self._name}", f"--directory={self.root}", "--boot"],
                    # Unified control groups, whatever this machine has: new systemds know no others.
                    env=ENVIRONMENT | {"NOTIFY_SOCKET": str(path), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self._leader = int(self._notice(notices, rb"X_NSPAWN_LEADER_PID=(\d+)")[1])
            self._connect()
            self._notice(notices, rb"^READY=1$")
        self.run("systemctl", "is-system-running", "--wait", check=False)

    @property
    def _log(self) -> Path:
        return self._folder / "console.log"

    def _notice(self, notices: socket.socket, pattern: bytes) -> re.Match[bytes]:
        """Wait until systemd-nspawn says something; it does so as a service does, by sd_notify."""
        while True:
            try:
                said = notices.recv(_DATAGRAM)
            except TimeoutError:
                raise AssertionError(f"it did not boot: {self._log.read_text()}") from None
            if found := re.search(pattern, said, re.MULTILINE):
                return found

    def _connect(self) -> None:
        run("ip", "address", "add", f"{self.outside}/30", "dev", f"ve-{self._name}")
        run("ip", "link", "set", f"ve-{self._name}", "up")
        enter = ("nsenter", f"--target={self._leader}", "--net", "ip")
        run(*enter, "address", "add", f"{self.inside}/30", "dev", "host0")
        for device in ("lo", "host0"):
            run(*enter, "link", "set", device, "up")

    def reboot(self) -> None:
        """Restart it, as `reboot` does."""
        self.run("systemctl", "reboot", check=False)
        self._ends()
        self.boot()

    def stop(self) -> None:
        """Switch it off. May be called more than once."""
        if self._process is not None and self._process.poll() is None:
            self.run("systemctl", "poweroff", check=False)
        self._ends()

    def _ends(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    # What is done in it.

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command as root, to its end, which must be a good one if `check`; return what it prints, errors too.

        Its input is at its end, and its environment holds little.
        """
        ended = self.result(*command)
        assert ended.returncode == 0 or not check, f"{command}: exit {ended.returncode}\n{ended.stdout}"
        return ended.stdout

    def result(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as root, to its end; the result tells how it ended."""
        variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        enter = ["nsenter", f"--target={self._leader}"]
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]
        return subprocess.run(
            [*enter, *namespaces, "env", "--ignore-environment", "HOME=/root", *variables, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_PATIENCE,
            check=False,
        )

    def shell(self, script: str) -> str:
        """Run a script by sh, as `run` does."""
        return self.run("sh", "-euc", script)

    def write(self, path: str, text: str) -> None:
        """Write a file, and the folders that it is in."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        """Return what is in a file."""
        return (self.root / path.lstrip("/")).read_text()

    def until(self, script: str) -> str:
        """Run a script by sh again and again until it ends well; return what it prints then."""
        deadline = time.monotonic() + PATIENCE
        while (ended := self.result("sh", "-euc", script)).returncode:
            assert time.monotonic() < deadline, f"not so within {PATIENCE} s: {script}\n{ended.stdout}"
            time.sleep(0.1)  # a script cannot be told of anything
        return ended.stdout
