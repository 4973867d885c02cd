from __future__ import annotations

import contextlib
import io
import json
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from p1_exporter.cli import main
from p1_exporter.exposition.families import meter_family
from tests.telegram.telegrams import (
    BELGIAN,
    HEADER,
    HUNGARIAN,
    LINES,
    OLD_TELEGRAM,
    TELEGRAM,
    at,
    telegram,
    with_lines,
)

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
COMMAND = (sys.executable, "-m", "p1_exporter", "decode")


def printed(data: bytes, *flags: str) -> str:
    """Return what the command prints for bytes on its standard input."""
    stdin, stdout = io.TextIOWrapper(io.BytesIO(data)), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(stdout):
        patch.setattr(sys, "stdin", stdin)
        assert main(["decode", *flags]) == 0
    return stdout.getvalue()


def decode(data: bytes, *flags: str) -> tuple[list[Json], Json]:
    """Return the telegrams and the sums that the command prints as JSON."""
    *telegrams, sums = [json.loads(line) for line in printed(data, "--json", *flags).splitlines()]
    return telegrams, sums


def samples_of(telegram: Json) -> dict[str, float]:
    return {sample["name"]: sample["value"] for line in telegram["lines"] for sample in line["samples"]}


# JSON.


def test_a_telegram_is_one_object_on_one_line_and_the_sums_are_the_last() -> None:
    (found,), sums = decode(TELEGRAM)
    assert {key: found[key] for key in ("header", "checksum", "size", "malformed")} == {
        "header": "/TST5\\2M550T-1011",
        "checksum": "valid",
        "size": len(TELEGRAM),
        "malformed": [],
    }
    assert "rejected" not in found
    assert found["lines"][3] == {
        "obis": "1-0:1.8.1",
        "raw": ["001234.567*kWh"],
        "samples": [
            {"name": "p1_electricity_import_joules_total", "labels": {"tariff": "1"}, "value": 4_444_441_200}
        ],
    }
    assert found["lines"][6] == {
        "obis": "0-1:24.2.1",
        "raw": ["261123101000W", "00123.456*m3"],
        "samples": [
            {"name": "p1_gas_cubic_meters_total", "labels": {"channel": "1"}, "value": 123.456},
            {
                "name": "p1_mbus_reading_timestamp_seconds",
                "labels": {"channel": "1"},
                "value": at(2026, 11, 23, 9, 10),
            },
        ],
    }
    assert sums["received_bytes"] == sums["accepted_bytes"] == len(TELEGRAM)
    assert sums["telegrams"] == 1
    assert set(sums) == {"received_bytes", "accepted_bytes", "dropped_bytes", "telegrams", "errors"}
    assert set(sums["errors"]) == {
        "crc", "truncated", "too_long", "malformed", "parity", "implausible", "decrypt"
    }  # fmt: skip
    assert set(sums["dropped_bytes"]) == {"noise", *sums["errors"]}


def test_a_value_on_a_line_of_its_own_stands_at_the_line_that_gave_it() -> None:
    (found,), _ = decode(OLD_TELEGRAM)
    assert found["checksum"] == "absent"
    assert found["lines"][-1]["obis"] == "0-1:24.3.0"
    assert found["lines"][-1]["raw"] == ["120517020000", "08", "60", "1", "0-1:24.2.1", "m3", "00124.477"]
    assert found["lines"][-1]["samples"][0]["value"] == 124.477


def test_a_code_is_shown_without_group_f() -> None:
    (found,), _ = decode(with_lines(b"1-0:1.7.0*255(00.345*kW)", b"1-0:2.7.0.255(00.001*kW)"))
    assert [line["obis"] for line in found["lines"]] == ["1-0:1.7.0", "1-0:2.7.0"]
    assert samples_of(found) == {"p1_power_import_watts": 345, "p1_power_export_watts": 1}


def test_bytes_that_are_no_ascii_are_shown_one_character_each() -> None:
    (found,), _ = decode(with_lines(*HUNGARIAN, b"0-1:24.2.1(00123.456*m\xb3)"))
    raw = {line["obis"]: line["raw"] for line in found["lines"]}
    assert raw["0-0:96.13.0"] == ["\u00ff" * 1024]
    assert raw["0-1:24.2.1"] == ["00123.456*m\u00b3"]
    assert found["malformed"] == []


