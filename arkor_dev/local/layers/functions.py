"""The layers that cost the most, each as one function that keeps little and computes its own gradient.

Weights of the base model are frozen, so that no gradient of theirs is made and no input kept for it.
Activations are ``[…, size]``, in the number format of the weights; an adapter's weights are float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


class LoraLinear(torch.autograd.Function):  # type: ignore[misc]
    """``x W' + bias + scale * x A' B'``; ``a`` and ``b`` learn."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scale: float) -> Any:
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        down, up = a.to(weight.dtype), b.to(weight.dtype)
        low = flat @ down.t()
        made = functional.linear(flat, weight, bias).addmm_(low, up.t(), alpha=scale)
        ctx.save_for_backward(flat, weight, down, up, low)
        ctx.scale = scale
        return made.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        flat, weight, down, up, low = ctx.saved_tensors
        g = grad.reshape(-1, grad.shape[-1])
        low_grad = (g @ up).mul_(ctx.scale)
        up_grad = (g.t() @ low).float().mul_(ctx.scale)
        down_grad = (low_grad.t() @ flat).float()
        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = (g @ weight).addmm_(low_grad, down).view(*grad.shape[:-1], -1)
        return x_grad, None, None, down_grad, up_grad, None


class Norm(torch.autograd.Function):  # type: ignore[misc]
    """``x`` at a root mean square of one, times ``gain``; computed in float32."""

    @staticmethod
    def forward(ctx: Any, x: Any, gain: Any, epsilon: float) -> Any:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        inverse = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, gain, inverse)
        return (x * inverse).to(x.dtype) * gain

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        x, gain, inverse = ctx.saved_tensors
        wanted, unit = (grad * gain).float(), x * inverse
        along = torch.linalg.vecdot(wanted, unit).unsqueeze(-1).div_(x.shape[-1])
        return wanted.addcmul_(unit, along, value=-1).mul_(inverse).to(x.dtype), None, None


class GatedMlp(torch.autograd.Function):  # type: ignore[misc]
    """``down(activation(gate(x)) * up(x))``; only the two halves are kept."""

    @staticmethod
    def forward(ctx: Any, x: Any, gate: Any, up: Any, down: Any, activation: Any) -> Any:
        flat = x.reshape(-1, x.shape[-1])
        a, b = functional.linear(flat, gate), functional.linear(flat, up)
        ctx.save_for_backward(a, b, gate, up, down)
        ctx.activation = activation
        return functional.linear(activation(a) * b, down).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        a, b, gate, up, down = ctx.saved_tensors
        inner = grad.reshape(-1, grad.shape[-1]) @ down
        with torch.enable_grad():
            a = a.detach().requires_grad_()
            active = ctx.activation(a)
            (a_grad,) = torch.autograd.grad(active, a, inner * b)
        x_grad = (a_grad @ gate).addmm_(inner.mul_(active.detach()), up)
        return x_grad.view(*grad.shape[:-1], -1), None, None, None, None
