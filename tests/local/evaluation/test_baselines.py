"""What a classifier is compared with besides the majority: plain words, and null cases."""

from __future__ import annotations

import numpy as np
import pytest

from arkor_dev.local.evaluation.baselines import TFIDF, ZERO_SHOT, Baseline, baseline
from tests.support.in_ci import in_ci

from .test_paired import most_by_chance

RUNS = 200


def compared(own_right: int, theirs_right: int, rows: int = 100, kind: str = TFIDF) -> Baseline:
    """A comparison in which the classifier and the baseline label so many rows correctly."""
    wanted = [0] * rows
    own, theirs = ([0] * right + [1] * (rows - right) for right in (own_right, theirs_right))
    return baseline(kind, wanted, theirs, own, range(rows), 0.01)  # type: ignore[arg-type]


def test_a_better_classifier_needs_no_conclusion() -> None:
    found = compared(95, 60)
    assert found.compared.verdict == "better"
    assert found.conclusion() == ""
    assert found.sentence().startswith(
        "Compared with TF-IDF with logistic regression: better, accuracy 0.95 vs. 0.60 on 100 held-out rows; "
        "95 % interval of the difference 0.2"
    )
    figures = found.figures()
    assert (figures["kind"], figures["rows"]) == ("tfidf", 100)
    assert (figures["accuracy"], figures["classifier"]) == (0.6, 0.95)
    assert figures["difference"]["mean"] == pytest.approx(0.35)
    assert figures["difference"]["low"] > 0


def test_a_baseline_that_is_as_good_means_that_no_model_is_needed() -> None:
    assert compared(90, 90, 1000).compared.verdict == "same"
    assert compared(90, 90, 1000).conclusion() == (
        "TF-IDF with logistic regression is as good: this task needs no language model."
    )
    assert compared(60, 95).conclusion() == (
        "TF-IDF with logistic regression is better: this task needs no language model."
    )
    assert "so this task may need no language model" in compared(93, 90).conclusion()


def test_the_bases_choice_needs_a_model_and_gives_no_conclusion() -> None:
    assert compared(60, 95, kind=ZERO_SHOT).conclusion() == ""
    assert "the base's zero-shot choice: worse" in compared(60, 95, kind=ZERO_SHOT).sentence()


def test_few_rows_conclude_nothing() -> None:
    found = compared(5, 5, 5)
    assert found.conclusion() == ""
    assert "too few rows to tell" in found.sentence()


@pytest.mark.parametrize(("rows", "size"), [(16, 1), in_ci(96, 1), (24, 4)])
def test_equally_good_labels_are_seldom_called_better(rows: int, size: int) -> None:
    """Both are right for 70 % of the groups, independently: rows of a group are all right or all wrong."""
    chance, better = np.random.default_rng(21), 0
    groups = np.arange(rows).repeat(size)
    for _ in range(RUNS):
        own, theirs = ((chance.random(rows) < 0.7).repeat(size).astype(int).tolist() for _ in range(2))
        found = baseline(TFIDF, [1] * len(groups), theirs, own, groups.tolist())
        better += found.compared.verdict == "better"
    assert better <= most_by_chance(0.025, RUNS)


def test_rows_that_chose_are_left_out() -> None:
    wanted, chose = [0] * 40, [place < 20 for place in range(40)]
    found = baseline(TFIDF, wanted, [1] * 40, [0] * 20 + [1] * 20, range(40), chose=chose)
    assert found.compared.rows == 20
    assert found.compared.measured == (0, 0)
