"""Groups similar vectors with k-means, into as many groups as stand out, or none if nothing does.

Every set of rows can be cut into parts. So groups count only if they are tighter than any that are found in
the same way among the same words without groups: the words are dealt out anew to the rows, each of which
keeps its number of words, and each word its number of rows (the curveball algorithm of Strona et al. 2014).
The measure is the simplified silhouette (Hruschka, Campello and de Castro 2004), and the comparison a
permutation test. Besides, most rows must be in groups with a gap in density to the next group.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float16 | np.float32 | np.float64]
    Labels = NDArray[np.signedinteger]

DIMENSIONS: Final = 16
"""Number of principal components in which groups are searched."""
COUNTS: Final = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
"""Numbers of groups that are tried."""
SMALLEST: Final = 8
"""Minimum average number of rows in a group."""
SAMPLE: Final = 500
"""Maximum number of rows used to decide the number of groups."""
REFERENCES: Final = 39
"""How often words are dealt out: all are beaten by chance once in 40 times. See ``scripts/bench groups``."""
TRADES: Final = 3
"""Trades per row between two references; twice as many before the first."""
WIDTH: Final = 128
"""Number of dimensions of words' vectors in the comparison."""
STEADY: Final = 1e-3
"""Added to the spread of silhouettes, which may be zero."""
SEPARATED: Final = 0.5
"""Minimum share of the rows that must be in groups separate from the next one."""
NEAR: Final = 0.15
"""Range around a center, and around the midpoint of two, as a fraction of their distance."""
ITERATIONS: Final = 30
STARTS: Final = 2
SEED: Final = 20_240_731
TERMS: Final = 6
WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2}|[^\W\d_\u3040-\u30ff\u3400-\u9fff]{2,30}")
"""A word; scripts without spaces are split into pairs of characters."""
CHUNK: Final = 4096


def principal(vectors: Floats, dimensions: int) -> NDArray[np.float32]:
    """Return the first principal components of ``vectors`` ``[rows, width]``, float32, exact."""
    mean = vectors.mean(0, dtype=np.float64)
    width = vectors.shape[1]
    covariance = np.zeros((width, width))
    for start in range(0, len(vectors), CHUNK):
        part = (vectors[start : start + CHUNK].astype(np.float32) - mean).astype(np.float32)
        covariance += part.T @ part
    _, axes = np.linalg.eigh(covariance)
    axes = axes[:, ::-1][:, :dimensions]
    # The sign of an axis is arbitrary: make the largest entry positive, so that a map is the same each time.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    projected = np.empty((len(vectors), axes.shape[1]), np.float32)
    for start in range(0, len(vectors), CHUNK):
        projected[start : start + CHUNK] = (vectors[start : start + CHUNK].astype(np.float32) - mean) @ axes
    return projected


def sampled(rows: int) -> list[int]:
    """Return which of so many rows decide on the number of groups, the same ones each time."""
    chosen = np.random.default_rng(SEED).permutation(rows)[:SAMPLE]
    return [int(row) for row in np.sort(chosen)]


def count_groups(rows: Sequence[Mapping[int, int]], vectors: Floats) -> int | None:
    """Return the number of groups that stand out among ``rows``, or None.

    A row is given as its words, numbers of ``vectors`` ``[words, width]``, with how often it has each. The
    same rows have the same groups on every run.
    """
    chance = np.random.default_rng(SEED)
    counts = [count for count in COUNTS if count * SMALLEST <= len(rows)]
    if not counts:
        return None
    vectors = principal(vectors, WIDTH)
    scored = [_silhouettes(_placed(rows, vectors), counts, chance)]
    dealt = [dict(row) for row in rows]
    _deal(dealt, TRADES * len(rows), chance)
    for _ in range(REFERENCES):
        _deal(dealt, TRADES * len(rows), chance)
        scored.append(_silhouettes(_placed(dealt, vectors), counts, chance))
    every = np.array(scored)
    # Larger numbers of groups have higher silhouettes, and vary less.
    scores = (every - every.mean(0)) / (every.std(0) + STEADY)
    best = int(scores[0].argmax())
    return counts[best] if scores[0, best] > scores[1:].max() else None


def _placed(rows: Sequence[Mapping[int, int]], vectors: Floats) -> NDArray[np.float32]:
    """Return the rows' points ``[rows, DIMENSIONS]``: weighted sums of their words' vectors, as in
    `TokenVectors.embed`, and then their principal components.
    """
    words = np.fromiter((word for row in rows for word in row), np.int64)
    times = np.fromiter((times for row in rows for times in row.values()), np.float32)
    rare = np.log(1 + len(rows) / np.maximum(np.bincount(words, minlength=len(vectors)), 1))
    weights = ((1 + np.log(times)) * rare[words]).astype(np.float32)
    starts = np.cumsum([0, *(len(row) for row in rows[:-1])])
    summed = np.add.reduceat(vectors[words] * weights[:, None], starts)
    return principal(summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12), DIMENSIONS)


def _deal(rows: Sequence[dict[int, int]], trades: int, chance: Generator) -> None:
    """Let pairs of rows trade at random the words that only one of the two has."""
    for one, other in chance.integers(len(rows), size=(trades, 2)):
        first, second = rows[one], rows[other]
        mine, theirs = first.keys() - second.keys(), second.keys() - first.keys()
        if not mine or not theirs:
            continue
        traded = [(word, first.pop(word)) for word in mine] + [(word, second.pop(word)) for word in theirs]
        order = chance.permutation(len(traded))
        first.update(traded[at] for at in order[: len(mine)])
        second.update(traded[at] for at in order[len(mine) :])


