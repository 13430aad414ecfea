"""Keys and values of recent conversations, so that a follow-up question reads only new tokens.

They depend on all earlier tokens and on the model, so they are looked up by group (the adapter and its
strength) and by the common prefix of two prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .adapter_scale import ActiveAdapter
    from .batch import Layers

LIMIT_BYTES: Final = 512 * 2**20
LEAST_TOKENS: Final = 16
"""A shorter common prefix is not worth a lookup."""


@dataclass(eq=False)
class _Kept:
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
        self._kept: list[_Kept] = []

    def keep(self, group: ActiveAdapter, tokens: list[int], layers: Layers) -> None:
        """Store a conversation; evict the oldest ones for it."""
        if not layers or len(tokens) < LEAST_TOKENS:
            return
        new = _Kept(group, list(tokens), layers)
        if new.size > self._limit:
            return
        # The stored one is a prefix of the new one, or the same.
        self._kept = [
            each
            for each in self._kept
            if each.group != group or _alike(each.tokens, tokens) < len(each.tokens)
        ]
        self._kept.append(new)
        while sum(each.size for each in self._kept) > self._limit:
            del self._kept[0]

    def find(self, group: ActiveAdapter, prompt: list[int]) -> Layers:
        """Return the keys and values of the longest known prefix of ``prompt`` without its last token."""
        best, most = None, LEAST_TOKENS - 1
        for each in self._kept:
            if each.group == group and (alike := _alike(each.tokens, prompt[:-1])) > most:
                best, most = each, alike
        if best is None:
            return []
        self._kept.remove(best)
        self._kept.append(best)
        return [_first(layer, most) for layer in best.layers]

    def forget(self, adapter: str) -> None:
        """Forget what was read with ``adapter``."""
        self._kept = [each for each in self._kept if each.group.adapter != adapter]

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def _first(layer: tuple[Any, Any], count: int) -> tuple[Any, Any]:
    keys, values = layer
    return keys[..., :count, :], values[..., :count, :]


def _alike(one: list[int], other: list[int]) -> int:
    """Return the length of the common prefix."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
