"""How well embeddings find documents, or agree with scores: figures of each row, for paired comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from .paired import Real

    Vectors = NDArray[np.floating]

TOP: Final = 10
"""Number of documents that nDCG@10 and MRR@10 look at."""
RECALLS: Final = (1, 5, 10)
RELEVANT: Final = 0.5
"""The relevance from which a document is one that a search should find."""
AT_ONCE: Final = 10_000_000
"""Number of similarities in memory at once."""
TIES_SEED: Final = 0
"""Seed for the order of equally similar documents."""


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """What each query found, ``[queries]``: figures between 0 and 1, and the ``first`` document's number.

    ``recalls`` are those at `RECALLS`.
    """

    ndcg: Real
    mrr: Real
    recalls: tuple[Real, ...]
    first: list[int]


def found(queries: Vectors, documents: Vectors, relevant: Sequence[Collection[int]]) -> RetrievalScores:
    """Rank ``documents``, ``[documents, size]``, for each of ``queries``, ``[queries, size]``, by the dot
    product.

    ``relevant`` has each query's right documents, all equally relevant. The figures are those of
    sentence-transformers' ``InformationRetrievalEvaluator``: nDCG (Järvelin and Kekäläinen, Cumulated
    Gain-Based Evaluation of IR Techniques, 2002) and the reciprocal rank among the first `TOP`. Equally
    similar documents come in a random order that is the same for every query and model: in the order given,
    a model that embeds all texts alike would find held-out documents before those of a corpus.
    """
    order = np.random.default_rng(TIES_SEED).permutation(len(documents))
    most = min(max(TOP, *RECALLS), len(documents))
    step = max(1, AT_ONCE // len(documents))
    shuffled = documents[order].T
    best = np.concatenate(
        [
            order[np.argsort(-(queries[start : start + step] @ shuffled), axis=1, kind="stable")[:, :most]]
            for start in range(0, len(queries), step)
        ]
    )
    hits = np.array(
        [
            [place in wanted for place in places]
            for places, wanted in zip(best.tolist(), relevant, strict=True)
        ],
        dtype=float,
    )
    counts = np.array([len(wanted) for wanted in relevant])
    gains = 1 / np.log2(np.arange(2, most + 2))
    ideal = np.cumsum(gains)[np.minimum(counts, TOP).clip(max=most) - 1]
    first = np.where(hits[:, :TOP].any(1), hits[:, :TOP].argmax(1) + 1, np.inf)
    return RetrievalScores(
        ndcg=(hits[:, :TOP] * gains[:TOP]).sum(1) / ideal,
        mrr=1 / first,
        recalls=tuple(hits[:, :k].sum(1) / counts for k in RECALLS),
        first=best[:, 0].tolist(),
    )


def ranks(values: Real) -> Real:
    """Return each value's rank from 1; equal ones share their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((2 * ends - counts + 1) / 2)[places]


def correlation(first: Real, second: Real) -> float:
    """Return Pearson's correlation; 0 if one of both is constant."""
    one, two = first - first.mean(), second - second.mean()
    size = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / size if size else 0.0


def spearman_by_row(cosines: Real, scores: Real) -> Real:
    """Return each row's share in Spearman's rank correlation of ``cosines`` and ``scores``; their mean is it.

    The shares are the jackknife's pseudo-values (Efron and Tibshirani, An Introduction to the Bootstrap,
    1993, chapter 11), so the interval of their mean is one of the correlation.
    """
    rows = len(cosines)
    whole = correlation(ranks(cosines), ranks(scores))
    if rows < 3:
        return np.full(rows, whole)
    both = [(values, ranks(values)) for values in (cosines, scores)]
    without = np.array(
        [
            correlation(
                *(
                    # The ranks without this row: those above it move down by 1, its equals by half.
                    np.delete(rank - (values > values[row]) - (values == values[row]) / 2, row)
                    for values, rank in both
                )
            )
            for row in range(rows)
        ]
    )
    shares = rows * whole - (rows - 1) * without
    centred: Real = shares - shares.mean() + whole
    return centred


def order_figures(scores: Sequence[float]) -> tuple[float, float]:
    """Return nDCG@10 of documents in their order, and the reciprocal rank of the first relevant one.

    ``scores`` are their relevance, from 0 to 1, which is their gain; from `RELEVANT` on one is relevant. Both
    are 0 if nothing is.
    """
    discounts = 1 / np.log2(np.arange(2, TOP + 2))

    def gained(order: Sequence[float]) -> float:
        return float(np.asarray(order[:TOP]) @ discounts[: len(order[:TOP])])

    best = gained(sorted(scores, reverse=True))
    rank = next((place for place, score in enumerate(scores[:TOP], 1) if score >= RELEVANT), None)
    return gained(scores) / best if best else 0.0, 1 / rank if rank else 0.0
