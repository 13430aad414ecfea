"""Shared parts of objectives that learn from pairs of a chosen and a rejected answer.

A pair is one example: the chosen answer is its own sequence and the rejected one its ``others``, so that both
are computed at once and share their prompt. Its weight is 1.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import torch

from .preference_objective import PreferenceObjective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from arkor_dev.local.modeling.example import Example


class Pairs(NamedTuple):
    """Log-probabilities of a batch's answers, each a tensor ``[pairs]``.

    ``chosen`` and ``rejected`` are sums over the answers' tokens, of which there are ``chosen_tokens`` and
    ``rejected_tokens``. ``taught`` is the sum over the ``taught_tokens`` of the likelihood term: those of the
    chosen answer, or of its whole conversation.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor
    taught: Tensor
    taught_tokens: Tensor

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """Return the mean log-probability per token of each answer."""
        return self.chosen / self.chosen_tokens, self.rejected / self.rejected_tokens

    @property
    def nll(self) -> Tensor:
        """Return each pair's share of the likelihood term, whose mean is the batch's cross entropy per token.

        As in TRL, a long answer counts for more than a short one.
        """
        return -self.taught * len(self.taught) / self.taught_tokens.sum()


class PairObjective(PreferenceObjective):
    """Computes one loss per pair. Methods implement :meth:`losses` and :meth:`rewards`."""

    @abstractmethod
    def losses(self, pairs: Pairs, rows: Sequence[Example]) -> Tensor:
        """Return each pair's loss, ``[pairs]``."""

    @abstractmethod
    def rewards(self, pairs: Pairs, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return the implicit rewards of chosen and rejected answers, each ``[pairs]``."""

    def look_up(self, rows: Sequence[Example]) -> None:
        """Run other models as far as :meth:`losses` needs; first, as layers keep their last batch."""

    def pairs(self, rows: Sequence[Example]) -> Pairs:
        """Return the model's log-probabilities of the answers of ``rows``."""
        sums, tokens = self.log_probabilities([sequence for row in rows for sequence in row.sequences])
        return Pairs(sums[::2], sums[1::2], tokens[::2], tokens[1::2], sums[::2], tokens[::2])

    def measured(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return each pair's loss and its reward margin, chosen minus rejected."""
        self.look_up(rows)
        pairs = self.pairs(rows)
        losses = self.losses(pairs, rows)
        with torch.no_grad():
            chosen, rejected = self.rewards(pairs, rows)
            self.note("rewardChosen", chosen)
            self.note("rewardRejected", rejected)
            self.note("rewardMargin", chosen - rejected)
            self.note("rewardAccuracy", (chosen > rejected).float())
            self.note("logpsChosen", pairs.chosen)
            self.note("logpsRejected", pairs.rejected)
        return losses, (chosen - rejected).detach()
