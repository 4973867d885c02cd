"""The documents say what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from p1_exporter.options import OPTIONS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_table_of_flags_is_what_its_command_prints() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    found = re.search(
        r"<!-- The table is the output of:\n\.venv/bin/python -c '(.*?)'\n-->\n(.*?)<!-- End of the table. -->",
        text,
        re.DOTALL,
    )
    assert found
    command, table = found.groups()
    printed = subprocess.run(
        [sys.executable, "-c", command], check=True, capture_output=True, text=True
    ).stdout
    assert table == printed
    assert all(f"`{option.flag}`" in table for option in OPTIONS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_a_document_lead_to_files_of_the_project(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
