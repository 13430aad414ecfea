"""Equal settings have no winner, better ones have one, and the rows that selected do not judge."""

from __future__ import annotations

import random
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.halves import choosing_half
from arkor_dev.local.sweeps.judging import judged, selecting_loss

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import SweepVerdict
    from arkor_dev.local.evaluation.results import Scores

ROWS = 40


def scores(chance: random.Random, rows: list[float], gain: float = 0.0) -> Scores:
    """Losses of a run: those of its rows, the luck of its seed, and what each row has of it."""
    luck = chance.gauss(0, 0.02)
    return {
        "adapter": [row + luck - gain + chance.gauss(0, 0.05) for row in rows],
        "keys": [f"{place:016x}" for place in range(len(rows))],
        "groups": list(range(len(rows))),
        "margin": 0.01,
        "rows": "",
        "tokens": "",
    }


def sweep(chance: random.Random, gains: list[float]) -> tuple[int, SweepVerdict]:
    """Choose the best of trials by the selecting half, and judge it by fresh runs."""
    rows = [chance.gauss(2, 0.6) for _ in range(ROWS)]
    trials = [scores(chance, rows, gain) for gain in gains]
    best = min(range(len(trials)), key=lambda trial: selecting_loss(trials[trial]) or 0.0)
    start, winner = ([scores(chance, rows, gain) for _ in range(3)] for gain in (gains[0], gains[best]))
    return best, judged(start, winner)


def test_twenty_equal_settings_have_no_winner() -> None:
    """In at least 95 % of sweeps, although the best trial always seems better than the starting one."""
    found = [sweep(random.Random(seed), [0.0] * 20)[1]["verdict"] for seed in range(60)]
    assert found.count("none") >= 57


def test_better_settings_win_with_an_interval() -> None:
    chance = random.Random(1)
    best, verdict = sweep(chance, [0.0, 0.05, 0.4])
    assert best == 2
    assert verdict["verdict"] == "better"
    difference = verdict["difference"]
    assert 0 < difference["low"] < 0.4 < difference["high"] < 0.8
    assert verdict["sentence"].startswith(
        f"Better than your settings by {difference['low']:.2f} to {difference['high']:.2f}"
    )
    assert verdict["rows"] == ROWS // 2


def test_rewards_are_reported_with_their_sign() -> None:
    """More of them is better, and the scores have their negative."""
    chance = random.Random(1)
    rows = [chance.gauss(-0.3, 0.1) for _ in range(ROWS)]
    runs = [scores(chance, rows, gain) for gain in (0, 0, 0, 0.4, 0.4, 0.4)]
    for run in runs:
        run["higher"] = "reward"
    start, winner = runs[:3], runs[3:]
    verdict = judged(start, winner, "mean reward")
    assert verdict["verdict"] == "better"
    assert 0 < verdict["start"] < verdict["winner"]
    assert verdict["difference"]["low"] > 0
    assert f": mean reward {verdict['start']:.3f} → {verdict['winner']:.3f} on " in verdict["sentence"]


def test_too_few_rows_give_no_verdict() -> None:
    chance = random.Random(2)
    rows = [1.0] * 14
    verdict = judged([scores(chance, rows)] * 3, [scores(chance, rows, 1.0)] * 3)
    assert verdict["verdict"] == "none"
    # Nothing was compared, so the sentence must not say that nothing was better.
    assert verdict["sentence"] == "No winner: 7 independent rows are too few to judge by."


def test_sweeps_and_early_stopping_select_on_the_same_half() -> None:
    keys = [f"{(7919 * place) % 100:016x}" for place in range(30)]
    groups = [place // 3 for place in range(30)]
    run = scores(random.Random(1), [float(place) for place in range(30)])
    run |= {"adapter": [float(place) for place in range(30)], "keys": keys, "groups": groups}
    half = choosing_half(keys, groups)
    assert selecting_loss(run) == fmean(place for place in range(30) if half[place])
