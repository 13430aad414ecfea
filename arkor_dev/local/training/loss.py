"""What a model is measured by: cross entropy over the tokens that its rows teach."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from arkor_dev.local.modeling.base_model import bare

from .encoding import IGNORED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from .batches import Batch


class Loss:
    """Measures ``model``, which computes on ``device`` in the number format ``dtype``.

    While the model trains, ``smoothing`` of each token's probability is wanted of all tokens alike; what is
    measured apart from training stays comparable.
    """

    def __init__(self, model: Any, device: str, dtype: Any, smoothing: float = 0.0) -> None:
        self._model, self._device, self._dtype, self._smoothing = model, device, dtype, smoothing
        inner = bare(model)
        self._keeps_logits = "logits_to_keep" in inspect.signature(inner.forward).parameters

    def __call__(self, batch: Batch) -> tuple[Any, int]:
        """Summed cross entropy of a batch's completion tokens, and their number.

        Logits are computed only at positions that some row learns from: with a vocabulary of tens of
        thousands, the output layer is a large part of a small model's work.
        """
        targets = batch.labels[:, 1:]
        kept = (targets != IGNORED).any(0).nonzero().squeeze(1)
        device = self._device
        extra = {"logits_to_keep": kept.to(device)} if self._keeps_logits else {}
        with self._autocast():
            logits = self._model(
                input_ids=batch.ids.to(device), attention_mask=batch.mask.to(device), **extra
            ).logits
        if not extra:
            logits = logits[:, kept.to(device)]
        wanted = targets[:, kept].to(device)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(),
            wanted.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self._smoothing if self._model.training else 0.0,
        )
        return loss, int((wanted != IGNORED).sum())

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._dtype == torch.float32:
            return nullcontext()
        cast: AbstractContextManager[Any] = torch.autocast(self._device, self._dtype)
        return cast
