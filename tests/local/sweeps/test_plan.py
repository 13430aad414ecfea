"""Which trials a sweep makes, by a table of results instead of training, of which the best are known."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.evaluation import adapter_pairs
from arkor_dev.local.jobs.job_config import check_config
from arkor_dev.local.sweeps import plan, sampler
from arkor_dev.local.sweeps.messages import Observation
from arkor_dev.local.sweeps.plan import Conclude
from arkor_dev.local.sweeps.record import SEARCH, WINNER, Estimate, Trial

from .simulated import CONFIG, GRID, run, sweep_of

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = {"type": "file", "path": "d"}


def table(chance: random.Random, noise: float = 0.02) -> Callable[[dict[str, Any], float], float]:
    """A loss that falls towards a floor, both by the settings; slow learners look worse than they are."""
    best = {name: chance.choice(values) for name, values in GRID.items()}
    weights = {name: chance.uniform(0.05, 0.3) for name in GRID}

    def loss(settings: dict[str, Any], part: float) -> float:
        floor = 1.0
        for name, weight in weights.items():
            floor += weight * (math.log(settings[name] / best[name]) / math.log(5)) ** 2
        falls = 1.5 * math.exp(-6 * part * (1 + 0.2 * math.log(settings["learningRate"] / 5e-4)))
        return floor + falls + (chance.gauss(0, noise) if noise else 0.0)

    return loss


def test_halving_finds_good_settings_with_a_third_of_the_steps() -> None:
    """One of the best three of 27, with at most 35 % of the steps, for 18 of 20 seeds or more."""
    hits = 0
    for seed in range(20):
        chance = random.Random(seed)
        noisy = table(chance)
        sweep = sweep_of(GRID, seed=seed)
        length, _, _ = run(sweep, noisy)
        assert length / 27 <= 0.35
        assert len(sweep.search) == 27  # the starting settings are one of the grid
        truth = table(random.Random(seed), noise=0.0)
        every = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
        ranked = sorted(every, key=lambda settings: truth({**CONFIG, **settings}, 1.0))
        chosen = plan.finalists(sweep)[0].settings
        hits += {**{name: CONFIG[name] for name in GRID}, **chosen} in ranked[:3]
    assert hits >= 18


def test_tpe_finds_a_good_rate_in_a_range() -> None:
    pytest.importorskip("optuna")
    space = {"learningRate": {"low": 1e-5, "high": 1e-1, "log": True}, "loraR": {"low": 2, "high": 64}}

    def bowl(settings: dict[str, Any], _: float) -> float:
        away = math.log10(settings["learningRate"] / 2e-3) ** 2
        return float(1 + away + 0.1 * (settings["loraR"] / 64 - 0.5) ** 2)

    found = []
    for seed in range(5):
        sweep = sweep_of(space, seed=seed, jobs=25)
        run(sweep, bowl)
        assert len(sweep.search) == 25
        assert all(type(trial.settings["loraR"]) is int for trial in sweep.search[1:])
        found.append(plan.finalists(sweep)[0].losses[-1])
    assert sum(loss < 1.05 for loss in found) >= 4
    told = [Observation(trial.settings, trial.losses[0]) for trial in sweep.search[1:]]
    rates = sampler.importances(sweep.space, told, 1)
    assert [row["setting"] for row in rates] == ["learningRate", "loraR"]
    assert rates[0]["low"] <= rates[0]["mean"] <= rates[0]["high"]


def test_the_end_is_expected_by_the_usual_pace_once_a_job_was_timed() -> None:
    sweep = sweep_of(GRID, jobs=9)
    assert plan.expected_seconds(sweep, plan.planned(sweep, math.inf)[1]) is None
    sweep.paces = [4.0, 4.0, 4.1, 9.0]  # the machine was busy once
    expected = plan.expected_seconds(sweep, plan.planned(sweep, math.inf)[1])
    took = run(sweep, lambda settings, part: settings["learningRate"], slow=4.0)[1]
    assert expected == pytest.approx(took, rel=0.15)


@pytest.mark.parametrize("slow", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("hours", [0.5, 1.0, 3.0])
def test_a_sweep_ends_before_its_deadline(slow: float, hours: float) -> None:
    """However long runs take in truth, the last one ends in time, with the winner confirmed."""
    sweep = sweep_of({"learningRate": {"low": 1e-4, "high": 1e-2}}, {**CONFIG, "learningRate": 1e-2})
    seconds = 3600 * hours
    assert plan.planned(sweep, seconds)[1] <= seconds

    def ask(_: Any, __: Any, told: list[Any], ___: int) -> dict[str, Any]:
        return {"learningRate": 1e-4 * (1 + len(told) % 90)}

    def loss(settings: dict[str, Any], part: float) -> float:
        return float(settings["learningRate"] + 1 - part)

    _, clock, end = run(sweep, loss, seconds, slow, ask)
    assert end == Conclude()
    assert clock <= seconds
    assert sum(trial.role == WINNER for trial in sweep.trials) == plan.SEEDS
    assert sweep.search[0].rung == sweep.last
    assert clock >= 0.6 * seconds  # the time is used


def test_the_starting_settings_need_no_confirmation() -> None:
    constant = sweep_of({"loraR": [4, 8, 16]}, {**CONFIG, "lrSchedulerType": "constant"})
    _, _, end = run(constant, lambda settings, part: settings["loraR"] - part)
    assert end == Conclude()
    assert constant.best is None
    assert {trial.role for trial in constant.trials} == {SEARCH}
    # With a schedule that decays, the trials' own one may be what is better.
    linear = sweep_of({"loraR": [4, 8, 16]})
    run(linear, lambda settings, part: settings["loraR"] - part)
    assert linear.best == 0
    assert sum(trial.role == WINNER for trial in linear.trials) == plan.SEEDS
    assert plan.changes_of(linear, linear.search[0]) == {"lrSchedulerType": "wsd", "warmupSteps": 4}


def test_trials_are_compared_at_full_strength() -> None:
    sweep = sweep_of({"loraR": [4, 8]}, {**CONFIG, "maxHarm": 0.2})
    for role in (SEARCH, WINNER, "start"):
        trial = Trial(1, {"loraR": 8}, "job", role, seed=43)
        assert "maxHarm" not in plan.config_of(sweep, trial)
        assert "maxHarm" not in plan.changes_of(sweep, trial)  # so the project keeps it


def test_only_the_last_rung_decays_the_rate() -> None:
    sweep = sweep_of({"loraR": [4, 8]}, {**CONFIG, "warmupRatio": 0.04, "earlyStoppingPatience": 2})
    assert [round(90 * part) for part in sweep.rungs] == [10, 30, 90]
    configs = [plan.config_of(sweep, Trial(1, {"loraR": 8}, "job", rung=rung)) for rung in range(3)]
    assert [config["maxSteps"] for config in configs] == [10, 30, 90]
    assert {config["lrSchedulerType"] for config in configs} == {"wsd"}
    assert [config.get("lrNumDecaySteps") for config in configs] == [1, 1, None]
    assert [config["warmupSteps"] for config in configs] == [4, 4, 4]
    assert [config.get("earlyStoppingPatience") for config in configs] == [None, None, 2]
    check_config({**configs[0], "datasetSource": SOURCE})
    rare = sweep_of({"loraR": [4, 8]}, {**CONFIG, "saveSteps": 0, "seed": 0, "datasetSource": SOURCE})
    assert check_config(plan.config_of(rare, Trial(1, {"loraR": 8}, "job")))["splitSeed"] == 0
    winner = plan.config_of(sweep, Trial(2, {"loraR": 8}, "job", WINNER, seed=43))
    assert {**configs[2], "seed": 43} == winner
    mine = plan.config_of(sweep, Trial(3, {}, "job", "start", seed=43))
    assert mine.items() >= {**sweep.config, "seed": 43}.items()
    assert plan.changes_of(sweep, Trial(1, {"loraR": 8}, "job")) == {
        "loraR": 8, "lrSchedulerType": "wsd", "warmupSteps": 4, "warmupRatio": None,
    }  # fmt: skip


def test_rungs_suit_epochs_and_short_runs() -> None:
    sweep = sweep_of({"batchSize": [2, 4]}, {"model": "m", "numTrainEpochs": 3, "batchSize": 2})
    trial = Trial(1, {"batchSize": 4}, "job")
    assert plan.config_of(sweep, trial)["numTrainEpochs"] == pytest.approx(1 / 3)
    assert plan.config_of(sweep, trial)["warmupSteps"] == 2  # 5 % of half the steps
    assert sweep_of({"lrSchedulerType": ["linear", "cosine"]}).rungs == [1.0]
    sweep.estimate = Estimate(steps=12, fixed=1, training=1)
    assert plan.rungs_of(sweep) == [1 / 3, 1.0]


def test_a_rung_equals_the_start_of_a_longer_run() -> None:
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.schedule import Schedule

    sweep = sweep_of({"loraR": [4, 8]})
    rates = []
    for rung in range(3):
        config: Any = plan.config_of(sweep, Trial(1, {"loraR": 8}, "job", rung=rung))
        schedule = Schedule.of(EffectiveSettings(config), config["maxSteps"], 1e-3)
        rates.append([schedule.rate_at(step) for step in range(1, config["maxSteps"] + 1)])
    assert rates[2][:30] == rates[1]
    assert rates[1][:10] == rates[0]
    assert rates[2][-1] < 1e-4 < rates[1][-1] == 1e-3


def test_a_winner_is_confirmed_by_enough_seeds_for_a_comparison() -> None:
    assert plan.SEEDS >= adapter_pairs.FEWEST
