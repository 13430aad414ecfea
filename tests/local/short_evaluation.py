"""Importing this shortens what a short run is measured by: questions, and tokens of each answer.

Forked workers import it before everything else, and no test's own process may. Most tests train for a few
steps, and would spend more than half of a job's time on answers that they say nothing about. What longer runs
are asked is the product's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.local.evaluation import general
from arkor_dev.local.training.samples import budget

from .forking_backend import ANSWERS, QUESTIONS, TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

_general: Any = general
_general.COUNTS = (*general.COUNTS[:-1], QUESTIONS)
_general.ANSWERS = (*general.ANSWERS[:-1], ANSWERS)
_budget: Any = budget
_budget.MOST_TOKENS = _budget.USEFUL_TOKENS = TOKENS


def adjust(env: Mapping[str, str]) -> None:
    """Ask what a test needs more: ``ARKOR_TEST_ANSWERS`` is ``COUNT,TOKENS`` of the answers to questions."""
    if wanted := env.get("ARKOR_TEST_ANSWERS"):
        count, tokens = map(int, wanted.split(","))
        _general.ANSWERS = (*_general.ANSWERS[:-1], (count, tokens))
