"""The most expensive layers as fused autograd functions that save little and compute their own gradients.

The base's weights are frozen, so they need no gradients and no saved inputs. Activations are ``[…, size]``,
in the dtype of the weights; adapter weights are float32. Activations at an adapter's rank are stored as
``[rank, tokens]``: products with so few columns take two to four times as long as with so few rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional
from transformers.activations import SiLUActivation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from torch.autograd.function import FunctionCtx


class Linear(NamedTuple):
    """The weights of ``x W' + bias + scale * x A' B'``; ``a`` and ``b`` are None without an adapter."""

    weight: Tensor
    bias: Tensor
    a: Tensor
    b: Tensor
    scale: float


class LoraLinears(torch.autograd.Function):  # type: ignore[misc]
    """Several linear layers with the same input: ``apply(x, scales, *tensors)`` returns a tuple of outputs.

    ``tensors`` are weight, bias, ``a`` and ``b`` of each layer, ``scales`` their scales; ``a`` and ``b`` are
    trained.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, scales: tuple[float, ...], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        layers = _layers(tensors, scales)
        flat = x.reshape(-1, x.shape[-1]).to(layers[0].weight.dtype)
        down, ups, low = _lower(flat, layers)
        outputs = [
            _raise(flat, layer, low_of, up) for layer, low_of, up in zip(layers, low, ups, strict=True)
        ]
        ctx.save_for_backward(flat, down, *ups, *low, *(layer.weight for layer in layers))
        ctx.scales = scales
        return tuple(output.view(*x.shape[:-1], -1) for output in outputs)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, ...]:
        count = len(ctx.scales)
        flat, down, *rest = ctx.saved_tensors
        ups, low, weights = rest[:count], rest[count : 2 * count], rest[2 * count :]
        flat_grads = [grad.reshape(-1, grad.shape[-1]) for grad in grads]
        x_grad, learned = _gradients(
            flat, flat_grads, weights, down, ups, low, ctx.scales, ctx.needs_input_grad[0]
        )
        return (None if x_grad is None else x_grad.view(*grads[0].shape[:-1], -1), None, *learned)


class Norm(torch.autograd.Function):  # type: ignore[misc]
    """RMS normalisation: ``x`` divided by its root mean square, times ``gain``; computed in float32."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gain: Tensor, epsilon: float) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        inverse = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, gain, inverse)
        # On a CPU, casting first is faster than multiplying tensors of two dtypes.
        return (x.float() * inverse).to(x.dtype).mul_(gain)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, ...]:
        x, gain, inverse = ctx.saved_tensors
        scaled, unit = (grad * gain).float(), x.float() * inverse
        along = torch.linalg.vecdot(scaled, unit).unsqueeze(-1).div_(x.shape[-1])
        return scaled.addcmul_(unit, along, value=-1).mul_(inverse).to(x.dtype), None, None


class Rotate(torch.autograd.Function):  # type: ignore[misc]
    """Rotary position embedding of queries and keys, ``[rows, heads, positions, size]``: ``apply(q, k, cos,
    sin)`` returns both.

    ``cos`` and ``sin`` broadcast to both; each position's halves are rotated against each other.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        half = cos.shape[-1] // 2
        sin = torch.cat((-sin[..., :half], sin[..., half:]), -1)
        ctx.save_for_backward(cos, sin)
        return _rotated(q, cos, sin), _rotated(k, cos, sin)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, ...]:
        cos, sin = ctx.saved_tensors
        back = sin.roll(sin.shape[-1] // 2, -1)
        return (*(_rotated(grad, cos, back) for grad in grads), None, None)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return (x * cos).addcmul_(x.roll(x.shape[-1] // 2, -1), sin)


class GatedMlp(torch.autograd.Function):  # type: ignore[misc]
    """``down(activation(gate(x)) * up(x))``: ``apply(x, activation, scales, *tensors)``.

    ``tensors`` and ``scales`` are those of gate, up and down, as in `LoraLinears`. Saves the input, the
    outputs of gate and up, and the activated gate; recomputes the input of ``down``.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        activation: Callable[[Tensor], Tensor],
        scales: tuple[float, ...],
        *tensors: Tensor,
    ) -> Tensor:
        gate, up, last = _layers(tensors, scales)
        flat = x.reshape(-1, x.shape[-1])
        down, ups, low = _lower(flat, (gate, up))
        a, b = (
            _raise(flat, *tensors_of_layer) for tensors_of_layer in zip((gate, up), low, ups, strict=True)
        )
        active = activation(a)
        inner = active * b
        last_down, last_ups, last_low = _lower(inner, (last,))
        output = _raise(inner, last, last_low[0], last_ups[0])
        weights = (gate.weight, up.weight, last.weight)
        saved_input = flat if down is not None else None
        ctx.save_for_backward(
            saved_input, a, b, active, *weights, down, last_down, *ups, *last_ups, *low, *last_low
        )
        ctx.activation, ctx.scales = activation, scales
        return output.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, ...]:
        flat, a, b, active, gate, up, last, down, last_down, *small = ctx.saved_tensors
        ups, low = small[:3], small[3:]
        g = grad.reshape(-1, grad.shape[-1])
        inner = active * b if last_down is not None else None
        inner_grad, last_learned = _gradients(
            inner, [g], [last], last_down, ups[2:], low[2:], ctx.scales[2:], needs_input=True
        )
        a_grad = _through(ctx.activation, a, inner_grad * b)
        b_grad = inner_grad.mul_(active)
        x_grad, learned = _gradients(
            flat,
            [a_grad, b_grad],
            [gate, up],
            down,
            ups[:2],
            low[:2],
            ctx.scales[:2],
            ctx.needs_input_grad[0],
        )
        x_grad = None if x_grad is None else x_grad.view(grad.shape)
        return (x_grad, None, None, *learned, *last_learned)


