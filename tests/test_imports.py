"""What `p1-exporter run` loads: memory is short on the computers that sit beside meters."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
import tty

import pytest

from tests.telegram.telegrams import TELEGRAM

SHOW_LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"
# As the command p1-exporter does it.
RUN = f"import sys; from p1_exporter.__main__ import main; main(sys.argv[1:]); {SHOW_LOADED}"
LIBRARIES = (
    f"import prometheus_client, prometheus_client.openmetrics.exposition, serial, structlog; {SHOW_LOADED}"
)
# Each is for a feature that most people do not use, or for another command.
UNWANTED = {
    "RPi",
    "asyncio",
    "bcrypt",
    "cryptography",
    "multiprocessing",
    "p1_exporter.config_file",
    "p1_exporter.decode",
    "p1_exporter.doctor",
    "p1_exporter.exposition.page",
    "p1_exporter.link.capture",
    "p1_exporter.link.damage.alignment",
    "p1_exporter.link.damage.analysis",
    "p1_exporter.link.damage.consensus",
    "p1_exporter.link.damage.template",
    "p1_exporter.link.diagnosis",
    "p1_exporter.link.distortion",
    "p1_exporter.link.evidence",
    "p1_exporter.link.faults",
    "p1_exporter.link.mains",
    "p1_exporter.link.replay_port",
    "p1_exporter.link.rfc2217_port",
    "p1_exporter.link.rhythm",
    "p1_exporter.link.share",
    "p1_exporter.link.signatures",
    "p1_exporter.link.simulated_port",
    "p1_exporter.simulator",
    "p1_exporter.web.tls",
    "rich",
    "serial.rfc2217",
    "serial.tools",
    "sqlite3",
    "ssl",
    "tomllib",
    "unittest",
    "yaml",
}


# Longer than it takes to look for faults a few times: once a second.
TELEGRAMS, TELEGRAM_INTERVAL = 16, 0.25


def modules_after(code: str) -> set[str]:
    """Return the names of the modules that a program has loaded at its end."""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=30, check=True)
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules loaded after a meter on a terminal was read for some seconds, and asked for all there is to see."""
    meter, terminal = os.openpty()
    tty.setraw(terminal)
    arguments = (f"--serial.port={os.ttyname(terminal)}", "--web.listen-address=127.0.0.1:0")
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            port = next(
                int(found[1])
                for line in process.stderr
                if (found := re.search(r"http://127\.0\.0\.1:(\d+)/metrics", line))
            )
            until = time.monotonic() + 20
            while accepted(text := page(port, "/metrics")) < TELEGRAMS:
                assert time.monotonic() < until, text
                os.write(meter, TELEGRAM)
                time.sleep(TELEGRAM_INTERVAL)
            assert 'p1_telegram_errors_total{meter="main",reason="crc"} 0.0' in text
            assert "# EOF" in page(port, "/metrics", "application/openmetrics-text; version=1.0.0")
            assert '"faults": []' in page(port, "/api/v1/status")
            assert "Meter main" in page(port, "/")
            process.terminate()
            out, _ = process.communicate(timeout=10)
        finally:
            process.kill()
            os.close(meter)
            os.close(terminal)
    return set(json.loads(out))


def accepted(metrics: str) -> float:
    found = re.search(r'^p1_telegrams_accepted_total\{meter="main"\} (\S+)$', metrics, re.MULTILINE)
    assert found
    return float(found[1])


def page(port: int, path: str, accept: str = "*/*") -> str:
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        server.request("GET", path, headers={"Accept": accept})
        return server.getresponse().read().decode()
    finally:
        server.close()


def with_packages(modules: set[str]) -> set[str]:
    """Return the modules and the packages that they are in."""
    return {name[: end.start()] for name in modules for end in re.finditer(r"\.|$", name)}


def test_run_on_a_terminal_loads_nothing_that_it_does_not_use(loaded: set[str]) -> None:
    assert {"p1_exporter.run", "p1_exporter.link.tty_port", "p1_exporter.exposition.collector"} <= loaded
    # Some releases of the libraries load some of these themselves.
    own = loaded - modules_after(LIBRARIES)
    assert with_packages(own) & UNWANTED == set()


@pytest.mark.parametrize("command", ["doctor", "decode", "simulate"])
def test_other_commands_load_neither_web_server_nor_its_libraries(command: str) -> None:
    # What cannot be parsed ends the command before it begins; what it imports at the top is loaded by then.
    after = modules_after(
        f"from p1_exporter.__main__ import main; main([{command!r}, '--no-such-flag']); {SHOW_LOADED}"
    )
    assert f"p1_exporter.{command}" not in after
    assert not with_packages(after) & {"prometheus_client", "serial", "p1_exporter.web", "p1_exporter.run"}
