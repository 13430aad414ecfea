"""The generalized Jensen-Shannon divergence, equal to that of TRL's ``GKDTrainer`` and ``SDFTTrainer``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import kl_div, log_softmax
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.objective import Objective

CHUNK: Final = 256
"""Number of tokens whose divergence is computed at once: each needs both models' whole vocabulary."""
LARGEST: Final = -1e-7
"""Maximum logarithm of the sum of the likeliest tokens' probabilities, so that the others' has one, too."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """A divergence of two distributions over the vocabulary, the student's and the teacher's.

    ``beta`` is 0 for the KL divergence of the student from the teacher, 1 for that of the teacher from the
    student, and between them weighs the mixture of both. With ``top_k``, only that many tokens are compared,
    those that the student finds likeliest. Their probabilities are scaled to a sum of 1; with ``add_tail``
    they stay, and the sum of all others' is one more. ``temperature`` divides both models' logits.
    """

    beta: float
    top_k: int = 0
    add_tail: bool = False
    temperature: float = 1.0

    def summed(
        self,
        student: tuple[Tensor, Module | None],
        teacher: tuple[Tensor, Module | None],
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return the divergence summed over tokens, in float32, each times its weight in ``weights``.

        Each model has its values ``[tokens, words]``: logits, or with an output layer beside them its inputs
        ``[tokens, size]``. Only the student's values get a gradient. Logits are computed a chunk at a time,
        and again in the backward pass.
        """
        (values, head), (known, known_head) = student, teacher
        total = values.new_zeros((), dtype=torch.float32)
        if weights is None:
            weights = torch.ones(len(values), device=values.device)
        for own, other, weight in zip(
            values.split(CHUNK), known.split(CHUNK), weights.split(CHUNK), strict=True
        ):
            total = total + checkpoint(
                self._of_chunk,
                *(own, head, other, known_head, weight),
                use_reentrant=False,
                preserve_rng_state=False,
            )
        return total

    def _of_chunk(
        self, values: Tensor, head: Module | None, known: Tensor, known_head: Module | None, weights: Tensor
    ) -> Tensor:
        student, teacher = (
            log_softmax(_logits(values, layer) / self.temperature, -1, dtype=torch.float32)
            for values, layer in ((values, head), (known, known_head))
        )
        if 0 < self.top_k < student.shape[-1]:
            student, tokens = student.topk(self.top_k)
            student, teacher = map(self._complete, (student, teacher.gather(-1, tokens)))
        return weights @ self._of_tokens(student, teacher)

    def _complete(self, likeliest: Tensor) -> Tensor:
        """Return a distribution over ``likeliest``, log-probabilities of some tokens ``[tokens, top_k]``."""
        covered = likeliest.logsumexp(-1, keepdim=True)
        if not self.add_tail:
            return likeliest - covered
        tail = torch.log(-torch.expm1(covered.clamp(max=LARGEST)))
        return torch.cat([likeliest, tail], -1)

    def _of_tokens(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the divergence at each token, ``[tokens]``, of log-probabilities ``[tokens, words]``."""
        if self.beta == 0:
            return _kl(student, teacher)
        if self.beta == 1:
            return _kl(teacher, student)
        mixture = torch.logaddexp(student + math.log1p(-self.beta), teacher + math.log(self.beta))
        return self.beta * _kl(mixture, teacher) + (1 - self.beta) * _kl(mixture, student)


def _kl(approximation: Tensor, truth: Tensor) -> Tensor:
    return kl_div(approximation, truth, reduction="none", log_target=True).sum(-1)


def _logits(values: Tensor, head: Module | None) -> Tensor:
    if head is None:
        return values
    logits: Tensor = head(values.to(head.weight.dtype))
    return logits


def outputs(model: Objective, rows: Sequence[Example]) -> tuple[Tensor, Module | None]:
    """Return the inputs of a model's output layer and that layer if it can be applied later; else logits."""
    if model.fused:
        values, head, _ = model.before_head(rows)
        return values, head
    with model.autocast():
        return model.logits(rows)[0], None
