"""An adapter added to packed weights, so that its answers take no longer than the base's.

A small model's token takes a few hundred products, and an adapter adds two to each. The sum is computed in
float32 and rounded once: in bfloat16 that differs from float32 by as much as separate products do. The base's
weights stay as they are, for other answers, so this takes the memory of the adapted layers once more.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Final

import torch
from peft.tuners.lora.layer import Linear as PeftLinear

from arkor_dev.local.workers.machine import memory

from .answer_speed import LinearParts, packed_product, packed_weight
from .fused_layers import FusedLayers

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch.nn import Module

FREE_FACTOR: Final = 3
"""Minimum free memory, as a multiple of what the sums take."""


class MergedWeights:
    """The layers of ``model`` that compute with the sum of their weights and those of ``adapter``.

    Only layers with packed weights and a plain LoRA adapter, whose scale must not change later; PEFT computes
    the others.
    """

    def __init__(self, model: Module, adapter: str) -> None:
        self._model, self._adapter = model, adapter
        self._sums: dict[PeftLinear, LinearParts] = {
            layer: _merged(layer, adapter) for layer in _plain_layers(model, adapter)
        }
        self._fused: FusedLayers | None = None

    @staticmethod
    def fit(model: Module, adapter: str) -> bool:
        """Return whether there is memory for them."""
        free = memory().free
        weights = (layer.base_layer.weight for layer in _plain_layers(model, adapter))
        needed = sum(weight.numel() * weight.dtype.itemsize for weight in weights)
        return bool(needed) and (free is None or free >= FREE_FACTOR * needed)

    def use(self) -> None:
        """Let the layers compute with the sums."""
        for layer, parts in self._sums.items():
            layer.forward = MethodType(packed_product, parts)

    def leave(self) -> None:
        """Let PEFT compute the layers again, with whatever adapter is active."""
        for layer in self._sums:
            vars(layer).pop("forward", None)

    def fused(self) -> AbstractContextManager[None]:
        """Return a context in which texts are read with few operations; the sums must be in use."""
        if self._fused is None:
            self._fused = FusedLayers(self._model, self._parts_of)
        return self._fused.used()

    def _parts_of(self, layer: Module) -> LinearParts | None:
        """Return the packed weights with which ``layer`` computes now; None if it computes otherwise."""
        if isinstance(layer, PeftLinear) and layer in self._sums:
            return self._sums[layer]
        if type(layer) is PeftLinear and self._adapter not in layer.lora_A:
            layer = layer.base_layer
        plain = type(layer) is torch.nn.Linear and layer.weight.is_mkldnn
        return LinearParts(layer.weight, layer.bias) if plain else None


def _plain_layers(model: Module, adapter: str) -> list[PeftLinear]:
    return [
        module
        for module in model.modules()
        if type(module) is PeftLinear
        and adapter in module.lora_A
        and adapter not in module.lora_variant
        and module.lora_B[adapter].bias is None
        and type(module.base_layer) is torch.nn.Linear
        and module.base_layer.weight.is_mkldnn
    ]


@torch.inference_mode()  # type: ignore[untyped-decorator]
def _merged(layer: PeftLinear, adapter: str) -> LinearParts:
    base = layer.base_layer
    weight = base.weight.to_dense()
    whole = (weight.float() + layer.get_delta_weight(adapter).float()).to(weight.dtype)
    return LinearParts(packed_weight(whole), base.bias)
