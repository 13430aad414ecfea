"""A classifier's verdict: against the majority, with intervals that hold, also if it has learned nothing."""

from __future__ import annotations

import numpy as np
import pytest

from arkor_dev.local.evaluation.classified import Classified, Several, classified, macro_f1
from tests.support.in_ci import in_ci

from .test_paired import most_by_chance

NAMES = ("a", "b", "c")
RUNS = 200


def found(wanted: list[int], predicted: list[int], **more: object) -> Classified:
    groups = more.pop("groups", range(len(wanted)))
    return classified(NAMES, 0, wanted, predicted, list(groups), **more)  # type: ignore[call-overload,arg-type]


def test_a_good_classifier_is_better_than_the_majority() -> None:
    wanted = [0, 1, 2] * 20
    result = found(wanted, [0 if place % 20 == 4 else label for place, label in enumerate(wanted)])
    assert result.compared.verdict == "better"
    assert result.compared.measured == pytest.approx((1 / 3, 58 / 60))
    sentence = result.sentence()
    assert sentence.startswith(
        'Your task: better, accuracy 0.97 vs. 0.33 for always answering "a", as the base cannot classify, '
        "on 60 held-out rows; 95 % interval of the difference "
    )
    assert "; macro F1 0.97 (" in sentence
    figures = result.figures()
    assert figures["majority"] == "a"
    assert figures["majorityMacroF1"] == pytest.approx(1 / 6, abs=1e-5)
    assert figures["confusion"][0] == {"label": "a", "predicted": "a", "rows": 20}
    assert sum(cell["rows"] for cell in figures["confusion"]) == 60
    assert {"label": "b", "predicted": "a", "rows": 1} in figures["confusion"]


def test_all_right_still_has_an_interval() -> None:
    result = found([0, 1] * 10, [0, 1] * 10)
    for share in (result.accuracy, result.macro_f1):
        assert share.value == share.high == 1
        assert 0.6 < share.low < 0.9


def test_always_the_majority_is_no_difference() -> None:
    result = found([0, 1, 2] * 10, [0] * 30)
    assert result.compared.verdict == "same"
    assert result.compared.mean == 0


def test_macro_f1_is_scikit_learns() -> None:
    # f1_score([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 1], average="macro") is 0.355...: F1 2/3, 2/5 and 0
    true, named = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    assert macro_f1(true, named, 3) == pytest.approx((2 / 3 + 2 / 5 + 0) / 3)
    # A class that neither has does not count.
    assert macro_f1(true, named, 10) == pytest.approx((2 / 3 + 2 / 5 + 0) / 3)


@pytest.mark.parametrize("rows", [16, in_ci(96)])
@pytest.mark.parametrize("shares", [(1 / 3, 1 / 3, 1 / 3), (0.5, 0.5, 0)])
def test_a_classifier_of_shuffled_labels_is_not_better_than_the_majority(
    rows: int, shares: tuple[float, ...]
) -> None:
    """Its answers have the labels' frequencies and tell nothing of them. In such runs at most the share of
    the interval's upper end may be called better.
    """
    chance = np.random.default_rng(11)
    better = 0
    for _ in range(RUNS):
        wanted, predicted = (chance.choice(3, rows, p=shares).tolist() for _ in range(2))
        better += found(wanted, predicted).compared.verdict == "better"
    assert better <= most_by_chance(0.025, RUNS)


@pytest.mark.ci
@pytest.mark.parametrize("size", [in_ci(1), 5])
def test_the_intervals_cover_the_true_figures(size: int) -> None:
    """Of a classifier that is right for 80 % of the groups, whose rows are all right or all wrong."""
    chance, groups = np.random.default_rng(12), 40
    covered = covered_f1 = 0
    for _ in range(RUNS):
        wanted = chance.choice(3, groups).repeat(size)
        right = (chance.random(groups) < 0.8).repeat(size)
        predicted = np.where(right, wanted, (wanted + 1 + chance.integers(0, 2, groups).repeat(size)) % 3)
        result = found(wanted.tolist(), predicted.tolist(), groups=np.arange(groups).repeat(size).tolist())
        covered += result.accuracy.low <= 0.8 <= result.accuracy.high
        covered_f1 += result.macro_f1.low <= 0.8 <= result.macro_f1.high
    assert covered >= 0.92 * RUNS
    assert covered_f1 >= 0.9 * RUNS


def test_rows_that_chose_do_not_judge() -> None:
    wanted = [0, 1] * 20
    chose = [place < 20 for place in range(40)]
    predicted = [*wanted[:20], *([0] * 20)]  # right for those that chose, the majority for the others
    result = found(wanted, predicted, chose=chose)
    assert (result.compared.rows, result.compared.chose) == (20, 20)
    assert result.accuracy.value == 0.5
    assert sum(cell["rows"] for cell in result.figures()["confusion"]) == 20


def test_few_rows_give_no_verdict() -> None:
    result = found([0, 1] * 3, [0, 1] * 3)
    assert result.compared.verdict == "unclear"
    assert "too few rows to tell" in result.sentence()
    assert "A verdict needs at least" in result.sentence()
    assert "A verdict needs" not in result.sentence(dry=True)


def test_f1_of_several_labels_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    chance = np.random.default_rng(14)
    true, named = (chance.random((60, 3)) < 0.4 for _ in range(2))
    combinations: dict[tuple[bool, ...], int] = {}
    wanted, predicted = (
        [combinations.setdefault(tuple(row), len(combinations)) for row in marks.tolist()]
        for marks in (true, named)
    )
    names = tuple(map(str, combinations))
    several = Several(true, named, true[0])
    result = classified(names, wanted[0], wanted, predicted, range(60), several=several)
    assert result.micro_f1
    assert result.micro_f1.value == pytest.approx(metrics.f1_score(true, named, average="micro"))
    assert result.macro_f1.value == pytest.approx(metrics.f1_score(true, named, average="macro"))
    assert result.accuracy.value == pytest.approx(metrics.accuracy_score(true, named))
    figures = result.figures()
    assert figures["labels"] == 3
    assert figures["microF1"]["low"] < result.micro_f1.value < figures["microF1"]["high"]
    assert f"micro F1 {result.micro_f1.value:.2f} (" in result.sentence()


@pytest.mark.ci
def test_several_labels_at_random_are_not_better_than_the_most_frequent_combination() -> None:
    chance = np.random.default_rng(15)
    better = 0
    for _ in range(RUNS):
        true, named = (chance.random((48, 2)) < 0.3 for _ in range(2))
        wanted, predicted = (marks @ [1, 2] for marks in (true, named))
        several = Several(true, named, np.zeros(2, dtype=bool))
        names = ("(none)", "a", "b", "a + b")
        found = classified(names, 0, wanted.tolist(), predicted.tolist(), range(48), several=several)
        better += found.compared.verdict == "better"
    assert better <= most_by_chance(0.025, RUNS)
