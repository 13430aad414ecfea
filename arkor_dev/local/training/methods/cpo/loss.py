"""CPO's losses; the formulas match TRL's ``CPOTrainer``, which the tests compare them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import logsigmoid

from arkor_dev.local.training.methods.pair_objective import PairObjective, Pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from arkor_dev.local.modeling.example import Example


class CpoLoss(PairObjective):
    """CPO's loss, on sums of log-probabilities; ``ipo`` and ``simpo`` use the mean per token."""

    def losses(self, pairs: Pairs, rows: Sequence[Example]) -> Tensor:
        """Return each pair's loss, ``[pairs]``."""
        beta, kind = self.settings["beta"], self.settings["lossType"]
        chosen, rejected = self._scores(pairs)
        match kind:
            case "hinge":
                losses = torch.relu(1 - beta * (chosen - rejected))
            case "ipo":
                losses = (chosen - rejected - 1 / (2 * beta)) ** 2
            case "simpo":
                losses = -logsigmoid(beta * (chosen - rejected) - self.settings["simpoGamma"])
            case _:
                losses = -logsigmoid(beta * (chosen - rejected))
        return losses + self.settings["cpoAlpha"] * pairs.nll

    def rewards(self, pairs: Pairs, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return ``beta`` times the log-probability of each answer."""
        chosen, rejected = self._scores(pairs)
        return self.settings["beta"] * chosen, self.settings["beta"] * rejected

    def _scores(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        by_token = self.settings["lossType"] in ("ipo", "simpo")
        return pairs.means if by_token else (pairs.chosen, pairs.rejected)
