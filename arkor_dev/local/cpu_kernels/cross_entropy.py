"""Cross entropy that never holds all probabilities in float32."""

from __future__ import annotations

from typing import Any, Final

import torch

LOGITS_PER_STEP: Final = 2**18
"""Logits whose probabilities are computed at once: 1 MiB in float32, which a core's own cache holds. On a
busy machine each takes twice as long with 4 MiB."""


def summed_cross_entropy(logits: Any, targets: Any, smoothing: float = 0.0) -> Any:
    """Return the summed cross entropy of ``logits``, ``[tokens, words]``, to ``targets``, ``[tokens]``, in
    float32.

    Label smoothing spreads ``smoothing`` of each token's probability over all words.
    """
    return _Summed.apply(logits, targets, smoothing)


def summed_divergence(logits: Any, reference: Any) -> Any:
    """Return the summed Kullback-Leibler divergence of ``logits`` from ``reference``, in float32.

    Both are ``[tokens, words]``. It is the expected cross entropy of tokens that ``reference`` would write,
    above the least possible.

    Only ``logits`` get a gradient.
    """
    return _Divergence.apply(logits, reference)


def cross_entropies(logits: Any, targets: Any) -> Any:
    """Return each token's cross entropy, ``[tokens]``, in float32, without gradients."""
    step = max(1, LOGITS_PER_STEP // logits.shape[1])
    parts = [
        torch.nn.functional.cross_entropy(
            logits[start : start + step].float(), targets[start : start + step], reduction="none"
        )
        for start in range(0, len(targets), step)
    ]
    return torch.cat(parts)


def loss_and_gradient(part: Any, targets: Any, smoothing: float, learns: bool) -> tuple[Any, Any]:
    """Return the summed cross entropy of logits ``part`` and its gradient, both in float32.

    Without ``learns``, the content of the gradient is undefined.
    """
    indices = targets[:, None]
    shares = part.softmax(1, dtype=torch.float32)
    highest = part.amax(1, keepdim=True).float()
    # The logarithm of the sum of exponentials, by the probability of the most probable word.
    total = highest.sub(shares.amax(1, keepdim=True).log_()).sum()
    total -= (1 - smoothing) * part.gather(1, indices).sum(dtype=torch.float32)
    if smoothing:
        total -= smoothing * part.mean(1, dtype=torch.float32).sum()
        shares.sub_(smoothing / part.shape[1])
    if learns:
        shares.scatter_add_(1, indices, torch.full_like(highest, smoothing - 1))
    return total, shares


class _Summed(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, smoothing: float) -> Any:
        count, vocabulary = logits.shape
        learns = ctx.needs_input_grad[0]
        grad = torch.empty_like(logits) if learns else None
        total = torch.zeros((), dtype=torch.float32, device=logits.device)
        step = max(1, LOGITS_PER_STEP // vocabulary)
        for start in range(0, count, step):
            part = logits[start : start + step]
            loss, slope = loss_and_gradient(part, targets[start : start + step], smoothing, learns)
            total += loss
            if grad is not None:
                grad[start : start + step] = slope
        if learns:
            ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, None, None]:
        (saved,) = ctx.saved_tensors
        return saved.mul_(grad), None, None  # in place: it is as large as the logits, and needed only once


class _Divergence(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, logits: Any, reference: Any) -> Any:
        count, vocabulary = logits.shape
        learns = ctx.needs_input_grad[0]
        grad = torch.empty_like(logits) if learns else None
        total = torch.zeros((), dtype=torch.float32, device=logits.device)
        step = max(1, LOGITS_PER_STEP // vocabulary)
        for start in range(0, count, step):
            part = slice(start, start + step)
            expected, actual = (
                tensor[part].log_softmax(1, dtype=torch.float32) for tensor in (reference, logits)
            )
            shares = expected.exp()
            total += (shares * (expected - actual)).sum()
            if grad is not None:
                grad[part] = actual.exp_().sub_(shares)
        if learns:
            ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, None]:
        (saved,) = ctx.saved_tensors
        return saved.mul_(grad), None  # in place, as above
