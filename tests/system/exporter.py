"""The real program, run as its users run it, and what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.system.scrape import OPENMETRICS, Scrape, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE = 15.0
"""Seconds: a test that waits longer for something that must come has failed."""
COMMAND = (sys.executable, "-m", "p1_exporter")

_POLL_SECONDS = 0.05

Event = dict[str, Any]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of the tests, without any key of a meter that it may hold."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("P1_EXPORTER_")}
    return kept | dict(extra or {})


def run_command(*arguments: str, data: bytes = b"", **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - whatever Popen takes
    """Run a command of the program to its end; its output is text."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        input=data,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env=environment(),
        **options,
    )
    return subprocess.CompletedProcess(
        ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode()
    )


class Exporter:
    """`p1-exporter run` as a process of its own; what it logs is read as it comes.

    Args of the constructor: flags; `prefix`, a command that starts the program; `address`, to listen on (None: the
    flags say it); further ones are those of `subprocess.Popen`.
    """

    def __init__(
        self,
        *flags: str,
        prefix: tuple[str, ...] = (),
        address: str | None = "127.0.0.1:0",
        **options: Any,  # noqa: ANN401 - whatever Popen takes
    ) -> None:
        listen = (f"--web.listen-address={address}",) if address else ()
        self.process = subprocess.Popen(
            [*prefix, *COMMAND, "run", "--log.format=json", *listen, *flags],
            stderr=subprocess.PIPE,
            text=True,
            **{"env": environment(), **options},
        )
        self.stray: list[str] = []
        """What was written to standard error and is no event of the log."""
        self._events: list[Event] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                try:
                    self._events.append(json.loads(line))
                except ValueError:
                    self.stray.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    # The log.

    def events(self, msg: str | None = None, **fields: object) -> list[Event]:
        """What was logged so far, all of it or only events with this message and these fields."""
        with self._changed:
            return [
                event
                for event in self._events
                if msg in (None, event["msg"]) and fields.items() <= event.items()
            ]

    def event(self, msg: str, count: int = 1, **fields: object) -> Event:
        """Wait until this was logged `count` times; return the last one."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: self._ended or len(self.events(msg, **fields)) >= count, PATIENCE
            )
            found = self.events(msg, **fields)
            assert enough, f"{count} x {msg!r} was not logged in {PATIENCE} s, but: {self._events}"
            assert len(found) >= count, f"it ended without {count} x {msg!r}: {self._events} {self.stray}"
            return found[count - 1]

    # The web server.

    @property
    def url(self) -> str:
        """Where the metrics are; waits until there are any."""
        return str(self.event("listening")["address"])

    @property
    def address(self) -> tuple[str, int]:
        """Where the web server listens."""
        host, _, port = self.url.removeprefix("http://").partition("/")[0].rpartition(":")
        return host, int(port)

    def body(self, accept: str = "text/plain") -> str:
        """The metrics as text."""
        request = urllib.request.Request(self.url, headers={"Accept": accept})  # noqa: S310 - of our own program
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310 - as above
            text: str = response.read().decode()
            return text

    def scrape(self) -> Scrape:
        """The metrics, checked for what is true in every scrape; read by OpenMetrics, the stricter format."""
        return parse(self.body(OPENMETRICS), openmetrics=True)

    def until(self, condition: Callable[[Scrape], bool], seconds: float = PATIENCE) -> Scrape:
        """Scrape until the condition holds; return that scrape."""
        deadline = time.monotonic() + seconds
        while not condition(scrape := self.scrape()):
            assert time.monotonic() < deadline, f"not so within {seconds} s: {scrape} {self.events()}"
            time.sleep(_POLL_SECONDS)  # nothing tells when a metric changes
        return scrape

    # The process.

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ends(self, seconds: float = PATIENCE) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(PATIENCE)
        return code

    def stop(self) -> None:
        """End it if it has not ended, and look for errors that nobody expected."""
        self.process.terminate()
        try:
            self.ends()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.ends()
            raise
        finally:
            with contextlib.suppress(OSError):
                assert self.process.stderr is not None
                self.process.stderr.close()
        assert "Traceback" not in "".join(self.stray)
        assert not [event for event in self._events if "exception" in event or "Traceback" in str(event)]
