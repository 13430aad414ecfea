"""Assigns conversations to sequences of llama.cpp's memory, and caches finished ones.

llama.cpp identifies conversations by sequence numbers, and several sequences can share a prefix. Finished
conversations stay cached, so that a follow-up question reads only new tokens, until their place is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arkor_dev.local.inference.prompt_cache import LEAST_TOKENS
from arkor_dev.local.modeling.chat_template import common_prefix

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from .native import Native


@dataclass(frozen=True, slots=True)
class _CachedSequence:
    group: Hashable
    tokens: list[int]
    sequence: int


class Conversations:
    """The sequences of one loaded model; cached ones are sorted least recently used first."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self._free = list(range(native.sequences))
        self._cached: list[_CachedSequence] = []

    def open(self, group: Hashable, prompt: Sequence[int]) -> tuple[int, int]:
        """Return a sequence for ``prompt``, and how many of its tokens are in its memory, except the last."""
        best, longest = None, LEAST_TOKENS - 1
        if self._native.shares:
            for cached in self._cached:
                if cached.group == group and (common := common_prefix(cached.tokens, prompt[:-1])) > longest:
                    best, longest = cached, common
        if best:
            self._cached.remove(best)
            self._cached.append(best)
        # Evict the continued conversation last: it is needed until it has been copied.
        if not self._free and not self.evict():
            raise RuntimeError("more conversations than llama.cpp has room for")
        sequence = self._free.pop()
        if best:
            self._native.copy(best.sequence, sequence, longest)
        return sequence, longest if best else 0

    def close(self, group: Hashable, tokens: list[int], sequence: int, *, complete: bool) -> None:
        """Cache a finished conversation, whose ``tokens`` are in memory, unless they are incomplete."""
        if not complete or not self._native.shares or len(tokens) < LEAST_TOKENS:
            self._drop(sequence)
            return
        for cached in [cached for cached in self._cached if cached.group == group]:
            # The cached conversation is a prefix of the new one, or equal.
            if common_prefix(cached.tokens, tokens) == len(cached.tokens):
                self._cached.remove(cached)
                self._drop(cached.sequence)
        self._cached.append(_CachedSequence(group, list(tokens), sequence))

    def evict(self) -> bool:
        """Evict the least recently used conversation; return False if there is none."""
        if not self._cached:
            return False
        self._drop(self._cached.pop(0).sequence)
        return True

    def forget(self, adapter: str | None = None) -> None:
        """Forget everything, or what was read with ``adapter``."""
        for cached in list(self._cached):
            if adapter is None or getattr(cached.group, "adapter", None) == adapter:
                self._cached.remove(cached)
                self._drop(cached.sequence)

    def _drop(self, sequence: int) -> None:
        self._native.drop(sequence)
        self._free.append(sequence)
