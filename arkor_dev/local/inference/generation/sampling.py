"""Which token comes next: penalties, temperature, top-k, top-p and min-p, in the order that transformers has.

Each answer draws from a generator of its own, so a seed gives the same text whoever is answered beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

LIKELY: Final = 512
"""So many of the likeliest tokens are looked at first: sorting a whole vocabulary takes long."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. A temperature of 0 takes the likeliest; ``top_k`` 0 means all.

    ``repetition`` divides or multiplies the logit of every token that is in the prompt or the answer
    (Keskar et al. 2019); ``frequency`` (a time) and ``presence`` (once) are taken off those of the answer.
    ``logprobs`` is how many alternatives are told beside each token, None for telling nothing.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition: float = 1.0
    frequency: float = 0.0
    presence: float = 0.0
    seed: int | None = None
    logprobs: int | None = None

    @classmethod
    def of(cls, ask: Mapping[str, Any], repetition: float = 1.0) -> Sampling:
        """From a question's fields; ``repetition`` is the model's own, where the question has none."""
        return cls(
            temperature=ask["temperature"],
            top_p=ask["topP"],
            top_k=ask.get("topK") or 0,
            min_p=ask.get("minP") or 0.0,
            repetition=ask.get("repetitionPenalty") or repetition,
            frequency=ask.get("frequencyPenalty") or 0.0,
            presence=ask.get("presencePenalty") or 0.0,
            seed=ask.get("seed"),
            logprobs=ask.get("logprobs"),
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token, with its log probability and the likeliest ones of its place, where they were asked for."""

    token: int
    logprob: float | None = None
    likeliest: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses one answer's tokens, one after another."""

    def __init__(self, sampling: Sampling, prompt: Iterable[int]) -> None:
        self._sampling = sampling
        self._seen = set(prompt)
        self._said: Counter[int] = Counter()
        seed = sampling.seed
        # A generator takes no negative seed; every seed has a stream of its own all the same.
        self._chance = np.random.default_rng(None if seed is None else (abs(seed), int(seed < 0)))

    def choose(self, logits: NDArray[np.float32], allowed: NDArray[np.bool_] | None = None) -> Chosen:
        """The next token by ``logits`` (one for each token of the vocabulary), which counts as said.

        Those that are not ``allowed`` have no chance; what is told of it stays the model's own distribution.
        """
        scores = self._penalised(logits)
        if allowed is not None:
            scores = np.where(allowed, scores, np.float32(-np.inf))
        hot = self._sampling.temperature > 0
        token = self._draw(scores) if hot else int(scores.argmax())
        self._said[token] += 1
        self._seen.add(token)
        return self._told(token, logits)

    def _penalised(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        sampling, scores = self._sampling, logits
        if sampling.repetition != 1 and self._seen:
            seen = np.fromiter(self._seen, np.int64)
            seen = seen[seen < scores.size]
            scores = scores.copy()
            scores[seen] = np.where(
                scores[seen] < 0, scores[seen] * sampling.repetition, scores[seen] / sampling.repetition
            )
        if (sampling.frequency or sampling.presence) and self._said:
            said = np.fromiter(self._said, np.int64)
            times = np.fromiter(self._said.values(), np.float32)
            scores = scores.copy()
            scores[said] -= sampling.frequency * times + sampling.presence
        return scores

    def _draw(self, scores: NDArray[np.float32]) -> int:
        sampling = self._sampling
        heights = (scores - scores.max()) / np.float32(sampling.temperature)
        shares = np.exp(heights, dtype=np.float32)
        whole = float(shares.sum(dtype=np.float64))
        kept = self._kept(shares, whole)
        if kept is not None:
            # By number, as all of them are: of two that are almost equal, rounding says which one is larger.
            kept.sort()
        chances = np.cumsum(shares if kept is None else shares[kept], dtype=np.float64)
        place = int(np.searchsorted(chances, self._chance.random() * chances[-1], side="right"))
        place = min(place, chances.size - 1)
        return place if kept is None else int(kept[place])

    def _kept(self, shares: NDArray[np.float32], whole: float) -> NDArray[np.int64] | None:
        """The tokens that stay in the draw; None for all of them."""
        sampling, size = self._sampling, shares.size
        top_k = min(sampling.top_k or size, size)
        if top_k == size and sampling.top_p >= 1:
            if sampling.min_p <= 0:
                return None
            return np.flatnonzero(shares >= sampling.min_p * shares.max())
        order = likeliest(shares, min(max(LIKELY, top_k if top_k < size else 0), size))
        if top_k == size and shares[order].sum(dtype=np.float64) < sampling.top_p * whole:
            order = likeliest(shares, size)
        order = order[:top_k]
        if sampling.top_p < 1:
            sums = np.cumsum(shares[order], dtype=np.float64)
            enough = sampling.top_p * (float(sums[-1]) if top_k < size else whole)
            order = order[: int(np.searchsorted(sums, enough)) + 1]
        if sampling.min_p > 0:
            order = order[shares[order] >= sampling.min_p * shares[order[0]]]
        return order

    def _told(self, token: int, logits: NDArray[np.float32]) -> Chosen:
        count = self._sampling.logprobs
        if count is None:
            return Chosen(token)
        heights = logits.astype(np.float64) - float(logits.max())
        logs = heights - np.log(np.exp(heights).sum())
        best = likeliest(logits, min(count, logits.size)) if count else ()
        return Chosen(token, float(logs[token]), tuple((int(each), float(logs[each])) for each in best))


def likeliest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The places of the ``count`` largest values, the largest first; of equal ones the first place."""
    places = np.arange(values.size)
    if count < values.size:
        least = values[np.argpartition(values, -count)[-count:]].min()
        places = np.flatnonzero(values >= least)
    return places[np.argsort(-values[places], kind="stable")][:count]
