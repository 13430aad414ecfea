"""ORPO's loss; the formulas match TRL's ``ORPOTrainer``, which the tests compare them with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import logsigmoid

from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.training.methods.pair_objective import PairObjective, Pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from arkor_dev.local.modeling.example import Example


class OrpoLoss(PairObjective):
    """ORPO's loss: the cross entropy of the chosen row, minus ``beta`` log-sigmoids of the log odds ratio.

    As in TRL, that cross entropy includes the prompt.
    """

    def pairs(self, rows: Sequence[Example]) -> Pairs:
        """See :meth:`PairObjective.pairs`; the likelihood term has all tokens up to the end of the answer."""
        read = [sequence for row in rows for sequence in (_whole(row), *row.others)]
        likely = (-self.token_losses(read)).split([sequence.learned for sequence in read])
        taught, rejected = likely[::2], likely[1::2]
        chosen = [part[_is_answer(row)[: len(part)]] for row, part in zip(rows, taught, strict=True)]
        return Pairs(
            _sums(chosen), _sums(rejected), _counts(chosen), _counts(rejected), _sums(taught), _counts(taught)
        )

    def losses(self, pairs: Pairs, rows: Sequence[Example]) -> Tensor:
        """Return each pair's loss, ``[pairs]``."""
        chosen, rejected = pairs.means
        odds = chosen - rejected - (_log1mexp(chosen) - _log1mexp(rejected))
        return pairs.nll - self.settings["beta"] * logsigmoid(odds)

    def rewards(self, pairs: Pairs, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return ``beta`` times the mean log-probability of each answer's tokens."""
        chosen, rejected = pairs.means
        return self.settings["beta"] * chosen, self.settings["beta"] * rejected


def _whole(answer: Example) -> Example:
    """Return a conversation of which everything up to the end of the answer is learned."""
    end = max(place for place, label in enumerate(answer.labels) if label != IGNORED) + 1
    return replace(answer, labels=answer.ids[:end] + answer.labels[end:])


def _is_answer(answer: Example) -> list[bool]:
    """Return which tokens of a conversation belong to its answer, from the second token on."""
    return [label != IGNORED for label in answer.labels[1:]]


def _sums(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([part.sum() for part in parts])


def _counts(parts: Sequence[Tensor]) -> Tensor:
    return torch.tensor([len(part) for part in parts], device=parts[0].device)


def _log1mexp(likely: Tensor) -> Tensor:
    """Return log(1 - exp(x)) of negative ``x`` (Mächler 2012); a probability of 1 counts as slightly less."""
    likely = likely.clamp(max=-1e-6)
    near = likely > -0.6931472
    return torch.where(near, torch.log(-torch.expm1(likely)), torch.log1p(-torch.exp(likely)))
