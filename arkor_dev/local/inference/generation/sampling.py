"""Chooses the next token: penalties, temperature, top-k, top-p and min-p, in the order of transformers.

Each answer has its own random generator, so a seed gives the same text regardless of concurrent answers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from arkor_dev.local.inference.messages import Sampling

FIRST_CANDIDATES: Final = 512
"""Number of likeliest tokens that are considered first: sorting a whole vocabulary is slow."""


@dataclass(frozen=True, slots=True)
class SampledToken:
    """A chosen token with its log probability and, if requested, the likeliest alternatives."""

    token: int
    logprob: float | None = None
    likeliest: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses the tokens of one answer."""

    def __init__(self, sampling: Sampling, prompt: Iterable[int]) -> None:
        self._sampling = sampling
        self._in_context = set(prompt)
        self._counts: Counter[int] = Counter()
        seed = sampling.seed
        # Generators reject negative seeds, but every seed must have its own stream.
        self._chance = np.random.default_rng(None if seed is None else (abs(seed), int(seed < 0)))

    def choose(self, logits: NDArray[np.float32], allowed: NDArray[np.bool_] | None = None) -> SampledToken:
        """Return the next token, chosen by ``logits`` (one per vocabulary token), and count it as generated.

        Tokens that are not ``allowed`` cannot be chosen; reported probabilities stay the model's own.
        """
        scores = self._penalised(logits)
        if allowed is not None:
            scores = np.where(allowed, scores, np.float32(-np.inf))
        hot = self._sampling.temperature > 0
        token = self._draw(scores) if hot else int(scores.argmax())
        self._counts[token] += 1
        self._in_context.add(token)
        return self._describe(token, logits)

    def _penalised(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        sampling, scores = self._sampling, logits
        repetition = sampling.repetition or 1.0
        if repetition != 1 and self._in_context:
            in_context = np.fromiter(self._in_context, np.int64)
            in_context = in_context[in_context < scores.size]
            scores = scores.copy()
            scores[in_context] = np.where(
                scores[in_context] < 0,
                scores[in_context] * repetition,
                scores[in_context] / repetition,
            )
        if (sampling.frequency or sampling.presence) and self._counts:
            written = np.fromiter(self._counts, np.int64)
            times = np.fromiter(self._counts.values(), np.float32)
            scores = scores.copy()
            scores[written] -= sampling.frequency * times + sampling.presence
        return scores

    def _draw(self, scores: NDArray[np.float32]) -> int:
        sampling = self._sampling
        heights = (scores - scores.max()) / np.float32(sampling.temperature)
        shares = np.exp(heights, dtype=np.float32)
        total = float(shares.sum(dtype=np.float64))
        candidates = self._candidates(shares, total)
        if candidates is not None:
            # Sorted by token id, like the full vocabulary: rounding decides between almost equal tokens.
            candidates.sort()
        chances = np.cumsum(shares if candidates is None else shares[candidates], dtype=np.float64)
        index = int(np.searchsorted(chances, self._chance.random() * chances[-1], side="right"))
        index = min(index, chances.size - 1)
        return index if candidates is None else int(candidates[index])

    def _candidates(self, shares: NDArray[np.float32], total: float) -> NDArray[np.int64] | None:
        """Return the tokens to sample from; None for all of them."""
        sampling, size = self._sampling, shares.size
        top_k = min(sampling.top_k or size, size)
        if top_k == size and sampling.top_p >= 1:
            if sampling.min_p <= 0:
                return None
            return np.flatnonzero(shares >= sampling.min_p * shares.max())
        ranked = likeliest(shares, min(max(FIRST_CANDIDATES, top_k if top_k < size else 0), size))
        if top_k == size and shares[ranked].sum(dtype=np.float64) < sampling.top_p * total:
            ranked = likeliest(shares, size)
        ranked = ranked[:top_k]
        if sampling.top_p < 1:
            sums = np.cumsum(shares[ranked], dtype=np.float64)
            enough = sampling.top_p * (float(sums[-1]) if top_k < size else total)
            ranked = ranked[: int(np.searchsorted(sums, enough)) + 1]
        if sampling.min_p > 0:
            ranked = ranked[shares[ranked] >= sampling.min_p * shares[ranked[0]]]
        return ranked

    def _describe(self, token: int, logits: NDArray[np.float32]) -> SampledToken:
        count = self._sampling.logprobs
        if count is None:
            return SampledToken(token)
        heights = logits.astype(np.float64) - float(logits.max())
        logs = heights - np.log(np.exp(heights).sum())
        best = likeliest(logits, min(count, logits.size)) if count else ()
        return SampledToken(
            token, float(logs[token]), tuple((int(index), float(logs[index])) for index in best)
        )


def likeliest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the indices of the ``count`` largest values, largest first; ties are in index order."""
    indices = np.arange(values.size)
    if count < values.size:
        least = values[np.argpartition(values, -count)[-count:]].min()
        indices = np.flatnonzero(values >= least)
    return indices[np.argsort(-values[indices], kind="stable")][:count]
