"""What is made of what a job was not asked: its plan, and the record of what it runs with."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.local.training.job_settings import JobSettings
from arkor_dev.local.training.plan import Plan

GOOD: dict[str, Any] = {"model": "m", "datasetSource": {"type": "file", "path": "d.jsonl"}}


def plan_of(config: dict[str, Any], train_rows: int, eval_rows: int) -> Plan:
    return Plan.of(JobSettings(config), train_rows, eval_rows)


def test_defaults() -> None:
    plan = plan_of(GOOD, 90, 10)
    assert plan.steps == 3 * 23
    assert (plan.batch_size, plan.learning_rate, plan.rank, plan.alpha) == (4, 2e-4, 8, 16)
    assert (plan.schedule, plan.optim, plan.weight_decay, plan.logging) == ("linear", "adamw", 0.0, 1)
    assert (plan.save, plan.evaluate, plan.warmup) == (17, 13, 3)


def test_steps_win_over_epochs() -> None:
    assert plan_of({**GOOD, "maxSteps": 7, "numTrainEpochs": 9}, 90, 0).steps == 7
    assert plan_of({**GOOD, "maxSteps": -1, "numTrainEpochs": 0.5}, 80, 0).steps == 10
    assert plan_of({**GOOD, "numTrainEpochs": 0.001}, 80, 0).steps == 1


def test_long_runs_log_less_often() -> None:
    assert plan_of({**GOOD, "maxSteps": 5000}, 90, 10).logging == 10
    assert plan_of({**GOOD, "maxSteps": 5000, "loggingSteps": 1}, 90, 10).logging == 1


def test_no_evaluation_without_rows_for_it() -> None:
    assert plan_of(GOOD, 9, 0).evaluate == 0
    assert plan_of({**GOOD, "evalSteps": 5}, 9, 0).evaluate == 0
    assert plan_of({**GOOD, "batchSize": 64}, 9, 0).batch_size == 9


def test_a_dry_run_is_short_and_does_everything_once() -> None:
    plan = plan_of({**GOOD, "maxSteps": 500, "saveSteps": 100, "evalSteps": 50, "dryRun": True}, 18, 2)
    assert (plan.steps, plan.save, plan.evaluate) == (4, 3, 4)
    assert plan_of({**GOOD, "maxSteps": 1, "dryRun": True}, 18, 2).save == 1


@pytest.mark.parametrize(
    ("schedule", "middle", "last"),
    [("linear", 0.0525, 0.005), ("cosine", 0.0539, 0.0006), ("constant", 0.1, 0.1)],
)
def test_schedules(schedule: str, middle: float, last: float) -> None:
    config = {**GOOD, "maxSteps": 24, "warmupSteps": 4, "learningRate": 0.1, "lrSchedulerType": schedule}
    rates = [plan_of(config, 24, 0).rate_at(step) for step in range(1, 25)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert rates[14] == pytest.approx(middle if schedule == "constant" else rates[14])
    assert (rates[13] + rates[14]) / 2 == pytest.approx(middle, abs=1e-4)
    assert rates[-1] == pytest.approx(last, abs=1e-4)
    assert all(rate > 0 for rate in rates)


def test_the_record_has_what_it_came_to_and_not_what_was_asked() -> None:
    settings = JobSettings(
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
            "learningRate": 2e-4,
            "lrSchedulerType": "linear",
            "warmupSteps": 3,
            "weightDecay": 0.0,
            "optim": "adamw",
            "loggingSteps": 1,
            "loraAlpha": 16,
        }.items()
    )


def test_only_a_setting_of_the_table_can_be_asked_for() -> None:
    with pytest.raises(KeyError):
        JobSettings({"noSuch": 1}).get("noSuch")
