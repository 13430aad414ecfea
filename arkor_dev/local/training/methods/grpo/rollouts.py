"""Rollouts: answers sampled from the model in training, and scored by rewards.

A rollout's random numbers depend only on the seed, the step, how often prompts were replaced and its index,
and so do the prompts that replace others: a resumed run samples the same answers. Imports torch: for workers
only.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from arkor_dev.local.evaluation.scorers import scorer_of
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.methods.sampling import AnswerSampler

from .episodes import EpisodePlayer
from .rewards import AnswerToScore, OverlongPunishment, Scoring, rewards_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.evaluation.answer_scorer import AnsweredRow
    from arkor_dev.local.training.greedy import GreedyAnswer
    from arkor_dev.local.training.job_settings import MethodSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.rows.prompts import PromptExample
    from arkor_dev.local.training.run_context import RunContext

    from .episodes import PlayedEpisode


@dataclass(frozen=True, slots=True)
class RolloutExample(Example):
    """A sampled answer to ``prompt``, or an episode of answers; the sampled tokens are learned.

    ``scores`` has one score per reward, and ``reward`` is their weighted sum; ``advantage`` is relative to
    its group. ``scale`` multiplies the loss of each token.
    """

    prompt: PromptExample | None = None
    answer: str = ""
    truncated: bool = False
    scores: tuple[float, ...] = ()
    reward: float = 0.0
    advantage: float = 1.0
    scale: float = 1.0
    episode: PlayedEpisode | None = None

    @property
    def failed(self) -> bool:
        """Whether the environment failed, so that there is no reward, and nothing is learned."""
        return self.episode is not None and bool(self.episode.failure)


Group = list[RolloutExample]
"""The rollouts of one prompt."""


def has_signal(group: Sequence[RolloutExample]) -> bool:
    """Return whether a group teaches anything: with equal rewards, all advantages are zero."""
    return len({rollout.reward for rollout in group if not rollout.failed}) > 1


@dataclass(slots=True)
class StepRollouts:
    """A step's ``groups`` to learn from, and those without signal that they ``replaced``."""

    groups: list[Group]
    replaced: list[Group] = field(default_factory=list)

    @property
    def drawn(self) -> list[Group]:
        """All groups that were sampled for the step."""
        return [*self.groups, *self.replaced]


class RolloutGenerator:
    """Generates and scores answers, or episodes of an environment, for ``loss``, the objective of ``run``."""

    def __init__(self, run: RunContext, loss: Objective, settings: MethodSettings) -> None:
        self._run, self._loss, self.settings = run, loss, settings
        longest, cache = settings["maxCompletionLength"], settings["softPunishCache"]
        self._answers = AnswerSampler(run, longest, settings["temperature"])
        self._player = EpisodePlayer(run, settings) if settings["environment"] else None
        self._added: int | None = None
        self.scoring = Scoring(
            rewards_of(run.sets, settings["rewardFuncs"], settings["rewardWeights"], settings["environment"]),
            lambda own: scorer_of(own, run.project, run.data, run.job_id, run.stop.requested),
            OverlongPunishment(longest, cache) if cache else None,
            acts=bool(settings["environment"]),
        )

    def close(self) -> None:
        """Stop the processes that score answers, and those of environments."""
        self.scoring.close()
        if self._player:
            self._player.close()

    def added(self) -> int:
        """Return how many tokens an environment's tools and observation add to the first training prompt."""
        if self._added is None:
            self._added = self._player.added(cast("PromptExample", self._run.train[0])) if self._player else 0
        return self._added

    def sampled(self, step: int, prompts: Sequence[PromptExample]) -> StepRollouts:
        """Return scored answers to each prompt, without advantages. Raises Stopped if the job must stop.

        Dynamic sampling (DAPO, arXiv 2503.14476): prompts without signal are replaced by random others, as
        often as the settings allow.
        """
        rollouts = StepRollouts(self._groups(step, prompts))
        known = {prompt.where for prompt in prompts}
        for draw in range(1, self.settings["maxResampleTimes"] + 1):
            silent = [index for index, group in enumerate(rollouts.groups) if not has_signal(group)]
            unused = [prompt for prompt in self._run.train if prompt.where not in known] if silent else []
            chance = random.Random(f"{self._run.seed}/{step}/{draw}")  # noqa: S311 - order, not secrecy
            others = cast("list[PromptExample]", chance.sample(unused, min(len(silent), len(unused))))
            if not others:
                break
            known |= {prompt.where for prompt in others}
            for index, group in zip(silent, self._groups(step, others, draw), strict=False):
                rollouts.replaced.append(rollouts.groups[index])
                rollouts.groups[index] = group
        return rollouts

    def _groups(self, step: int, prompts: Sequence[PromptExample], draw: int = 0) -> list[Group]:
        count = self.settings["numGenerations"]
        repeated = [prompt for prompt in prompts for _ in range(count)]
        if self._player:
            rollouts = list(map(of_episode, self._player.sampled(self._loss, step, repeated, draw)))
        else:
            written = self._answers.sampled(self._loss, step, [prompt.ids for prompt in repeated], draw)
            rollouts = [_rollout(prompt, answer) for prompt, answer in zip(repeated, written, strict=True)]
        scored = self._scored(rollouts)
        return [scored[start : start + count] for start in range(0, len(scored), count)]

    def greedy(self, prompts: Sequence[PromptExample]) -> list[RolloutExample]:
        """Return the greedy answer to each prompt, or the episode of greedy answers, with its reward."""
        if self._player:
            return self._scored(list(map(of_episode, self._player.greedy(self._loss, prompts))))
        answers = self._answers.greedy(self._loss, [prompt.ids for prompt in prompts])
        return self._scored(
            [_rollout(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        )

    def _scored(self, rollouts: Sequence[RolloutExample]) -> list[RolloutExample]:
        """Return the rollouts with scores and rewards; failed ones keep none."""
        played = [rollout for rollout in rollouts if not rollout.failed]
        scores = iter(self.scoring(list(map(_to_score, played))))
        scored: list[RolloutExample] = []
        for rollout in rollouts:
            own = () if rollout.failed else tuple(next(scores))
            scored.append(replace(rollout, scores=own, reward=self.scoring.total(own) if own else 0.0))
        return scored


def _to_score(rollout: RolloutExample) -> AnswerToScore:
    """Return a rollout's answer with what scores it."""
    prompt = rollout.prompt
    assert prompt
    row: AnsweredRow = {
        "question": prompt.question,
        "wanted": prompt.reference,
        "answer": rollout.answer,
        "columns": dict(prompt.columns),
        **prompt.called,
    }
    acted = rollout.episode.reward if rollout.episode else None
    return AnswerToScore(row, prompt.where, rollout.learned, acted)


def _rollout(prompt: PromptExample, answer: GreedyAnswer) -> RolloutExample:
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


def of_episode(episode: PlayedEpisode) -> RolloutExample:
    """Return an episode as a rollout: only what the model has sampled is learned, not what the tools say."""
    labels = [
        token if sampled else IGNORED for token, sampled in zip(episode.ids, episode.sampled, strict=True)
    ]
    return RolloutExample(
        episode.ids,
        labels,
        episode.prompt.where,
        counts=1,
        prompt=episode.prompt,
        answer=episode.answer,
        truncated=episode.truncated,
        episode=episode,
    )