def test_what_could_not_be_read_is_listed_with_its_line() -> None:
    (found,), _ = decode(with_lines(b"1-0:1.7.0(00.3x5*kW)", b"hello", b"1-0:2.7.0(00.001*kW)"))
    assert found["malformed"] == [
        {"line": "1-0:1.7.0(00.3x5*kW)", "why": "'00.3x5' is not a number"},
        {"line": "hello", "why": "it does not begin with an OBIS code"},
    ]
    assert samples_of(found) == {"p1_power_export_watts": 1}


def test_a_rejected_telegram_is_shown_with_its_lines_and_the_reason() -> None:
    damaged = TELEGRAM.replace(b"00.345", b"00.344")
    (found,), sums = decode(damaged)
    assert (found["checksum"], found["rejected"]) == ("invalid", "crc")
    assert samples_of(found)["p1_power_import_watts"] == 344
    assert sums["accepted_bytes"] == 0
    assert sums["errors"]["crc"] == 1
    assert sums["dropped_bytes"]["crc"] == len(damaged)


def test_a_telegram_that_breaks_off_is_shown_as_far_as_it_came() -> None:
    cut = HEADER + LINES[: LINES.index(b"0-1:24.2.1") + 5]
    (found,), sums = decode(cut)
    assert found["rejected"] == "truncated"
    assert found["header"] == "/TST5\\2M550T-1011"
    assert len(found["lines"]) == 6
    assert sums["dropped_bytes"]["truncated"] == len(cut)


def test_a_telegram_without_object_lines_is_malformed() -> None:
    (found,), sums = decode(b"/TST5X\r\n\r\nhello\r\n!\r\n")
    assert found["rejected"] == "malformed"
    assert found["lines"] == []
    assert sums["errors"]["malformed"] == 1


def test_an_encrypted_telegram_without_key_is_rejected() -> None:
    frame = b"\xdb\x08TSTMETER\x81\x25\x30\x00\x00\x00\x01" + bytes(32)
    (found,), sums = decode(frame)
    assert found["rejected"] == "decrypt"
    assert found["lines"] == []
    assert sums["dropped_bytes"]["decrypt"] == len(frame)


def test_every_byte_is_accounted_for_whatever_lies_between_telegrams() -> None:
    data = (
        b"noise"
        + telegram(1)
        + b"\xff\x00"
        + TELEGRAM.replace(b"kWh", b"kWH")
        + telegram(2)[:50]
        + telegram(3)
    )
    telegrams, sums = decode(data)
    assert [one.get("rejected") for one in telegrams] == [None, "crc", "truncated", None]
    assert sums["telegrams"] == 4
    assert sums["dropped_bytes"]["noise"] == 7
    assert sums["received_bytes"] == len(data) == sums["accepted_bytes"] + sum(sums["dropped_bytes"].values())


def test_nothing_gives_the_sums_alone() -> None:
    telegrams, sums = decode(b"")
    assert telegrams == []
    assert sums["received_bytes"] == sums["telegrams"] == 0


def test_every_sample_is_one_that_the_exporter_can_show() -> None:
    (found,), _ = decode(with_lines(*BELGIAN))
    every = [sample for line in found["lines"] for sample in line["samples"]]
    assert len(every) > 20
    assert {meter_family(sample["name"]).sample for sample in every} == {sample["name"] for sample in every}
    assert all("meter" not in sample["labels"] for sample in every)


# Flags.


def test_the_time_zone_of_the_meter_may_be_given() -> None:
    data = with_lines(b"0-0:1.0.0(260701120000S)")
    zones = {"Europe/Amsterdam": 10, "Europe/Dublin": 11, "Europe/Helsinki": 9, "UTC": 12}
    for zone, hour in zones.items():
        (found,), _ = decode(data, f"--meter.time-zone={zone}")
        assert samples_of(found) == {"p1_meter_timestamp_seconds": at(2026, 7, 1, hour)}
    (found,), _ = decode(data)
    assert samples_of(found) == {"p1_meter_timestamp_seconds": at(2026, 7, 1, zones["Europe/Amsterdam"])}


def test_serial_numbers_are_in_samples_only_where_somebody_asks_for_them() -> None:
    data = with_lines(*BELGIAN, header=b"/TST5\\253769484_A\r\n\r\n")
    for flags, expected in (((), False), (("--collector.equipment-ids",), True)):
        (found,), _ = decode(data, *flags)
        text = json.dumps([line["samples"] for line in found["lines"]] + [found.get("samples")])
        assert ("253769484" in text) is expected
        assert ("1SAG3100000001" in text) is expected
        assert ("8SET0000000001" in text) is expected
        assert "541440" not in text


