"""Chooses what scores the answers of an evaluation set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.settings.own_sets import ENTRY, RUBRIC
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationSet

    from .answer_scorer import AnswerScorer

OF_TRL: Final = "environments"
"""The parameter with which a reward function of TRL asks for the environments of its episodes."""


def check_scorers(sets: Sequence[EvaluationSet], project: Path) -> None:
    """Raise JobFailure if a set's function asks for environments, or if the key of its judge is missing, or
    would be sent in clear text.
    """
    from arkor_dev.local.workers.project_code import parameters_of

    for settings in sets:
        metric = str(settings.get("metric"))
        if ENTRY.fullmatch(metric) and OF_TRL in parameters_of(project, metric):
            raise JobFailure(
                f"{settings['name']}: the function {metric} has a parameter {OF_TRL}, as in TRL, but "
                "here each environment lives in its episode's process: give its class a method reward "
                "that returns this reward"
            )
    judged = [settings for settings in sets if settings.get("metric") == RUBRIC]
    if judged:
        from .rubric_scores import address_and_key

        for settings in judged:
            address_and_key(settings)


def scorer_of(
    settings: EvaluationSet, project: Path, data: Path, job: str, stopped: Callable[[], bool]
) -> AnswerScorer:
    """Return the scorer of the set ``settings``: a judge, or a process. ``stopped`` ends a judge's work."""
    if settings.get("metric") == RUBRIC:
        from .rubric_scores import RubricScorer

        return RubricScorer(settings, data, job, stopped)
    from .own_set_scores import Scorer

    return Scorer(settings, project, str(settings["name"]))
