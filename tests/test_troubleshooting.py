from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from p1_exporter.doctor.page import page
from p1_exporter.exposition.families import LINK
from p1_exporter.link.circuits import CIRCUITS
from p1_exporter.link.faults import faults
from p1_exporter.link.state import FAULT_NAMES
from p1_exporter.options import OPTIONS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "troubleshooting.md"
README = ROOT / "README.md"
CIRCUIT_WORDS = dict(zip(CIRCUITS, ("transistor", "optocoupler", "USB cable", "serial server"), strict=True))


def sections() -> dict[str, str]:
    """Return the section of each fault, by its name."""
    text = page().split("\n## The faults\n")[1].split("\n## What each port can tell\n")[0]
    text = text.replace("\n## If the verdict is unclear\n", "\n### unclear\n")
    names_and_texts = re.split(r"\n### (\w+)\n", text)[1:]
    return dict(zip(names_and_texts[::2], names_and_texts[1::2], strict=True))


def test_the_page_of_troubleshooting_is_what_the_table_of_faults_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/troubleshooting.md is out of date: run `make docs`"
    )


def test_the_page_is_printed_by_the_command_that_make_docs_runs() -> None:
    command = [sys.executable, "-m", "p1_exporter.doctor.page"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode() == page()


def test_every_fault_has_its_section_in_the_order_of_the_metric() -> None:
    assert tuple(sections()) == FAULT_NAMES


@pytest.mark.parametrize("name", FAULT_NAMES)
def test_the_section_of_a_fault_says_what_the_doctor_advises(name: str) -> None:
    section = sections()[name].replace("kΩ", "kOhm").replace(" Ω", " Ohm")
    fault = faults()[name]
    assert [step.text for step in fault.steps if step.text not in section] == []
    if name != "unclear":
        parts = {fault.part(circuit) for circuit in CIRCUITS}
        assert [
            said for said in (fault.meaning, fault.looks, fault.sure, *parts) if said not in section
        ] == []


@pytest.mark.parametrize("name", FAULT_NAMES)
def test_a_step_names_the_circuits_that_it_is_for(name: str) -> None:
    lines = re.findall(r"^\d+\. (?:\*(.*?):\* )?", sections()[name], re.MULTILINE)
    steps = faults()[name].steps
    assert len(lines) == len(steps)
    for words, step in zip(lines, steps, strict=True):
        named = {circuit for circuit, word in CIRCUIT_WORDS.items() if word in words}
        assert named == (set() if step.circuits == CIRCUITS else set(step.circuits))
        assert (" if " in f" {words}") == bool(step.when)


def test_the_example_in_the_readme_has_the_advice_that_the_doctor_gives() -> None:
    (example,) = re.findall(r"\$ \S+ doctor [^\n]*fault=slow_fall.*?\n```", README.read_text(), re.DOTALL)
    advice = faults()["slow_fall"].advice("transistor", ())
    assert len(advice) > 3
    assert [step for step in advice if step not in " ".join(example.split())] == []


def test_metrics_that_the_page_names_are_those_of_the_link() -> None:
    named = {name.rstrip("_") for name in re.findall(r"\bp1_[a-z_]+", page())} - {"p1_exporter", "p1_damage"}
    assert {"p1_link_fault", "p1_damage_lost_bytes_total", "p1_up"} <= named
    assert named - set(LINK) == set()


def test_flags_that_the_page_names_are_flags_of_the_program() -> None:
    named = set(re.findall(r"--(?:serial|share|web|meter)\.[a-z-]+", page()))
    assert "--serial.circuit" in named
    assert named - {option.flag for option in OPTIONS} == set()


def test_the_alerts_are_a_file_of_rules() -> None:
    (rules,) = re.findall(r"```yaml\n(.*?)```", page(), re.DOTALL)
    (group,) = yaml.safe_load(rules)["groups"]
    assert [rule["alert"] for rule in group["rules"]] == ["P1NoTelegrams", "P1LinkFault", "P1TelegramsLost"]
    assert all({"expr", "for", "annotations"} < set(rule) for rule in group["rules"])
