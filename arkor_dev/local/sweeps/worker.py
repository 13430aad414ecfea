"""A short-lived process that calls Optuna, judges a sweep, or reads its data: only workers do such work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.local.workers.codec import Codec
from arkor_dev.local.workers.link import serve

from . import judging, sampler
from .held_out import held_out
from .messages import (
    HeldOut,
    HoldOut,
    JudgeSources,
    JudgeSweep,
    SourcesJudged,
    Suggested,
    SuggestTrial,
    SweepJudged,
)

if TYPE_CHECKING:
    from arkor_dev.local.workers.link import Link

Request = HoldOut | SuggestTrial | JudgeSweep | JudgeSources
REQUESTS = Codec[Request](HoldOut, SuggestTrial, JudgeSweep, JudgeSources)


def _answer(request: Request, _: Link) -> HeldOut | Suggested | SweepJudged | SourcesJudged:
    match request:
        case HoldOut(config, project):
            return HeldOut(held_out(config, Path(project)))
        case JudgeSources():
            from . import effects

            return effects.judged(request)
        case SuggestTrial(space, config, seed, trials):
            return Suggested(sampler.ask(space, config, trials, seed))
    importances = sampler.importances(request.space, request.trials, request.seed)
    if not request.start:
        return SweepJudged(importances)
    return SweepJudged(importances, judging.judged(request.start, request.winner, request.measure))


if __name__ == "__main__":
    serve(REQUESTS, _answer, lambda error: f"{type(error).__name__}: {error}")