def grouped(points: Floats, count: int) -> NDArray[np.int16] | None:
    """Return the group of each of ``points``, ``[rows, dimensions]``, numbered from the largest.

    None if too few of the ``count`` groups are separate. The same points have the same groups on every run.
    """
    labels, centers = kmeans(points, count, np.random.default_rng(SEED))
    if separated(points, labels, centers) < SEPARATED:
        return None
    order = np.argsort(-np.bincount(labels, minlength=count), kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return ranks[labels].astype(np.int16)


def separated(points: Floats, labels: Labels, centers: Floats) -> float:
    """Return the share of points whose group is separate from the nearest other group.

    Separate means: projected onto the line through both centers, fewer than half as many points of both
    groups are near the midpoint as near either center. A shape that k-means has merely cut shows no such dip.
    """
    apart = np.zeros(len(centers), bool)
    between = _distances(centers, centers)
    np.fill_diagonal(between, np.inf)
    for group, other in enumerate(between.argmin(1)):
        line = centers[other] - centers[group]
        two = points[(labels == group) | (labels == other)]
        along = (two - centers[group]) @ line / max(float(line @ line), 1e-12)
        first, middle, last = ((np.abs(along - position) < NEAR).sum() for position in (0, 0.5, 1))
        apart[group] = middle < min(first, last) / 2
    return float(apart[labels].mean())


def _silhouettes(points: Floats, counts: Sequence[int], chance: Generator) -> list[float]:
    return [silhouette(points, kmeans(points, count, chance)[1]) for count in counts]


def silhouette(points: Floats, centers: Floats) -> float:
    """Return the simplified silhouette: how much nearer points are to their own center than to the next."""
    nearest = np.sqrt(np.partition(_distances(points, centers), 1, axis=1)[:, :2])
    return float(((nearest[:, 1] - nearest[:, 0]) / np.maximum(nearest[:, 1], 1e-12)).mean())


def kmeans(points: Floats, count: int, chance: Generator) -> tuple[Labels, Floats]:
    """Return labels and centers of the best of a few starts (k-means++, then Lloyd's algorithm)."""
    best: tuple[float, Labels, Floats] | None = None
    for _ in range(STARTS):
        centers = _first_centers(points, count, chance)
        labels = None
        for _ in range(ITERATIONS):
            nearest = _distances(points, centers).argmin(1)
            if labels is not None and (nearest == labels).all():
                break
            labels = nearest
            member = (labels[:, None] == np.arange(count)).astype(points.dtype)
            sizes = member.sum(0)[:, None]
            centers = np.where(sizes > 0, member.T @ points / np.maximum(sizes, 1), centers)
        distances = _distances(points, centers)
        inertia = float(distances.min(1).sum())
        if best is None or inertia < best[0]:
            best = inertia, distances.argmin(1), centers
    assert best is not None
    return best[1:]


def _first_centers(points: Floats, count: int, chance: Generator) -> Floats:
    centers = [points[chance.integers(len(points))]]
    nearest = _distances(points, np.array(centers))[:, 0]
    while len(centers) < count:
        total = nearest.sum()
        shares = nearest / total if total > 0 else None
        draw = int(chance.choice(len(points), p=shares))
        centers.append(points[draw])
        nearest = np.minimum(nearest, _distances(points, points[draw][None])[:, 0])
    return np.array(centers)


def _distances(points: Floats, centers: Floats) -> Floats:
    """Return the squared distances ``[points, centers]``."""
    squares = (points**2).sum(1)[:, None] - 2 * points @ centers.T + (centers**2).sum(1)
    distances: Floats = np.maximum(squares, 0)
    return distances


def nearest_to_center(points: Floats, labels: Labels, group: int, count: int) -> list[int]:
    """Return the indices of a group's ``count`` members nearest to its center."""
    members = np.flatnonzero(labels == group)
    distances = ((points[members] - points[members].mean(0)) ** 2).sum(1)
    return [int(index) for index in members[np.argsort(distances, kind="stable")[:count]]]


def terms(texts: Sequence[str], labels: Sequence[int], count: int) -> list[list[str]]:
    """Return the distinctive words of each of ``count`` groups.

    A word's weight is tf-idf with a group as the document: the share of the group's rows that have the word,
    times the logarithm of how much more frequent it is there than in all rows.
    """
    row_counts: Counter[str] = Counter()
    own: list[Counter[str]] = [Counter() for _ in range(count)]
    sizes = Counter(labels)
    for text, label in zip(texts, labels, strict=True):
        used = set(WORD.findall(text.lower()))
        row_counts.update(used)
        own[label].update(used)
    terms_of_groups = []
    for group, words in enumerate(own):
        size = max(1, sizes[group])
        least = 2 if size > 3 else 1
        weights = {
            word: rows / size * math.log(rows / size * len(texts) / row_counts[word])
            for word, rows in words.items()
            if rows >= least
        }
        best = sorted(weights.items(), key=lambda weighted: (-weighted[1], weighted[0]))
        terms_of_groups.append([word for word, weight in best[:TERMS] if weight > 0])
    return terms_of_groups
