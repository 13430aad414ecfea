"""Batches conversations: their keys and values are in one cache, left-padded to the same length.

transformers computes; this module manages the rows of the batch. A row joins with the cache of its prompt,
and takes its part of the cache with it when it leaves, so that the next question continues there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arkor_dev.local.modeling.kv_cache import cache_of, joined, layers_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache

    from arkor_dev.local.modeling.kv_cache import Forward, Layers

    from .adapter_scale import ActiveAdapter
    from .generate_fallback import StepwiseGenerate
    from .generation.sampling import SampledToken


@dataclass(eq=False)
class BatchRow:
    """One conversation: its prompt, and which tokens of prompt and answer are cached."""

    group: ActiveAdapter
    prompt: list[int]
    max_new_tokens: int
    cached: int = 0
    tokens: list[int] = field(default_factory=list)
    cache: DynamicCache | None = None
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
        self._cache: DynamicCache | None = None
        self._consistent = True

    def add(self, row: BatchRow) -> None:
        """Add a row with its cache."""
        if not self.rows:
            self._cache = row.cache
        else:
            self._cache = joined([layers_of(self._cache), layers_of(row.cache)])
        row.cache = None
        self.rows.append(row)

    def step(self, rows: list[BatchRow], tokens: list[int]) -> Tensor:
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
