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
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")


def printed_tables(document: str) -> list[tuple[str, str]]:
    """Return the tables of a document that a command prints: command and table."""
    return re.findall(
        r"<!-- The table is the output of:\n\.venv/bin/python -c '(.*?)'\n-->\n(.*?)<!-- End of the table. -->",
        (ROOT / document).read_text(),
        re.DOTALL,
    )


def anchors(document: Path) -> set[str]:
    """Return what links may lead to within a document."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", ["docs/configuration.md", "docs/hardware.md"])
def test_a_table_is_what_its_command_prints(document: str) -> None:
    ((command, table),) = printed_tables(document)
    printed = subprocess.run(
        [sys.executable, "-c", command], check=True, capture_output=True, text=True
    ).stdout
    assert table == printed


def test_the_table_of_flags_has_all_flags() -> None:
    ((_, table),) = printed_tables("docs/configuration.md")
    assert all(f"`{option.flag}`" in table for option in OPTIONS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_a_document_lead_to_files_of_the_project(document: Path) -> None:
    paths = [path for path, _ in LINK.findall(document.read_text())]
    assert [path for path in paths if not (document.parent / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_a_document_lead_to_headings(document: Path) -> None:
    links = [(path, anchor) for path, anchor in LINK.findall(document.read_text()) if anchor]
    targets = [(document.parent / path if path else document, anchor) for path, anchor in links]
    assert [anchor for target, anchor in targets if anchor not in anchors(target)] == []
