"""Flags and file in, one configuration or one message out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p1_exporter.config import Config, FlagParser, MeterConfig, add_run_flags, load
from p1_exporter.errors import UserError
from p1_exporter.options import METER_OPTIONS, OPTIONS, Option

BAD_FILES = sorted((Path(__file__).parent / "data" / "config").glob("*.yml"))

DEFAULT_METER = MeterConfig(
    name="main",
    port=None,
    baudrate=None,
    request_line="none",
    request_interval=None,
    circuit=None,
    time_zone="Europe/Amsterdam",
    key_file=None,
    check_tag=True,
    max_power=55_200.0,
    share_listen_address=None,
)
DEFAULTS = Config(
    meters=(DEFAULT_METER,),
    web_listen_addresses=(":9786",),
    telemetry_path="/metrics",
    web_config_file=None,
    systemd_socket=False,
    equipment_ids=False,
    log_level="info",
    log_format="logfmt",
    config_file=None,
)

# For every option a value that is not its default: as written, and as it arrives.
SAMPLES: dict[str, tuple[str, Any]] = {
    "serial.port": ("/dev/ttyUSB7", "/dev/ttyUSB7"),
    "serial.baudrate": ("9600", 9600),
    "serial.request-line": ("gpio:4", "gpio:4"),
    "serial.request-interval": ("60s", 60.0),
    "serial.circuit": ("optocoupler", "optocoupler"),
    "meter.name": ("heat-pump", "heat-pump"),
    "meter.time-zone": ("Europe/Luxembourg", "Europe/Luxembourg"),
    "meter.key-file": ("/etc/p1.key", Path("/etc/p1.key")),
    "meter.check-tag": ("false", False),
    "meter.max-power": ("17.25kW", 17_250.0),
    "share.listen-address": ("127.0.0.1:2001", "127.0.0.1:2001"),
    "web.listen-address": ("[::1]:9787", ("[::1]:9787",)),
    "web.telemetry-path": ("/p1/metrics", "/p1/metrics"),
    "web.config.file": ("/etc/web.yml", Path("/etc/web.yml")),
    "web.systemd-socket": ("true", True),
    "collector.equipment-ids": ("true", True),
    "log.level": ("debug", "debug"),
    "log.format": ("json", "json"),
}
FILE_OPTIONS = [option for option in OPTIONS if option.name != "config.file"]


def name_of(option: Option) -> str:
    return option.name


def written(folder: Path, text: str) -> str:
    """Write a configuration file and return the flag that names it."""
    path = folder / "p1.yml"
    path.write_text(text, encoding="utf-8")
    return f"--config.file={path}"


def message(*flags: str, environ: dict[str, str] | None = None) -> str:
    """Return what somebody who gives these flags is told."""
    with pytest.raises(UserError) as caught:
        load(flags, environ or {})
    return str(caught.value)


def outcome(flags: list[str]) -> Config | str:
    """Return the configuration or the message that these flags give."""
    try:
        return load(flags, {})
    except UserError as error:
        return str(error)


def with_sample(option: Option) -> Config:
    """Return the defaults but for the sample of `option`."""
    changed = {option.field: SAMPLES[option.name][1]}
    if option.per_meter:
        return replace(DEFAULTS, meters=(replace(DEFAULT_METER, **changed),))
    return replace(DEFAULTS, **changed)


def flags_with_sample(option: Option) -> list[str]:
    text = SAMPLES[option.name][0]
    if option.is_switch:
        return [option.flag if text == "true" else f"--no-{option.name}"]
    return [option.flag, text]


def test_without_flags_everything_has_its_default() -> None:
    assert load([], {}) == DEFAULTS


@pytest.mark.parametrize("option", FILE_OPTIONS, ids=name_of)
def test_every_option_can_be_given_by_flag(option: Option) -> None:
    assert load(flags_with_sample(option), {}) == with_sample(option)


@pytest.mark.parametrize("option", [o for o in FILE_OPTIONS if not o.is_switch], ids=name_of)
def test_every_flag_takes_its_value_after_an_equals_sign(option: Option) -> None:
    assert load([f"{option.flag}={SAMPLES[option.name][0]}"], {}) == with_sample(option)


@pytest.mark.parametrize("option", FILE_OPTIONS, ids=name_of)
def test_every_option_can_be_given_by_file(option: Option, tmp_path: Path) -> None:
    *sections, key = option.name.split(".")
    nested = "".join(f"{'  ' * depth}{section}:\n" for depth, section in enumerate(sections))
    flag = written(tmp_path, f'{nested}{"  " * len(sections)}{key}: "{SAMPLES[option.name][0]}"\n')
    assert load([flag], {}) == replace(with_sample(option), config_file=tmp_path / "p1.yml")


def test_every_meter_option_can_be_given_for_each_of_several_meters(tmp_path: Path) -> None:
    keys = {field.name.replace("_", "-") for field in fields(MeterConfig)}
    assert keys == {option.meter_key for option in METER_OPTIONS}
    samples = [f'{option.meter_key}: "{SAMPLES[option.name][0]}"' for option in METER_OPTIONS]
    flag = written(
        tmp_path, f"meters:\n  - {{{', '.join(samples)}}}\n  - {{name: plain, port: /dev/ttyUSB8}}\n"
    )
    full, plain = load([flag], {}).meters
    assert full == MeterConfig(**{option.field: SAMPLES[option.name][1] for option in METER_OPTIONS})
    assert plain == replace(DEFAULT_METER, name="plain", port="/dev/ttyUSB8")


@pytest.mark.parametrize("option", FILE_OPTIONS, ids=name_of)
def test_flags_win_over_the_file(option: Option, tmp_path: Path) -> None:
    contrary = "/dev/null" if option.default is None else option.default
    contrary = "127.0.0.1:1" if option.name == "share.listen-address" else contrary
    flag = written(tmp_path, f'{option.name}: "{contrary}"\n')
    expected = replace(with_sample(option), config_file=tmp_path / "p1.yml")
    assert load([flag, *flags_with_sample(option)], {}) == expected
    assert load([*flags_with_sample(option), flag], {}) == expected


def test_flags_that_say_nothing_leave_the_rest_of_the_file_alone(tmp_path: Path) -> None:
    flag = written(tmp_path, "log: {level: debug, format: json}\n")
    config = load([flag, "--log.level=error"], {})
    assert (config.log_level, config.log_format) == ("error", "json")


def test_listen_addresses_given_by_flags_replace_those_of_the_file(tmp_path: Path) -> None:
    flag = written(tmp_path, 'web: {listen-address: [":1", ":2"]}\n')
    assert load([flag], {}).web_listen_addresses == (":1", ":2")
    flags = [flag, "--web.listen-address=:3", "--web.listen-address", ":4"]
    assert load(flags, {}).web_listen_addresses == (":3", ":4")


def test_program_options_go_together_with_a_list_of_meters(tmp_path: Path) -> None:
    flag = written(tmp_path, "meters: [{name: a, port: /dev/ttyUSB0}]\nlog: {level: error}\n")
    config = load([flag, "--web.telemetry-path=/p1"], {})
    assert config.meters[0].name == "a"
    assert (config.log_level, config.telemetry_path) == ("error", "/p1")


@pytest.mark.parametrize("option", METER_OPTIONS, ids=name_of)
def test_flags_about_one_meter_do_not_go_together_with_a_list_of_meters(
    option: Option, tmp_path: Path
) -> None:
    flag = written(tmp_path, "meters: [{name: a, port: /dev/ttyUSB0}]\n")
    assert message(flag, *flags_with_sample(option)) == (
        f"{option.flag}: this is about one meter, but the file has a list of meters. Move it into the items "
        f"of the list, as {option.meter_key}."
    )


@pytest.mark.parametrize("file", BAD_FILES, ids=lambda file: file.stem)
def test_a_bad_file_is_answered_with_the_message_in_its_first_line(file: Path) -> None:
    expected = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    assert message(f"--config.file={file}").replace(str(file), "FILE") == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--serial.prot=/dev/x"], "'--serial.prot' is no flag of this program. Did you mean --serial.port?"),
        (["--listen-address=:1"], "Did you mean --web.listen-address?"),
        (
            ["--serial.baud=9600"],
            "'--serial.baud' is no flag of this program. Did you mean --serial.baudrate?",
        ),
        (["/dev/ttyUSB0"], "'/dev/ttyUSB0' is no argument of this program."),
        (["--serial.port"], "--serial.port needs a value: write --serial.port=PORT."),
        (
            ["--meter.check-tag=false"],
            "--meter.check-tag takes no value: write --meter.check-tag or --no-meter.check-tag.",
        ),
    ],
)
def test_flags_that_cannot_be_understood_are_answered_with_what_was_perhaps_meant(
    flags: list[str], expected: str
) -> None:
    text = message(*flags)
    assert text.startswith(expected) or expected in text
    assert text.endswith(" p1-exporter run --help lists the flags.")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--log.level=info", "--log.level=info"], "--log.level: given 2 times. Give it once."),
        (
            ["--web.systemd-socket", "--no-web.systemd-socket"],
            "--web.systemd-socket: given 2 times. Give it once.",
        ),
        (
            ["--serial.port="],
            "--serial.port: the value is empty. Give a value or leave it out altogether.",
        ),
        (
            ["--meter.name=a\nb"],
            "--meter.name: the value holds a line break or another control character. Write it on one line.",
        ),
        (
            ["--log.format=yaml"],
            "--log.format: 'yaml' is none of logfmt, json.",
        ),
        (
            ["--web.listen-address=:1", "--share.listen-address=:1"],
            (
                "--share.listen-address: this is the same as --web.listen-address. Only one can listen on an "
                "address. Choose another port."
            ),
        ),
        (
            ["--config.file=/nowhere/p1.yml"],
            (
                "--config.file: '/nowhere/p1.yml' cannot be read: No such file or directory. Give the path "
                "of a YAML file that the user of this program may read."
            ),
        ),
        (
            ["--config.file=/dev"],
            (
                "--config.file: '/dev' cannot be read: Is a directory. Give the path of a YAML file that the "
                "user of this program may read."
            ),
        ),
    ],
)
def test_bad_values_are_answered_with_flag_reason_and_advice(flags: list[str], expected: str) -> None:
    assert message(*flags) == expected


def test_long_values_are_shown_in_part() -> None:
    assert len(message(f"--meter.name={'x' * 100_000}")) < 500


@pytest.mark.parametrize(
    "flags",
    [
        ["--meter.key-file=00112233445566778899AABBCCDDEEFF"],
        ["--meter.key-file", "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"],
        ["--meter.key=00112233445566778899AABBCCDDEEFF"],
        ["--meter.key", "00112233445566778899AABBCCDDEEFF"],
    ],
)
def test_a_key_given_by_flag_is_refused_and_not_repeated(flags: list[str]) -> None:
    text = message(*flags)
    assert "key-file" in text
    assert not re.search("0011|00:11|EEFF|EE:FF", text)


@pytest.mark.parametrize(
    ("text", "watts"),
    [("55200", 55_200.0), ("55200W", 55_200.0), ("55.2kW", 55_200.0), ("0.1 kW", 100.0), ("1MW", 1e6)],
)
def test_power_can_be_written_in_several_units(text: str, watts: float) -> None:
    assert load([f"--meter.max-power={text}"], {}).meters[0].max_power == watts


@pytest.mark.parametrize(
    "port",
    [
        "/dev/serial0",
        "socket://192.168.1.20:2001",
        "socket://[fd00::20]:2001",
        "rfc2217://adapter.local:4000?timeout=3",
        "file:///var/tmp/telegrams.txt",
        "simulate://dsmr5?fault=noise&severity=0.5&seed=1",
    ],
)
def test_ports_are_passed_on_as_given_whether_they_exist_or_not(port: str) -> None:
    assert load([f"--serial.port={port}"], {}).meters[0].port == port


@pytest.mark.parametrize("address", [":0", "127.0.0.1:9786", "[::]:9786", "[fe80::1]:1", "pi.local:65535"])
def test_listen_addresses_are_passed_on_as_given(address: str) -> None:
    assert load([f"--web.listen-address={address}"], {}).web_listen_addresses == (address,)


def test_any_number_of_listeners_may_ask_for_a_free_port() -> None:
    config = load(["--web.listen-address=[::1]:0", "--share.listen-address=[::1]:0"], {})
    assert config.web_listen_addresses == (config.meters[0].share_listen_address,)


def test_one_device_by_two_paths_is_one_port(tmp_path: Path) -> None:
    (tmp_path / "by-id").symlink_to("/dev/null")
    flag = written(tmp_path, "meters: [{name: a, port: by-id}, {name: b, port: /dev/null}]\n")
    assert "meters[1].port: this is the same as" in message(flag)


def test_relative_paths_of_a_file_start_at_the_file_and_those_of_flags_here(tmp_path: Path) -> None:
    text = "serial: {port: pty}\nmeter: {key-file: p1.key}\nweb: {config: {file: ../web.yml}}\n"
    flag = written(tmp_path, text)
    config = load([flag], {})
    assert config.meters[0].port == f"{tmp_path}/pty"
    assert config.meters[0].key_file == tmp_path / "p1.key"
    assert config.web_config_file == tmp_path / "../web.yml"
    assert load([flag, "--meter.key-file=p1.key"], {}).meters[0].key_file == Path("p1.key")


@pytest.mark.parametrize("word", ["no", "on", "null-meter", "1234", "0x10", "1e3", "12-01"])
def test_names_that_yaml_takes_for_something_else_stay_names(word: str, tmp_path: Path) -> None:
    assert load([written(tmp_path, f"meter: {{name: {word}}}\n")], {}).meters[0].name == word


@pytest.mark.parametrize("word", ["yes", "On", "TRUE"])
def test_every_word_of_yaml_for_true_is_understood(word: str, tmp_path: Path) -> None:
    assert load([written(tmp_path, f"collector: {{equipment-ids: {word}}}\n")], {}).equipment_ids is True


@pytest.mark.parametrize("word", ["no", "Off", "FALSE"])
def test_every_word_of_yaml_for_false_is_understood(word: str, tmp_path: Path) -> None:
    assert load([written(tmp_path, f"meter: {{check-tag: {word}}}\n")], {}).meters[0].check_tag is False


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "web:\n", "serial: {port: ~, baudrate: null}\n", "meters:\n"]
)
def test_what_a_file_leaves_empty_has_its_default(text: str, tmp_path: Path) -> None:
    assert replace(load([written(tmp_path, text)], {}), config_file=None) == DEFAULTS


def test_aliases_stand_for_the_value_that_they_name(tmp_path: Path) -> None:
    lines = ["  - {name: a, port: a, time-zone: &tz Europe/Paris}", "  - {name: b, port: b, time-zone: *tz}"]
    text = "\n".join(["meters:", *lines])
    assert load([written(tmp_path, text)], {}).meters[1].time_zone == "Europe/Paris"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 3000 + "]" * 3000,
        "? " * 3000,
        f"meters: [{'a,' * 300_000}]",
        "a: &a [x]\nb: [" + "*a," * 200_000 + "]",
    ],
    ids=["nested brackets", "nested keys", "long list", "many aliases"],
)
def test_a_file_that_would_take_minutes_to_read_is_refused(text: str, tmp_path: Path) -> None:
    assert message(written(tmp_path, text)) == (
        f"{tmp_path}/p1.yml: too many or too deeply nested keys. Is it the right file?"
    )


def test_a_file_beyond_a_mebibyte_is_refused(tmp_path: Path) -> None:
    flag = written(tmp_path, "#" * (1 << 20))
    assert replace(load([flag], {}), config_file=None) == DEFAULTS
    assert "is larger than 1048576 bytes" in message(written(tmp_path, "#" * (1 << 20) + "#"))


def test_at_most_64_meters_can_be_read(tmp_path: Path) -> None:
    lines = [f"  - {{name: m{number}, port: /dev/m{number}}}\n" for number in range(65)]
    assert len(load([written(tmp_path, "meters:\n" + "".join(lines[:64]))], {}).meters) == 64
    assert "meters: a list of 1 to 64 items is wanted here; this one has 65." in message(
        written(tmp_path, "meters:\n" + "".join(lines))
    )


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p1.yml"
    path.write_bytes(b"meter: {name: caf\xe9}\n")
    assert message(f"--config.file={path}") == f"{path}: this is no YAML text in UTF-8. Save it as UTF-8."


def test_a_key_with_control_characters_is_shown_on_one_line(tmp_path: Path) -> None:
    text = message(written(tmp_path, '"a\\nb\\e[31m": 1\n'))
    assert text.isprintable()


def test_a_computer_without_time_zones_is_told_what_to_install() -> None:
    script = (
        "import zoneinfo; zoneinfo.reset_tzpath([])\n"
        "from p1_exporter.config import load\n"
        "from p1_exporter.errors import UserError\n"
        "try: load([], {})\n"
        "except UserError as error: print(error)\n"
    )
    # Without the PyPI package of the same data, which a development environment may have.
    script = "import sys; sys.modules['tzdata'] = None\n" + script
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "--meter.time-zone: 'Europe/Amsterdam' is no time zone. This computer has no list of time zones at "
        "all: install the package tzdata.\n"
    )


@pytest.mark.parametrize(
    ("variable", "meters"),
    [
        ("P1_EXPORTER_KEY_GAS", ["main"]),
        ("P1_EXPORTER_AUTHENTICATION_KEY_GAS", ["main"]),
        ("P1_EXPORTER_KEY", ["a", "b"]),
    ],
)
def test_a_key_in_the_environment_that_belongs_to_no_meter_is_refused(
    variable: str, meters: list[str], tmp_path: Path
) -> None:
    listed = "".join(f"  - {{name: {name}, port: /dev/{name}}}\n" for name in meters)
    text = message(written(tmp_path, f"meters:\n{listed}"), environ={variable: "0011223344"})
    assert text.startswith(
        f"{variable}: this environment variable is the key of no meter here. Remove it, or"
    )
    assert f"P1_EXPORTER_KEY_{meters[0].upper()}" in text
    assert "0011" not in text


def test_keys_in_the_environment_of_meters_that_exist_are_accepted() -> None:
    environ = {"P1_EXPORTER_KEY": "", "P1_EXPORTER_AUTHENTICATION_KEY_HEAT_PUMP": "", "P1_EXPORTER_OTHER": ""}
    assert load(["--meter.name=heat-pump"], environ).meters[0].name == "heat-pump"


def test_loading_again_gives_what_the_file_says_then(tmp_path: Path) -> None:
    flag = written(tmp_path, "log: {level: debug}\n")
    parser = FlagParser(prog="p1-exporter")
    add_run_flags(parser)
    namespace = parser.parse_args([flag])
    assert load(namespace, {}).log_level == "debug"
    written(tmp_path, "log: {level: error}\n")
    assert load(namespace, {}).log_level == "error"


def test_the_parser_of_a_subcommand_has_the_same_manners() -> None:
    parser = FlagParser(prog="p1-exporter")
    subcommands = parser.add_subparsers(dest="command")
    add_run_flags(subcommands.add_parser("run"))
    assert parser.parse_args(["run", "--log.level=debug"]).command == "run"
    with pytest.raises(UserError, match=r"^'--log\.lvl' is no flag .* Did you mean --log\.level\?"):
        parser.parse_args(["run", "--log.lvl=debug"])
    with pytest.raises(UserError, match=r"^--log\.level needs a value"):
        parser.parse_args(["run", "--log.level"])
    with pytest.raises(UserError, match=r"invalid choice: 'rum' .*p1-exporter --help lists the flags"):
        parser.parse_args(["rum"])


def test_the_help_shows_every_flag_with_its_default_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parser = FlagParser(prog="p1-exporter run")
    add_run_flags(parser)
    text = parser.format_help()
    assert max(len(line) for line in text.splitlines()) <= 80
    words = " ".join(text.split())
    for option in OPTIONS:
        shown = (
            f"{option.flag}, --no-{option.name}" if option.is_switch else f"{option.flag} {option.metavar}"
        )
        assert re.search(
            rf"{re.escape(shown)} [^)]*(\([^)]*\)[^)]*)*\(default: {option.default or 'none'}\)", words
        )


def test_the_version_is_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(["--version"], {})
    assert caught.value.code == 0
    assert re.fullmatch(r"p1-exporter \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+\S*\)\n", capsys.readouterr().out)


def test_yaml_is_loaded_only_for_a_file(tmp_path: Path) -> None:
    script = (
        "import sys; from p1_exporter.config import load\n"
        "load([], {}); before = 'yaml' in sys.modules\n"
        "load(sys.argv[1:], {}); print(before, 'yaml' in sys.modules)\n"
    )
    command = [sys.executable, "-c", script, written(tmp_path, "")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"


YAML_WORDS = ["meters", "serial", "port", "web", "config", "file", "name", "log", "yes", "9786", "\xe9"]
YAML_MARKS = [": ", "  ", "- ", ", ", "&a ", "*a", "<<", "!x ", "---\n", *"\n\t\0{}[]|\"'#~"]
YAML_PIECES = st.sampled_from([*YAML_WORDS, *YAML_MARKS])


@given(
    st.lists(YAML_PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()) | st.binary(max_size=200)
)
@example(b'serial: {port: "\\ud800"}')
@example(b"%YAML 9.9\n---\n")
@example(b"\xff\xfe")
def test_whatever_a_file_holds_it_gives_a_configuration_or_a_message(data: bytes) -> None:
    read_end, write_end = os.pipe()
    with open(read_end, "rb"), open(write_end, "wb", buffering=0) as file:  # noqa: PTH123  descriptors
        file.write(data)
        file.close()
        result = outcome([f"--config.file=/dev/fd/{read_end}"])
    assert isinstance(result, Config) or result.isprintable()


@given(st.sampled_from([option for option in OPTIONS if not option.is_switch]), st.text(max_size=50))
@example(OPTIONS[0], "socket://[")
@example(OPTIONS[0], "/dev/\ud800")
@example(OPTIONS[0], "/dev/\udc80")
@example(OPTIONS[4], "\udc80")
@example(OPTIONS[4], "x" * 5000)
def test_whatever_value_a_flag_has_it_gives_a_configuration_or_a_message(option: Option, text: str) -> None:
    result = outcome([f"{option.flag}={text}"])
    assert isinstance(result, Config) or result.startswith(f"{option.flag}: ")
