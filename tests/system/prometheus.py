"""Prometheus itself, as Debian packages it, with a store of its own that is thrown away."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.system.exporter import PATIENCE
from tests.system.scrape import Series, series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SCRAPE_SECONDS = 1.0

_BINARY = "prometheus"
_POLL_SECONDS = 0.05
# What Prometheus knows of a scrape, beside what it scraped.
_OWN = frozenset({"instance", "job"})


class Prometheus:
    """A server that scrapes each job's one target, a `host:port`, every second."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        configuration = folder / "prometheus.yml"
        configuration.write_text(
            json.dumps(  # all JSON is YAML
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                    "scrape_configs": [
                        {"job_name": job, "static_configs": [{"targets": [target]}]}
                        for job, target in targets.items()
                    ],
                }
            )
        )
        self._log = (folder / "prometheus.log").open("w+")
        self.process = subprocess.Popen(
            [
                _BINARY,
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'store'}",
                "--web.listen-address=127.0.0.1:0",
                "--log.format=json",
            ],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        self._url = ""

    def wait_until_ready(self) -> None:
        """Wait until it says that it is ready, and remember where it listens."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            self._log.seek(0)
            events = [json.loads(line) for line in self._log.readlines() if line.endswith("\n")]
            if any(event.get("msg", "").startswith("Server is ready") for event in events):
                (address,) = (event["address"] for event in events if event.get("msg") == "Listening on")
                self._url = f"http://{address}"
                return
            time.sleep(_POLL_SECONDS)  # it writes to a file: a pipe that nobody reads would fill up
        self._log.seek(0)
        raise AssertionError(f"Prometheus is not ready: {self._log.read()}")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what its HTTP API answers to an instant query, now."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self._url}/api/v1/query?{query}", timeout=PATIENCE) as response:  # noqa: S310 - of our own
            result: list[dict[str, Any]] = json.load(response)["data"]["result"]
            return result

    def instant(self, job: str) -> dict[Series, float]:
        """Return the series of a job and their values now."""
        return {
            _series(found["metric"]): float(found["value"][1]) for found in self.query(f'{{job="{job}"}}')
        }

    def history(self, job: str, duration: str) -> list[dict[Series, float]]:
        """Return every scrape of a job that it has kept, the oldest first."""
        scrapes: dict[float, dict[Series, float]] = {}
        for found in self.query(f'{{job="{job}"}}[{duration}]'):
            for moment, value in found["values"]:
                # All samples without timestamps of their own have that of their scrape.
                scrapes.setdefault(moment, {})[_series(found["metric"])] = float(value)
        return [scrapes[moment] for moment in sorted(scrapes)]

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until it has scraped what makes the condition true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not so within {seconds} s"
            time.sleep(_POLL_SECONDS)  # nothing tells when a scrape is over

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self._log.close()


def _series(metric: dict[str, str]) -> Series:
    labels = {label: value for label, value in metric.items() if label not in _OWN}
    return series(labels.pop("__name__"), **labels)


class TextOnly:
    """A forwarder that asks an exporter for the text format, whatever it was asked for, and passes the answer on."""

    def __init__(self, url: str) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                request = urllib.request.Request(url, headers={"Accept": "text/plain;version=0.0.4"})  # noqa: S310 - of our own program
                with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310 - as above
                    body = response.read()
                    self.send_response(response.status)
                    self.send_header("Content-Type", response.headers["Content-Type"])
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        self.target = "{}:{}".format(*self._server.server_address)

    def stop(self) -> None:
        """Stop forwarding."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
