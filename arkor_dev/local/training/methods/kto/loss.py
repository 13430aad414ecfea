"""KTO's loss; the formulas match TRL's ``KTOTrainer``, which the tests compare them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.methods.preference_objective import PreferenceObjective
from arkor_dev.local.training.methods.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.training.job_settings import MethodSettings


class KtoLoss(PreferenceObjective):
    """KTO's loss: one minus the sigmoid of the scaled distance between an answer's log ratio and the KL, with
    the sign of its rating.

    The KL divergence from the reference is estimated on each prompt of the batch with the answer to the
    prompt before it, and has no gradient.
    """

    def __init__(self, *model: Module, settings: MethodSettings, noisy: bool) -> None:
        super().__init__(*model, settings=settings, noisy=noisy)
        self.reference = Reference(self.model, lambda rows: self.log_probabilities(rows)[0])

    def set_reference(self) -> None:
        """See :meth:`Objective.set_reference`."""
        self.reference.hold()

    def measured(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return each rated answer's loss and reward; a bad answer's reward is negated."""
        # First, since the layers' backward pass uses their most recent batch.
        start = self.reference.of(rows).squeeze(1)
        kl = self._divergence(mismatched(rows))
        likely, _ = self.log_probabilities(rows)
        beta, ratios = self.settings["beta"], likely - start
        good = torch.tensor([row.desirable for row in rows], device=ratios.device)
        side = torch.where(good, 1.0, -1.0)
        weight = torch.where(good, self.settings["desirableWeight"], self.settings["undesirableWeight"])
        losses = weight * (1 - torch.sigmoid(beta * side * (ratios - kl)))
        with torch.no_grad():
            rewards = beta * ratios
            self.note("rewardChosen", rewards[good])
            self.note("rewardRejected", rewards[~good])
            self.note("rewardAccuracy", (side * rewards > 0).float())
            self.note("logpsChosen", likely[good])
            self.note("logpsRejected", likely[~good])
            self.note("kl", kl)
        return losses, (side * rewards).detach()

    def figures(self) -> dict[str, float]:
        """Return the means since the last call, and the mean rewards' difference, good minus bad."""
        figures = super().figures()
        if "rewardChosen" in figures and "rewardRejected" in figures:
            figures["rewardMargin"] = figures["rewardChosen"] - figures["rewardRejected"]
        return figures

    def _divergence(self, rows: Sequence[Example]) -> Tensor:
        """Return the mean log ratio of ``rows``, or 0 if that is negative."""
        start = self.reference.of(rows).squeeze(1)
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            likely, _ = self.log_probabilities(rows)
        self.model.train(training)
        return (likely - start).mean().clamp(min=0)


def mismatched(rows: Sequence[Example]) -> list[Example]:
    """Return each row's prompt with the previous row's answer, and the first prompt with the last answer."""
    examples = []
    for row, other in zip(rows, [rows[-1], *rows[:-1]], strict=True):
        prompt, (start, end) = row.ids[: _answer(row)[0]], _answer(other)
        answer = other.ids[start:end]
        examples.append(Example(prompt + answer, [IGNORED] * len(prompt) + answer))
    return examples


def _answer(row: Example) -> tuple[int, int]:
    """Return the start and end (exclusive) of a row's learned tokens."""
    learned = [index for index, label in enumerate(row.labels) if label != IGNORED]
    return learned[0], learned[-1] + 1
