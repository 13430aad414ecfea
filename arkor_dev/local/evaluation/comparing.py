"""A short-lived process that compares two adapters' stored losses; only workers import numpy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.link import serve

from .messages import Compared, CompareScores
from .paired import compare
from .rates import are_rates, compare_rates
from .results import chose_either
from .words import HELD_OUT, beside_adapter, part

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import EvaluationPart
    from arkor_dev.local.workers.link import Link

    from .results import Scores


HIGHER: Final = 40
"""Maximum length of a measure's name, in characters: stored scores may come from elsewhere."""


def compared(scores: Scores, other_scores: Scores, other_job: str, called: str | None) -> EvaluationPart:
    """Compare the adapter of ``scores`` with the adapter of ``other_scores``, which belongs to the job
    ``other_job``.

    ``called`` describes the rows, unless they are the held-out ones. The larger of the two margins applies.
    """
    margin, name = max(scores["margin"], other_scores["margin"]), called or HELD_OUT
    chose = chose_either(scores, other_scores)
    before, after = other_scores["adapter"], scores["adapter"]
    higher = scores.get("higher", "")[:HIGHER]
    rates = bool(higher) and are_rates(before, after)
    if rates:
        base, adapter = ([-loss for loss in losses] for losses in (before, after))
        comparison = compare_rates(base, adapter, scores["groups"], margin, chose)
    else:
        comparison = compare(before, after, scores["groups"], margin, chose=chose)
    comparison = replace(comparison, higher=higher)
    sentence = beside_adapter(name, comparison, other_job, rates=rates, acts=bool(scores.get("acts")))
    return part(name, comparison, sentence)


def _compared(request: CompareScores, _: Link) -> Compared:
    return Compared(compared(request.scores, request.other_scores, request.other_job, request.called))


if __name__ == "__main__":
    serve(CompareScores, _compared, lambda error: f"{type(error).__name__}: {error}")
