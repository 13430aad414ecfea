"""A row's embedding and loss under a base model, from one forward pass."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn import functional

from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.training.objective import rectangle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.local.modeling.example import Example

TOKENS_AT_ONCE: Final = 2048


class Embedder:
    """Embeds rows with ``model``: the mean of the last layer's outputs over all tokens of a row."""

    def __init__(self, model: Any, device: str) -> None:
        self._model, self._device = model.eval(), device
        keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._keeps_logits = keeps
        self._last: Any = None
        model.base_model.register_forward_hook(self._capture)

    def _capture(self, _: Any, __: Any, output: Any) -> None:
        self._last = output[0]

    def __call__(self, rows: Sequence[Example]) -> tuple[Any, list[float]]:
        """Return the rows' embeddings ``[rows, width]``, float32, and their losses in nats per learned token.

        The loss of a row with nothing to learn is nan.
        """
        with torch.inference_mode():
            return self._measured(rows)

    def _measured(self, rows: Sequence[Example]) -> tuple[Any, list[float]]:
        ids, mask, labels = (each.to(self._device) for each in rectangle(rows))
        targets = labels[:, 1:]
        kept = (targets != IGNORED).any(0).nonzero().squeeze(1)
        extra = {"logits_to_keep": kept if len(kept) else 1} if self._keeps_logits else {}
        logits = self._model(input_ids=ids, attention_mask=mask, **extra).logits
        hidden, self._last = self._last.float(), None
        weights = mask.unsqueeze(2).to(hidden.dtype)
        vectors = (hidden * weights).sum(1) / weights.sum(1)
        if not len(kept):
            return vectors.cpu(), [float("nan")] * len(rows)
        targets = targets[:, kept]
        logits = (logits if extra else logits[:, kept]).float()
        flat = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        sums = flat.view(targets.shape).sum(1)
        return vectors.cpu(), (sums / (targets != IGNORED).sum(1)).tolist()


def batches(rows: Sequence[Example]) -> Iterator[list[int]]:
    """Yield the places of all ``rows`` in batches of similar length, the shortest first."""
    batch: list[int] = []
    for place in sorted(range(len(rows)), key=lambda place: len(rows[place].ids)):
        if batch and (len(batch) + 1) * len(rows[place].ids) > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
