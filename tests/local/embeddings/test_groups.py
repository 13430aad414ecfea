"""Groups of vectors: found where they are planted, and none in clouds without groups."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np

from arkor_dev.local.embeddings.groups import grouped, principal, terms

ROWS, WIDTH = 160, 32


def cloud(kind: str, seed: int) -> tuple[Any, Any]:
    """A cloud, and the planted group of each point."""
    chance = np.random.default_rng(seed)
    scale = (1 / np.arange(1, WIDTH + 1)) ** 0.7
    planted = chance.integers(4, size=ROWS)
    if kind == "groups":
        centers = 2 * chance.normal(size=(4, WIDTH))
        return centers[planted] + chance.normal(size=(ROWS, WIDTH)), planted
    if kind == "normal":
        return chance.normal(size=(ROWS, WIDTH)) * scale, planted
    if kind == "skewed":
        return chance.exponential(size=(ROWS, WIDTH)) * scale, planted
    along = chance.uniform(size=(ROWS, 1))
    arc = np.hstack([6 * along, 2 * np.sin(3 * along), 2 * np.cos(3 * along)])
    return np.hstack([arc, 0.3 * chance.normal(size=(ROWS, WIDTH - 3))]), planted


def test_planted_groups_are_found() -> None:
    points, planted = cloud("groups", 1)
    labels = grouped(principal(points, 16))
    assert labels is not None
    assert len(set(labels)) == len({(own, of) for own, of in zip(labels, planted, strict=True)}) == 4
    sizes = np.bincount(labels)
    assert list(sizes) == sorted(sizes, reverse=True)


@pytest.mark.parametrize("kind", ["normal", "skewed", "arc"])
def test_a_cloud_without_groups_has_none(kind: str) -> None:
    """``scripts/bench groups`` counts how often this holds."""
    assert grouped(principal(cloud(kind, 2)[0], 16)) is None


def test_few_or_equal_points_have_no_groups() -> None:
    assert grouped(principal(np.ones((50, 8), np.float32), 16)) is None
    assert grouped(principal(np.eye(5, dtype=np.float32), 16)) is None


def test_terms_set_a_group_apart() -> None:
    texts = [
        "Where is the parcel",
        "Where is the letter, parcel or box",
        "the refund please",
        "a refund, the",
    ]
    assert terms(texts, [0, 0, 1, 1], 2) == [
        ["is", "parcel", "where", "box", "letter", "or"],
        ["refund", "please"],
    ]
    assert terms(["東京の天気", "東京の天気"], [0, 0], 1) == [[]]
