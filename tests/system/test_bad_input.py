"""Every kind of bad input to the real program: what its user reads, and what a shell gets.

Needs root, and an interpreter and a checkout that the user nobody may read.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from p1_exporter.simulator.encryption import AUTHENTICATION_KEY, KEY
from tests.system.exporter import PATIENCE, run_command
from tests.system.telegrams import simulated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.exporter import Exporter
    from tests.system.lines import Feeder, Terminal

SIMULATED = "--serial.port=simulate://dsmr5"
UNAVAILABLE = "port is not available, trying again"


class Bad(NamedTuple):
    """What somebody typed beside the files below, and patterns of what the message must say."""

    arguments: tuple[str, ...]
    where: str
    what: str
    advice: str


FILES = {
    "syntax.yml": "log:\n  level: [debug\n",
    "unknown_key.yml": "serial:\n  prot: /dev/ttyUSB0\n",
    "bad_value.yml": "serial:\n  port: /dev/ttyUSB0\n  baudrate: fast\n",
    "readable.key": KEY.hex(),
    "short.key": "0123456789",
    "web_syntax.yml": "tls_server_config: {",
    "web_unknown.yml": "tls_serverconfig: {}\n",
    "web_certificate.yml": "tls_server_config: {cert_file: absent.pem, key_file: absent.key}\n",
}

BAD = {
    "unknown flag": Bad(
        ("run", "--serial.prt=/dev/ttyUSB0"), "--serial.prt", "no flag", "mean --serial.port"
    ),
    "unknown flag of decode": Bad(("decode", "--jsn"), "--jsn", "no flag", "--help"),
    "unknown command": Bad(("frobnicate",), "COMMAND", "frobnicate", "run.*decode.*simulate"),
    "unexpected argument": Bad(("run", "/dev/ttyUSB0"), "/dev/ttyUSB0", "no argument", "--help"),
    "baud rate": Bad(("run", "--serial.baudrate=fast"), "--serial.baudrate", "'fast'", "auto.*115200"),
    "log level": Bad(("run", "--log.level=loud"), "--log.level", "'loud'", "debug, info, warning, error"),
    "address": Bad(("run", "--web.listen-address=9786"), "--web.listen-address", "'9786'", ":9786"),
    "power": Bad(("run", "--meter.max-power=lots"), "--meter.max-power", "'lots'", "55.2kW"),
    "time zone": Bad(
        ("run", "--meter.time-zone=Mars/Base"), "--meter.time-zone", "Mars/Base", "lists the names"
    ),
    "empty value": Bad(("run", "--serial.port="), "--serial.port", "empty", "leave it out"),
    "flag without value": Bad(("run", "--serial.port"), "--serial.port", "needs a value", "PORT"),
    "no YAML": Bad(
        ("run", "--config.file=syntax.yml"), r"syntax\.yml, line [23]", "not YAML", "expected ',' or ']'"
    ),
    "unknown key": Bad(
        ("run", "--config.file=unknown_key.yml"),
        r"unknown_key\.yml, line 2: serial\.prot",
        "unknown key",
        r"mean serial\.port",
    ),
    "unknown key, checked": Bad(
        ("check-config", "--config.file=unknown_key.yml"),
        r"unknown_key\.yml, line 2: serial\.prot",
        "unknown key",
        r"mean serial\.port",
    ),
    "value in file": Bad(
        ("run", "--config.file=bad_value.yml"),
        r"bad_value\.yml, line 3: serial\.baudrate",
        "'fast'",
        "auto.*115200",
    ),
    "no such file": Bad(
        ("run", "--config.file=absent.yml"), r"--config\.file.*absent\.yml", "No such file", "Give the path"
    ),
    "directory as port": Bad(
        ("run", "--serial.port=folder"), r"--serial\.port.*folder", "directory", "by-id"
    ),
    "directory to replay": Bad(("run", "--serial.port=file:///proc/self"), "/proc/self", "directory", "Give"),
    "kind of port": Bad(("run", "--serial.port=carrier://pigeon"), "--serial.port", "pigeon", "socket://"),
    "port without address": Bad(
        ("run", "--serial.port=socket://host"), "--serial.port", "where", "HOST:PORT"
    ),
    "request line": Bad(
        ("run", "--serial.port=socket://127.0.0.1:9", "--serial.request-line=rts"),
        "request.line",
        "rts",
        "use none",
    ),
    "simulated port": Bad(("run", "--serial.port=simulate://mars"), "simulate://mars", "no such", "dsmr5"),
    "simulated meter": Bad(("simulate", "mars"), "mars", "no such", "dsmr5"),
    "key for everybody": Bad(
        ("run", SIMULATED, "--meter.key-file=readable.key"),
        r"readable\.key",
        "others than its owner.*0644",
        r"chmod 600 .*readable\.key",
    ),
    "key file that is none": Bad(
        ("run", SIMULATED, "--meter.key-file=absent.key"), r"absent\.key", "No such file", "Check"
    ),
    "key too short": Bad(
        ("run", SIMULATED, "--meter.key-file=short.key"),
        r"short\.key, line 1",
        "key",
        "32 hexadecimal digits",
    ),
    "web file, no YAML": Bad(
        ("run", SIMULATED, "--web.config.file=web_syntax.yml"), r"web_syntax\.yml", "no YAML, line 1", "Look"
    ),
    "web file, unknown key": Bad(
        ("run", SIMULATED, "--web.config.file=web_unknown.yml"),
        r"web_unknown\.yml",
        "tls_serverconfig",
        "tls_server_config",
    ),
    "web file, certificate": Bad(
        ("run", SIMULATED, "--web.config.file=web_certificate.yml"),
        r"web_certificate\.yml: tls_server_config\.cert_file",
        r"absent\.pem.*No such file",
        "Check the path",
    ),
    "web file, checked": Bad(
        ("check-config", SIMULATED, "--web.config.file=web_certificate.yml"),
        r"web_certificate\.yml: tls_server_config\.cert_file",
        r"absent\.pem.*No such file",
        "Check the path",
    ),
    "no socket of systemd": Bad(
        ("run", SIMULATED, "--web.systemd-socket"), "--web.systemd-socket", "no socket", "Start"
    ),
    "file to decode": Bad(
        ("decode", "absent.txt"), r"absent\.txt", "No such file or directory", r"directory\. \w"
    ),
    "directory to decode": Bad(("decode", "folder"), "folder", "[Ii]s a directory", r"directory\. \w"),
}


def says(message: str, bad: Bad) -> None:
    """Check that a message is one line that says where, what, and what to do."""
    assert message.startswith("p1-exporter: error: ")
    assert message.count("\n") == 1
    for pattern in (bad.where, bad.what, bad.advice):
        assert re.search(pattern, message)


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_work_ends_with_code_2_and_a_message_that_helps(tmp_path: Path, name: str) -> None:
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
        (tmp_path / file).chmod(0o644 if file == "readable.key" else 0o600)
    (tmp_path / "folder").mkdir()
    ended = run_command(*BAD[name].arguments, cwd=tmp_path)
    says(ended.stderr, BAD[name])
    assert (ended.returncode, ended.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("run", SIMULATED, "--web.listen-address={}"), "--web.listen-address"),
        (
            ("run", SIMULATED, "--web.listen-address=127.0.0.1:0", "--share.listen-address={}"),
            "--share.listen-address",
        ),
        (("simulate", "dsmr5", "--tcp={}"), ""),
    ],
    ids=["web", "share", "simulate"],
)
def test_an_address_in_use_ends_with_code_2(arguments: tuple[str, ...], where: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        ended = run_command(*(argument.format(address) for argument in arguments))
    says(ended.stderr, Bad((), where, address, "another"))
    assert (ended.returncode, ended.stdout) == (2, "")


# Ports that cannot be opened: the program goes on and tries again.


def test_a_port_that_does_not_exist_is_told_once_and_tried_again_for_ever(
    run: Callable[..., Exporter], tmp_path: Path
) -> None:
    exporter = run(f"--serial.port={tmp_path}/ttyUSB0")
    trouble = exporter.event(UNAVAILABLE)
    assert trouble["reason"] == "missing"
    assert trouble["level"] == "warning"
    assert re.search(rf"{tmp_path}/ttyUSB0: no such device\. Plug .*by-id", trouble["error"])
    scrape = exporter.until(lambda scrape: scrape("p1_port_errors_total", reason="missing") >= 3)
    assert scrape("p1_port_open") == 0
    assert scrape("p1_port_opens_total") == 0
    assert scrape("p1_up") == 0
    assert scrape.state() == "disconnected"
    assert len(exporter.events(UNAVAILABLE)) == 1
    assert not exporter.events(level="error")


def test_a_busy_port_is_taken_over_when_the_other_program_ends(
    run: Callable[..., Exporter], terminal: Terminal, feed: Callable[..., Feeder]
) -> None:
    first = run(f"--serial.port={terminal.path}")
    first.event("port open")
    second = run(f"--serial.port={terminal.path}")
    trouble = second.event(UNAVAILABLE)
    assert trouble["reason"] == "busy"
    assert re.search(
        rf"{terminal.path} is in use by .*\(process {first.process.pid}\).*stop the other", trouble["error"]
    )
    assert second.scrape().state() == "disconnected"

    feeder = feed(terminal, simulated("dsmr5", 60))
    first.until(lambda scrape: scrape("p1_telegrams_accepted_total") >= 2)
    first.signal(signal.SIGTERM)
    assert first.ends() == 0
    second.event("port open")
    taken_over = second.until(lambda scrape: scrape("p1_telegrams_accepted_total") >= 1)
    assert taken_over("p1_port_open") == 1
    assert taken_over("p1_port_errors_total", reason="busy") >= 1
    assert len(second.events(UNAVAILABLE)) == 1
    feeder.stop()


def test_a_forbidden_port_is_told_once_with_what_lets_the_user_in(
    run: Callable[..., Exporter], terminal: Terminal
) -> None:
    # As udev gives serial ports to people. It takes root to do so; without these capabilities root is like anybody.
    # (Another user may not be able to read the interpreter, which can be in root's home.)
    shutil.chown(terminal.path, user="nobody", group="dialout")
    Path(terminal.path).chmod(0o660)
    anybody = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--clear-groups")
    exporter = run(f"--serial.port={terminal.path}", prefix=anybody)
    trouble = exporter.event(UNAVAILABLE)
    assert trouble["reason"] == "forbidden"
    assert f"{terminal.path}: permission denied; it belongs to the group dialout." in trouble["error"]
    assert "'sudo usermod -aG dialout root' lets this user in" in trouble["error"]
    scrape = exporter.until(lambda scrape: scrape("p1_port_errors_total", reason="forbidden") >= 2)
    assert scrape("p1_port_open") == 0
    assert scrape.state() == "disconnected"
    assert len(exporter.events(UNAVAILABLE)) == 1

    Path(terminal.path).chmod(0o666)
    exporter.event("port open")


def test_a_file_as_port_is_told_with_how_to_replay_it(run: Callable[..., Exporter], tmp_path: Path) -> None:
    (tmp_path / "telegram.txt").write_bytes(simulated("dsmr5", 1)[0])
    exporter = run(f"--serial.port={tmp_path}/telegram.txt")
    trouble = exporter.event(UNAVAILABLE)
    assert trouble["reason"] == "settings"
    assert f"file://{tmp_path}/telegram.txt" in trouble["error"]


# Keys.


def test_a_wrong_or_missing_key_is_told_once_and_then_only_counted(
    run: Callable[..., Exporter], tmp_path: Path
) -> None:
    keys = {"right": KEY, "wrong": bytes(reversed(KEY))}
    for name, key in keys.items():
        path = tmp_path / f"{name}.key"
        path.write_text(f"{key.hex()}\n{AUTHENTICATION_KEY.hex()}\n")
        path.chmod(0o600)
    (tmp_path / "p1.yml").write_text(
        "meters:\n"
        "  - {name: right, port: 'simulate://luxembourg?seed=1', key-file: right.key}\n"
        "  - {name: wrong, port: 'simulate://luxembourg?seed=2', key-file: wrong.key}\n"
        "  - {name: missing, port: 'simulate://luxembourg?seed=3'}\n"
    )
    exporter = run(f"--config.file={tmp_path}/p1.yml")
    # Such a meter sends every ten seconds.
    scrape = exporter.until(
        lambda scrape: all(
            scrape("p1_telegram_errors_total", meter, reason="decrypt") >= 2 for meter in ("wrong", "missing")
        ),
        20 + PATIENCE,
    )
    for meter, words in (("wrong", "the key is wrong|tag"), ("missing", "no key is configured")):
        assert scrape("p1_telegrams_accepted_total", meter) == 0
        assert not scrape.of_meter(meter)
        (told,) = exporter.events(meter=meter, level="error")
        assert re.search(words, told["error"])
        assert "--meter.key-file" in told["hint"]
    assert scrape("p1_telegrams_accepted_total", "right") >= 1
    assert not exporter.events(meter="right", level="error")
    log = str(exporter.events())
    assert not any(key.hex() in log.lower() for key in (*keys.values(), AUTHENTICATION_KEY))
