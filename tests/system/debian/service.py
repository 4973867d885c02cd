"""The installed service: what it serves, what it writes to the journal, and its process."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from typing import TYPE_CHECKING

from tests.system.debian.container import PATIENCE
from tests.system.debian.package import DEFAULTS, NAME, SERVICE
from tests.system.scrape import OPENMETRICS, Scrape, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.debian.container import Container

_METRICS = 9786
_POLL_SECONDS = 0.1


class Service:
    """The service in a container, seen from outside."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def scrape(self) -> Scrape:
        """Return the metrics, checked for what is true in every scrape."""
        request = urllib.request.Request(
            f"http://{self.container.inside}:{_METRICS}/metrics", headers={"Accept": OPENMETRICS}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310 - as above
            return parse(response.read().decode(), openmetrics=True)

    def until(self, condition: Callable[[Scrape], bool]) -> Scrape:
        """Scrape until the condition holds, and return that scrape; a service that is not up comes up meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while True:
            scrape = None
            with contextlib.suppress(OSError):
                scrape = self.scrape()
                if condition(scrape):
                    return scrape
            assert time.monotonic() < deadline, f"not so within {PATIENCE} s: {scrape}\n{self.journal()}"
            time.sleep(_POLL_SECONDS)  # nothing tells when a metric changes

    def until_accepted(self, more: int = 1) -> Scrape:
        """Scrape until it has accepted so many more telegrams than now."""
        with contextlib.suppress(OSError):
            more += int(self.scrape()("p1_telegrams_accepted_total"))
        return self.until(lambda scrape: scrape("p1_telegrams_accepted_total") >= more)

    def show(self, name: str) -> str:
        """Return a property of the unit, by systemd's name."""
        return self.container.run("systemctl", "show", "--value", f"--property={name}", SERVICE).strip()

    @property
    def pid(self) -> int:
        """Its process, as the container numbers it."""
        return int(self.show("MainPID"))

    def status(self) -> dict[str, str]:
        """Return what the kernel says of its process."""
        text = self.container.run("cat", f"/proc/{self.pid}/status")
        return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}

    def journal(self) -> str:
        """Return what was written to the journal since the service was installed."""
        return self.container.run("journalctl", "--no-pager", "--output=cat", f"--unit={SERVICE}")

    def configure(self, arguments: str) -> None:
        """Give it other flags, as its user would do."""
        self.container.write(DEFAULTS, f'ARGS="{arguments}"\n')
        self.restart()

    def override(self, name: str, *settings: str) -> None:
        """Change settings of its unit by a file of this name, or undo that without settings; then restart it."""
        file = f"/etc/systemd/system/{SERVICE}.d/{name}.conf"
        if settings:
            self.container.write(file, "\n".join(["[Service]", *settings, ""]))
        else:
            self.container.run("rm", file)
        self.container.run("systemctl", "daemon-reload")
        self.restart()

    def restart(self) -> None:
        """Restart it."""
        self.container.run("systemctl", "restart", NAME)
