"""Decoder layers with few operations, for texts that are read whole, without a cache.

A short text takes almost as long in the many small operations of transformers' layers as in their products.
Here queries, keys and values are one product, queries and keys are rotated together, and sums overwrite what
is not needed again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu
from transformers.activations import SiLUActivation

from arkor_dev.local.cpu_kernels.patch_model import nearly_equal

from .answer_speed import LinearParts, packed_product, packed_weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor
    from torch.nn import Module

    PartsOf = Callable[[Module], LinearParts | None]
    """Returns the packed weights with which a linear layer computes, or None if it computes otherwise."""

PARTS: Final = {
    "": {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"},
    "self_attn": {"q_proj", "k_proj", "v_proj", "o_proj"},
    "mlp": {"gate_proj", "up_proj", "down_proj", "act_fn"},
}
"""The modules of a layer (of Llama, Mistral, Qwen2 and others), by where they are."""
POSITIONS: Final = (0, 1, 3, 9, 27, 81, 243)
"""Positions of the tokens with which a layer is compared."""


class FusedLayers:
    """The decoder layers of ``model`` whose outputs agree with those of transformers' code."""

    def __init__(self, model: Module, parts_of: PartsOf) -> None:
        rotation = _Rotation()
        rotary = next((module for name, module in model.named_modules() if name.endswith("rotary_emb")), None)
        found = (
            _fused(layer, rotary, parts_of, rotation)
            for layer in model.modules()
            if rotary and _is_plain(layer)
        )
        self._forwards = [pair for pair in found if pair is not None]

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self._forwards)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let the layers compute with few operations within the block."""
        for layer, forward in self._forwards:
            layer.forward = forward
        try:
            yield
        finally:
            for layer, _ in self._forwards:
                vars(layer).pop("forward", None)


def _is_plain(layer: Module) -> bool:
    """Return whether a module consists of the parts of a plain decoder layer."""
    modules = dict(layer.named_modules())
    return (
        all(name in modules and {*dict(modules[name].named_children())} == PARTS[name] for name in PARTS)
        and isinstance(layer.mlp.act_fn, torch.nn.SiLU | SiLUActivation)
        and "forward" not in vars(layer)
    )


@torch.inference_mode()  # type: ignore[untyped-decorator]
def _fused(
    layer: Module, rotary: Module, parts_of: PartsOf, rotation: _Rotation
) -> tuple[Module, Callable[..., Tensor]] | None:
    """Return the ``layer`` with its new ``forward`` if both compute the same."""
    try:
        forward = _forward(layer, parts_of, rotation)
        if forward is None:
            return None
        size = layer.input_layernorm.weight.shape[0]
        # Small, so that the residual does not hide a difference.
        sample = torch.arange(len(POSITIONS) * size, dtype=torch.float32).mul_(0.7).sin_().mul_(0.05)
        sample = sample.view(1, len(POSITIONS), size).to(layer.input_layernorm.weight.dtype)
        positions = torch.tensor([POSITIONS])
        given = {"position_embeddings": rotary(sample, position_ids=positions), "position_ids": positions}
        known = layer(sample, attention_mask=None, **given)
        return (layer, forward) if nearly_equal(forward(sample, **given), known) else None
    except (RuntimeError, TypeError, AttributeError):
        return None


def _forward(layer: Module, parts_of: PartsOf, rotation: _Rotation) -> Callable[..., Tensor] | None:
    attention, mlp = layer.self_attn, layer.mlp
    inputs = [parts_of(getattr(attention, name)) for name in ("q_proj", "k_proj", "v_proj")]
    others = [parts_of(module) for module in (attention.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj)]
    if any(part is None for part in (*inputs, *others)):
        return None
    qkv = _together([part for part in inputs if part])
    o, gate, up, down = (part for part in others if part)
    size, scale = attention.head_dim, attention.scaling
    queries = attention.q_proj.out_features // size
    keys = queries + attention.k_proj.out_features // size
    first, second = layer.input_layernorm, layer.post_attention_layernorm

    def forward(
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        **more: object,
    ) -> Tensor:
        assert position_embeddings is not None
        cos, sin = rotation.of(position_embeddings)
        x = _norm(first, hidden_states)
        heads = packed_product(qkv, x).view(*x.shape[:-1], -1, size)
        rotating = heads[:, :, :keys]
        rotated = (rotating * cos).addcmul_(rotating.roll(size // 2, -1), sin).transpose(1, 2)
        attended = scaled_dot_product_attention(
            rotated[:, :queries],
            rotated[:, queries:],
            heads[:, :, keys:].transpose(1, 2),
            attn_mask=attention_mask,
            is_causal=attention_mask is None,
            scale=scale,
            enable_gqa=True,
        )
        hidden_states = packed_product(o, attended.transpose(1, 2).flatten(2)).add_(hidden_states)
        x = _norm(second, hidden_states)
        gated = silu(packed_product(gate, x), inplace=True).mul_(packed_product(up, x))
        return packed_product(down, gated).add_(hidden_states)

    return forward


def _norm(norm: Module, x: Tensor) -> Tensor:
    return rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _together(parts: Sequence[LinearParts]) -> LinearParts:
    """Return one linear layer with the outputs of several that have the same input."""
    weight = torch.cat([part.weight.to_dense() for part in parts])
    biases = [part.bias for part in parts if part.bias is not None]
    return LinearParts(packed_weight(weight), torch.cat(biases) if len(biases) == len(parts) else None)


class _Rotation:
    """The cosines and sines of the batch that is being read, ``[texts, tokens, 1, size]``."""

    def __init__(self) -> None:
        self._given: tuple[Tensor, Tensor] | None = None

    def of(self, given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return them, with negative sines for the first half, which `Tensor.roll` moves to the second."""
        if given is not self._given:
            cos, sin = (part.unsqueeze(2) for part in given)
            half = sin.shape[-1] // 2
            self._given = given
            self._prepared = cos, torch.cat((-sin[..., :half], sin[..., half:]), -1)
        return self._prepared
