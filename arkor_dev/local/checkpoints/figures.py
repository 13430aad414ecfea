"""Running figures of a training run: speed and loss since the last report, and the best evaluation.

They are part of a checkpoint. Imported by workers only: it imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple

import torch

from arkor_dev.contract.events import log_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from arkor_dev.contract.events import TrainingLog


@dataclass(slots=True)
class StepPace:
    """Loss and speed since the last report; evaluating and saving do not count as training time.

    ``figures`` are those of the training method, one value per step.
    """

    losses: list[float] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    samples: int = 0
    tokens: int = 0

    def note(self, figures: Mapping[str, float]) -> None:
        """Add the method's figures of a step."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def report(self, event: TrainingLog) -> TrainingLog:
        """Return ``event`` with the mean loss and figures, and with samples and unpadded tokens per second.

        Then reset.
        """
        seconds = max(self.seconds, 1e-9)
        event["loss"] = sum(self.losses) / len(self.losses)
        event["samplesPerSecond"] = self.samples / seconds
        event["tokensPerSecond"] = self.tokens / seconds
        row = log_with(event, {name: sum(values) / len(values) for name, values in self.figures.items()})
        self.losses, self.figures, self.seconds, self.samples, self.tokens = [], {}, 0.0, 0, 0
        return row


class EvaluationLosses(NamedTuple):
    """An evaluation's loss on all held-out rows, and on those that choose."""

    loss: float
    choosing: float


@dataclass(slots=True)
class Best:
    """The best evaluation; with ``patience`` also its weights, and whether it has not improved for too long.

    The evaluation with the lowest loss on the rows that choose is best; the others judge it in the verdict.
    As in transformers, an evaluation is an improvement if that loss is lower by more than ``threshold``.
    ``last`` and ``loss`` are the losses of the last and the best evaluation on all held-out rows,
    ``last_choosing`` and ``choosing`` on the rows that choose. ``lowest`` is the lowest on all rows.
    """

    patience: int | None
    threshold: float
    last: float | None = None
    last_choosing: float | None = None
    loss: float | None = None
    choosing: float | None = None
    lowest: float | None = None
    step: int = 0
    worse: int = 0
    weights: list[Tensor] = field(default_factory=list)

    def record(self, step: int, evaluated: EvaluationLosses, weights: Sequence[Tensor]) -> None:
        """Record the evaluation after ``step``."""
        self.last, self.last_choosing = evaluated
        self.lowest = self.last if self.lowest is None else min(self.last, self.lowest)
        better = self.choosing is None or self.last_choosing < self.choosing - self.threshold
        self.worse = 0 if better else self.worse + 1
        if self.choosing is None or self.last_choosing < self.choosing:
            (self.loss, self.choosing), self.step = evaluated, step
            if self.patience:
                self.weights = [weight.detach().to("cpu", copy=True) for weight in weights]

    @property
    def enough(self) -> bool:
        """Whether patience is exhausted."""
        return self.patience is not None and self.worse >= self.patience

    def restore(self, step: int, weights: Sequence[Tensor]) -> str | None:
        """Make ``weights`` the best ones, after ``step``; return a message if others were the best before."""
        if not self.weights or self.step == step:
            return None
        with torch.no_grad():
            for weight, best in zip(weights, self.weights, strict=True):
                weight.copy_(best)
        ended = (
            f"Stopped after step {step}, as {self.patience} evaluations brought no improvement. "
            if self.enough
            else ""
        )
        return (
            f"{ended}The result is that of step {self.step}, whose loss on the rows that choose was lowest "
            f"({self.choosing:.4f})"
        )


def figures_of(pace: StepPace, best: Best) -> dict[str, object]:
    """Return all figures in the form of a saved state."""
    figures: dict[str, StepPace | Best] = {"pace": pace, "best": best}
    return {
        key: {attribute.name: getattr(holder, attribute.name) for attribute in fields(holder)}
        for key, holder in figures.items()
    }


def set_figures(state: Mapping[str, Mapping[str, object]], pace: StepPace, best: Best) -> None:
    """Restore ``pace`` and ``best`` from ``state``; values set by the plan are kept. Raises KeyError."""
    holders: dict[str, StepPace | Best] = {"pace": pace, "best": best}
    for key, holder in holders.items():
        for attribute in fields(holder):
            if attribute.name not in ("patience", "threshold"):
                setattr(holder, attribute.name, state[key][attribute.name])
