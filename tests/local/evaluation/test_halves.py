"""What chooses does not judge: halves of the held-out rows, and verdicts after early stopping."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.rows import Row, RowMessage
from arkor_dev.local.evaluation.halves import choosing, choosing_half, judging, key_of, minimum

from .families import FAMILIES, MARGIN, best_of_looks
from .test_paired import most_by_chance

if TYPE_CHECKING:
    from arkor_dev.local.evaluation.paired import Comparison

np = pytest.importorskip("numpy")

RUNS = 150
LOOKS = 20


def test_halves_depend_on_content_and_keep_groups_together() -> None:
    keys = [f"{(7919 * place) % 100:016x}" for place in range(30)]
    groups = [place // 3 for place in range(30)]
    half = choosing_half(keys, groups)
    assert sum(half) == 15
    assert all(
        len({half[place] for place in range(30) if groups[place] == group}) == 1 for group in range(10)
    )
    order = random.Random(3).sample(range(30), 30)
    assert choosing_half([keys[place] for place in order], [groups[place] for place in order]) == [
        half[place] for place in order
    ]


def test_row_keys_depend_on_content_only() -> None:
    turns: list[RowMessage] = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows = [
        Row(turns, "line 1"),
        Row(turns, "line 2"),
        Row([*turns, *turns], "line 1"),
        Row(turns, "line 1", extra={"columns": {"x": "1"}}),
    ]
    keys = [key_of(row) for row in rows]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_too_few_rows_are_not_halved() -> None:
    keys = [str(place) for place in range(15)]
    chose = choosing(keys, range(15))
    assert all(chose)
    assert (judging(chose, range(15)), minimum(chose)) == (list(range(15)), 16)
    grouped = choosing([str(place) for place in range(40)], [place % 15 for place in range(40)])
    assert all(grouped), "15 groups of rows are 15 rows"
    enough = choosing([str(place) for place in range(16)], range(16))
    assert (len(judging(enough, range(16))), minimum(enough)) == (8, 8)
    assert (judging((), range(15)), minimum(())) == (list(range(15)), 8), "nothing was chosen"


def verdicts(monkeypatch: pytest.MonkeyPatch, rows: int, gain: float = 0.0, *, halves: bool) -> list[str]:
    from arkor_dev.local.evaluation import paired

    monkeypatch.setattr(paired, "RESAMPLES", 1000)
    chance, found = np.random.default_rng(5), []
    for _ in range(RUNS):
        base, adapter, chose = best_of_looks(FAMILIES["normal"], chance, rows, LOOKS, gain, halves=halves)
        found.append(paired.compare(base, adapter, margin=MARGIN, chose=chose).verdict)
    return found


@pytest.mark.parametrize("rows", [32, 64])
def test_the_best_of_twenty_null_evaluations_is_not_better(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    naive = verdicts(monkeypatch, rows, halves=False)
    assert naive.count("better") > most_by_chance(0.05, RUNS), "choosing is no problem here"
    assert verdicts(monkeypatch, rows, halves=True).count("better") <= most_by_chance(0.05, RUNS)


def test_half_of_the_rows_find_a_real_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdicts(monkeypatch, 64, gain=1.0, halves=True).count("better") > 0.95 * RUNS


def test_choosing_rows_are_excluded_from_interval_and_means() -> None:
    from arkor_dev.local.evaluation.paired import compare

    chance = np.random.default_rng(2)
    base, adapter = list(3 + chance.standard_normal(32)), list(2 + chance.standard_normal(32))
    chose = [place % 2 == 0 for place in range(32)]
    found = compare(base, adapter, list(range(32)), MARGIN, chose=chose)
    alone = compare(base[1::2], adapter[1::2], list(range(16)), MARGIN)
    figures: tuple[Any, ...] = ("base", "adapter", "rows", "groups", "mean", "low", "high")
    assert [getattr(found, name) for name in figures] == [getattr(alone, name) for name in figures]
    assert found.chose == 16


def test_choosing_preferences_are_excluded_too() -> None:
    """Those that chose are all followed and equally long, the others are neither."""
    from arkor_dev.local.evaluation.paired import compare
    from arkor_dev.local.evaluation.preferred import preferred

    chose = [place % 2 == 0 for place in range(40)]
    start, adapter = [0.0] * 40, [1.0 if chooses else -1.0 for chooses in chose]
    lengths = [0 if chooses else 3 for chooses in chose]
    found = preferred("pair", compare(start, adapter), start, adapter, list(range(40)), lengths, chose)
    assert (found.groups, found.won, found.verdict) == (20, 0, "worse")
    groups = [place % 12 for place in range(40)]
    few = preferred("pair", compare(start, adapter), start, adapter, groups, chose=[True] * 40)
    assert (few.minimum, few.verdict) == (16, "unclear")


def test_the_required_rows_double_if_half_of_them_choose() -> None:
    unclear = unclear_comparison()
    assert unclear.rows_to_settle
    from dataclasses import replace

    assert replace(unclear, chose=unclear.rows).rows_to_settle == pytest.approx(
        2 * unclear.rows_to_settle, abs=2
    )


def unclear_comparison() -> Comparison:
    from arkor_dev.local.evaluation.paired import Comparison

    return Comparison(3.42, 3.32, 40, 40, mean=0.1, low=-0.05, high=0.25, error=0.075, margin=0.01)


def test_without_judging_rows_there_is_no_verdict() -> None:
    from arkor_dev.local.evaluation.paired import compare
    from arkor_dev.local.evaluation.words import overall

    found = compare([3.0] * 12, [1.0] * 12, chose=[True] * 12)
    assert (found.verdict, found.rows_to_settle) == ("unclear", 16)
    assert overall(found) == ("unclear", "Too few rows to judge it at your task (only 12).")
