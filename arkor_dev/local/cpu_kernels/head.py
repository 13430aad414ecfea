"""The output layer fused with its cross entropy: the logits of all tokens are never in memory at once.

With a vocabulary of 128,256 words, the logits of 4,096 tokens take 1 GB in 16 bits, and their gradient as
much again. Here they are computed for a few tokens at a time, and only the gradient of the layer's input is
kept (as in Liger Kernel, Hsu et al. 2024). The layer itself must be frozen and the last one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import linear

from .cross_entropy import losses_and_gradients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor
    from torch.autograd.function import FunctionCtx
    from torch.nn import Module

LOGITS_PER_STEP: Final = 2**26
"""Number of logits computed at once: 128 MiB in 16 bits, and twice that in float32."""
GRADIENT_SCALE: Final = 1024.0
"""Scale of gradients that are held in float16, whose range would lose small values."""


def can_be_fused(head: Module) -> bool:
    """Return whether ``head`` is a plain, frozen linear layer."""
    return type(head) is torch.nn.Linear and not any(weight.requires_grad for weight in head.parameters())


@contextmanager
def headless(model: Module) -> Iterator[Module]:
    """Make ``model`` return the inputs of its output layer instead of logits; yield that layer."""
    head = model.get_output_embeddings()
    head.forward = lambda hidden: hidden
    try:
        yield head
    finally:
        del head.forward


def fused_cross_entropies(hidden: Tensor, head: Module, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the cross entropy of ``head(hidden)`` to ``targets`` for each token, ``[tokens]``, in float32.

    ``hidden`` is ``[tokens, size]``; ``smoothing`` as in ``summed_cross_entropy``.
    """
    return _Fused.apply(hidden, head.weight, head.bias, targets, smoothing)


def _step(weight: Tensor) -> int:
    return max(1, LOGITS_PER_STEP // int(weight.shape[0]))


class _Fused(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: FunctionCtx, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> Tensor:
        learns = ctx.needs_input_grad[0]
        lifted = GRADIENT_SCALE if weight.dtype == torch.float16 else 1.0
        grad = torch.empty_like(hidden, dtype=weight.dtype) if learns else None
        losses = []
        step = _step(weight)
        for start in range(0, len(targets), step):
            part = linear(hidden[start : start + step].to(weight.dtype), weight, bias)
            chunk_losses, slopes = losses_and_gradients(
                part, targets[start : start + step], smoothing, learns
            )
            del part
            losses.append(chunk_losses)
            if grad is not None:
                torch.mm(slopes.mul_(lifted).to(weight.dtype), weight, out=grad[start : start + step])
        if learns:
            ctx.save_for_backward(grad)
            ctx.lifted = lifted
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (slopes,) = ctx.saved_tensors
        slopes.mul_(grad[:, None] / ctx.lifted)  # in place: it is used only once
        return slopes, None, None, None, None
