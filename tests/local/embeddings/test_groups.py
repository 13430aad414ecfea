"""Groups of rows: found where they are planted, and none among rows of independent words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np

from arkor_dev.local.embeddings import groups
from arkor_dev.local.embeddings.groups import count_groups, grouped, principal, terms

WORDS = 60
VECTORS = np.random.default_rng(0).normal(size=(WORDS, 16)).astype(np.float32)


def rows_of(topics: int, rows: int, seed: int) -> tuple[list[Counter[int]], list[int]]:
    """Rows of ten words, seven of them of the row's topic, and the topics; without topics, of any words."""
    chance = np.random.default_rng(seed)
    own = [row % max(1, topics) for row in range(rows)]
    drawn = []
    for topic in own:
        words = list(chance.integers(WORDS // 2, WORDS, 3))
        words += list(
            chance.integers(10 * topic, 10 * topic + 10, 7) if topics else chance.integers(WORDS, size=7)
        )
        drawn.append(Counter(map(int, words)))
    return drawn, own


def test_planted_groups_are_found() -> None:
    rows, topics = rows_of(3, 72, 1)
    count = count_groups(rows, VECTORS)
    assert count is not None
    labels = grouped(groups._placed(rows, VECTORS), count)
    assert labels is not None
    pairs = Counter(zip((int(label) for label in labels), topics, strict=True))
    alike = sum(max(pairs[label, topic] for topic in range(3)) for label in range(count))
    assert alike > 0.75 * len(rows)
    sizes = np.bincount(labels)
    assert list(sizes) == sorted(sizes, reverse=True)


def test_rows_of_independent_words_have_no_groups() -> None:
    """At most 1 of 40 by design; ``scripts/bench groups`` counts larger sets and true words."""
    claimed = [count_groups(rows_of(0, 30, seed)[0], VECTORS) for seed in range(8)]
    assert sum(count is not None for count in claimed) <= 1


def test_the_null_model_keeps_word_and_row_frequencies() -> None:
    rows, _ = rows_of(3, 40, 2)
    dealt: list[Any] = [dict(row) for row in rows]
    groups._deal(dealt, 200, np.random.default_rng(3))
    assert dealt != rows
    assert [len(row) for row in dealt] == [len(row) for row in rows]
    assert Counter(word for row in dealt for word in row.items()) == Counter(
        word for row in rows for word in row.items()
    )


def test_few_or_equal_rows_have_no_groups() -> None:
    assert count_groups([Counter({1: 1, 2: 1})] * 50, VECTORS) is None
    assert count_groups(rows_of(3, 15, 1)[0], VECTORS) is None


def test_a_uniform_cloud_has_no_groups() -> None:
    points = principal(np.random.default_rng(2).uniform(size=(160, 4)), 4)
    assert grouped(points, 5) is None


def test_group_terms_are_characteristic() -> None:
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
