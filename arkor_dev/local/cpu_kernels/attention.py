"""Causal attention over packed rows: each row attends only to itself.

On a CPU, short rows of similar length are computed together, in blocks of queries: in bfloat16 torch's own
kernel takes twice as long forward and four times as long backward. Probabilities are saved for the gradients
of short rows and recomputed for long ones. On a GPU each row uses torch's own kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.autograd.function import FunctionCtx
    from torch.nn import Module

    from .packing import AttentionGroup, PackedRows, Span

NAME: Final = "arkor_rows"
HARMLESS: Final = frozenset(
    {"sliding_window", "position_ids", "use_cache", "output_attentions", "output_hidden_states"}
)
"""Arguments that a model may pass without requesting a different kind of attention."""
BLOCK: Final = 64
"""Number of queries computed at once; keys after a block are never read."""


class CurrentBatch:
    """The packed batch that the model is computing: global, because a process trains only one model."""

    packed: PackedRows | None = None


def attend(
    module: Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    **more: object,
) -> tuple[Tensor, None]:
    """The attention function for transformers with packed rows.

    Takes ``[1, heads, positions, size]``, returns ``[1, positions, heads, size]``.
    """
    packed = CurrentBatch.packed
    if packed is None or packed.ids.shape[1] != query.shape[2]:
        raise RuntimeError("this batch's rows have not been packed")
    window = more.get("sliding_window")
    known = all(value is None or name in HARMLESS for name, value in more.items())
    plain = bool(packed.groups) and known and not dropout and getattr(module, "is_causal", True)
    if (
        plain
        and query.shape[-1] == value.shape[-1]
        and not (isinstance(window, int) and 0 < window < packed.longest)
    ):
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return _Attend.apply(query, key, value, packed, scale).transpose(1, 2), None
    return _row_by_row(
        packed, module, (query, key, value), {"scaling": scaling, "dropout": dropout, **more}
    ), None


def _row_by_row(
    packed: PackedRows, module: Module, tensors: tuple[Tensor, Tensor, Tensor], more: dict[str, object]
) -> Tensor:
    """Compute like transformers, one row after another."""
    outputs = []
    query, window = tensors[0], more.get("sliding_window")
    for spans in packed.rows:
        row = [_row_of(tensor, spans) for tensor in tensors]
        length = row[0].shape[2]
        mask = None
        if window and window < length:
            places = torch.arange(length, device=query.device)
            back = places[:, None] - places
            mask = ((back >= 0) & (back < window))[None, None]
        out = sdpa_attention_forward(module, *row, mask, **more)[0]
        outputs.append(out[:, spans[-1].at :])
    return torch.cat(outputs, dim=1)


def _row_of(tensor: Tensor, spans: Sequence[Span]) -> Tensor:
    """Return one row of ``tensor``, ``[1, heads, positions, size]``."""
    parts = [tensor.narrow(2, start, end - start) for _, start, end in spans]
    return torch.cat(parts, 2) if len(parts) > 1 else parts[0]


def _gather(tensor: Tensor, group: AttentionGroup) -> Tensor:
    """Gather a group's rows of ``tensor``, ``[1, heads, positions, size]``: ``[rows, length, heads,
    size]``.
    """
    rows = tensor[0].transpose(0, 1).index_select(0, group.positions)
    return rows.view(group.rows, group.length, *rows.shape[1:])


def _by_head(rows: Tensor) -> Tensor:
    """Reshape ``[rows, length, heads, size]`` to ``[rows * heads, length, size]``, for batched products."""
    return rows.transpose(1, 2).reshape(-1, rows.shape[1], rows.shape[3])


class _Attend(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: FunctionCtx, query: Tensor, key: Tensor, value: Tensor, packed: PackedRows, scale: float
    ) -> Tensor:
        out = torch.empty_like(query.transpose(1, 2)[0], memory_format=torch.contiguous_format)
        saved, counts = [], []
        for group in packed.groups:
            q, k, v = (_gather(tensor, group) for tensor in (query, key, value))
            k, v = _by_head(k), _by_head(v)
            attended, probabilities = _attended(q, k, v, scale)
            attended = attended.flatten(0, 1)
            for at, start, end in group.new_spans:
                out[start:end] = attended[at : at + end - start]
            saved += [q, k, v, *probabilities]
            counts.append(3 + len(probabilities))
        ctx.save_for_backward(*saved)
        ctx.packed, ctx.scale, ctx.counts = packed, scale, counts
        return out[None].transpose(1, 2)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, ...]:
        packed, saved = ctx.packed, iter(ctx.saved_tensors)
        places = packed.ids.shape[1]
        grads: list[Tensor] = []
        for group, count in zip(packed.groups, ctx.counts, strict=True):
            q, k, v, *probabilities = (next(saved) for _ in range(count))
            g = _gather(grad, group)
            g.flatten(0, 1).index_fill_(0, group.empty, 0)
            gradients = _gradients(q, k, v, g, probabilities, ctx.scale)
            # Summing many rows' gradients in 16 bits would lose small ones.
            dtype = torch.float32 if packed.saved else grad.dtype
            grads = grads or [
                gradient.new_zeros(places, *gradient.shape[2:], dtype=dtype) for gradient in gradients
            ]
            for into, gradient in zip(grads, gradients, strict=True):
                flat = gradient.to(dtype, memory_format=torch.contiguous_format).flatten(0, 1)
                for at, start, end in group.spans:
                    # Unlike +=, this does not copy the sum onto itself.
                    into[start:end].add_(flat[at : at + end - start])
        return (*(gradient[None].to(grad.dtype).transpose(1, 2) for gradient in grads), None, None)


def _attended(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, list[Tensor]]:
    """Compute causal attention for queries ``[rows, length, heads, size]``; the result has the same shape.

    ``k`` and ``v`` are ``[rows * key heads, length, size]``. The second result has the blocks' probabilities,
    which are saved for the gradients if they take at most twice the queries' memory; otherwise it is empty.
    """
    out, probabilities = torch.empty_like(q), []
    keeps = q.shape[1] <= 2 * q.shape[3]
    future = _future(q)
    for start, end in _blocks(q.shape[1]):
        shares = _probabilities(_block(q, len(k), start, end), k, future, start, end, scale)
        _put(out, shares @ v[:, :end], start, end)
        if keeps:
            probabilities.append(shares)
    return out, probabilities


def _gradients(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, probabilities: Sequence[Tensor], scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of queries, keys and values, each ``[rows, length, heads or key heads, size]``.

    ``g`` is the gradient of `_attended`'s result, and ``probabilities`` the saved probabilities.
    """
    rows, length, _, size = q.shape
    dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    future = _future(q)
    blocks = _blocks(length)
    for number, (start, end) in reversed(list(enumerate(blocks))):
        queries, output_grad = (_block(tensor, len(k), start, end) for tensor in (q, g))
        shares = (
            probabilities[number] if probabilities else _probabilities(queries, k, future, start, end, scale)
        )
        fall = output_grad @ v[:, :end].transpose(1, 2)
        fall = torch.ops.aten._softmax_backward_data(fall, shares, -1, fall.dtype)  # noqa: SLF001
        _put(dq, fall @ k[:, :end], start, end)
        # The last block attends to all keys, so it initialises the gradients; the others add to them.
        beta = 0 if end == length else 1
        dk[:, :end].baddbmm_(fall.transpose(1, 2), queries, beta=beta, alpha=scale)
        dv[:, :end].baddbmm_(shares.transpose(1, 2), output_grad, beta=beta)
    dk, dv = (gradient.view(rows, -1, length, size).transpose(1, 2) for gradient in (dk, dv))
    return dq.mul_(scale), dk, dv


