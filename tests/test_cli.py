"""The command line: which command runs, what it prints, and what the shell gets back."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from p1_exporter import __version__
from p1_exporter.cli import main
from tests.telegram.telegrams import OLD_TELEGRAM, TELEGRAM, telegram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = (sys.executable, "-m", "p1_exporter")
# As people have it: what is written to a pipe waits for company.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
RUN_FLAGS = ("--serial.port=simulate://dsmr5", "--web.listen-address=127.0.0.1:0")


class Outcome:
    """What a command printed, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        try:
            self.code = main(arguments)
        except SystemExit as end:
            self.code = int(end.code or 0)
        self.out, self.err = capsys.readouterr()


def is_user_error(outcome: Outcome, *words: str) -> bool:
    """Tell whether the outcome is exit code 2 and one line on standard error, with all these words."""
    assert outcome.err.startswith("p1-exporter: error: ")
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert all(word in outcome.err for word in words), outcome.err
    return outcome.code == 2


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own; end it if the test has not."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def output(process: subprocess.Popen[str]) -> str:
    """Return the next line of standard output."""
    assert process.stdout
    return process.stdout.readline().rstrip("\n")


def log_until(process: subprocess.Popen[str], word: str) -> str:
    """Return the next line of the log that holds this word."""
    assert process.stderr
    for line in process.stderr:
        if word in line:
            return line
    pytest.fail(f"the log ended without {word!r}")


