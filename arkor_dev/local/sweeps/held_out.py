"""Counts the independent rows that a trainer holds out, before a sweep trains for hours and cannot judge."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from arkor_dev.data.methods import forms_of
from arkor_dev.data.sources import parts_of
from arkor_dev.local.evaluation.minimums import ROWS
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.rows.datasets import load_rows
from arkor_dev.local.training.rows.split import Split, split, with_held_out

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import JobConfig

    from .messages import HeldOutRows

MOST_SHARE: Final = 0.5
"""Largest share of the rows that is advised to be held out."""


def held_out(config: JobConfig, project: Path) -> HeldOutRows | None:
    """Return what a job with ``config`` holds out; None for data that the job downloads.

    Raises JobFailure for data that cannot be read.
    """
    sources = [config["datasetSource"]]
    if own := config.get("evalDatasetSource"):
        sources.append(own)
    if any(part["type"] != "file" for source in sources for part in parts_of(source)):
        return None
    bad: list[str] | None = [] if config.get("skipBadRows") else None
    rows, *evaluation = (
        load_rows(source, project, project, lambda *_: None, forms_of(config.get("method")), None, bad)
        for source in sources
    )
    counts = Counter(row.source for row in rows)
    by_source = [counts[number] for number in range(len(parts_of(config["datasetSource"])))]
    if evaluation:
        held = with_held_out(rows, evaluation[0], compare=True)
        return {"groups": _groups(held), "share": None, "rows": by_source}
    parts = split(rows, EffectiveSettings(config))
    needed = 2 * ROWS * len(parts.held_out) / max(1, _groups(parts))
    share = math.ceil(100 * needed / len(rows)) / 100
    return {
        "groups": _groups(parts),
        "share": share if share <= MOST_SHARE else None,
        "rows": by_source,
    }


def _groups(parts: Split) -> int:
    return len(set(parts.groups))
