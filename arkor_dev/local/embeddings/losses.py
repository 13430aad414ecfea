"""Measures rows' losses under a model."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.training.objective import rectangle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch.nn import Module

    from arkor_dev.local.inference.classifier_head import ClassifierHead
    from arkor_dev.local.modeling.example import Example

TOKENS_AT_ONCE: Final = 2048


def losses_of(model: Module, rows: Sequence[Example], device: str) -> list[float]:
    """Return the rows' losses in nats per learned token, nan for a row without learned tokens."""
    ids, mask, labels = (tensor.to(device) for tensor in rectangle(rows))
    targets = labels[:, 1:]
    positions = (targets != IGNORED).any(0).nonzero().squeeze(1)
    if not len(positions):
        return [float("nan")] * len(rows)
    owner = model.get_base_model() if hasattr(model, "get_base_model") else model
    keeps = "logits_to_keep" in inspect.signature(owner.forward).parameters
    with torch.inference_mode():
        extra = {"logits_to_keep": positions} if keeps else {}
        logits = model(input_ids=ids, attention_mask=mask, **extra).logits
        targets = targets[:, positions]
        logits = (logits if keeps else logits[:, positions]).float()
        flat = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        sums = flat.view(targets.shape).sum(1)
        return (sums / (targets != IGNORED).sum(1)).tolist()  # type: ignore[no-any-return]


def label_losses_of(
    model: torch.nn.Module,
    head: ClassifierHead,
    rows: Sequence[Example],
    device: str,
    temperature: float = 1.0,
) -> list[float]:
    """Return the rows' cross entropy in nats under a classifier, calibrated with ``temperature``.

    ``model`` computes the hidden states; a row's last label is the number of its class, after the last token.
    """
    ids, mask, _ = rectangle(rows)
    ids, mask = ids[:, :-1].to(device), mask[:, 1:].to(device)
    classes = torch.tensor([row.labels[-1] for row in rows], device=device)
    with torch.inference_mode():
        hidden = unwrapped(model).base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        logits = head.logits(hidden, mask.sum(1)) / temperature
        if head.multiple:
            targets = torch.zeros_like(logits)
            for number, row in enumerate(rows):
                targets[number, list(row.classes or ())] = 1
            losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
        else:
            losses = functional.cross_entropy(logits, classes, reduction="none")
        return losses.tolist()  # type: ignore[no-any-return]


def batches(rows: Sequence[Example]) -> Iterator[list[int]]:
    """Yield the indices of all ``rows`` in batches of similar length, shortest first."""
    batch: list[int] = []
    for index in sorted(range(len(rows)), key=lambda index: len(rows[index].ids)):
        if batch and (len(batch) + 1) * len(rows[index].ids) > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
