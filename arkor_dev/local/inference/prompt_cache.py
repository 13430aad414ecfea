"""Keys and values of recent conversations, so that a follow-up question reads only new tokens.

They depend on all earlier tokens and on the model, so they are looked up by group (the adapter and its
strength) and by the common prefix of two prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.local.modeling.chat_template import common_prefix

if TYPE_CHECKING:
    from torch import Tensor

    from arkor_dev.local.modeling.kv_cache import Layers

    from .adapter_scale import ActiveAdapter

LIMIT_BYTES: Final = 512 * 2**20
LEAST_TOKENS: Final = 16
"""Minimum length of a common prefix, in tokens, that is worth a lookup."""


@dataclass(eq=False)
class _Cached:
    group: ActiveAdapter
    tokens: list[int]
    layers: Layers

    @property
    def size(self) -> int:
        return sum(part.nbytes for layer in self.layers for part in layer)


class PromptCache:
    """The keys and values of recent conversations, least recently used first, in at most ``limit`` bytes."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._cached: list[_Cached] = []

    def store(self, group: ActiveAdapter, tokens: list[int], layers: Layers) -> None:
        """Store a conversation; evict the oldest ones to make room."""
        if not layers or len(tokens) < LEAST_TOKENS:
            return
        new = _Cached(group, list(tokens), layers)
        if new.size > self._limit:
            return
        # The stored conversation is a prefix of the new one, or equal.
        self._cached = [
            cached
            for cached in self._cached
            if cached.group != group or common_prefix(cached.tokens, tokens) < len(cached.tokens)
        ]
        self._cached.append(new)
        while sum(cached.size for cached in self._cached) > self._limit:
            del self._cached[0]

    def find(self, group: ActiveAdapter, prompt: list[int]) -> Layers:
        """Return the keys and values of the longest known prefix of ``prompt`` without its last token."""
        best, longest = None, LEAST_TOKENS - 1
        for cached in self._cached:
            if cached.group == group and (common := common_prefix(cached.tokens, prompt[:-1])) > longest:
                best, longest = cached, common
        if best is None:
            return []
        self._cached.remove(best)
        self._cached.append(best)
        return [_first(layer, longest) for layer in best.layers]

    def forget(self, adapter: str) -> None:
        """Remove all conversations with ``adapter``."""
        self._cached = [cached for cached in self._cached if cached.group.adapter != adapter]

    def clear(self) -> None:
        """Remove all conversations."""
        self._cached.clear()


def _first(layer: tuple[Tensor, Tensor], count: int) -> tuple[Tensor, Tensor]:
    keys, values = layer
    return keys[..., :count, :], values[..., :count, :]
