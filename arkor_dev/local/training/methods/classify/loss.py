"""Loss of a classifier's head, equal to that of transformers' ``AutoModelForSequenceClassification``.

It is the cross entropy, or if rows may have several labels, the mean of every label's binary cross entropy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid

from arkor_dev.contract.settings.classification import BALANCED, UNWEIGHTED, as_list
from arkor_dev.local.modeling.head import head_parts
from arkor_dev.local.training.objective import Objective, probe
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.plan import Plan


class ClassifierLoss(Objective):
    """Cross entropy per row. A row's weight in means is 1.

    During training, it is multiplied by the weight of the row's class, and label smoothing is applied;
    evaluations stay comparable without both. Balanced weights are scikit-learn's ``class_weight``: with them,
    every class has the same total weight, and the mean weight of ``rows`` is 1. If rows may have several
    labels, those with a label have the same total weight as those without it. Of weights given by label, that
    of a row's label counts; with several, as torch's ``pos_weight``.
    """

    def __init__(
        self, model: Module, device: str, dtype: torch.dtype, rows: Sequence[Example], plan: Plan
    ) -> None:
        super().__init__(model, device, dtype, rows, noisy=plan.noise > 0)
        texts = probe(rows)
        if not self.encoder and not self.is_headless(texts, self.logits(texts)[0]):
            raise JobFailure(
                "This model changes what its output layer computes, so its hidden states cannot be read for "
                "a head: choose another base"
            )
        self._smoothing = plan.smoothing
        self._weights: Tensor | None = None
        self._several = rows[0].classes is not None
        chosen = as_list(plan.method["classWeight"])
        if chosen == [BALANCED] and self._several:
            counts = self._targets(rows, None).sum(0)
            absent, present = (len(rows) / (2 * each.clamp(min=1)) for each in (len(rows) - counts, counts))
            self._weights = torch.stack([absent, present])
        elif chosen == [BALANCED]:
            learned = torch.tensor([row.labels[-1] for row in rows])
            counts = learned.bincount(minlength=self._head.out_features)
            self._weights = (len(rows) / (len(counts) * counts.clamp(min=1))).to(device)
        elif chosen != [UNWEIGHTED]:  # completed by the method, in the order of the classes
            given = torch.tensor([float(entry.rpartition("=")[2]) for entry in chosen])
            self._weights = (torch.stack([torch.ones_like(given), given]) if self._several else given).to(
                device
            )
        self._correct: list[Tensor] = []

    @property
    def _head(self) -> Tensor:
        return getattr(self._inner, head_parts(self._inner.config)[-1])

    def class_logits(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return the head's logits ``[rows, classes]`` in float32, and the rows' classes ``[rows]``; if they
        may have several, whether they have each, ``[rows, classes]``.
        """
        if self.encoder:
            labels = torch.tensor([row.labels[-1] for row in rows], device=self.device)
            return self.encoder_logits(rows), self._targets(rows, labels)
        hidden, _, targets = self.before_head(rows)
        return self._head(hidden.float()), self._targets(rows, targets)

    def _targets(self, rows: Sequence[Example], targets: Tensor | None) -> Tensor:
        if not self._several:
            assert targets is not None
            return targets
        several = torch.zeros(len(rows), self._head.out_features)
        for number, row in enumerate(rows):
            several[number, list(row.classes or ())] = 1
        return several.to(self.device)

    def _losses(
        self, logits: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None
    ) -> Tensor:
        """Return each row's loss, ``[rows]``; ``weights`` as in `_weights`."""
        if self._several:
            smoothed = targets * (1 - smoothing) + smoothing / 2
            weight = None if weights is None else torch.where(targets > 0, weights[1], weights[0])
            return binary_cross_entropy_with_logits(logits, smoothed, weight, reduction="none").mean(1)
        losses = cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
        return losses if weights is None else losses * weights[targets]

    def __call__(self, rows: Sequence[Example]) -> tuple[Tensor, float]:
        """Return the cross entropy summed over ``rows``, with class weights, and their number."""
        logits, targets = self.class_logits(rows)
        self._note(logits, targets)
        options = (self._smoothing, self._weights) if self.model.training else ()
        return self._losses(logits, targets, *options).sum(), len(rows)

    def one_pass(self, rows: Sequence[Example]) -> bool:
        """See :meth:`Objective.one_pass`."""
        return self._passes_once(rows)

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return each row's cross entropy, without class weights, with weight 1."""
        logits, targets = self._evaluated(rows)
        self._note(logits, targets)
        return [(loss, 1) for loss in self._losses(logits, targets).tolist()]

    def log_probabilities(self, rows: Sequence[Example]) -> list[list[float]]:
        """Return the log probability of every class for each row, in evaluation mode."""
        logits = self._evaluated(rows)[0]
        by_row: list[list[float]] = (logsigmoid(logits) if self._several else logits.log_softmax(-1)).tolist()
        return by_row

    def figures(self) -> dict[str, float]:
        """Return the accuracy on the rows since the last call: the share of those with all labels right."""
        noted, self._correct = self._correct, []
        return {"accuracy": float(torch.cat(noted).float().mean())} if noted else {}

    def _note(self, logits: Tensor, targets: Tensor) -> None:
        logits = logits.detach()
        if self._several:
            self._correct.append(((logits > 0) == (targets > 0)).all(1))
        else:
            self._correct.append(logits.argmax(-1) == targets)

    def _evaluated(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            logits_and_targets = self.class_logits(rows)
        self.model.train(training)
        return logits_and_targets
