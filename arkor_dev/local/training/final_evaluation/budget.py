"""Chooses a step's adapter and turns it down, so that its harm in general is below ``max_harm``."""

from __future__ import annotations

import math
from contextlib import contextmanager, suppress
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from arkor_dev.contract.events import TRAINING_MESSAGE, TrainingMessage
from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.budget import (
    STEPS,
    STRENGTHS,
    Harm,
    StrengthChoice,
    candidates,
    harm_of,
    parts_of,
    strongest,
)
from arkor_dev.local.evaluation.by_length import by_row, measured
from arkor_dev.local.evaluation.minimums import ROWS
from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.evaluation.stage import PACKED, tokens_of
from arkor_dev.local.evaluation.words import DIGITS, budget_sentence
from arkor_dev.local.jobs.atomic_folder import DamagedFolderError, checked
from arkor_dev.local.jobs.job_folder import STATE, checkpoint_folder, checkpoint_steps
from arkor_dev.local.training.adapter import load_weights
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


class _Tried(NamedTuple):
    """A step's adapter at its strongest within the limit: the held-out ``rows``' losses, and the ``loss`` by
    which it is chosen.
    """

    step: int
    choice: StrengthChoice
    rows: list[float]
    loss: float


class _Adapters:
    """The adapters of a ``run``: that of step ``last``, which its model has, and those in checkpoints."""

    def __init__(self, run: TrainingLoop, last: int) -> None:
        self._run, self._last, self._loaded = run, last, last
        learning = run.loss.model.named_parameters()
        self._weights = {name: weight for name, weight in learning if weight.requires_grad}
        self._trained = {name: weight.detach().clone() for name, weight in self._weights.items()}

    def load(self, step: int) -> None:
        """Give the model the adapter of ``step``."""
        if step == self._loaded:
            return
        if step == self._last:
            with torch.no_grad():
                for name, weight in self._weights.items():
                    weight.copy_(self._trained[name])
        else:
            load_weights(self._weights, checkpoint_folder(self._run.data, self._run.job_id, step))
        self._loaded = step


