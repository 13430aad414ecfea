"""What a process with lean libraries says, and one with whole ones: each is asked all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .lean_processes import answers
from .test_lean_torch import ASK, LEARNS
from .test_lean_transformers import NAMES, OBJECTS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def by_way(tiny: Path) -> dict[str, dict[str, Any]]:
    """``learns`` and ``names`` of the libraries ``lean`` and ``whole``; what ``asks`` of lean ones."""
    codes = {"learns": LEARNS, "names": OBJECTS}
    ways = {"lean": {**codes, "asks": ASK}, "whole": codes}
    return {way: answers(codes, way, str(tiny), *NAMES) for way, codes in ways.items()}
