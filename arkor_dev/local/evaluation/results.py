"""Stored evaluations in a job's folder, written atomically.

``evaluation/final.json`` and ``evaluation/step-20.json`` hold overall and per-row figures in the contract's
form, and the ``scores`` for comparisons; a ``data-…`` prefix marks evaluations on a file of the project.
``evaluation/history.json`` has the measurements made during the run. A job may come from another machine with
its files, so everything read is validated.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict, TypeGuard, cast

from arkor_dev.local.jobs.job_folder import evaluation_file

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import Evaluation, EvaluationAnswer, EvaluationBudget, EvaluationRow
    from arkor_dev.local.jobs.job_folder import JobFile

MOST_ASKED: Final = 1000
"""Maximum number of questions to answer again, and of tokens in an answer."""


class Scores(TypedDict):
    """An adapter's loss on every held-out row, for comparisons with other adapters.

    ``rows`` and ``tokens`` are hashes of the rows and of their tokens, ``keys`` of each row. ``groups`` has
    the number of each row's group, ``adapter`` its loss, and ``chose`` whether the adapter was chosen by it.
    ``higher`` names a measure for which more is better, whose values are negated; ``acts`` says that it
    rewards episodes. ``margin`` is the smallest difference that matters.
    """

    rows: str
    keys: NotRequired[list[str]]
    tokens: str
    groups: list[int]
    adapter: list[float]
    margin: float
    chose: NotRequired[list[bool]]
    higher: NotRequired[str]
    acts: NotRequired[bool]


class StoredEvaluation(TypedDict):
    """A stored evaluation: the contract's figures, and ``scores`` if they can be compared."""

    evaluation: Evaluation
    rows: list[EvaluationRow]
    answers: list[EvaluationAnswer]
    scores: NotRequired[Scores]


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


def read(file: JobFile) -> object:
    """Read a stored value; None if it is missing or unreadable."""
    return file.read_json()


def result(job: Path, step: int | None, data: str | None) -> StoredEvaluation | None:
    """Read a stored evaluation (see ``result_file``); None if there is none."""
    stored = read(result_file(job, step, data))
    if not isinstance(stored, dict) or not isinstance(stored.get("evaluation"), dict):
        return None
    found: StoredEvaluation = {
        "evaluation": cast("Evaluation", stored["evaluation"]),
        "rows": cast("list[EvaluationRow]", objects(stored.get("rows"))),
        "answers": cast("list[EvaluationAnswer]", objects(stored.get("answers"))),
    }
    if is_score(scores := stored.get("scores")):
        found["scores"] = scores
    return found


def objects(value: object) -> list[dict[str, object]]:
    """Return the objects in ``value``, or none if it is not a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _at(value: object, *keys: str) -> object:
    """Return what is at a path of ``keys`` in nested objects, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def questions_in(result: object) -> int | None:
    """Return how many general questions a stored result has; None if unknown."""
    count = _at(result, "evaluation", "general", "rows")
    return count if type(count) is int and count > 0 else None


def answers_in(result: object) -> tuple[int, int] | None:
    """Return the number of answered questions and their token limit; None if none were answered."""
    answers = _at(result, "evaluation", "general", "answers")
    count, longest = _at(answers, "count"), _at(answers, "longest")
    if type(count) is not int or type(longest) is not int:
        return None
    # A file from elsewhere must not decide how long this machine computes.
    return (count, longest) if 0 < count <= MOST_ASKED and 0 < longest <= MOST_ASKED else None


def budget_in(history: object) -> EvaluationBudget | None:
    """Return how step and strength of a result were chosen, from a stored history; None if they were not."""
    budget = _at(history, "budget")
    if not isinstance(budget, dict):
        return None
    figures = [budget.get(name) for name in ("maxHarm", "strength", "harm")]
    sound = all(isinstance(figure, int | float) and math.isfinite(figure) for figure in figures)
    sound = sound and type(budget.get("kept")) is bool and isinstance(budget.get("sentence"), str)
    numbers = [budget[name] for name in ("step", "steps") if name in budget]
    sound = sound and all(type(number) is int and number > 0 for number in numbers)
    return cast("EvaluationBudget", budget) if sound else None


def is_score(scores: object) -> TypeGuard[Scores]:
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
        and isinstance(scores.get("higher", ""), str)
        and isinstance(scores.get("keys", []), list)
        and len(keys := scores.get("keys", [])) in (0, len(groups))
        and all(isinstance(key, str) for key in keys)
    )


def chose_in(scores: object, rows: int) -> list[bool]:
    """Return for each of the ``rows`` whether it chose the adapter; empty if it was not chosen."""
    chose = scores.get("chose") if isinstance(scores, dict) else None
    if not isinstance(chose, list) or len(chose) != rows or not all(type(each) is bool for each in chose):
        return []
    return chose


def chose_either(*scores: Scores) -> list[bool]:
    """Return for each row whether it chose one of several adapters measured on the same rows; empty if none
    was chosen.
    """
    each = [known for some in scores if (known := chose_in(some, len(some["adapter"])))]
    return [any(chose) for chose in zip(*each, strict=True)]