def _blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


def _block(tensor: Tensor, count: int, start: int, end: int) -> Tensor:
    """Return queries ``start`` to ``end`` of ``[rows, length, heads, size]`` as ``[count, queries, size]``.

    ``count`` is rows times key heads. Heads that share a key are stacked, so that one product serves them.
    """
    return tensor[:, start:end].transpose(1, 2).reshape(count, -1, tensor.shape[3])


def _put(into: Tensor, block: Tensor, start: int, end: int) -> None:
    """Undo `_block`: write a block's values to its positions in ``[rows, length, heads, size]``."""
    rows, _, heads, size = into.shape
    into[:, start:end] = block.view(rows, heads, end - start, size).transpose(1, 2)


def _future(q: Tensor) -> Tensor:
    """Return the additive mask within a block, ``[BLOCK, BLOCK]``, which hides later keys."""
    return q.new_full((BLOCK, BLOCK), -torch.inf).triu_(1)


def _probabilities(block: Tensor, k: Tensor, future: Tensor, start: int, end: int, scale: float) -> Tensor:
    """Return a block's probabilities over its keys, ``[count, queries, end]``, in ``k``'s dtype."""
    queries = end - start
    scores = block.new_empty(len(k), block.shape[1], end)
    scores.baddbmm_(block, k[:, :end].transpose(1, 2), beta=0, alpha=scale)
    scores.view(len(k), -1, queries, end)[..., start:].add_(future[:queries, :queries])
    return scores.softmax(-1)  # computed in float32 and rounded once


AttentionInterface.register(NAME, attend)
