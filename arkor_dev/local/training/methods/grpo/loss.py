"""GRPO's losses; the formulas match TRL's ``GRPOTrainer``, which the tests compare them with.

A step samples answers to its prompts, scores them, and updates the weights on them once or several times. A
token's loss is the clipped ratio of its probability to the probability under the model that sampled it, times
its answer's advantage.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Final

import torch

from arkor_dev.contract.events import (
    ROLLOUTS_CREATED,
    TRAINING_MESSAGE,
    Rollout,
    RolloutsCreated,
    TrainingMessage,
)
from arkor_dev.local.cpu_kernels.cross_entropy import cross_entropies
from arkor_dev.local.environments.pool import EnvironmentFailure
from arkor_dev.local.modeling.example import IGNORED, Example, weight_of
from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.sampling import AT_ONCE, TOKENS
from arkor_dev.local.training.objective import Objective
from arkor_dev.local.training.rows.prompts import PromptExample

from .episodes import TOKENS as EPISODE_TOKENS
from .episodes import shown_turns
from .rollouts import RolloutExample, RolloutGenerator, has_signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Batches
    from arkor_dev.local.training.job_settings import MethodSettings
    from arkor_dev.local.training.run_context import RunContext

    from .rollouts import StepRollouts

TOGETHER: Final = 2048
"""Maximum number of tokens after the prompts per batch; a longer answer forms its own batch."""
LEAST: Final = 1e-4
"""Added to the rewards' standard deviation when advantages are divided by it, as in TRL."""
EVENT_ROLLOUTS: Final = 5
"""Number of a step's rollouts that are included in an event."""
TEXT: Final = 1000
"""Maximum length of each of their prompts and answers, in characters."""
EVENT_FAILED: Final = 2
"""Maximum number of failed episodes among them."""
WINDOW: Final = 10
HIGH: Final = 0.8
"""Number of steps, and the share of their prompts without a learning signal, that trigger a report."""
FAILURES: Final = 20
"""Maximum number of different reasons of failed episodes that are reported in messages."""
AT_A_TIME: Final = 256
"""Tokens whose entropy is computed at once: each needs memory for the whole vocabulary."""
OF_EPISODES: Final = (
    MethodFigure("turns", "Turns", "per episode"),
    MethodFigure("calls", "Tool calls", "per episode"),
    MethodFigure("toolErrors", "Tool errors", "per episode"),
    MethodFigure("failedEpisodes", "Failed episodes"),
)
PER_REWARD: Final = 6
"""Maximum number of rewards with figures of their own."""


