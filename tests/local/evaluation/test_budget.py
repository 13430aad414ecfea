"""A forgetting budget is exceeded in at most 5 % of runs, whatever it is and however skewed the harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from arkor_dev.local.evaluation import paired
from arkor_dev.local.evaluation.budget import (
    STEPS,
    STRENGTHS,
    Harm,
    StrengthChoice,
    candidates,
    harm_of,
    parts_of,
    strongest,
)
from arkor_dev.local.evaluation.words import budget_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import EvaluationBudget

QUESTIONS, RUNS = 64, 120


def chosen(harms: Sequence[float], limit: float, parts: int = 1) -> StrengthChoice:
    """Choose a strength, if the harm of each text grows with its square, from a base loss of 2."""

    def harm_at(strength: float) -> Harm:
        return harm_of(strength, [2.0] * len(harms), [2 + strength**2 * harm for harm in harms], parts)

    return strongest(harm_at, limit)


def test_the_strongest_adapter_below_the_limit_is_chosen() -> None:
    harms = [0.9, 1.0, 1.1] * 21
    choice = chosen(harms, 0.3)
    assert choice.refused
    assert (choice.chosen.strength, choice.within, choice.refused.strength) == (0.5, True, 0.6)
    assert choice.chosen.mean == pytest.approx(0.25)
    assert choice.chosen.mean < choice.chosen.most < 0.3 < choice.refused.most


def test_an_adapter_that_does_no_harm_keeps_its_strength() -> None:
    choice = chosen([-0.1, 0.1] * 15, 0.1)
    assert (choice.chosen.strength, choice.within, choice.refused) == (1.0, True, None)


@pytest.mark.parametrize("harms", [[90.0, 100.0] * 32, [0.0] * 7], ids=["much harm", "too few questions"])
def test_without_a_strength_below_the_limit_the_lowest_is_chosen_and_named(harms: list[float]) -> None:
    choice = chosen(harms, 0.2)
    assert (choice.chosen.strength, choice.within) == (STRENGTHS[0], False)


def test_strengths_above_the_first_refused_are_not_tried() -> None:
    """Harm that falls again beyond it may be luck: a later strength would be a second try."""
    tried: list[float] = []

    def harm_at(strength: float) -> Harm:
        tried.append(strength)
        most = 0.21 if strength == 0.3 else 0.1
        return Harm(strength, most / 2, most)

    assert strongest(harm_at, 0.2).chosen.strength == 0.2
    assert tried == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("skew", [0.0, 1.0], ids=["normal", "lognormal"])
def test_a_budget_that_a_strength_just_exceeds_is_rarely_exceeded(
    monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    """The worst case: the true harm of one strength is the limit itself, so to choose it or more is wrong."""
    monkeypatch.setattr(paired, "RESAMPLES", 400)
    chance, exceeded = np.random.default_rng(3), 0
    for _ in range(RUNS):
        spread = chance.normal(size=QUESTIONS)
        harms = np.exp(skew * spread - skew**2 / 2) if skew else 1 + spread
        exceeded += chosen(list(harms), 0.4**2).chosen.strength >= 0.4
    assert exceeded <= 0.05 * RUNS + 2 * (0.05 * 0.95 * RUNS) ** 0.5


@pytest.mark.parametrize("alike", [0.0, 0.9], ids=["independent", "alike"])
def test_a_budget_that_strengths_of_all_steps_just_exceed_is_rarely_exceeded(
    monkeypatch: pytest.MonkeyPatch, alike: float
) -> None:
    """Whatever picks among the steps: if any strength that passes exceeds the limit, it could be picked."""
    monkeypatch.setattr(paired, "RESAMPLES", 400)
    chance, exceeded = np.random.default_rng(5), 0
    for _ in range(RUNS):
        common, own = chance.normal(size=QUESTIONS), chance.normal(size=(STEPS, QUESTIONS))
        spread = alike**0.5 * common + (1 - alike) ** 0.5 * own
        harms = np.exp(0.5 * spread - 0.5**2 / 2)
        exceeded += any(
            chosen(list(each), 0.4**2, parts).chosen.strength >= 0.4
            for each, parts in zip(harms, parts_of(range(STEPS)), strict=True)
        )
    assert exceeded <= 0.05 * RUNS


def test_earlier_steps_have_wider_bounds_and_the_last_one_the_same_as_alone() -> None:
    assert (parts_of([8]), parts_of([8, 4]), parts_of([8, 6, 4, 2])) == ([1], [1, 8], [1, 24, 24, 24])
    harms = [0.1 + 0.01 * (number % 7) for number in range(QUESTIONS)]
    alone, earlier = (harm_of(1.0, [0.0] * QUESTIONS, harms, parts).most for parts in (1, 24))
    assert alone < earlier < 2 * alone - np.mean(harms)


@pytest.mark.parametrize(
    ("checkpoints", "last", "tried"),
    [
        ((13, 26, 39, 52), 54, [54, 39, 26, 13]),
        (range(1, 101), 100, [100, 75, 50, 25]),
        ((3, 4), 4, [4, 3]),
        ((90, 95, 100), 100, [100, 90]),
        ((10, 20), 10, [10]),
        ((), 5, [5]),
    ],
)
def test_a_few_steps_spread_over_the_run_are_tried_the_last_one_first(
    checkpoints: Sequence[int], last: int, tried: list[int]
) -> None:
    """With early stopping, `last` is the step that it kept; later ones are worse at the task."""
    assert candidates(checkpoints, last) == tried


def test_the_sentence_tells_bounds_near_the_limit_from_it_and_says_what_it_holds_for() -> None:
    choice = StrengthChoice(Harm(0.6, 0.1504, 0.1961), within=True, refused=Harm(0.7, 0.1702, 0.2041))
    budget: EvaluationBudget = {
        "maxHarm": 0.2, "kept": True, "strength": 0.6, "harm": 0.1504, "questions": 64, "sentence": "",
    }  # fmt: skip
    assert budget_sentence(choice, 0.2, budget, None) == (
        "Forgetting budget: at 60 % strength, the harm in general is below 0.2 nats per token with 95 % "
        "confidence (0.150, at most 0.196, on 64 questions). At 70 % it may not be (at most 0.204). This "
        "holds for short questions like these, unless rare ones carry most of the harm."
    )
    of_step: EvaluationBudget = {**budget, "step": 18, "steps": 4}
    assert budget_sentence(choice, 0.2, of_step, None).startswith(
        "Forgetting budget: at step 18 with 60 % strength, the harm in general is below 0.2 nats"
    )
    assert budget_sentence(choice, 0.2, budget, None, few=True).endswith(
        "An earlier step may keep more of the gain: with 16 independent held-out rows, one can be chosen."
    )
    assert "This holds" not in budget_sentence(choice._replace(within=False), 0.2, budget, None)
    none = choice._replace(chosen=Harm(0.6, -0.0001, 0.0004))
    assert "(0.000, at most 0.000, on 64 questions)" in budget_sentence(none, 0.2, budget, None)
