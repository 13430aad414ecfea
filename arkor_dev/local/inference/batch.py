"""Batches conversations: their keys and values are in one cache, left-padded to the same length.

transformers computes; this module manages the rows of the batch. A row joins with the cache of its prompt,
and takes its part of the cache with it when it leaves, so that the next question continues there.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .adapter_scale import ActiveAdapter
    from .generate_fallback import StepwiseGenerate
    from .generation.sampling import SampledToken

GROWTH: Final = 128
"""Tokens of free space added when a buffer is full: copying the whole cache at each step is slow."""

Layers = list[tuple[Any, Any]]
"""Keys and values of each layer, ``[rows, heads, tokens, width]``."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values; new ones are appended without copying the old ones."""

    keys: Any
    values: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._buffers: tuple[Any, Any] | None = None

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
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


def cache_of(layers: Layers) -> Any:
    """Return a cache of ``layers``, or an empty one."""
    cache = DynamicCache()
    cache.layer_class_to_replicate = GrowingLayer
    for layer, (keys, values) in enumerate(layers):
        cache.update(keys, values, layer)
    return cache


def layers_of(cache: Any) -> Layers:
    return [(layer.keys, layer.values) for layer in cache.layers]


class Forward:
    """A model's ``forward`` on rows of tokens, whatever this version of transformers calls the cache."""

    def __init__(self, model: Any) -> None:
        self._model = model
        names = inspect.signature(type(model).forward).parameters
        self._cache = next((name for name in ("cache", "past_key_values") if name in names), "")
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in names else {}
        self.plain = bool(self._cache) and "position_ids" in names and _has_plain_layers(model)
        """Whether the cache has only keys and values, so that rows can be batched."""

    def __call__(
        self, tokens: list[list[int]], lengths: Sequence[int], cache: Any, *, every: bool = False
    ) -> Any:
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


def _has_plain_layers(model: Any) -> bool:
    try:
        layers = DynamicCache(config=model.config).layers
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    # Sliding windows only affect the mask, so such a layer can also keep all keys.
    return not getattr(model, "_is_stateful", False) and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers
    )


@dataclass(eq=False)
class BatchRow:
    """One conversation: its prompt, and which tokens of prompt and answer are cached."""

    group: ActiveAdapter
    prompt: list[int]
    max_new_tokens: int
    cached: int = 0
    tokens: list[int] = field(default_factory=list)
    cache: Any = None
    """The row's own cache while its prompt is read."""
    fallback: StepwiseGenerate | None = None
    scores: list[SampledToken] | None = None
    """The log probabilities of the prompt's tokens, each with this many ``alternatives``, if requested."""
    alternatives: int = 0


class Batch:
    """The rows of one group whose prompts have been read."""

    def __init__(self, forward: Forward) -> None:
        self.rows: list[BatchRow] = []
        self._forward = forward
        self._cache: Any = None
        self._consistent = True

    def add(self, row: BatchRow) -> None:
        """Add a row with its cache."""
        if not self.rows:
            self._cache = row.cache
        else:
            self._cache = cache_of(
                [
                    tuple(
                        _concatenate(batch_part, row_part)
                        for batch_part, row_part in zip(layer, added, strict=True)
                    )
                    for layer, added in zip(layers_of(self._cache), layers_of(row.cache), strict=True)
                ]
            )
        row.cache = None
        self.rows.append(row)

    def step(self, rows: list[BatchRow], tokens: list[int]) -> Any:
        """Add a token to each row of the batch; return logits ``[rows, vocabulary]``."""
        token_of = dict(zip(map(id, rows), tokens, strict=True))
        ordered_tokens = [token_of[id(row)] for row in self.rows]
        # An interrupted step leaves more tokens in some layers than in others.
        self._consistent = False
        logits = self._forward(
            [[token] for token in ordered_tokens], [len(row.tokens) for row in self.rows], self._cache
        )
        self._consistent = True
        for row, token in zip(self.rows, ordered_tokens, strict=True):
            row.tokens.append(token)
        index_of = {id(row): index for index, row in enumerate(self.rows)}
        return logits[[index_of[id(row)] for row in rows]]

    def remove(self, row: BatchRow) -> Layers:
        """Remove a row; return its keys and values, one per token, or None if they are incomplete."""
        index = self.rows.index(row)
        del self.rows[index]
        if not self._consistent:
            return []
        layers, length = layers_of(self._cache), len(row.tokens)
        removed = [
            tuple(part[index : index + 1, :, part.shape[-2] - length :].clone() for part in layer)
            for layer in layers
        ]
        if self.rows:
            remaining_rows = [remaining for remaining in range(len(self.rows) + 1) if remaining != index]
            longest = max(len(remaining.tokens) for remaining in self.rows)
            self._cache = cache_of(
                [
                    tuple(part[remaining_rows, :, part.shape[-2] - longest :] for part in layer)
                    for layer in layers
                ]
            )
        else:
            self._cache = None
        return removed


def _concatenate(first: Any, second: Any) -> Any:
    """Concatenate two tensors ``[rows, heads, tokens, width]``, left-padding the shorter one."""
    longest = max(first.shape[-2], second.shape[-2])
    pad = torch.nn.functional.pad
    return torch.cat([pad(part, (0, 0, longest - part.shape[-2], 0)) for part in (first, second)])