def _layers(tensors: Sequence[Tensor], scales: Sequence[float]) -> list[Linear]:
    parts = (tensors[start : start + 4] for start in range(0, len(tensors), 4))
    return [
        Linear(weight, bias, a, b, scale) for (weight, bias, a, b), scale in zip(parts, scales, strict=True)
    ]


def _lower(x: Tensor, layers: Sequence[Linear]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return the adapters of ``layers`` in the dtype of ``x``, ``[tokens, size]``, and ``x`` projected to
    their ranks.

    Returns all ``a`` stacked to ``[ranks, size]`` (None without adapters), each scaled ``b``, and each
    projection ``[rank, tokens]``: a single product serves all layers with the same input.
    """
    adapted = [layer for layer in layers if layer.a is not None]
    if not adapted:
        return None, [None] * len(layers), [None] * len(layers)
    down = torch.cat([layer.a for layer in adapted]).to(x.dtype)
    low = iter((down @ x.t()).split([len(layer.a) for layer in adapted]))
    ups = [None if layer.b is None else (layer.b * layer.scale).to(x.dtype) for layer in layers]
    return down, ups, [None if layer.a is None else next(low) for layer in layers]


def _raise(x: Tensor, layer: Linear, low: Tensor, up: Tensor) -> Tensor:
    output = functional.linear(x, layer.weight, layer.bias)
    return output if low is None else output.addmm_(low.t(), up.t())


def _gradients(
    x: Tensor,
    grads: Sequence[Tensor],
    weights: Sequence[Tensor],
    down: Tensor,
    ups: Sequence[Tensor],
    low: Sequence[Tensor],
    scales: Sequence[float],
    needs_input: bool,
) -> tuple[Tensor, list[Tensor]]:
    """Return the gradient of ``x`` if ``needs_input``, and of each layer's weight, bias, ``a`` and ``b``.

    ``grads`` are the gradients of the layers' outputs, ``[tokens, size]``; the other arguments come from
    `_lower`.
    """
    x_grad = None
    if needs_input:
        x_grad = grads[0] @ weights[0]
        for grad, weight in zip(grads[1:], weights[1:], strict=True):
            x_grad.addmm_(grad, weight)
    if down is None:
        return x_grad, [None] * (4 * len(grads))
    low_grads = [up.t() @ grad.t() for grad, up in zip(grads, ups, strict=True) if up is not None]
    low_grad = torch.cat(low_grads) if len(low_grads) > 1 else low_grads[0]
    if x_grad is not None:
        x_grad.addmm_(low_grad.t(), down)
    down_grads = iter((low_grad @ x).float().split([len(low_part) for low_part in low_grads]))
    learned: list[Tensor] = []
    for grad, low_of, scale in zip(grads, low, scales, strict=True):
        if low_of is None:
            learned += [None] * 4
        else:
            up_grad = (low_of @ grad).t().to(torch.float32, memory_format=torch.contiguous_format)
            learned += [None, None, next(down_grads), up_grad.mul_(scale)]
    return x_grad, learned


def _through(activation: Callable[[Tensor], Tensor], value: Tensor, grad: Tensor) -> Tensor:
    """Return the gradient of ``value``, from ``grad``, the gradient of ``activation(value)``, which may be
    overwritten.
    """
    if isinstance(activation, torch.nn.SiLU | SiLUActivation):  # without recomputing the activation
        return torch.ops.aten.silu_backward.grad_input(grad, value, grad_input=grad)
    with torch.enable_grad():
        value = value.detach().requires_grad_()
        return torch.autograd.grad(activation(value), value, grad)[0]