class ForgettingBudget:
    """Chooses the adapter of ``run``, a step's at a strength, whose harm in general must be below ``limit``.

    The harm is measured on the ``general`` questions, and what the choice costs on the held-out rows, in
    ``groups``. Rows that ``chose`` the run's last adapter among others don't count there. Those that are
    ``picking`` may choose among the steps whose checkpoints are left, and then don't count either; without
    any, the adapter is the run's last. ``stopped`` is checked between measurements. Raises
    :class:`JobFailure` if there are too few questions to bound any harm.
    """

    def __init__(
        self,
        run: TrainingLoop,
        limit: float,
        general: Sequence[Example],
        groups: Sequence[int],
        chose: Sequence[bool],
        stopped: Callable[[], bool],
        picking: Sequence[bool] = (),
    ) -> None:
        if len(general) < ROWS:
            raise JobFailure(
                f"max_harm needs {ROWS} general questions, but the model's chat template accepts "
                f"{len(general)}. Choose another model, or remove max_harm"
            )
        self._run, self._limit, self._general, self._groups = run, limit, general, groups
        self._chose, self._stopped, self._picking = chose, stopped, picking
        self._left = tokens_to_read(general, run.held_out, STEPS if picking else 1)
        self.rows: list[float] | None = None
        """The held-out rows' losses of the chosen adapter, once it is."""

    @property
    def seconds_left(self) -> float:
        """Estimate the seconds until the adapter is chosen."""
        return self._left * self._run.phases.token

    def choose(self) -> EvaluationBudget:
        """Choose step and strength, and give the run's model this adapter.

        Raises :class:`Stopped`, and :class:`JobFailure` for a non-finite loss. The adapter may have been
        changed by then, so its trained weights must have been saved.
        """
        run, model = self._run, self._run.loss.model
        with run.phases.during(EVALUATING, always=True):
            with switched_off(model):
                base = self._losses()
            last = run.kept_step
            steps = self._steps(last) if self._picking else [last]
            if len(steps) > 1:
                self._chose = self._picking
            adapters = _Adapters(run, last)
            tried: list[_Tried] = []
            for step, parts in zip(steps, parts_of(steps), strict=True):
                adapters.load(step)
                strong = self._held_out()
                if step == last:
                    strongest_last = strong
                elif tried and self._picked(strong) >= min(each.loss for each in tried):
                    continue  # with less strength it would only be worse at the task
                choice = strongest(partial(self._harm_at, base, parts), self._limit)
                self._check()
                if not choice.within and step != last:
                    continue
                with scaled(model, choice.chosen.strength):
                    rows = strong if choice.chosen.strength == 1 else self._held_out()
                loss = self._picked(rows) if choice.within else math.inf
                tried.append(_Tried(step, choice, rows, loss))
            best = min(tried, key=lambda each: each.loss)
            step, choice, self.rows, _ = best
            adapters.load(step)
            scale(model, choice.chosen.strength)
            run.kept_step = step
            found: EvaluationBudget = {
                "maxHarm": self._limit,
                "kept": choice.within,
                "strength": choice.chosen.strength,
                "harm": round(choice.chosen.mean, DIGITS),
                "questions": len(self._general),
                "sentence": "",
            }
            if len(steps) > 1:
                found["step"], found["steps"] = step, len(steps)
            if math.isfinite(choice.chosen.most):
                found["most"] = round(choice.chosen.most, DIGITS)
            cost = None
            if run.held_out:
                found["divergence"] = round(self._divergence(), DIGITS)
                if (step, choice.chosen.strength) != (last, 1):
                    cost = compare(self.rows, strongest_last, self._groups, chose=self._chose)
                    found["cost"] = {
                        "mean": round(cost.mean, DIGITS),
                        "low": round(cost.low, DIGITS),
                        "high": round(cost.high, DIGITS),
                    }
            few = bool(run.held_out) and not self._picking and not run.plan.stops_settled
            found["sentence"] = budget_sentence(choice, self._limit, found, cost, few=few)
        self._left = 0
        run.emit(TrainingMessage(type=TRAINING_MESSAGE, message=found["sentence"]))
        return found

    def _steps(self, last: int) -> list[int]:
        """Return the steps to try, ``last`` first; the checkpoints of the others must be complete."""
        run, found = self._run, [last]
        for step in candidates(checkpoint_steps(run.data, run.job_id), last)[1:]:
            with suppress(DamagedFolderError):
                checked(checkpoint_folder(run.data, run.job_id, step), STATE)
                found.append(step)
        return found

    def _harm_at(self, base: Sequence[float], parts: int, strength: float) -> Harm:
        """Return the harm of the model's adapter at a ``strength``; ``parts`` as in `harm_of`."""
        with scaled(self._run.loss.model, strength):
            return harm_of(strength, base, self._losses(), parts)

    def _picked(self, rows: Sequence[float]) -> float:
        """Return the mean of the held-out ``rows``' losses by which a step is chosen."""
        losses = [loss for loss, picks in zip(rows, self._picking, strict=False) if picks]
        return fmean(losses) if losses else 0.0

    def _check(self) -> None:
        if self._stopped():
            raise Stopped

    def _losses(self) -> list[float]:
        """Return the mean loss of each general question."""
        self._check()
        run = self._run
        measured_general = measured(run.loss.cross_entropy, self._general, run.measured_at_once, PACKED)
        losses = [loss / count for loss, count in measured_general]
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


def tokens_to_read(general: Sequence[Example], held_out: Sequence[Example], steps: int) -> int:
    """Return the most tokens that choosing one of so many ``steps``, and its strength, reads."""
    some = held_out[:: -(-len(held_out) // MOST_ROWS) or 1]
    of_general = (1 + steps * len(STRENGTHS)) * tokens_of(general)
    return of_general + 2 * steps * tokens_of(held_out) + 2 * tokens_of(some)


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
