"""Causal attention over rows that lie in one line: each row sees itself alone.

Short rows of like length are computed together. torch's kernel goes forward. Its way back takes longer, in
bfloat16 four times as long, so the gradients come from products of blocks, which are made anew and not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

if TYPE_CHECKING:
    from .line import Line, Together

NAME: Final = "arkor_rows"
KNOWN: Final = frozenset(
    {"sliding_window", "position_ids", "use_cache", "output_attentions", "output_hidden_states"}
)
"""What a model may say besides, without asking for another kind of attention."""
BLOCK: Final = 64
"""Queries whose gradients are computed at once: what lies after a block is never looked at."""
_forward: Final = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001


class Laid:
    """The line that the model is computing: a process trains one model."""

    line: Line | None = None


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    **more: Any,
) -> tuple[Any, None]:
    """What transformers asks of an attention, for rows in one line.

    From ``[1, heads, places, size]`` to ``[1, places, heads, size]``.
    """
    line = Laid.line
    if line is None or line.ids.shape[1] != query.shape[2]:
        raise RuntimeError("the rows of this batch have not been laid out")
    window = more.get("sliding_window")
    known = all(value is None or name in KNOWN for name, value in more.items())
    plain = known and not dropout and getattr(module, "is_causal", True)
    if plain and query.shape[-1] == value.shape[-1] and not (window and window < line.longest):
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return _Attend.apply(query, key, value, line, scale).transpose(1, 2), None
    return _row_by_row(
        line, module, (query, key, value), {"scaling": scaling, "dropout": dropout, **more}
    ), None


def _row_by_row(line: Line, module: Any, given: tuple[Any, Any, Any], more: dict[str, Any]) -> Any:
    """As transformers does it, one row after another."""
    made = []
    window = more.get("sliding_window")
    for number, part in enumerate(line.parts):
        row = [_take(tensor, line, part) for tensor in given]
        length = row[0].shape[2]
        mask = None
        if window and window < length:
            back = torch.arange(length)[:, None] - torch.arange(length)
            mask = ((back >= 0) & (back < window))[None, None]
        out = sdpa_attention_forward(module, *row, mask, **more)[0]
        made.append(out if number == 0 else out[:, line.shared :])
    return torch.cat(made, dim=1)


def _take(tensor: Any, line: Line, part: tuple[int, int], dim: int = 2) -> Any:
    """One row of ``tensor``, with what it shares."""
    start, end = part
    own = tensor.narrow(dim, start, end - start)
    return torch.cat([tensor.narrow(dim, 0, line.shared), own], dim) if line.shared else own


def _gather(tensor: Any, group: Together) -> Any:
    """A group's rows of ``tensor``, ``[1, heads, places, size]``: ``[rows, heads, length, size]``."""
    rows = tensor[0].transpose(0, 1).index_select(0, group.places)
    return rows.view(group.rows, group.length, *rows.shape[1:]).transpose(1, 2)


def _flat(rows: Any) -> Any:
    """A group's rows as ``[rows times length, heads, size]``."""
    return rows.transpose(1, 2).flatten(0, 1)


class _Attend(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, line: Line, scale: float) -> Any:
        times = query.shape[1] // key.shape[1]
        out = torch.empty_like(query.transpose(1, 2)[0], memory_format=torch.contiguous_format)
        sums = []
        for group in line.groups:
            q, k, v = (_gather(tensor, group) for tensor in (query, key, value))
            k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
            made, logsumexp = _forward(q, k, v, 0.0, True, scale=scale)
            out.index_copy_(0, group.own, _flat(made).index_select(0, group.taken))
            if group.first is not None:
                out[: line.shared] = made[group.first, :, : line.shared].transpose(0, 1)
            sums.append(logsumexp)
        out = out[None].transpose(1, 2)
        ctx.save_for_backward(query, key, value, out, *sums)
        ctx.line, ctx.scale = line, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        query, key, value, out, *sums = ctx.saved_tensors
        shared = ctx.line.shared
        grads = [torch.zeros_like(tensor.transpose(1, 2)[0]) for tensor in (query, key, value)]
        lean = (grad * out).sum(-1, keepdim=True, dtype=torch.float32)
        for group, logsumexp in zip(ctx.line.groups, sums, strict=True):
            q, k, v, g, low = (_gather(tensor, group) for tensor in (query, key, value, grad, lean))
            for each in (g, low):
                each.transpose(1, 2).view(-1, *each.shape[1::2]).index_fill_(0, group.empty, 0)
            for into, made in zip(grads, _gradients(q, k, v, g, low, logsumexp, ctx.scale), strict=True):
                flat = _flat(made)
                into.index_copy_(0, group.own, flat.index_select(0, group.taken))
                if shared:
                    into[:shared] += flat.view(group.rows, group.length, *into.shape[1:])[:, :shared].sum(0)
        return (*(each[None].transpose(1, 2) for each in grads), None, None)


def _gradients(
    q: Any, k: Any, v: Any, g: Any, lean: Any, logsumexp: Any, scale: float
) -> tuple[Any, Any, Any]:
    """The gradients of rows' queries, keys and values, given that of their output, ``g``.

    ``lean`` is the sum of ``g`` times the output, ``[rows, heads, length, 1]``. They come from products of
    ``BLOCK`` queries with all keys up to the block's end. The queries of the heads that share a key lie one
    below another, so that one product serves them.
    """
    rows, heads, length, size = k.shape
    times = q.shape[1] // heads
    lean = lean.reshape(rows * heads, times, length, 1)
    minus = -logsumexp.contiguous().view(rows * heads, times, length, 1)
    q, g = (tensor.reshape(rows * heads, times, length, size) for tensor in (q, g))
    k, v = (tensor.reshape(rows * heads, length, size) for tensor in (k, v))
    dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    for start in reversed(range(0, length, BLOCK)):
        end = min(start + BLOCK, length)
        block = (rows * heads, times, end - start)
        some, wanted = (tensor[:, :, start:end].reshape(rows * heads, -1, size) for tensor in (q, g))
        # In place: with a column first, as in `minus + share`, torch takes ten times as long.
        share = (some @ k[:, :end].transpose(1, 2)).view(*block, end).float()
        share.mul_(scale).add_(minus[:, :, start:end]).exp_()[..., start:].tril_()
        fall = (wanted @ v[:, :end].transpose(1, 2)).view(*block, end).float()
        fall.sub_(lean[:, :, start:end]).mul_(share)
        fall = fall.to(q.dtype).view(rows * heads, -1, end)
        share = share.to(q.dtype).view(rows * heads, -1, end)
        dq[:, :, start:end] = (fall @ k[:, :end]).view(*block, size)
        # The last block sees all keys; those before it add to what it gave.
        beta = 0 if end == length else 1
        dk[:, :end].baddbmm_(fall.transpose(1, 2), some, beta=beta, alpha=scale)
        dv[:, :end].baddbmm_(share.transpose(1, 2), wanted, beta=beta)
    dq = dq.mul_(scale).view(rows, -1, length, size)
    return dq, *(each.view(rows, heads, length, size) for each in (dk, dv))


AttentionInterface.register(NAME, attend)
