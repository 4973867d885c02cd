"""Every telegram of a corpus of real ones through the real command.

What numbers a line holds is worked out here anew, without the registry and without the program's own parsing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# Published with the encrypted telegram of the corpus, for tests.
KEYS = {"P1_EXPORTER_KEY": "AA" * 16}
FACTORS = {
    "kwh": 3_600_000, "wh": 3600, "gj": 10**9, "kw": 1000, "w": 1, "kvarh": 1000, "varh": 1, "kvar": 1000, "var": 1,
    "kva": 1000, "v": 1, "kv": 1000, "a": 1, "ka": 1000, "hz": 1, "khz": 1000, "s": 1, "m3": 1, "m3/h": 1, "degc": 1,
}  # fmt: skip
NUMBER = re.compile(r" *([+-]?\d+(?:\.\d+)?)(?:\*(\S+))? *")
# Counts, states and codes within logs, which are no values.
LOGS = re.compile(r":(99\.97\.0|98\.1\.0|99\.1\.0|24\.3\.0)$")
STAMP = re.compile(r"\d{12}[SWsw]?")


def decode(path: Path, **environ: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "p1_exporter", "decode", "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environ},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *telegrams, sums = [json.loads(line) for line in done.stdout.splitlines()]
    assert sums["received_bytes"] == path.stat().st_size
    assert sums["received_bytes"] == sums["accepted_bytes"] + sum(sums["dropped_bytes"].values())
    assert sums["telegrams"] == len(telegrams)
    assert sum(sums["errors"].values()) == len([one for one in telegrams if "rejected" in one])
    return telegrams, sums


def expected_numbers(line: dict[str, Any]) -> list[Fraction]:
    """Return the numbers with a unit or a decimal point on a line, in base units and as sent."""
    raw = line["raw"]
    if any(group.startswith("632525") for group in raw) and not LOGS.search(line["obis"]):
        return []
    numbers = []
    for number, group in enumerate(raw):
        found = NUMBER.fullmatch(group)
        if found is None or STAMP.fullmatch(group.strip()):
            continue
        if found[2] or "." in found[1]:
            if number and raw[number - 1].startswith("632525"):
                continue
            numbers.append(Fraction(found[1]) * FACTORS.get((found[2] or "").lower(), 1))
    return numbers


def values(line: dict[str, Any]) -> list[Fraction]:
    """Return the numbers among the samples of a line, in base units."""
    return [
        Fraction(repr(sample["value"]))
        * (FACTORS.get(sample["labels"]["unit"].lower(), 1) if sample["name"] == "p1_obis_value" else 1)
        for sample in line["samples"]
        if not sample["name"].endswith(("_info", "_timestamp_seconds"))
    ]


def test_verdicts_and_values(row: dict[str, str], corpus: Path) -> None:
    telegrams, _ = decode(corpus / row["file"], **(KEYS if "SYSTEMID" in row["file"] else {}))
    verdicts = [telegram["checksum"] for telegram in telegrams]
    valid = [telegram for telegram in telegrams if telegram["checksum"] == "valid"]
    assert all("rejected" not in telegram for telegram in valid)
    partly = re.search(r"(\d) of (\d)", row["crc_verifies"])
    if "SYSTEMID" in row["file"]:
        assert verdicts == ["valid"]
    elif row["file"].startswith("encrypted/"):
        assert [telegram["rejected"] for telegram in telegrams] == ["decrypt"]
    elif partly:
        assert (len(valid), len(telegrams)) == (int(partly[1]), int(partly[2]))
    elif row["crc_verifies"] == "y":
        assert len(valid) == 1
    else:
        assert valid == []
    if row["crc_verifies"] == "n" and "/" not in row["file"]:
        assert verdicts == ["invalid"]
    for telegram in telegrams:
        seen = set()
        for line in telegram["lines"]:
            expected = expected_numbers(line)
            found = values(line)
            for number in expected:
                # Compare as floats: the program gives the float that is nearest.
                matching = [value for value in found if float(value) == float(number)]
                assert matching, (line, number)
                found.remove(matching[0])
            assert all(value.denominator == 1 for value in found), (line, found)
            for sample in line["samples"]:
                key = (sample["name"], *sorted(sample["labels"].items()))
                assert key not in seen
                seen.add(key)


def test_digits_without_unit_are_exported_where_the_registry_calls_them_numbers(
    row: dict[str, str], corpus: Path
) -> None:
    registry = corpus.parent / "spec" / "obis.tsv"
    kinds = dict(line.split("\t")[0:5:4] for line in registry.read_text().splitlines())
    telegrams, _ = decode(corpus / row["file"])
    for telegram in telegrams:
        for line in telegram["lines"]:
            code = re.sub(r"^0-[1-9]:", "0-n:", line["obis"])
            kind = kinds.get(line["obis"], kinds.get(code, ""))
            # The type of an M-Bus device is a label; a reading that is none is marked by its time stamp.
            if kind in {"counter", "gauge", "enum"} and not code.endswith(("24.1.0", "24.3.0")):
                digits = [group for group in line["raw"] if re.fullmatch(r"\d{1,8}", group)]
                assert len(line["samples"]) >= len(digits), line
