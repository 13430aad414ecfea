"""Stored evaluations in a job's folder, written atomically.

``evaluation/final.json`` and ``evaluation/step-20.json`` hold overall and per-row figures in the contract's
form, and the ``scores`` for comparisons; a ``data-…`` prefix marks evaluations on a file of the project.
``evaluation/history.json`` has the measurements made during the run. A job may come from another machine with
its files, so everything read is validated.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.jobs.job_folder import evaluation_file

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationBudget
    from arkor_dev.local.jobs.job_folder import JobFile

MOST_ASKED: Final = 1000
"""Maximum number of questions to answer again, and of tokens in an answer."""


def result_file(job: Path, step: int | None, data: str | None = None) -> JobFile:
    """Return the file with the evaluation of the final adapter, or of a checkpoint.

    The evaluation is on the job's held-out rows, or on the project's file ``data``.
    """
    name = "final.json" if step is None else f"step-{step}.json"
    if data is not None:
        name = f"data-{hashlib.sha256(data.encode()).hexdigest()[:16]}-{name}"
    return evaluation_file(job, name)


def history_file(job: Path) -> JobFile:
    """Return the file with the measurements made during the run."""
    return evaluation_file(job, "history.json")


def write(file: JobFile, value: object) -> None:
    """Write ``value`` as JSON, flushed to disk. Raises OSError."""
    file.write_json(value)


def read(file: JobFile) -> Any:
    """Read a stored value; None if it is missing or unreadable."""
    return file.read_json()


def result(job: Path, step: int | None, data: str | None) -> dict[str, Any] | None:
    """Read a stored evaluation (see ``result_file``); None if there is none."""
    stored = read(result_file(job, step, data))
    return stored if isinstance(stored, dict) and isinstance(stored.get("evaluation"), dict) else None


def objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in ``value``, or none if it is not a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def questions_in(result: Any) -> int | None:
    """Return how many general questions a stored result has; None if unknown."""
    try:
        count = result["evaluation"]["general"]["rows"]
    except (KeyError, TypeError):
        return None
    return count if type(count) is int and count > 0 else None


def answers_in(result: Any) -> tuple[int, int] | None:
    """Return the number of answered questions and their token limit; None if none were answered."""
    try:
        answers = result["evaluation"]["general"]["answers"]
        count, longest = answers["count"], answers["longest"]
    except (KeyError, TypeError):
        return None
    # A file from elsewhere must not decide how long this machine computes.
    sound = all(type(number) is int and 0 < number <= MOST_ASKED for number in (count, longest))
    return (count, longest) if sound else None


def budget_in(result: Any) -> EvaluationBudget | None:
    """Return how the strength of a stored result's adapter was chosen; None if it was not."""
    try:
        budget = result["evaluation"]["budget"]
        figures = [budget["maxHarm"], budget["strength"], budget["harm"]]
        sentence = budget["sentence"]
    except (KeyError, TypeError):
        return None
    sound = all(isinstance(figure, int | float) and math.isfinite(figure) for figure in figures)
    sound = sound and type(budget.get("kept")) is bool and isinstance(sentence, str)
    return budget if sound else None


def is_score(scores: object) -> bool:
    """Return whether the stored scores of an evaluation can be compared."""
    if not isinstance(scores, dict):
        return False
    losses, groups, margin = scores.get("adapter"), scores.get("groups"), scores.get("margin")
    return (
        isinstance(losses, list)
        and isinstance(groups, list)
        and 0 < len(losses) == len(groups)
        and all(isinstance(loss, int | float) and math.isfinite(loss) for loss in losses)
        and all(type(group) is int for group in groups)
        and (scores.get("chose") is None or chose_in(scores, len(groups)) != [])
        and isinstance(margin, int | float)
        and math.isfinite(margin)
        and all(isinstance(scores.get(key), str) for key in ("rows", "tokens"))
    )


def chose_in(scores: Any, rows: int) -> list[bool]:
    """Return for each of the ``rows`` whether it chose the adapter; empty if it was not chosen."""
    chose = scores.get("chose") if isinstance(scores, dict) else None
    if not isinstance(chose, list) or len(chose) != rows or not all(type(each) is bool for each in chose):
        return []
    return chose


def chose_either(*scores: dict[str, Any]) -> list[bool]:
    """Return for each row whether it chose one of several adapters measured on the same rows; empty if none
    was chosen.
    """
    each = [known for some in scores if (known := chose_in(some, len(some["adapter"])))]
    return [any(chose) for chose in zip(*each, strict=True)]
