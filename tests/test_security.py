"""SECURITY.md names modules and tests; both have to be there."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "SECURITY.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| threat")
]


def names(cell: str) -> list[str]:
    """What a cell sets in code type."""
    return re.findall(r"`([^`]+)`", cell)


@functools.cache
def functions(path: Path) -> set[str]:
    """The names of a module's functions."""
    return set(re.findall(r"^(?:async )?def (\w+)\(", path.read_text(), re.MULTILINE))


def test_every_threat_has_an_answer_modules_and_tests() -> None:
    assert len(ROWS) > 15
    for row in ROWS:
        assert len(row) == 4, row
        assert row[1], row
        assert names(row[2]), row
        assert names(row[3]), row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:50])
def test_named_modules_and_tests_exist(row: list[str]) -> None:
    for module in names(row[2]):
        assert (ROOT / "arkor_dev" / module).is_file(), module
    for test in names(row[3]):
        path, _, function = test.partition("::")
        assert function in functions(ROOT / path), test
