"""Rollouts: answers sampled from the model in training, and scored by rewards.

A rollout's random numbers depend only on the seed, the step and its index in the step, so that a resumed run
samples the same answers. Imports torch: for workers only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.methods.sampling import AnswerSampler

from .rewards import Scoring, rewards_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arkor_dev.local.training.greedy import GreedyAnswer
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.rows.prompts import Prompt
    from arkor_dev.local.training.run_context import RunContext


@dataclass(frozen=True, slots=True)
class RolloutExample(Example):
    """A sampled answer to ``prompt``; its tokens are learned.

    ``scores`` has one score per reward, and ``reward`` is their weighted sum; ``advantage`` is relative to
    its group. ``scale`` multiplies the loss of each token.
    """

    prompt: Prompt | None = None
    answer: str = ""
    truncated: bool = False
    scores: tuple[float, ...] = ()
    reward: float = 0.0
    advantage: float = 1.0
    scale: float = 1.0


class RolloutGenerator:
    """Generates and scores answers for ``loss``, the objective of ``run``."""

    def __init__(self, run: RunContext, loss: Objective, settings: Mapping[str, Any]) -> None:
        self._run, self._loss, self.settings = run, loss, settings
        self._answers = AnswerSampler(run, settings["maxCompletionLength"], settings["temperature"])
        rewards = rewards_of(run.sets, settings["rewardFuncs"], settings["rewardWeights"])
        self.scoring = Scoring(rewards, run.project)

    def sampled(self, step: int, prompts: Sequence[Prompt]) -> list[list[RolloutExample]]:
        """Return scored answers to each prompt, without advantages. Raises Stopped if the job must stop."""
        count = self.settings["numGenerations"]
        repeated = [prompt for prompt in prompts for _ in range(count)]
        written = self._answers.sampled(self._loss, step, [prompt.ids for prompt in repeated])
        rollouts = [_rollout(prompt, answer) for prompt, answer in zip(repeated, written, strict=True)]
        scores = self.scoring(
            [_row(prompt, rollout.answer) for prompt, rollout in zip(repeated, rollouts, strict=True)]
        )
        scored = [
            replace(rollout, scores=tuple(row_scores), reward=self.scoring.total(row_scores))
            for rollout, row_scores in zip(rollouts, scores, strict=True)
        ]
        return [scored[start : start + count] for start in range(0, len(scored), count)]

    def greedy(self, prompts: Sequence[Prompt]) -> list[tuple[GreedyAnswer, float]]:
        """Return the greedy answer to each prompt, with its reward."""
        answers = self._answers.greedy(self._loss, [prompt.ids for prompt in prompts])
        scores = self.scoring(
            [_row(prompt, answer.text) for prompt, answer in zip(prompts, answers, strict=True)]
        )
        return [
            (answer, self.scoring.total(row_scores))
            for answer, row_scores in zip(answers, scores, strict=True)
        ]


def _row(prompt: Prompt, answer: str) -> dict[str, Any]:
    return {
        "question": prompt.question,
        "wanted": prompt.reference,
        "answer": answer,
        "columns": dict(prompt.columns),
        **prompt.called,
        "where": prompt.where,
    }


def _rollout(prompt: Prompt, answer: GreedyAnswer) -> RolloutExample:
    tokens = [*answer.ids, *([] if answer.end is None else [answer.end])]
    labels = [IGNORED] * len(prompt.ids) + tokens
    return RolloutExample(
        [*prompt.ids, *tokens],
        labels,
        prompt.where,
        counts=1,
        prompt=prompt,
        answer=answer.text,
        truncated=answer.truncated,
    )
