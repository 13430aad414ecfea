"""Chooses what scores the answers of an evaluation set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from arkor_dev.contract.settings.own_sets import RUBRIC
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationSet


class JudgeFailure(JobFailure):
    """Why a judge gives no scores at the moment. Scores that it has given are kept: a job can resume."""


class AnswerScorer(Protocol):
    """Scores answers until it is closed."""

    def __call__(self, rows: Sequence[Mapping[str, object]]) -> list[float]:
        """Return the score of each of ``rows``. Raises JobFailure, and Stopped."""

    def close(self) -> None: ...


def check_scorers(sets: Sequence[Mapping[str, object]]) -> None:
    """Raise JobFailure if the key of a set's judge is missing, or would be sent in clear text."""
    judged = [settings for settings in sets if settings.get("metric") == RUBRIC]
    if judged:
        from .rubric_scores import address_and_key

        for settings in judged:
            address_and_key(cast("EvaluationSet", settings))


def scorer_of(
    settings: Mapping[str, object], project: Path, data: Path, job: str, stopped: Callable[[], bool]
) -> AnswerScorer:
    """Return the scorer of the set ``settings``: a judge, or a process. ``stopped`` ends a judge's work."""
    if settings.get("metric") == RUBRIC:
        from .rubric_scores import RubricScorer

        return RubricScorer(cast("EvaluationSet", settings), data, job, stopped)
    from .own_set_scores import Scorer

    return Scorer(settings, project, str(settings["name"]))
