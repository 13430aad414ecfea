"""How often groups are found where they are planted, and claimed in clouds without groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from arkor_dev.local.embeddings.groups import DIMENSIONS, grouped, principal

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH: Final = 64
CLOUDS: Final = ("normal", "stretched", "heavy tails", "block", "skewed", "arc", "sphere")
PLANTED: Final = ((3, 1.0), (4, 0.5), (8, 0.5), (12, 1.0))
"""Numbers of groups, and the standard deviation of their centers in that of the points about them."""

PURE: Final = 0.75
"""Least share of points with most others of their center: k-means may take two groups for one."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Draw clouds of each kind, and count those with groups."""
    clouds, rows = (2, 100) if quick else (20, 300)
    wrong = 0
    for kind in CLOUDS:
        found = sum(_labels(cloud(kind, seed, rows)) is not None for seed in range(clouds))
        wrong += found
        yield Figure(f"{kind} cloud: groups claimed", 100 * found / clouds, "%")
    most = None if quick else 5
    yield Figure("all clouds without groups", 100 * wrong / clouds / len(CLOUDS), "%", most=most)
    for count, apart in PLANTED:
        right = 0
        for seed in range(clouds):
            points, own = planted(count, apart, seed, rows)
            labels = _labels(points)
            right += labels is not None and _purity(labels, own) > PURE
        least = None if quick else 75
        yield Figure(f"{count} groups, {apart:g} apart: found", 100 * right / clouds, "%", least=least)


def cloud(kind: str, seed: int, rows: int) -> Any:
    """Return points without groups."""
    chance = np.random.default_rng(seed)
    scale = (1 / np.arange(1, WIDTH + 1)) ** 0.7
    shape = (rows, WIDTH)
    match kind:
        case "normal":
            return chance.normal(size=shape)
        case "stretched":
            return chance.normal(size=shape) * scale
        case "heavy tails":
            return chance.normal(size=shape) * scale / np.sqrt(chance.chisquare(5, size=(rows, 1)) / 5)
        case "block":
            return chance.uniform(-1, 1, size=shape) * scale
        case "skewed":
            return chance.exponential(size=shape) * scale
        case "arc":
            along = chance.uniform(size=(rows, 1))
            arc = np.hstack([6 * along, 2 * np.sin(3 * along), 2 * np.cos(3 * along)])
            return np.hstack([arc, 0.3 * chance.normal(size=(rows, WIDTH - 3))])
    points = chance.normal(size=shape) * scale
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def planted(count: int, apart: float, seed: int, rows: int) -> tuple[Any, Any]:
    """Return points about ``count`` centers, and the center of each."""
    chance = np.random.default_rng(seed)
    own = chance.integers(count, size=rows)
    return apart * chance.normal(size=(count, WIDTH))[own] + chance.normal(size=(rows, WIDTH)), own


def _labels(points: Any) -> Any:
    return grouped(principal(points.astype(np.float16), DIMENSIONS))


def _purity(labels: Any, own: Any) -> float:
    """Return the share of points in groups whose planted center is that of most others there."""
    return float(sum(np.bincount(own[labels == label]).max() for label in np.unique(labels)) / len(own))
