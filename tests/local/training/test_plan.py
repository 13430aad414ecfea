"""What is made of what a job was not asked: its plan, and the record of what it runs with."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.plan import AdapterPlan, OptimizerPlan, Plan
from arkor_dev.local.training.schedule import default_rate
from arkor_dev.local.workers.errors import JobFailure

GOOD: dict[str, Any] = {"model": "m", "datasetSource": {"type": "file", "path": "d.jsonl"}}


def plan_of(config: dict[str, Any], train_rows: int, eval_rows: int) -> Plan:
    return Plan.of(EffectiveSettings(config), train_rows, eval_rows)


def test_the_plan_has_default_settings() -> None:
    plan = plan_of(GOOD, 90, 10)
    assert plan.steps == 3 * 23
    assert (plan.batch_size, plan.max_norm) == (4, 1.0)
    every = ("all-linear",)
    assert plan.adapter == AdapterPlan(8, 16, 0.0, every, (), (), rslora=False, dora=False, init="default")
    assert plan.optimizer == OptimizerPlan("adamw", 5e-4, 0.0, (0.9, 0.999), 1e-8)
    assert (plan.schedule.kind, plan.schedule.warmup) == ("linear", 3)
    assert (plan.save, plan.evaluate, plan.logging) == (17, 17, 1)


@pytest.mark.parametrize(
    ("parameters", "config", "rate"),
    [
        (135_000_000, {}, 5e-4),
        (4_000_000_000, {}, 2e-4),
        (8_000_000_000, {}, 2e-4),
        (70_000_000_000, {}, 1e-4),
        (8_000_000_000, {"fullFineTuning": True}, 2e-5),
        (135_000_000, {"optim": "lion"}, 1e-4),
        (8_000_000_000, {"learningRate": 3e-3}, 3e-3),
    ],
)
def test_the_default_rate_depends_on_the_model_size(
    parameters: int, config: dict[str, Any], rate: float
) -> None:
    settings = EffectiveSettings({**GOOD, **config})
    plan = Plan.of(settings, 90, 10, parameters=parameters)
    assert plan.optimizer.rate == plan.schedule.height == settings.used["learningRate"] == rate


def test_steps_override_epochs() -> None:
    assert plan_of({**GOOD, "maxSteps": 7, "numTrainEpochs": 9}, 90, 0).steps == 7
    assert plan_of({**GOOD, "maxSteps": -1, "numTrainEpochs": 0.5}, 80, 0).steps == 10
    assert plan_of({**GOOD, "numTrainEpochs": 0.001}, 80, 0).steps == 1


def test_long_runs_log_less_often() -> None:
    assert plan_of({**GOOD, "maxSteps": 5000}, 90, 10).logging == 10
    assert plan_of({**GOOD, "maxSteps": 5000, "loggingSteps": 1}, 90, 10).logging == 1


@pytest.mark.parametrize(
    ("steps", "save", "every"),
    [
        (100, 25, 25),
        (100, 5, 25),
        (100, 10, 20),
        (100, 1, 25),
        (100, 50, 25),
        (30, 30, 6),
        (100, 0, 25),
        (3, 1, 1),
        (1, 1, 1),
        (31, 31, 7),
        (10_000_000, 9_999_991, 2_500_000),
    ],
)
def test_by_default_checkpoints_are_evaluated(steps: int, save: int, every: int) -> None:
    plan = plan_of({**GOOD, "maxSteps": steps, "saveSteps": save}, 90, 10)
    assert plan.evaluate == every
    assert plan_of({**GOOD, "maxSteps": steps, "saveSteps": save, "evalSteps": 3}, 90, 10).evaluate == 3


def test_without_held_out_rows_nothing_is_evaluated() -> None:
    assert plan_of(GOOD, 9, 0).evaluate == 0
    assert plan_of({**GOOD, "evalSteps": 5}, 9, 0).evaluate == 0
    assert plan_of({**GOOD, "batchSize": 64}, 9, 0).batch_size == 9


def test_early_stopping_needs_held_out_rows() -> None:
    with pytest.raises(
        JobFailure, match="early_stopping_patience requires evaluations, but no rows are held out"
    ):
        plan_of({**GOOD, "earlyStoppingPatience": 2}, 9, 0)


def test_a_dry_run_plan_is_short() -> None:
    plan = plan_of({**GOOD, "maxSteps": 500, "saveSteps": 100, "evalSteps": 50, "dryRun": True}, 18, 2)
    assert (plan.steps, plan.save, plan.evaluate) == (4, 3, 4)
    assert plan_of({**GOOD, "maxSteps": 1, "dryRun": True}, 18, 2).save == 1


def test_values_of_other_backends_map_to_the_nearest() -> None:
    plan = plan_of({**GOOD, "optim": "adamw_8bit", "lrSchedulerType": "warmup_stable_decay"}, 90, 0)
    assert (plan.optimizer.kind, plan.schedule.kind) == ("adamw", "wsd")


def test_the_record_has_the_effective_settings() -> None:
    settings = EffectiveSettings(
        {**GOOD, "batchSize": 64, "warmupSteps": 99, "optim": "adamw_8bit", "dryRun": True}
    )
    Plan.of(settings, 18, 0)
    assert (
        settings.used.items()
        >= {
            "batchSize": 18,
            "maxSteps": 3,
            "numTrainEpochs": 3,
            "saveSteps": 2,
            "evalSteps": 0,
            "dryRun": True,
            "loraR": 8,
            "learningRate": 5e-4,
            "lrSchedulerType": "linear",
            "warmupSteps": 3,
            "weightDecay": 0.0,
            "optim": "adamw",
            "loggingSteps": 1,
            "loraAlpha": 16,
        }.items()
    )


def test_an_unknown_setting_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        EffectiveSettings({"noSuch": 1}).get("noSuch")


def test_a_default_rate_has_its_reason() -> None:
    rate, reason = default_rate(134_500_000, full=False, optimizer="adamw")
    assert (rate, reason) == (5e-4, "automatic, for an adapter of a model with 134 M parameters")
    _, reason = default_rate(426_500, full=False, optimizer="adamw")
    assert reason.endswith("with 0.426 M parameters"), "not 0 M"
    assert default_rate(8 * 10**9, full=True, optimizer="lion") == (
        4e-6,
        "automatic, for lion and full fine-tuning of a model with 8.0 B parameters",
    )
