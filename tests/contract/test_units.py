"""Quantities as text: the same in the terminal, in the backend's messages and on the page."""

from __future__ import annotations

import re
from pathlib import Path

from arkor_dev.contract.units import format_bytes

PAGE = Path(__file__).parents[2] / "web/src/lib/format.test.ts"


def test_format_bytes_matches_the_page() -> None:
    cases = re.findall(r'\[([\d_]+), "([\d.]+ [kMGT]?B)"\]', PAGE.read_text("utf-8"))
    assert len(cases) >= 6
    assert [(count, format_bytes(int(count))) for count, _ in cases] == cases
