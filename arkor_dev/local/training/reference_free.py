"""Preference losses without a reference; the formulas match TRL's, which the tests compare them with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import logsigmoid

from .pair_objective import PairObjective, Pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.modeling.example import Example


class CpoLoss(PairObjective):
    """CPO's loss, on sums of log-probabilities; ``ipo`` and ``simpo`` use the mean per token."""

    def losses(self, pairs: Pairs, rows: Sequence[Example]) -> Any:
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
        return losses - self.settings["cpoAlpha"] * _mean_of_all(pairs)

    def rewards(self, pairs: Pairs, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Return ``beta`` times the log-probability of each answer."""
        chosen, rejected = self._scores(pairs)
        return self.settings["beta"] * chosen, self.settings["beta"] * rejected

    def _scores(self, pairs: Pairs) -> tuple[Any, Any]:
        by_token = self.settings["lossType"] in ("ipo", "simpo")
        return pairs.means if by_token else (pairs.chosen, pairs.rejected)


class OrpoLoss(PairObjective):
    """ORPO's loss: the chosen answer's cross entropy, minus ``beta`` log-sigmoids of the log odds ratio."""

    def losses(self, pairs: Pairs, rows: Sequence[Example]) -> Any:
        """Return each pair's loss, ``[pairs]``."""
        chosen, rejected = pairs.means
        odds = chosen - rejected - (_log1mexp(chosen) - _log1mexp(rejected))
        return -_mean_of_all(pairs) - self.settings["beta"] * logsigmoid(odds)

    def rewards(self, pairs: Pairs, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Return ``beta`` times the mean log-probability of each answer's tokens."""
        chosen, rejected = pairs.means
        return self.settings["beta"] * chosen, self.settings["beta"] * rejected


def _mean_of_all(pairs: Pairs) -> Any:
    """Return the mean log-probability per token over the batch's chosen answers, a scalar."""
    return pairs.chosen.sum() / pairs.chosen_tokens.sum()


def _log1mexp(likely: Any) -> Any:
    """Return log(1 - exp(x)) of negative ``x`` (Mächler 2012); a probability of 1 counts as slightly less."""
    likely = likely.clamp(max=-1e-6)
    near = likely > -0.6931472
    return torch.where(near, torch.log(-torch.expm1(likely)), torch.log1p(-torch.exp(likely)))
