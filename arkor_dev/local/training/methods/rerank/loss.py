"""Binary cross entropy of a reranker's head; it equals sentence-transformers' ``BinaryCrossEntropyLoss``,
which the tests compare it with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import binary_cross_entropy_with_logits

from arkor_dev.local.modeling.classes import HEAD
from arkor_dev.local.modeling.reranker import mark
from arkor_dev.local.training.objective import Objective, probe
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example


class RerankerLoss(Objective):
    """Binary cross entropy per row. A row's weight in means is 1."""

    def __init__(
        self, model: Module, device: str, dtype: torch.dtype, rows: Sequence[Example], *, noisy: bool = False
    ) -> None:
        super().__init__(model, device, dtype, rows, noisy=noisy)
        texts = probe(rows)
        if not self.encoder and not self.is_headless(texts, self.logits(texts)[0]):
            raise JobFailure(
                "This model changes what its output layer computes, so its hidden states cannot be read for "
                "a head: choose another base"
            )

    def __call__(self, rows: Sequence[Example]) -> tuple[Tensor, int]:
        """Return the cross entropy summed over ``rows``, and their number."""
        return self._losses(rows).sum(), len(rows)

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return each row's cross entropy with weight 1."""
        with self._evaluating():
            return [(loss, 1) for loss in self._losses(rows).tolist()]

    def relevance(self, rows: Sequence[Example]) -> list[float]:
        """Return each row's logit in evaluation mode: the higher, the more relevant."""
        with self._evaluating():
            logits: list[float] = self._logits(rows).tolist()
        return logits

    def save(self, folder: Path) -> None:
        """Mark the adapter in ``folder`` as a reranker's."""
        mark(folder)

    def _logits(self, rows: Sequence[Example]) -> Tensor:
        if self.encoder:
            return self.encoder_logits(rows).squeeze(-1)
        hidden, _, _ = self.before_head(rows)
        logits: Tensor = getattr(self._inner, HEAD)(hidden.float()).squeeze(-1)
        return logits

    def _losses(self, rows: Sequence[Example]) -> Tensor:
        logits = self._logits(rows)
        scores = logits.new_tensor([row.score or 0.0 for row in rows])
        return binary_cross_entropy_with_logits(logits, scores, reduction="none")
