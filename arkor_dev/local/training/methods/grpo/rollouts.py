"""Rollouts: answers sampled from the model in training, and scored by rewards.

A rollout's random numbers depend only on the seed, the step and its index in the step, so that a resumed run
samples the same answers. Imports torch: for workers only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from transformers import LogitsProcessor

from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.by_length import batches_by_length
from arkor_dev.local.modeling.chat_template import end_ids
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.greedy import Answer, Watch, answers

from .rewards import Scoring, rewards_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.rows.prompts import Prompt
    from arkor_dev.local.training.run_context import RunContext

AT_ONCE: Final = 64
TOKENS: Final = 8192
"""Maximum numbers of answers, and of tokens in them and their prompts, that are generated at once."""


@dataclass(frozen=True, slots=True)
class Rollout(Example):
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


class SamplingProcessor(LogitsProcessor):  # type: ignore[misc]
    """A logits processor that samples at a temperature with given uniform random ``numbers``, ``[answers,
    tokens]``, and masks all other tokens.
    """

    def __init__(self, numbers: Any, temperature: float) -> None:
        self._numbers, self._temperature, self._position = numbers, temperature, 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        shares = torch.softmax(scores.float() / self._temperature, -1)
        # On the CPU: Apple's GPUs have no float64, and float32 sums over a vocabulary miss rare tokens.
        sums = (shares.cpu() if shares.device.type == "mps" else shares).double().cumsum(-1)
        number = torch.from_numpy(self._numbers[:, self._position]).to(sums.device)
        self._position += 1
        token = torch.searchsorted(sums, number[:, None] * sums[:, -1:], right=True)
        token = token.clamp(max=scores.shape[-1] - 1).to(scores.device)
        return torch.full_like(scores, -torch.inf).scatter_(1, token, 0.0)


class RolloutGenerator:
    """Generates and scores answers for ``loss``, the objective of ``run``."""

    def __init__(self, run: RunContext, loss: Objective, settings: Mapping[str, Any]) -> None:
        self._run, self._loss, self.settings = run, loss, settings
        self._tokenizer = run.base.tokenizer
        self._ends = end_ids(self._tokenizer, run.base.model)
        rewards = rewards_of(run.sets, settings["rewardFuncs"], settings["rewardWeights"])
        self.scoring = Scoring(rewards, run.project)

    def sampled(self, step: int, prompts: Sequence[Prompt]) -> list[list[Rollout]]:
        """Return scored answers to each prompt, without advantages. Raises Stopped if the job must stop."""
        count, longest = self.settings["numGenerations"], self.settings["maxCompletionLength"]
        repeated = [prompt for prompt in prompts for _ in range(count)]
        numbers = np.random.default_rng([abs(self._run.seed), step]).random((len(repeated), longest))
        written = self._written(repeated, self._run.stop.requested, numbers)
        rollouts = [_rollout(prompt, answer) for prompt, answer in zip(repeated, written, strict=True)]
        scores = self.scoring(
            [_row(prompt, rollout.answer) for prompt, rollout in zip(repeated, rollouts, strict=True)]
        )
        scored = [
            replace(rollout, scores=tuple(row_scores), reward=self.scoring.total(row_scores))
            for rollout, row_scores in zip(rollouts, scores, strict=True)
        ]
        return [scored[start : start + count] for start in range(0, len(scored), count)]

    def greedy(self, prompts: Sequence[Prompt]) -> list[tuple[Answer, float]]:
        """Return the greedy answer to each prompt, with its reward."""
        answers = self._written(prompts, lambda: False)
        scores = self.scoring(
            [_row(prompt, answer.text) for prompt, answer in zip(prompts, answers, strict=True)]
        )
        return [
            (answer, self.scoring.total(row_scores))
            for answer, row_scores in zip(answers, scores, strict=True)
        ]

    def _written(
        self, prompts: Sequence[Prompt], stopped: Callable[[], bool], numbers: Any = None
    ) -> list[Answer]:
        most = self.settings["maxCompletionLength"]
        by_index: dict[int, Answer] = {}
        lengths = [len(prompt.ids) + most for prompt in prompts]
        for places in batches_by_length(lengths, AT_ONCE, TOKENS):
            longest = min(most, self._run.base.context - max(len(prompts[index].ids) for index in places))
            watch = Watch(lambda *_, longest=longest: longest, stopped)
            draw = (
                None if numbers is None else SamplingProcessor(numbers[places], self.settings["temperature"])
            )
            batch = [prompts[index].ids for index in places]
            generated = answers(self._loss, self._tokenizer, self._ends, batch, watch, longest, draw)
            if watch.interrupted:
                raise Stopped
            by_index |= zip(places, generated, strict=True)
        return [by_index[index] for index in range(len(prompts))]


def _row(prompt: Prompt, answer: str) -> dict[str, Any]:
    return {
        "question": prompt.question,
        "wanted": prompt.reference,
        "answer": answer,
        "columns": dict(prompt.columns),
        "where": prompt.where,
    }


def _rollout(prompt: Prompt, answer: Answer) -> Rollout:
    tokens = [*answer.ids, *([] if answer.end is None else [answer.end])]
    labels = [IGNORED] * len(prompt.ids) + tokens
    return Rollout(
        [*prompt.ids, *tokens],
        labels,
        prompt.where,
        counts=1,
        prompt=prompt,
        answer=answer.text,
        truncated=answer.truncated,
    )
