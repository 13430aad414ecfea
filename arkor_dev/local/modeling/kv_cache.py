"""A model's keys and values of several rows in one cache, left-padded to the same length."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.nn import Module

GROWTH: Final = 128
"""Tokens of free space added when a buffer is full: copying the whole cache at each step is slow."""

Layers = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, ``[rows, heads, tokens, width]``."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values; new ones are appended without copying the old ones."""

    keys: Tensor
    values: Tensor

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Return all keys and values, the new ones last."""
        before = self.keys.shape[-2] if self._buffers else 0
        after = before + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < after:
            self._buffers = tuple(
                torch.cat(
                    [
                        *([] if old is None else [old]),
                        new,
                        new.new_empty((*new.shape[:-2], GROWTH, new.shape[-1])),
                    ],
                    dim=-2,
                )
                for old, new in ((self.keys, key_states), (self.values, value_states))
            )
        else:
            for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
                buffer[..., before:after, :] = new
        self.keys, self.values = (buffer[..., :after, :] for buffer in self._buffers)
        self.dtype, self.device, self.is_initialized = self.keys.dtype, self.keys.device, True
        return self.keys, self.values


def cache_of(layers: Layers) -> DynamicCache:
    """Return a cache of ``layers``, or an empty one."""
    cache = DynamicCache()
    cache.layer_class_to_replicate = GrowingLayer
    for layer, (keys, values) in enumerate(layers):
        cache.update(keys, values, layer)
    return cache


def layers_of(cache: DynamicCache) -> Layers:
    """Return a cache's keys and values."""
    return [(layer.keys, layer.values) for layer in cache.layers]


class Forward:
    """A model's ``forward`` on rows of tokens, whatever this version of transformers calls the cache."""

    def __init__(self, model: Module) -> None:
        self._model = model
        names = inspect.signature(type(model).forward).parameters
        self._cache = next((name for name in ("cache", "past_key_values") if name in names), "")
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in names else {}
        self.plain = bool(self._cache) and "position_ids" in names and _has_plain_layers(model)
        """Whether the cache has only keys and values, so that rows can be batched."""

    def __call__(
        self, tokens: list[list[int]], lengths: Sequence[int], cache: DynamicCache, *, every: bool = False
    ) -> Tensor:
        """Return logits ``[rows, vocabulary]`` after the last of ``tokens``, equally many per row.

        With ``every`` they are ``[rows, tokens, vocabulary]``, after each token. ``lengths`` has each row's
        number of tokens in ``cache``, which is left-padded to the longest.
        """
        device, new = self._model.device, len(tokens[0])
        cached, longest = torch.tensor(lengths, device=device), max(lengths)
        columns = torch.arange(longest + new, device=device)
        mask = (columns[None] >= longest - cached[:, None]).long()
        positions = cached[:, None] + torch.arange(new, device=device)[None]
        output = self._model(
            input_ids=torch.tensor(tokens, device=device),
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{self._cache: cache},
            **({} if every else self._last),
        )
        return output.logits if every else output.logits[:, -1]


def _has_plain_layers(model: Module) -> bool:
    try:
        layers = DynamicCache(config=model.config).layers
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    # Sliding windows only affect the mask, so such a layer can also keep all keys.
    return not getattr(model, "_is_stateful", False) and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers
    )


def joined(caches: Sequence[Layers]) -> DynamicCache:
    """Return one cache with the rows of several, each left-padded to the longest."""
    return cache_of(
        [tuple(map(_concatenate, zip(*parts, strict=True))) for parts in zip(*caches, strict=True)]
    )


def _concatenate(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors ``[rows, heads, tokens, width]``, left-padding the shorter ones."""
    longest = max(part.shape[-2] for part in parts)
    pad = torch.nn.functional.pad
    return torch.cat([pad(part, (0, 0, longest - part.shape[-2], 0)) for part in parts])
