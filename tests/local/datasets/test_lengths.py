"""Counts of lengths, against a plain sum over the rows."""

from __future__ import annotations

import random

import pytest

from arkor_dev.local.datasets import lengths
from arkor_dev.local.datasets.lengths import Lengths

pytestmark = pytest.mark.engine  # numpy comes with it


@pytest.mark.parametrize("bound", [lengths.BOUND, 60])
def test_truncation_losses_are_exact(monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    monkeypatch.setattr(lengths, "BOUND", bound)
    chance, counts, rows = random.Random(3), Lengths(), []
    for _ in range(300):
        length = chance.randrange(1, 200)
        places = sorted(chance.sample(range(length + 1), 2))
        runs = [(places[0], places[1])] if places[0] < places[1] else []
        first = runs[0][0] if runs else None
        rows.append((length, runs, first))
        counts.add(length, runs, first)
    told = counts.counts()
    assert told["read"] == sum(told["rows"]) == 300
    for cut in range(len(told["rows"])):
        lost = sum(max(0, length - cut) for length, _, _ in rows)
        assert sum(n * max(0, at - cut) for at, n in enumerate(told["rows"])) + told["beyond"] == lost
        learned = sum(max(0, end - max(start, cut)) for _, runs, _ in rows for start, end in runs)
        assert sum(told["learned"][cut:bound]) + told["learnedBeyond"] == learned
        empty = sum(first is not None and first >= cut for _, _, first in rows)
        assert sum(told["first"][cut:]) == empty
