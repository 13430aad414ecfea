"""What is kept of evaluations in a job's folder, whole or not at all.

``evaluation/final.json`` and ``evaluation/step-20.json`` have the figures and those of each row, as the
contract's answer does, and the ``scores`` that comparisons are made of; ``data-…`` before that is one on a
file of the project. ``evaluation/history.json`` has what the run measured on its way. A job may have come
from another machine, files and all: what is read is looked at.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.regular_files import read_small

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "evaluation"
HISTORY: Final = "history.json"
LIMIT: Final = 64 << 20
"""Bytes of a file; a thousand rows with their texts and the losses of many more are a few MiB."""


def result_file(job: Path, step: int | None, data: str | None = None) -> Path:
    """Where the evaluation of the final adapter of the job in the folder ``job`` lies, or of a checkpoint.

    It is on its held-out rows, or on the file ``data`` of the project.
    """
    name = "final.json" if step is None else f"step-{step}.json"
    if data is not None:
        name = f"data-{hashlib.sha256(data.encode()).hexdigest()[:16]}-{name}"
    return job / FOLDER / name


def write(path: Path, value: object) -> None:
    """Write ``value`` as JSON, flushed to the disk; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read(path: Path) -> Any:
    """What was written; None where there is nothing that can be read."""
    try:
        return strict_json.parse(read_small(path, LIMIT))
    except (OSError, ValueError):
        return None


def result(job: Path, step: int | None, data: str | None) -> dict[str, Any] | None:
    """What was kept of an evaluation, as ``result_file`` has it; None where there is none."""
    found = read(result_file(job, step, data))
    return found if isinstance(found, dict) and isinstance(found.get("evaluation"), dict) else None


def questions_in(found: Any) -> int | None:
    """How many general questions a result that was read had; None where that cannot be told."""
    try:
        count = found["evaluation"]["general"]["rows"]
    except (KeyError, TypeError):
        return None
    return count if type(count) is int and count > 0 else None


def answers_in(found: Any) -> tuple[int, int] | None:
    """How many of them it answered, and in how many tokens at most; None where it answered none."""
    try:
        told = found["evaluation"]["general"]["answers"]
        count, longest = told["count"], told["longest"]
    except (KeyError, TypeError):
        return None
    return (count, longest) if all(type(each) is int and each > 0 for each in (count, longest)) else None


def is_score(scores: object) -> bool:
    """Whether the scores that were kept of an evaluation can be compared with others."""
    if not isinstance(scores, dict):
        return False
    losses, groups, margin = scores.get("adapter"), scores.get("groups"), scores.get("margin")
    return (
        isinstance(losses, list)
        and isinstance(groups, list)
        and 0 < len(losses) == len(groups)
        and all(isinstance(loss, int | float) and math.isfinite(loss) for loss in losses)
        and all(type(group) is int for group in groups)
        and isinstance(margin, int | float)
        and math.isfinite(margin)
        and all(isinstance(scores.get(key), str) for key in ("rows", "tokens"))
    )