# For people.


def test_the_table_shows_codes_values_and_samples() -> None:
    lines = printed(TELEGRAM).splitlines()
    assert lines[0] == f"/TST5\\2M550T-1011  ({len(TELEGRAM)} bytes, checksum valid, accepted)"
    (register,) = [line for line in lines if "1-0:1.8.1" in line]
    assert register.split() == [
        "1-0:1.8.1",
        "001234.567*kWh",
        'p1_electricity_import_joules_total{tariff="1"}',
        "4444441200",
    ]
    (identity,) = [line for line in lines if "0-0:96.1.1" in line]
    assert len(identity.split()) == 2
    assert (
        lines[-1] == f"1 telegrams, 1 accepted; {len(TELEGRAM)} bytes, {len(TELEGRAM)} in accepted telegrams"
    )


def test_the_table_says_what_was_wrong() -> None:
    data = b"xx" + with_lines(b"hello", b"1-0:1.7.0(00.345*kW)") + TELEGRAM[:60]
    text = printed(data)
    assert "not read: hello  (it does not begin with an OBIS code)" in text
    assert "rejected: truncated" in text
    assert "2 telegrams, 1 accepted, rejected: 1 truncated" in text
    assert "others: 2 noise, 60 truncated" in text


def test_the_table_says_why_an_encrypted_telegram_cannot_be_read() -> None:
    assert "no key is configured" in printed(b"\xdb\x08TSTMETER\x81\x25\x30\x00\x00\x00\x01" + bytes(32))


def test_the_table_holds_nothing_that_commands_a_terminal() -> None:
    text = printed(
        with_lines(
            b"0-0:96.13.0(\x1b[31m\x07\x9b)",
            b"1-0:99.9.9(1*\x1bc)",
            b"\x1b]0;x",
            header=b"/TST5\x1b[2J\r\n\r\n",
        )
    )
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert len(text.splitlines()) == 6


def test_long_values_do_not_make_the_table_wide() -> None:
    text = printed(with_lines(b"0-0:96.13.0(" + b"41" * 1024 + b")", b"x" * 2000))
    assert max(len(line) for line in text.splitlines()) < 120


# Files and streams.


def test_a_file_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "telegrams.txt"
    path.write_bytes(telegram(1) + telegram(2))
    done = subprocess.run([*COMMAND, "--json", str(path)], capture_output=True, check=True, timeout=60)
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == b""


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_an_error_of_the_user(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decode", str(tmp_path / name)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert str(tmp_path) in err
    assert "cannot be read" in err


def test_a_telegram_is_decoded_as_soon_as_it_is_there() -> None:
    with subprocess.Popen(
        [sys.executable, "-u", *COMMAND[1:], "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(TELEGRAM)
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 30)[0]
        assert json.loads(process.stdout.readline())["checksum"] == "valid"
        process.stdin.close()
        assert json.loads(process.stdout.readline())["telegrams"] == 1
    assert process.returncode == 0


def test_whoever_reads_the_output_may_stop() -> None:
    with subprocess.Popen(
        [*COMMAND, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.write(TELEGRAM * 200)
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


pieces = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [TELEGRAM, OLD_TELEGRAM, TELEGRAM[:70], HEADER, b"!\r\n", b"!ABCD\r\n", b"/", b"\xdb\x08", b"\r\n"]
    ),
    st.builds(with_lines, st.binary(max_size=40)),
)


@settings(deadline=None)
@given(data=st.lists(pieces, max_size=8).map(b"".join))
@example(data=b"\x00" * 300)
@example(data=bytes(range(256)) * 4)
def test_no_bytes_raise_and_none_is_lost(data: bytes) -> None:
    telegrams, sums = decode(data)
    assert sums["received_bytes"] == len(data) == sums["accepted_bytes"] + sum(sums["dropped_bytes"].values())
    assert sums["telegrams"] == len(telegrams)
    assert sum(sums["errors"].values()) == len([one for one in telegrams if "rejected" in one])
    assert sum(one["size"] for one in telegrams) + sums["dropped_bytes"]["noise"] == len(data)
    assert len(printed(data).splitlines()) >= len(telegrams) + 1
