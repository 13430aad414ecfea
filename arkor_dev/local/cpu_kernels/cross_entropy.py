"""Cross entropy that never holds all probabilities in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor
    from torch.autograd.function import FunctionCtx

LOGITS_PER_STEP: Final = 2**18
"""Number of logits whose probabilities are computed at once: 1 MiB in float32, which fits into a core's own
cache. On a busy machine, each takes twice as long with 4 MiB.
"""


def summed_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Return the summed cross entropy of ``logits``, ``[tokens, words]``, to ``targets``, ``[tokens]``, in
    float32; each token's is multiplied by its ``weights``, ``[tokens]``, if given.

    Label smoothing spreads ``smoothing`` of each token's probability over all words.
    """
    return _Summed.apply(logits, targets, smoothing, weights)


def summed_divergence(logits: Tensor, known: Tensor) -> Tensor:
    """Return the summed Kullback-Leibler divergence of ``logits`` from ``known``, both ``[tokens, words]``,
    in float32: the excess cross entropy of ``logits`` on tokens sampled from ``known``.

    Only ``logits`` get a gradient.
    """
    return _Divergence.apply(logits, known)


def cross_entropies(logits: Tensor, targets: Tensor) -> Tensor:
    """Return each token's cross entropy, ``[tokens]``, in float32.

    The backward pass overwrites ``logits`` with the gradient, so nothing else may need them by then.
    """
    return _TokenLosses.apply(logits, targets)


def losses_and_gradients(
    part: Tensor, targets: Tensor, smoothing: float, learns: bool
) -> tuple[Tensor, Tensor]:
    """Return the cross entropy of each token of logits ``part``, ``[tokens]``, and their gradients, both in
    float32.

    Without ``learns``, the content of the gradients is undefined.
    """
    column = targets[:, None]
    shares = part.softmax(1, dtype=torch.float32)
    highest = part.amax(1, keepdim=True).float()
    # The log-sum-exp, computed from the probability of the likeliest word.
    losses = highest.sub(shares.amax(1, keepdim=True).log_())
    losses -= (1 - smoothing) * part.gather(1, column).float()
    if smoothing:
        losses -= smoothing * part.mean(1, keepdim=True, dtype=torch.float32)
        shares.sub_(smoothing / part.shape[1])
    if learns:
        shares.scatter_add_(1, column, torch.full_like(highest, smoothing - 1))
    return losses.squeeze(1), shares


def _chunks(logits: Tensor) -> list[slice]:
    step = max(1, LOGITS_PER_STEP // logits.shape[1])
    return [slice(start, start + step) for start in range(0, len(logits), step)]


class _TokenLosses(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, targets: Tensor) -> Tensor:
        ctx.save_for_backward(logits, targets)
        losses = torch.empty(len(targets), dtype=torch.float32, device=logits.device)
        for chunk in _chunks(logits):
            losses[chunk] = cross_entropy(logits[chunk].float(), targets[chunk], reduction="none")
        return losses

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        logits, targets = ctx.saved_tensors
        logits = logits.detach()
        for chunk in _chunks(logits):
            shares = logits[chunk].softmax(1, dtype=torch.float32)
            shares.scatter_add_(1, targets[chunk, None], shares.new_full((len(shares), 1), -1.0))
            logits[chunk] = shares.mul_(grad[chunk, None])
        return logits, None


class _Summed(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: FunctionCtx, logits: Tensor, targets: Tensor, smoothing: float, weights: Tensor | None
    ) -> Tensor:
        learns = ctx.needs_input_grad[0]
        grad = torch.empty_like(logits) if learns else None
        total = torch.zeros((), dtype=torch.float32, device=logits.device)
        for chunk in _chunks(logits):
            losses, slopes = losses_and_gradients(logits[chunk], targets[chunk], smoothing, learns)
            if weights is not None:
                losses *= weights[chunk]
                slopes *= weights[chunk, None]
            total += losses.sum()
            if grad is not None:
                grad[chunk] = slopes
        if learns:
            ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        # In place: it is as large as the logits and used only once.
        return slopes.mul_(grad), None, None, None


class _Divergence(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, known: Tensor) -> Tensor:
        count, words = logits.shape
        learns = ctx.needs_input_grad[0]
        grad = torch.empty_like(logits) if learns else None
        total = torch.zeros((), dtype=torch.float32, device=logits.device)
        step = max(1, LOGITS_PER_STEP // words)
        for start in range(0, count, step):
            part = slice(start, start + step)
            known_logs, logs = (
                tensor[part].log_softmax(1, dtype=torch.float32) for tensor in (known, logits)
            )
            shares = known_logs.exp()
            total += (shares * (known_logs - logs)).sum()
            if grad is not None:
                grad[part] = logs.exp_().sub_(shares)
        if learns:
            ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return slopes.mul_(grad), None  # in place, as above
