"""DPO's losses; the formulas match TRL's ``DPOTrainer``, which the tests compare them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import logsigmoid

from arkor_dev.local.training.methods.pair_objective import PairObjective, Pairs
from arkor_dev.local.training.methods.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import MethodSettings


class DpoLoss(PairObjective):
    """``sigmoid`` is the original DPO loss, ``hinge`` SLiC's, ``ipo`` IPO's per token, ``apo_zero`` APO's."""

    def __init__(self, *model: Module, settings: MethodSettings, noisy: bool) -> None:
        super().__init__(*model, settings=settings, noisy=noisy)
        self.reference = Reference(self.model, lambda rows: self.log_probabilities(rows)[0])

    def set_reference(self) -> None:
        """See :meth:`Objective.set_reference`."""
        self.reference.hold()

    def look_up(self, rows: Sequence[Example]) -> None:
        """Look up the reference's log-probabilities of a batch."""
        self._start = self.reference.of(rows)

    def losses(self, pairs: Pairs, rows: Sequence[Example]) -> Tensor:
        """Return each pair's loss, ``[pairs]``."""
        beta = self.settings["beta"]
        chosen, rejected = self._ratios(pairs)
        match self.settings["lossType"]:
            case "hinge":
                losses = torch.relu(1 - beta * (chosen - rejected))
            case "ipo":
                mean = chosen / pairs.chosen_tokens - rejected / pairs.rejected_tokens
                losses = (mean - 1 / (2 * beta)) ** 2
            case "apo_zero":
                losses = 1 - torch.sigmoid(beta * chosen) + torch.sigmoid(beta * rejected)
            case _:
                losses = -logsigmoid(beta * (chosen - rejected))
        if alpha := self.settings["rpoAlpha"]:
            losses = losses + alpha * pairs.nll
        return losses

    def rewards(self, pairs: Pairs, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return ``beta`` times each answer's log-probability ratio to the reference."""
        chosen, rejected = self._ratios(pairs)
        return self.settings["beta"] * chosen, self.settings["beta"] * rejected

    def _ratios(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Return both answers' log-probabilities minus the reference's."""
        chosen, rejected = self._start.unbind(1)
        return pairs.chosen - chosen, pairs.rejected - rejected