class GrpoLoss(Objective):
    """GRPO's objective with the method's ``settings``; :meth:`join` provides the sampler and the rewards."""

    together = 16

    def __init__(self, *model: Module, settings: MethodSettings, noisy: bool) -> None:
        super().__init__(*model, noisy=noisy)
        self.settings = settings
        self._noted: dict[str, list[float]] = {}
        self._repeats = False
        self._old: dict[int, Tensor] = {}
        self._reference: dict[int, Tensor] = {}
        self._quiet: deque[float] = deque(maxlen=WINDOW)
        self._said_quiet = False
        self._failures: set[str] = set()
        self._generated: dict[str, str] = {}
        self.set_reference()

    def join(self, run: RunContext) -> None:
        """See :meth:`Objective.join`."""
        self._run, self._answering = run, RolloutGenerator(run, self, self.settings)

    def close(self) -> None:
        """Stop the processes that score answers, and those of environments."""
        self._answering.close()

    def more_figures(self) -> list[MethodFigure]:
        """Return the mean and the spread of each reward, if there are several."""
        figures = [MethodFigure("kl", "KL from the start", "nats per token")] if self.settings["beta"] else []
        if self.settings["environment"]:
            figures += OF_EPISODES
        if self.settings["maxResampleTimes"]:
            figures.append(MethodFigure("replaced", "Prompts replaced", "prompts"))
        for number, name in self._single_rewards():
            figures += [
                MethodFigure(f"reward{number}", name),
                MethodFigure(f"reward{number}Std", f"Spread of {name}"),
            ]
        return figures

    def _single_rewards(self) -> Iterator[tuple[int, str]]:
        """Yield the numbers and names of rewards with figures of their own, if there are several."""
        names = self._answering.scoring.names
        if len(names) > 1:
            yield from enumerate(names[:PER_REWARD], 1)

    def set_reference(self) -> None:
        """Use the current weights as the reference of the KL penalty, whose factor is ``beta``."""
        learning = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._start = [(weight, weight.detach().clone()) for weight in learning if self.settings["beta"]]

    # A step

    def updates(self, step: int, batches: Batches) -> Iterator[Batches]:
        """Sample answers to all of a step's prompts; yield them for each update."""
        prompts = _prompts([prompt for batch in batches for prompt in batch])
        sampled = self._answering.sampled(step, prompts)
        self._look(step, sampled)
        played = [[rollout for rollout in group if not rollout.failed] for group in sampled.groups]
        rollouts = self._scaled(self.judged(played), [len(batch) for batch in batches])
        learned = [part for group in self._unmasked(rollouts) for part in parts(group)]
        # Computed by the first update; values of an earlier step belong to other rows.
        self._old, self._reference = {}, {}
        self._repeats = self.settings["numIterations"] > 1
        for _ in range(self.settings["numIterations"]):
            yield learned

    def judged(self, groups: Sequence[Sequence[RolloutExample]]) -> list[list[RolloutExample]]:
        """Return the rollouts with their advantages relative to their group's mean reward."""
        rewards = [torch.tensor([rollout.reward for rollout in group]) for group in groups]
        of_all = torch.cat(rewards)
        scaled: list[list[RolloutExample]] = []
        for group, own in zip(groups, rewards, strict=True):
            advantages = own - own.mean()
            if len(own) > 1:  # a group that lost its other episodes has no spread
                match self.settings["scaleRewards"]:
                    case "group":
                        advantages = advantages / (own.std() + LEAST)
                    case "batch":
                        advantages = advantages / (of_all.std() + LEAST)
            values = advantages.tolist()
            scaled.append(
                [replace(rollout, advantage=value) for rollout, value in zip(group, values, strict=True)]
            )
        return scaled

    def _scaled(
        self, groups: Sequence[Sequence[RolloutExample]], batches: Sequence[int]
    ) -> list[list[RolloutExample]]:
        """Set the scales and weights with which sums over tokens become the mean of ``loss_type``.

        ``batches`` has the number of groups of each batch whose gradients are accumulated.
        """
        scaled: list[list[RolloutExample]] = []
        for count in batches:
            batch = groups[len(scaled) : len(scaled) + count]
            rollouts = [rollout for group in batch for rollout in group]
            tokens = sum(rollout.learned for rollout in rollouts if not self._masks(rollout))
            of_batch = len(rollouts) / max(1, tokens)
            scaled += [[self._with_scale(rollout, of_batch) for rollout in group] for group in batch]
        return scaled

    def _masks(self, rollout: RolloutExample) -> bool:
        """Return whether an answer is left out of the loss because it was cut."""
        return rollout.truncated and bool(self.settings["maskTruncatedCompletions"])

    def _unmasked(self, groups: Sequence[Sequence[RolloutExample]]) -> list[list[RolloutExample]]:
        """Return the rollouts that are learned from; means over rollouts still count masked ones, as in TRL.

        If all are masked, one with a scale of zero remains, so that the step has gradients, which are zero.
        """
        kept = [[rollout for rollout in group if not self._masks(rollout)] for group in groups]
        remaining, total = sum(map(len, kept)), sum(map(len, groups))
        if not remaining:
            return [[replace(groups[0][0], scale=0.0)]]
        if remaining == total or self.settings["lossType"] == "dapo":
            return kept
        share = remaining / total
        return [[replace(rollout, scale=rollout.scale * share) for rollout in group] for group in kept]

    def _with_scale(self, rollout: RolloutExample, of_batch: float) -> RolloutExample:
        """Set a rollout's scale or weight; ``of_batch`` is its batch's scale, used by ``bnpo``."""
        match self.settings["lossType"]:
            case "grpo":
                return replace(rollout, scale=1 / max(1, rollout.learned))
            case "bnpo":
                return replace(rollout, scale=of_batch)
            case "dr_grpo":
                return replace(rollout, scale=1 / self._longest)
        return replace(rollout, counts=rollout.learned)

    def __call__(self, rows: Sequence[Example]) -> tuple[Tensor, float]:
        """Return the loss summed over the tokens of ``rows``, each times its scale, and their weight."""
        reference = self._of_start(rows)
        likely, entropy = self._likely(rows)
        old = self._old.setdefault(id(rows[0]), likely.detach()) if self._repeats else likely.detach()
        lengths = [row.learned for row in rows]
        counts = torch.tensor(lengths, device=likely.device)

        def of_tokens(values: list[float]) -> Tensor:
            return torch.tensor(values, device=likely.device).repeat_interleave(counts)

        advantages = of_tokens([getattr(row, "advantage", 1.0) for row in rows])
        moved = likely - old
        if self.settings["importanceSamplingLevel"] == "sequence":
            # The geometric mean of the tokens' ratios (GSPO, Zheng et al. 2025, arXiv 2507.18071).
            means = torch.stack([part.mean() for part in moved.split(lengths)])
            moved = means.repeat_interleave(counts)
        ratio, low = torch.exp(moved), self.settings["epsilon"]
        clipped = ratio.clamp(1 - low, 1 + (self.settings["epsilonHigh"] or low))
        losses = -torch.min(ratio * advantages, clipped * advantages)
        self._note("entropy", fmean(entropy.tolist()))
        if reference is not None:
            apart = reference - likely
            divergence = (torch.exp(apart) - apart - 1) * ratio
            losses = losses + self.settings["beta"] * divergence
            self._note("kl", float(divergence.detach().mean()))
        scales = of_tokens([getattr(row, "scale", 1.0) for row in rows])
        return (losses * scales).sum(), weight_of([rows])

    def _likely(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return log-probabilities at the temperature, and entropies, of the answer tokens, ``[tokens]``."""
        with self.autocast():
            logits, targets = self.logits(rows)
        if (temperature := self.settings["temperature"]) != 1:
            logits = logits.float() / temperature
        entropies = []
        with torch.no_grad():
            for part in logits.split(AT_A_TIME):
                logs = torch.log_softmax(part, -1, dtype=torch.float32)
                entropies.append(-(logs.exp() * logs).sum(-1))
        return -cross_entropies(logits, targets), torch.cat(entropies)

    def _of_start(self, rows: Sequence[Example]) -> Tensor | None:
        """Return the tokens' log-probabilities under the model as it was at the start of the run; None
        without ``beta``.

        Must run before the forward pass that is differentiated: the layers' backward pass uses their most
        recent batch.
        """
        if not self._start:
            return None
        key = id(rows[0])
        if not self._repeats or key not in self._reference:
            training = self.model.training
            self.model.eval()
            with torch.no_grad(), self._at_start():
                self._reference[key] = self._likely(rows)[0]
            self.model.train(training)
        return self._reference[key]

    @contextmanager
    def _at_start(self) -> Iterator[None]:
        now = [weight.detach().clone() for weight, _ in self._start]
        for weight, start in self._start:
            weight.data.copy_(start)
        try:
            yield
        finally:
            for (weight, _), value in zip(self._start, now, strict=True):
                weight.data.copy_(value)

    # Measuring

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return the negative reward of the greedy answer to each prompt, with weight 1."""
        rollouts = self._answering.greedy(_prompts(rows))
        self._say_failed(rollouts, "of held-out rows failed, which count as a reward of 0")
        for rollout in rollouts:
            self._generated[rollout.where] = rollout.answer
            self._note_rollout(rollout)
        return [(-rollout.reward, 1) for rollout in rollouts]

    @property
    def trained_for(self) -> list[str]:
        """See :meth:`Objective.trained_for`."""
        return [reward.name for reward in self._answering.scoring.rewards]

    def pop_answers(self) -> dict[str, str]:
        """See :meth:`Objective.pop_answers`."""
        answers, self._generated = self._generated, {}
        return answers

    def figures(self) -> dict[str, float]:
        """Return the means of all figures recorded since the last call."""
        noted, self._noted = self._noted, {}
        return {name: fmean(values) for name, values in noted.items()}

    def _note(self, name: str, value: float) -> None:
        self._noted.setdefault(name, []).append(value)

    def _look(self, step: int, sampled: StepRollouts) -> None:
        """Record the figures of a step's rollouts, and report some rollouts in an event.

        Replaced groups count: without them, the rewards would not be those of the model.
        """
        groups = sampled.drawn
        rollouts = [rollout for group in groups for rollout in group]
        self._say_failed(rollouts, "failed, from which nothing is learned", step)
        for rollout in rollouts:
            self._note_rollout(rollout)
        rollouts = [rollout for rollout in rollouts if not rollout.failed]
        self._note("rewardStd", _spread([rollout.reward for rollout in rollouts]))
        for number, _ in self._single_rewards():
            scores = [rollout.scores[number - 1] for rollout in rollouts]
            self._note(f"reward{number}", fmean(scores))
            self._note(f"reward{number}Std", _spread(scores))
        silent = [group for group in groups if not has_signal(group)]
        self._note("noSignal", len(silent) / len(groups))
        if self.settings["maxResampleTimes"]:
            self._note("replaced", len(sampled.replaced))
        self._quiet.append(len(silent) / len(groups))
        self._say_quiet(step, silent)
        if step % self._run.plan.logging == 0 or step == 1:
            drawn = [rollout for group in groups for rollout in group]
            self._run.emit(RolloutsCreated(type=ROLLOUTS_CREATED, step=step, rollouts=self._selection(drawn)))

    def _note_rollout(self, rollout: RolloutExample) -> None:
        if episode := rollout.episode:
            self._note("failedEpisodes", float(rollout.failed))
        if rollout.failed:
            return
        self._note("reward", rollout.reward)
        self._note("completionLength", rollout.learned)
        self._note("truncated", float(rollout.truncated))
        if episode:
            self._note("turns", len(episode.turns))
            self._note("calls", episode.calls)
            self._note("toolErrors", episode.errors)

    def _say_failed(
        self, rollouts: Sequence[RolloutExample], consequence: str, step: int | None = None
    ) -> None:
        """Report failed episodes, each reason once; raise EnvironmentFailure if all have failed."""
        failed = [(rollout.where, rollout.episode.failure) for rollout in rollouts if rollout.episode]
        failed = [(where, reason) for where, reason in failed if reason]
        if not failed:
            return
        where, reason = failed[0]
        if len(failed) == len(rollouts):
            raise EnvironmentFailure(
                f"Every episode failed ({len(failed)} of {len(rollouts)}). {where}: {reason}. Correct the "
                "environment, and resume"
            )
        new = [(place, why) for place, why in failed if why not in self._failures]
        if not new or len(self._failures) >= FAILURES:
            return
        where, reason = new[0]
        self._failures |= {why for _, why in failed}
        message = TrainingMessage(
            type=TRAINING_MESSAGE,
            code="episode-failed",
            message=f"{len(failed)} of {len(rollouts)} episodes {consequence}. {where}: {reason}",
        )
        if step is not None:
            message["step"] = step
        self._run.emit(message)

    def _say_quiet(self, step: int, silent: Sequence[Sequence[RolloutExample]]) -> None:
        if self._said_quiet or len(self._quiet) < WINDOW or fmean(self._quiet) < HIGH:
            return
        self._said_quiet = True
        rewards = sorted({group[0].reward for group in silent})
        values = f"all {rewards[0]:g}" if len(rewards) == 1 else f"from {rewards[0]:g} to {rewards[-1]:g}"
        message = TrainingMessage(
            type=TRAINING_MESSAGE,
            step=step,
            code="no-signal",
            message=f"Hardly anything to learn from: for {100 * fmean(self._quiet):.0f} % of the prompts of "
            f"the last {WINDOW} steps, all answers had the same reward (now {values}). Where they all fail, "
            "easier prompts or a reward for a part of the task help; where they all succeed, harder prompts; "
            "else more answers per prompt (num_generations) or a higher temperature.",
        )
        self._run.emit(message)

    def _selection(self, rollouts: Sequence[RolloutExample]) -> list[Rollout]:
        """Return a few rollouts for an event, ordered from lowest to highest reward, after failed ones."""
        failed = [rollout for rollout in rollouts if rollout.failed][:EVENT_FAILED]
        order = sorted(
            (rollout for rollout in rollouts if not rollout.failed), key=lambda rollout: rollout.reward
        )
        count = min(EVENT_ROLLOUTS - len(failed), len(order))
        chosen = [order[index * (len(order) - 1) // max(1, count - 1)] for index in range(count)]
        return [self._shown(rollout) for rollout in (*failed, *chosen)]

    def _shown(self, rollout: RolloutExample) -> Rollout:
        episode, names = rollout.episode, self._answering.scoring.names
        question = rollout.prompt.question if rollout.prompt else ""
        shown = Rollout(
            where=rollout.where,
            prompt=(question + episode.observation if episode else question)[:TEXT],
            answer=rollout.answer[:TEXT],
            reward=rollout.reward,
            rewards={} if rollout.failed else dict(zip(names, rollout.scores, strict=True)),
        )
        if rollout.truncated:
            shown["truncated"] = True
        if episode:
            turns = shown_turns(episode.turns)
            shown["turns"] = turns
            if len(turns) < len(episode.turns):
                shown["omitted"] = len(episode.turns) - len(turns)
            if episode.failure:
                shown["failure"] = episode.failure
        return shown

    # Forecasts

    def reads(self, rows: Sequence[Example]) -> int:
        """See :meth:`Objective.reads`."""
        count, more = self.settings["numGenerations"], self._answering.added() + self._longest
        return sum(count * (len(row.ids) + more) for row in rows)

    @property
    def _longest(self) -> int:
        """The maximum number of tokens after a prompt."""
        if not self.settings["environment"]:
            return int(self.settings["maxCompletionLength"])
        return int(self.settings["maxEpisodeTokens"])

    def writes(self, rows: Sequence[Example], *, learning: bool) -> list[tuple[int, int, int]]:
        """See :meth:`Objective.writes`."""
        # With dynamic sampling, at most: all prompts may be replaced each time.
        draws = 1 + self.settings["maxResampleTimes"]
        count = self.settings["numGenerations"] * draws if learning else 1
        longest = self._longest
        width = max((len(row.ids) for row in rows), default=0) + self._answering.added()
        answers, acts = count * len(rows), bool(self.settings["environment"])
        at_once = max(1, min(answers, AT_ONCE, (EPISODE_TOKENS if acts else TOKENS) // (width + longest)))
        if not acts:
            return [(width, at_once, longest)] * -(-answers // at_once)
        # At most: every turn is as long as an answer may be, until the episode is. What the tools say is
        # read between them, in place of tokens that would be generated one by one.
        written = min(longest, self.settings["maxTurns"] * self.settings["maxCompletionLength"])
        return [(width, at_once, written)] * -(-answers // at_once)

    def expected(self, batches: Sequence[Sequence[Example]]) -> list[list[Example]]:
        """See :meth:`Objective.expected`: answers of maximum length, of the prompts' own tokens."""
        count, longest = self.settings["numGenerations"], self._longest

        def answered(row: Example) -> Example:
            prompt = len(row.ids) + self._answering.added()
            ids = [row.ids[index % len(row.ids)] for index in range(prompt + longest)]
            return Example(ids, [IGNORED] * prompt + ids[prompt:], row.where, counts=1)

        examples = [part for batch in batches for row in batch for part in parts([answered(row)] * count)]
        return examples * int(self.settings["numIterations"])


def parts(group: Sequence[Example]) -> list[list[Example]]:
    """Split rollouts into batches with a limited number of tokens after their prompts, which are shared."""
    batches: list[list[Example]] = []
    tokens = 0
    for example in group:
        length = _after_prompt(example)
        tokens += length
        if batches and tokens <= TOGETHER:
            batches[-1].append(example)
        else:
            batches.append([example])
            tokens = length
    return batches


def _after_prompt(example: Example) -> int:
    """Return the number of tokens from the first learned one on: also those of tools' results."""
    first = next((index for index, label in enumerate(example.labels) if label != IGNORED), 0)
    return len(example.labels) - first


def _spread(values: Sequence[float]) -> float:
    mean = fmean(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))


def _prompts(rows: Sequence[Example]) -> list[PromptExample]:
    """Return ``rows``, which the method has encoded as prompts."""
    prompts = [row for row in rows if isinstance(row, PromptExample)]
    assert len(prompts) == len(rows)
    return prompts
