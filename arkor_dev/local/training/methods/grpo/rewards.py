"""A job's rewards: the metrics of its ``[[evaluation]]`` tables, with weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.contract.shapes import EvaluationSet
    from arkor_dev.local.evaluation.answer_scorer import AnsweredRow, AnswerScorer

OWN: Final = "environment"
"""The name of an environment's own reward."""
NO_REWARD: Final = (
    "The environment gives no reward: give its class a method reward, or name a reward for the last answer "
    "in reward_funcs"
)
EXCERPT: Final = 200
"""Maximum length of an answer's excerpt in an error, in characters."""


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward: ``settings`` of the set whose metric scores an answer, times ``weight``."""

    settings: EvaluationSet
    weight: float

    @property
    def name(self) -> str:
        return str(self.settings["name"])


@dataclass(frozen=True, slots=True)
class AnswerToScore:
    """An answer to score: the ``row`` that a scorer sees, its place ``where``, and its number of ``tokens``.

    ``acted`` is the environment's own reward, None without one.
    """

    row: AnsweredRow
    where: str
    tokens: int
    acted: float | None = None


@dataclass(frozen=True, slots=True)
class OverlongPunishment:
    """A penalty for answers of nearly ``longest`` tokens, from 0 to -1 over the last ``cache`` of them.

    DAPO's soft overlong punishment (Yu et al. 2025, arXiv 2503.14476, equation 13), as in TRL.
    """

    longest: int
    cache: int
    name: ClassVar[str] = "soft_overlong_punishment"

    def __call__(self, tokens: int) -> float:
        """Return the penalty of an answer of ``tokens`` tokens, including its end."""
        return max(-1.0, min(0.0, (self.longest - self.cache - tokens) / self.cache))


def rewards_of(
    sets: Sequence[EvaluationSet], names: object, weights: object, environment: object = None
) -> list[Reward]:
    """Return a job's rewards with their weights; by default, one for every set that scores answers.

    With an ``environment``, which may have a reward of its own, by default none. Raises JobFailure if there
    is none without it, for an unknown name, or for a wrong number of weights.
    """
    scoring = {
        str(settings["name"]): settings for settings in sets if settings.get("metric", "loss") != "loss"
    }
    default = [] if environment else list(scoring)
    used = [names] if isinstance(names, str) else names if isinstance(names, list) else default
    if not used and not environment:
        raise JobFailure(
            "grpo needs a reward: add an [[evaluation]] with a metric other than loss to arkor.toml, "
            "such as a JSON schema or a function of the project"
        )
    for name in used:
        if name not in scoring:
            known = ", ".join(scoring) or "none"
            raise JobFailure(
                f"reward_funcs: no [[evaluation]] with a metric other than loss is called {name}. Available: "
                f"{known}"
            )
    if weights is None:
        weights = [1.0] * len(used)
    weights = weights if isinstance(weights, list) else [weights]
    if len(weights) != len(used):
        raise JobFailure(
            f"reward_weights has {len(weights)} weights for {len(used)} rewards ({', '.join(used)}): give "
            "one for each"
        )
    return [Reward(scoring[name], float(weight)) for name, weight in zip(used, weights, strict=True)]


class Scoring:
    """Scores answers by ``rewards``, whose scorers start with the first answers: ``make_scorer`` makes one of
    a set's settings.

    A ``punishment`` is one more score, with weight 1. ``acts``: the answers end episodes of an environment,
    whose own reward is the first score, with weight 1.
    """

    def __init__(
        self,
        rewards: Sequence[Reward],
        make_scorer: Callable[[EvaluationSet], AnswerScorer],
        punishment: OverlongPunishment | None = None,
        *,
        acts: bool = False,
    ) -> None:
        self.rewards, self._make_scorer, self._punishment = rewards, make_scorer, punishment
        self._acts = acts
        self._scorers: dict[str, AnswerScorer] = {}

    @property
    def names(self) -> list[str]:
        """The names of an answer's scores, in their order."""
        return [
            *([OWN] if self._acts else []),
            *(reward.name for reward in self.rewards),
            *([self._punishment.name] if self._punishment else []),
        ]

    def __call__(self, answers: Sequence[AnswerToScore]) -> list[list[float]]:
        """Return the scores of each of ``answers``.

        Raises JobFailure with the location of a row that cannot be scored, JudgeFailure, and Stopped.
        """
        from arkor_dev.local.evaluation.own_set_scores import ScoringFailure

        if not answers:
            return []
        rows = [answer.row for answer in answers]
        by_reward = []
        if self._acts:
            by_reward.append([answer.acted or 0.0 for answer in answers])
            if not self.rewards and all(answer.acted is None for answer in answers):
                raise JobFailure(NO_REWARD)
        for reward in self.rewards:
            if reward.name not in self._scorers:
                self._scorers[reward.name] = self._make_scorer(reward.settings)
            try:
                by_reward.append(self._scorers[reward.name](rows))
            except ScoringFailure as failure:
                del self._scorers[reward.name]
                failed = answers[min(failure.index, len(answers) - 1)]
                raise JobFailure(
                    f"{failed.where}: the reward {reward.name} has no score for the answer "
                    f"{failed.row['answer'][:EXCERPT]!r}. {failure}"
                ) from None
        if self._punishment:
            by_reward.append([self._punishment(answer.tokens) for answer in answers])
        return [list(scores) for scores in zip(*by_reward, strict=True)]

    def total(self, scores: Sequence[float]) -> float:
        """Return the weighted sum of an answer's scores."""
        weights = [
            *([1.0] if self._acts else []),
            *(reward.weight for reward in self.rewards),
            *([1.0] if self._punishment else []),
        ]
        return sum(weight * score for weight, score in zip(weights, scores, strict=True))

    def close(self) -> None:
        """Stop the processes and connections."""
        for scorer in self._scorers.values():
            scorer.close()
        self._scorers.clear()
