"""What is kept of evaluations in a job's folder, whole or not at all.

``evaluation/final.json`` and ``evaluation/step-20.json`` have the figures and those of each row, as the
contract's answer does, and the ``scores`` that comparisons are made of; ``data-…`` before that is one on a
file of the project. ``evaluation/history.json`` has what the run measured on its way. A job may have come
from another machine, files and all: what is read is looked at.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.jobs.job_folder import evaluation_file

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.jobs.job_folder import JobFile

MOST_ASKED: Final = 1000
"""Questions that are answered again, and tokens of an answer, at most."""


def result_file(job: Path, step: int | None, data: str | None = None) -> JobFile:
    """Where the evaluation of the final adapter of the job in the folder ``job`` lies, or of a checkpoint.

    It is on its held-out rows, or on the file ``data`` of the project.
    """
    name = "final.json" if step is None else f"step-{step}.json"
    if data is not None:
        name = f"data-{hashlib.sha256(data.encode()).hexdigest()[:16]}-{name}"
    return evaluation_file(job, name)


def history_file(job: Path) -> JobFile:
    """Where the job in the folder ``job`` has what its run measured on its way."""
    return evaluation_file(job, "history.json")


def write(file: JobFile, value: object) -> None:
    """Write ``value`` as JSON, flushed to the disk; raises OSError."""
    file.write_json(value)


def read(file: JobFile) -> Any:
    """What was written; None where there is nothing that can be read."""
    return file.read_json()


def result(job: Path, step: int | None, data: str | None) -> dict[str, Any] | None:
    """What was kept of an evaluation, as ``result_file`` has it; None where there is none."""
    found = read(result_file(job, step, data))
    return found if isinstance(found, dict) and isinstance(found.get("evaluation"), dict) else None


def objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in ``value``, or none if it is not a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


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
    # A file from elsewhere does not say how long this machine computes.
    sound = all(type(each) is int and 0 < each <= MOST_ASKED for each in (count, longest))
    return (count, longest) if sound else None


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
