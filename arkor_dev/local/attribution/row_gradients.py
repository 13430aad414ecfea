"""Gradients of an adapter's weights for each row of a batch, from one backward pass.

A low-rank layer adds ``B A x``. Its input ``x``, the low-rank ``A x`` and the gradients of ``A x`` and ``B A
x`` are captured; a row's gradients are sums over its own tokens: ``dA = Σ g(A x) xᵀ`` and ``dB = Σ g(B A x)
(A x)ᵀ``. Rows are padded, never packed: no two rows share a token.

Only the upper half of the adapter's layers is used, so the backward pass stops half-way.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from torch.nn import functional

from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.training.objective import rectangle
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from torch.nn import Linear, Module

    from arkor_dev.local.modeling.example import Example

ADAPTER = "default"


class RowGradients:
    """Splits the gradients of ``model``, a PEFT model with a low-rank adapter, by row.

    ``take(number, gradient)`` receives each weight's gradients ``[rows, …]`` in float32; weights are numbered
    as in ``names``, A before B. The model must be in evaluation mode, its base unpatched; its lower layers no
    longer require gradients. Raises JobFailure for an adapter with DoRA, or with trained weights other than
    those of linear layers.
    """

    def __init__(self, model: Module) -> None:
        self.model = model
        self.names: list[str] = []
        self.shapes: list[torch.Size] = []
        layers: list[tuple[str, Linear, Linear]] = []
        learning = {id(weight) for weight in model.parameters() if weight.requires_grad}
        for name, module in model.named_modules():
            if not isinstance(module, LoraLinear) or ADAPTER not in module.lora_A:
                continue
            if getattr(module, "lora_variant", {}):
                raise JobFailure("An adapter with DoRA has no gradients that can be split by row")
            down, up = module.lora_A[ADAPTER], module.lora_B[ADAPTER]
            layers.append((name, down, up))
            learning -= {id(down.weight), id(up.weight)}
        if not layers or learning:
            raise JobFailure("Only adapters of linear layers have gradients that can be split by row")
        lower, upper = layers[: len(layers) // 2], layers[len(layers) // 2 :]
        for _, down, up in lower:
            down.requires_grad_(requires_grad=False)
            up.requires_grad_(requires_grad=False)
        self._layers = [(down, up) for _, down, up in upper]
        for name, *pair in upper:
            for part, layer in zip(("lora_A", "lora_B"), pair, strict=True):
                self.names.append(f"{name}.{part}.{ADAPTER}.weight")
                self.shapes.append(layer.weight.shape)

    def __call__(self, rows: Sequence[Example], take: Callable[[int, Tensor], None]) -> list[float]:
        """Pass on the gradients of each row's loss, summed over its learned tokens; return the losses."""
        hooks = []

        def capture(number: int) -> Callable[..., None]:
            def hook(_: Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                x = inputs[0].detach()
                output.register_hook(lambda gradient: take(number, _by_row(gradient, x)))

            return hook

        for index, (down, up) in enumerate(self._layers):
            hooks.append(down.register_forward_hook(capture(2 * index)))
            hooks.append(up.register_forward_hook(capture(2 * index + 1)))
        try:
            losses = row_losses(self.model, rows)
            losses.sum().backward()
        finally:
            for hook in hooks:
                hook.remove()
            self.model.zero_grad(set_to_none=True)
        return [float(loss) for loss in losses.detach()]


def _by_row(gradient: Tensor, x: Tensor) -> Tensor:
    """Return ``gradientᵀ x`` for each row: ``[rows, tokens, out]`` and ``[rows, tokens, in]``."""
    return torch.bmm(gradient.float().transpose(1, 2), x.float())


def row_losses(model: Module, rows: Sequence[Example]) -> Tensor:
    """Return each row's cross entropy summed over its learned tokens with their weights, ``[rows]``,
    differentiable.
    """
    ids, mask, labels = (tensor.to(model.device) for tensor in rectangle(rows))
    targets = labels[:, 1:]
    positions = (targets != IGNORED).any(0).nonzero().squeeze(1)
    # Compute logits only at learned positions: the output layer is a large part of a small model's work.
    keeps = "logits_to_keep" in inspect.signature(unwrapped(model).forward).parameters
    extra = {"logits_to_keep": positions} if keeps else {}
    logits = model(input_ids=ids, attention_mask=mask, **extra).logits
    logits, targets = (logits if keeps else logits[:, positions]).float(), targets[:, positions]
    flat = functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    losses = flat.view(targets.shape)
    if any(row.weights for row in rows):
        weights = torch.ones_like(labels, dtype=losses.dtype)
        for index, row in enumerate(rows):
            if row.weights:
                weights[index, : len(row.weights)] = torch.tensor(row.weights)
        losses = losses * weights[:, 1:][:, positions]
    return losses.sum(1)
