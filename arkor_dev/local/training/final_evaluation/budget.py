"""Turns the trained adapter down until its harm in general is below ``max_harm``."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch

from arkor_dev.contract.events import TRAINING_MESSAGE, TrainingMessage
from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.budget import STRENGTHS, Harm, harm_of, strongest
from arkor_dev.local.evaluation.by_length import by_row, measured
from arkor_dev.local.evaluation.minimums import ROWS
from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.evaluation.stage import tokens_of
from arkor_dev.local.evaluation.words import DIGITS, budget_sentence
from arkor_dev.local.training.greedy import switched_off
from arkor_dev.local.training.methods.divergence import Divergence, outputs
from arkor_dev.local.training.phases import EVALUATING
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch.nn import Module

    from arkor_dev.contract.shapes import EvaluationBudget
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.run import TrainingLoop

MOST_ROWS: Final = 64
"""Maximum number of held-out rows whose divergence from the base is computed."""


class ForgettingBudget:
    """Chooses the strength of the adapter of ``run``, whose harm in general must be below ``limit``.

    The harm is measured on the ``general`` questions, and what a lower strength costs on the held-out rows,
    in ``groups``. Rows that ``chose`` the adapter among others don't count there. ``stopped`` is checked
    between measurements. Raises :class:`JobFailure` if there are too few questions to bound any harm.
    """

    def __init__(
        self,
        run: TrainingLoop,
        limit: float,
        general: Sequence[Example],
        groups: Sequence[int],
        chose: Sequence[bool],
        stopped: Callable[[], bool],
    ) -> None:
        if len(general) < ROWS:
            raise JobFailure(
                f"max_harm needs {ROWS} general questions, but the model's chat template accepts "
                f"{len(general)}. Choose another model, or remove max_harm"
            )
        self._run, self._limit, self._general, self._groups = run, limit, general, groups
        self._chose, self._stopped = chose, stopped
        self._left = tokens_to_read(general, run.held_out)
        self.rows: list[float] | None = None
        """The held-out rows' losses at the chosen strength, once it is."""

    @property
    def seconds_left(self) -> float:
        """Estimate the seconds until the strength is chosen."""
        return self._left * self._run.phases.token

    def choose(self) -> EvaluationBudget:
        """Choose the strength, and give it to the adapter.

        Raises :class:`Stopped`, and :class:`JobFailure` for a non-finite loss. The adapter may have been
        turned down by then, so its trained weights must have been saved.
        """
        run, model = self._run, self._run.loss.model
        with run.phases.during(EVALUATING, always=True):
            with switched_off(model):
                base = self._losses()
            strong = self._held_out()

            def harm_at(strength: float) -> Harm:
                with scaled(model, strength):
                    return harm_of(strength, base, self._losses())

            choice = strongest(harm_at, self._limit)
            self._check()
            scale(model, choice.chosen.strength)
            self.rows = strong if choice.chosen.strength == 1 else self._held_out()
            found: EvaluationBudget = {
                "maxHarm": self._limit,
                "kept": choice.within,
                "strength": choice.chosen.strength,
                "harm": round(choice.chosen.mean, DIGITS),
                "questions": len(self._general),
                "sentence": "",
            }
            if math.isfinite(choice.chosen.most):
                found["most"] = round(choice.chosen.most, DIGITS)
            cost = None
            if run.held_out:
                found["divergence"] = round(self._divergence(), DIGITS)
                if choice.chosen.strength < 1:
                    cost = compare(self.rows, strong, self._groups, chose=self._chose)
                    found["cost"] = {
                        "mean": round(cost.mean, DIGITS),
                        "low": round(cost.low, DIGITS),
                        "high": round(cost.high, DIGITS),
                    }
            found["sentence"] = budget_sentence(choice, self._limit, found, cost)
        self._left = 0
        run.emit(TrainingMessage(type=TRAINING_MESSAGE, message=found["sentence"]))
        return found

    def _check(self) -> None:
        if self._stopped():
            raise Stopped

    def _losses(self) -> list[float]:
        """Return the mean loss of each general question."""
        self._check()
        run = self._run
        losses = [
            loss / count
            for loss, count in measured(run.loss.cross_entropy, self._general, run.measured_at_once)
        ]
        if not all(map(math.isfinite, losses)):
            raise JobFailure("The loss of a general question is not a number")
        self._left = max(0, self._left - tokens_of(self._general))
        return losses

    def _held_out(self) -> list[float]:
        """Return the loss of each held-out row."""
        self._check()
        run = self._run
        if not run.held_out:
            return []
        losses = measured(run.loss.row_losses, run.held_out, run.measured_at_once)
        self._left = max(0, self._left - tokens_of(run.held_out))
        return by_row(run.held_out, losses)

    def _divergence(self) -> float:
        """Return the KL divergence of the adapter from its base at the tokens of some held-out answers."""
        run = self._run
        rows = [row for row in run.held_out if row.learned]
        rows = rows[:: -(-len(rows) // MOST_ROWS) or 1]
        return divergence_from_base(run.loss, rows)


def tokens_to_read(general: Sequence[Example], held_out: Sequence[Example]) -> int:
    """Return the most tokens that choosing a strength reads."""
    some = held_out[:: -(-len(held_out) // MOST_ROWS) or 1]
    return (1 + len(STRENGTHS)) * tokens_of(general) + 2 * tokens_of(held_out) + 2 * tokens_of(some)


def divergence_from_base(loss: Objective, rows: Sequence[Example]) -> float:
    """Return the KL divergence of the base from its adapter, the mean over the learned tokens of ``rows``.

    On prompts of the task it follows how much is forgotten (Shenfeld et al., RL's Razor: Why Online
    Reinforcement Learning Forgets Less, 2025, arXiv:2509.04259), who draw the tokens from the base; these are
    those of the rows' answers.
    """
    total = tokens = 0.0
    training = loss.model.training
    loss.model.eval()
    with torch.no_grad():
        for row in rows:
            with switched_off(loss.model):
                base = outputs(loss, [row])
            total += float(Divergence(0).summed(outputs(loss, [row]), base))
            tokens += row.learned
    loss.model.train(training)
    return total / tokens if tokens else 0.0


def _strengths(model: Module) -> list[torch.nn.Parameter]:
    """Return the weights of ``model``, a plain LoRA, to which its change of the base is proportional.

    Not those of a second adapter, such as the teacher's.
    """
    parts = (".lora_B.default", ".lora_embedding_B.default")
    return [weight for name, weight in model.named_parameters() if any(part in name for part in parts)]


def scale(model: Module, strength: float) -> None:
    """Scale the change that the adapter of ``model``, a plain LoRA, makes to its base."""
    with torch.no_grad():
        for weight in _strengths(model):
            weight.mul_(strength)


@contextmanager
def scaled(model: Module, strength: float) -> Iterator[None]:
    """Scale the adapter of ``model``, as `scale` does, within the block."""
    weights = _strengths(model)
    trained = [weight.detach().clone() for weight in weights]
    scale(model, strength)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, trained, strict=True):
                weight.copy_(value)
