from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--corpus", type=Path, required=True, help="folder of telegrams with its INDEX.tsv")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.config.getoption("--corpus")
    lines = (folder / "INDEX.tsv").read_text().splitlines()
    columns = lines[0].split("\t")
    rows = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines[1:]]
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", rows, ids=[row["file"] for row in rows])


@pytest.fixture
def corpus(pytestconfig: pytest.Config) -> Path:
    folder = pytestconfig.getoption("--corpus")
    assert isinstance(folder, Path)
    return folder
