"""Cross entropy of a classifier's head; it equals that of transformers' ``LlamaForSequenceClassification``,
which the tests compare it with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from arkor_dev.contract.settings.classification import BALANCED
from arkor_dev.local.modeling.classes import HEAD
from arkor_dev.local.training.objective import Objective, probe
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.plan import Plan


class ClassifierLoss(Objective):
    """Cross entropy per row. A row's weight in means is 1.

    During training, it is multiplied by the weight of the row's class, and label smoothing is applied;
    evaluations stay comparable without both. Balanced weights are scikit-learn's ``class_weight``: with them,
    every class has the same total weight, and the mean weight of ``rows`` is 1.
    """

    def __init__(self, model: Any, device: str, dtype: Any, rows: Sequence[Example], plan: Plan) -> None:
        super().__init__(model, device, dtype, rows, noisy=plan.noise > 0)
        texts = probe(rows)
        if not self.is_headless(texts, self.logits(texts)[0]):
            raise JobFailure(
                "This model changes what its output layer computes, so its hidden states cannot be read for "
                "a head: choose another base"
            )
        self._smoothing = plan.smoothing
        self._weights: Any = None
        if plan.method["classWeight"] == BALANCED:
            learned = torch.tensor([row.labels[-1] for row in rows])
            counts = learned.bincount(minlength=self._head.out_features)
            self._weights = (len(rows) / (len(counts) * counts.clamp(min=1))).to(device)
        self._correct: list[Any] = []

    @property
    def _head(self) -> Any:
        return getattr(self._inner, HEAD)

    def class_logits(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Return the head's logits ``[rows, classes]`` in float32, and the rows' classes ``[rows]``."""
        hidden, _, targets = self.before_head(rows)
        return self._head(hidden.float()), targets

    def __call__(self, rows: Sequence[Example]) -> tuple[Any, float]:
        """Return the cross entropy summed over ``rows``, with class weights, and their number."""
        logits, targets = self.class_logits(rows)
        self._note(logits, targets)
        smoothing = self._smoothing if self.model.training else 0.0
        losses = cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
        if self._weights is not None and self.model.training:
            losses = losses * self._weights[targets]
        return losses.sum(), len(rows)

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return each row's cross entropy, without class weights, with weight 1."""
        logits, targets = self._evaluated(rows)
        self._note(logits, targets)
        return [(loss, 1) for loss in cross_entropy(logits, targets, reduction="none").tolist()]

    def log_probabilities(self, rows: Sequence[Example]) -> list[list[float]]:
        """Return the log probability of every class for each row, in evaluation mode."""
        by_row: list[list[float]] = self._evaluated(rows)[0].log_softmax(-1).tolist()
        return by_row

    def figures(self) -> dict[str, float]:
        """Return the accuracy on the rows since the last call."""
        noted, self._correct = self._correct, []
        return {"accuracy": float(torch.cat(noted).float().mean())} if noted else {}

    def _note(self, logits: Any, targets: Any) -> None:
        self._correct.append(logits.detach().argmax(-1) == targets)

    def _evaluated(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            logits_and_targets = self.class_logits(rows)
        self.model.train(training)
        return logits_and_targets
