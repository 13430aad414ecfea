"""Assigns conversations to sequences of llama.cpp's memory, and caches finished ones.

llama.cpp identifies conversations by sequence numbers, and several sequences can share a prefix. Finished
conversations stay, so that a next question reads only what is new, until their number or their space is
needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from .native import Native

LEAST_TOKENS: Final = 16
"""A shorter common prefix is not worth a lookup."""


@dataclass(frozen=True, slots=True)
class _Kept:
    group: Hashable
    tokens: list[int]
    sequence: int


class Conversations:
    """The sequences of one loaded model; cached ones are sorted least recently used first."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self._free = list(range(native.sequences))
        self._kept: list[_Kept] = []

    def open(self, group: Hashable, prompt: Sequence[int]) -> tuple[int, int]:
        """Return a sequence for ``prompt``, and how many of its tokens are in memory there; never its last
        one.
        """
        best, most = None, LEAST_TOKENS - 1
        if self._native.shares:
            for each in self._kept:
                if each.group == group and (alike := _alike(each.tokens, prompt[:-1])) > most:
                    best, most = each, alike
        if best:
            self._kept.remove(best)
            self._kept.append(best)
        # Evict the continued conversation last: it must exist until it is copied.
        if not self._free and not self.let_go():
            raise RuntimeError("more conversations than llama.cpp has room for")
        sequence = self._free.pop()
        if best:
            self._native.copy(best.sequence, sequence, most)
        return sequence, most if best else 0

    def close(self, group: Hashable, tokens: list[int], sequence: int, *, whole: bool) -> None:
        """Cache a finished conversation, whose ``tokens`` are in memory, unless they are incomplete."""
        if not whole or not self._native.shares or len(tokens) < LEAST_TOKENS:
            self._drop(sequence)
            return
        for each in [each for each in self._kept if each.group == group]:
            # The cached one is a prefix of the new one, or the same.
            if _alike(each.tokens, tokens) == len(each.tokens):
                self._kept.remove(each)
                self._drop(each.sequence)
        self._kept.append(_Kept(group, list(tokens), sequence))

    def let_go(self) -> bool:
        """Evict the least recently used conversation; return False if there is none."""
        if not self._kept:
            return False
        self._drop(self._kept.pop(0).sequence)
        return True

    def forget(self, adapter: str | None = None) -> None:
        """Forget everything, or what was read with ``adapter``."""
        for each in list(self._kept):
            if adapter is None or getattr(each.group, "adapter", None) == adapter:
                self._kept.remove(each)
                self._drop(each.sequence)

    def _drop(self, sequence: int) -> None:
        self._native.drop(sequence)
        self._free.append(sequence)


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the length of the common prefix."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