def stopped(process: subprocess.Popen[str], by: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Send a signal; return the exit code and the rest of standard error."""
    process.send_signal(by)
    _, err = process.communicate(timeout=10)
    return process.returncode, err


def decode(data: bytes, *flags: str) -> str:
    """Decode standard input; return what was printed."""
    done = subprocess.run(
        [*COMMAND, "decode", *flags],
        input=data,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        timeout=20,
        check=True,
    )
    return done.stdout.decode()


# Version, help, mistakes.


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--version"], ["check-config", "--version"]])
def test_the_version_is_that_of_program_and_python(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(capsys, *arguments)
    python = ".".join(str(part) for part in sys.version_info[:3])
    assert (outcome.code, outcome.out) == (0, f"p1-exporter {__version__} (Python {python})\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, flag)
    assert outcome.code == 0
    for command in ("run", "doctor", "decode", "simulate", "check-config"):
        assert re.search(rf"^    {command}\s", outcome.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("run", "--serial.port"),
        ("check-config", "--config.file"),
        ("doctor", "--replay"),
        ("decode", "--json"),
        ("simulate", "--tcp"),
    ],
)
def test_every_command_has_help_of_its_own(
    command: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(capsys, command, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"usage: p1-exporter {command} [FLAG ...]")
    assert flag in outcome.out


def test_a_command_that_does_not_exist_is_a_user_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert is_user_error(Outcome(capsys, "decipher"), "'decipher'", "decode", "p1-exporter --help")


@pytest.mark.parametrize("arguments", [["--serial.prot=x"], ["run", "--serial.prot=x"]])
def test_a_flag_that_does_not_exist_is_a_user_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_user_error(Outcome(capsys, *arguments), "--serial.prot", "Did you mean --serial.port?")


@pytest.mark.parametrize("command", ["run", "doctor", "check-config"])
def test_a_port_that_is_a_directory_is_a_user_error(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_user_error(
        Outcome(capsys, command, f"--serial.port={tmp_path}"), "--serial.port", "is a directory"
    )


# run


def test_an_address_in_use_is_a_user_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with started("--serial.port=/nonexistent", f"--web.listen-address={address}") as process:
            _, err = process.communicate(timeout=20)
            assert (process.returncode, address in err, "Traceback" in err) == (2, True, False)


@pytest.mark.parametrize("command", [[], ["run"]])
def test_without_a_command_the_meter_is_read_and_served_until_sigterm(command: list[str]) -> None:
    with started(*command, *RUN_FLAGS) as process:
        listening = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", log_until(process, "listening"))
        assert listening
        until = time.monotonic() + 20
        text = ""
        while 'p1_up{meter="main"} 1.0' not in text:
            assert time.monotonic() < until, text
            server = http.client.HTTPConnection("127.0.0.1", int(listening[1]), timeout=5)
            server.request("GET", "/metrics")
            text = server.getresponse().read().decode()
            server.close()
            time.sleep(0.05)
        assert "p1_electricity_import_joules_total" in text
        code, err = stopped(process)
        assert code == 0
        assert "p1-exporter has stopped" in err


def test_a_port_that_is_missing_ends_nothing() -> None:
    with started("--serial.port=/nonexistent/p1", "--web.listen-address=127.0.0.1:0") as process:
        assert "/nonexistent/p1" in log_until(process, "not available")
        assert process.poll() is None
        assert stopped(process)[0] == 0


def test_run_ends_well_with_control_c() -> None:
    with started(*RUN_FLAGS) as process:
        log_until(process, "listening")
        code, err = stopped(process, signal.SIGINT)
        assert (code, "Traceback" in err) == (0, False)


# decode


def test_decode_reads_standard_input_and_shows_a_table() -> None:
    lines = decode(TELEGRAM).splitlines()
    assert lines[0] == rf"/TST5\2M550T-1011  ({len(TELEGRAM)} bytes, checksum valid, accepted)"
    assert ["1-0:1.7.0", "00.345*kW", "p1_power_import_watts", "345"] in [line.split() for line in lines]
    assert (
        lines[-1] == f"1 telegrams, 1 accepted; {len(TELEGRAM)} bytes, {len(TELEGRAM)} in accepted telegrams"
    )


def test_decode_gives_a_line_of_json_for_each_telegram_and_then_the_sums() -> None:
    bad = TELEGRAM.replace(b"00.345", b"00.346")
    stream = b"\0\0" + TELEGRAM + bad + TELEGRAM[:50]
    good, rejected, cut, sums = (json.loads(line) for line in decode(stream, "--json").splitlines())
    assert (good["header"], good["checksum"], good["size"]) == ("/TST5\\2M550T-1011", "valid", len(TELEGRAM))
    assert "rejected" not in good
    assert good["malformed"] == []
    assert good["lines"][3] == {
        "obis": "1-0:1.8.1",
        "raw": ["001234.567*kWh"],
        "samples": [
            {"name": "p1_electricity_import_joules_total", "labels": {"tariff": "1"}, "value": 4_444_441_200}
        ],
    }
    # Lines are shown also where the checksum fails.
    assert (rejected["rejected"], rejected["checksum"]) == ("crc", "invalid")
    assert rejected["lines"][4]["samples"][0]["value"] == 346
    assert (cut["rejected"], cut["size"]) == ("truncated", 50)
    reasons = dict.fromkeys(
        ("crc", "truncated", "too_long", "malformed", "parity", "implausible", "decrypt"), 0
    )
    assert sums == {
        "received_bytes": len(stream),
        "accepted_bytes": len(TELEGRAM),
        "dropped_bytes": {"noise": 2, **reasons, "crc": len(bad), "truncated": 50},
        "telegrams": 3,
        "errors": {**reasons, "crc": 1, "truncated": 1},
    }


def test_decode_of_nothing_gives_sums_of_zero() -> None:
    assert decode(b"") == "0 telegrams, 0 accepted; 0 bytes, 0 in accepted telegrams\n"


def test_decode_reads_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "old.txt"
    file.write_bytes(OLD_TELEGRAM)
    outcome = Outcome(capsys, "decode", str(file))
    assert (outcome.code, outcome.err) == (0, "")
    assert "checksum absent, accepted" in outcome.out
    assert "p1_gas_cubic_meters_total" in outcome.out


@pytest.mark.parametrize("name", ["missing.txt", ""])
def test_decode_of_what_is_no_file_is_a_user_error(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / name)
    assert is_user_error(Outcome(capsys, "decode", path), path, "cannot be read")


def test_decode_ends_quietly_when_nobody_reads_on(tmp_path: Path) -> None:
    file = tmp_path / "many.txt"
    file.write_bytes(b"".join(telegram(number) for number in range(1000)))
    with started("decode", "--json", str(file)) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(output(process))["checksum"] == "valid"
        process.stdout.close()
        assert (process.stderr.read(), process.wait(20)) == ("", 0)


def test_decode_ends_with_130_after_control_c() -> None:
    many = b"".join(telegram(number) for number in range(100)).decode()
    with started("decode", "--json") as process:
        assert process.stdin
        process.stdin.write(many)
        process.stdin.flush()
        output(process)
        code, err = stopped(process, signal.SIGINT)
        assert (code, err) == (130, "")


# simulate


def bytes_of_a_telegram(descriptor: int) -> bytes:
    data = b""
    while not re.search(rb"/SIM5.*![0-9A-F]{4}\r\n", data, re.DOTALL):
        more = os.read(descriptor, 65536)
        assert more
        data += more
    return data


def test_simulate_is_a_meter_on_a_pseudo_terminal_until_sigterm(tmp_path: Path) -> None:
    link = tmp_path / "p1"
    with started("simulate", "dsmr5?seed=7", f"--link={link}") as process:
        assert output(process) == str(link)
        terminal = os.open(link, os.O_RDONLY | os.O_NOCTTY)
        try:
            assert b"1-0:1.8.1(" in bytes_of_a_telegram(terminal)
        finally:
            os.close(terminal)
        assert stopped(process) == (0, "")
        assert not link.is_symlink()


def test_simulate_announces_the_terminal_itself_where_no_link_is_asked_for() -> None:
    with started("simulate") as process:
        assert re.fullmatch(r"/dev/pts/\d+", output(process))
        assert stopped(process) == (0, "")


def test_simulate_is_a_meter_on_a_tcp_port_until_sigterm() -> None:
    with started("simulate", "simulate://belgium", "--tcp=127.0.0.1:0") as process:
        place = re.fullmatch(r"socket://127\.0\.0\.1:(\d+)", output(process))
        assert place
        with socket.create_connection(("127.0.0.1", int(place[1]))) as client:
            assert b"1-0:1.8.1(" in bytes_of_a_telegram(client.fileno())
        assert stopped(process) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dsmr99"], ["dsmr99", "dsmr5"]),
        (["dsmr5?seed=x"], ["seed"]),
        (["--tcp=nonsense"], ["--tcp", "nonsense"]),
        (["--tcp=127.0.0.1:0", "--no-such-flag"], ["--no-such-flag"]),
        (["--link=/nonexistent/p1"], ["/nonexistent/p1"]),
    ],
)
def test_simulate_refuses_what_it_cannot_be(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert is_user_error(Outcome(capsys, "simulate", *arguments), *words)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


# check-config


def test_check_config_says_what_run_would_do_and_touches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Neither that nobody has the port nor that somebody has the address is its business.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file = tmp_path / "p1.yml"
        file.write_text(
            "meters:\n- {name: house, port: /nonexistent/p1}\n- {name: garage, port: 'socket://127.0.0.1:9'}\n"
            f"web: {{listen-address: '{address}', telemetry-path: /p1}}\n"
        )
        outcome = Outcome(capsys, "check-config", f"--config.file={file}")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "meter house: /nonexistent/p1",
        "meter garage: socket://127.0.0.1:9",
        f"metrics: /p1 at {address}",
        "The configuration is good.",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("serial: {prot: /dev/ttyUSB0}\n", ["p1.yml, line 1", "prot"]),
        ("serial: [\n", ["p1.yml"]),
        ("serial: {baudrate: fast}\n", ["baudrate", "fast"]),
        (
            "meters:\n- {name: a, port: /x}\n- {name: a, port: /y}\n",
            ["p1.yml, line 3: meters[1].name", "Choose another name"],
        ),
        ("serial: {port: 'ftp://x'}\n", ["ftp://x"]),
        ("web: {config: {file: missing.yml}}\n", ["missing.yml"]),
    ],
)
def test_check_config_says_what_is_wrong_with_a_file(
    text: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p1.yml"
    file.write_text(text)
    assert is_user_error(Outcome(capsys, "check-config", f"--config.file={file}"), *words)


def test_check_config_says_that_there_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "check-config", f"--config.file={tmp_path / 'p1.yml'}")
    assert is_user_error(outcome, "--config.file", "No such file")
