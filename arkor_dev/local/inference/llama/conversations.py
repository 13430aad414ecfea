"""Which conversation lies in which sequence of llama.cpp's memory, and what is kept of those that are over.

A sequence is a number by which llama.cpp tells conversations apart; several of them can share what they begin
with. What is over is kept, so that the next question of a conversation reads only what is new, until its
number or its room is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from .native import Native

LEAST_TOKENS: Final = 16
"""Fewer are read as soon as they are found."""


@dataclass(frozen=True, slots=True)
class _Kept:
    group: Hashable
    tokens: list[int]
    sequence: int


class Conversations:
    """The sequences of one loaded model, those kept in the order in which they were used last."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self._free = list(range(native.sequences))
        self._kept: list[_Kept] = []

    def open(self, group: Hashable, prompt: Sequence[int]) -> tuple[int, int]:
        """A sequence for ``prompt``, and how many of its tokens are in memory there; never its last one."""
        best, most = None, LEAST_TOKENS - 1
        if self._native.shares:
            for each in self._kept:
                if each.group == group and (alike := _alike(each.tokens, prompt[:-1])) > most:
                    best, most = each, alike
        if best:
            self._kept.remove(best)
            self._kept.append(best)
        # The one that is gone on from is the last to be let go: it is there as long as it is copied.
        if not self._free and not self.let_go():
            raise RuntimeError("more conversations than llama.cpp has room for")
        sequence = self._free.pop()
        if best:
            self._native.copy(best.sequence, sequence, most)
        return sequence, most if best else 0

    def close(self, group: Hashable, tokens: list[int], sequence: int, *, whole: bool) -> None:
        """Keep a conversation that is over, whose ``tokens`` are in memory; not where they are not whole."""
        if not whole or not self._native.shares or len(tokens) < LEAST_TOKENS:
            self._drop(sequence)
            return
        for each in [each for each in self._kept if each.group == group]:
            # It goes on from these, or is one of them again.
            if _alike(each.tokens, tokens) == len(each.tokens):
                self._kept.remove(each)
                self._drop(each.sequence)
        self._kept.append(_Kept(group, list(tokens), sequence))

    def let_go(self) -> bool:
        """Forget the conversation that was used longest ago; whether there was one."""
        if not self._kept:
            return False
        self._drop(self._kept.pop(0).sequence)
        return True

    def forget(self, adapter: str | None = None) -> None:
        """Forget all that is kept, or what was read as ``adapter``."""
        for each in list(self._kept):
            if adapter is None or getattr(each.group, "adapter", None) == adapter:
                self._kept.remove(each)
                self._drop(each.sequence)

    def _drop(self, sequence: int) -> None:
        self._native.drop(sequence)
        self._free.append(sequence)


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens they have in common at their beginnings."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
