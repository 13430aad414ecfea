"""What may be asked of a job, and what is made of what was not asked."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.local.jobs.job_config import check_config
from arkor_dev.local.training.plan import Plan
from arkor_dev.local.workers.errors import RequestError

GOOD: dict[str, Any] = {"model": "m", "datasetSource": {"type": "file", "path": "d.jsonl"}}

BAD: list[tuple[Any, str]] = [
    (None, "config must be an object"),
    ([], "config must be an object"),
    ({**GOOD, "model": ""}, "config.model must be a model's name or folder"),
    (
        {**GOOD, "model": 3},
        "config.model must be a model's name or folder, as one line of text, 300 characters at most, not 3",
    ),
    ({"datasetSource": GOOD["datasetSource"]}, "config.model is missing: it must be a model's name"),
    ({"model": "m"}, "config.datasetSource must be a JSON object, not null"),
    (
        {**GOOD, "datasetSource": {"type": "ftp"}},
        'config.datasetSource.type must be one of "file", "huggingface", "blob", not "ftp"',
    ),
    ({**GOOD, "datasetSource": {"type": "file"}}, "config.datasetSource.path is missing"),
    (
        {**GOOD, "datasetSource": {"type": "huggingface", "name": " "}},
        "config.datasetSource.name must be text that is not blank",
    ),
    (
        {**GOOD, "datasetSource": {"type": "blob", "url": "file:///etc/passwd"}},
        "datasetSource.url must be an address that begins with http:// or https://",
    ),
    (
        {**GOOD, "datasetSource": {"type": "file", "path": "d", "split": 1}},
        "datasetSource.split must be text",
    ),
    ({**GOOD, "maxSteps": 0}, "config.maxSteps must be a whole number from 1 to 10,000,000, not 0"),
    ({**GOOD, "maxSteps": "40"}, 'config.maxSteps must be a whole number from 1 to 10,000,000, not "40"'),
    ({**GOOD, "maxSteps": True}, "config.maxSteps must be a whole number"),
    ({**GOOD, "maxSteps": 1.5}, "config.maxSteps must be a whole number"),
    ({**GOOD, "learningRate": 0}, "config.learningRate must be a number above 0, 1 at most, not 0"),
    ({**GOOD, "learningRate": float("nan")}, "config.learningRate must be a number"),
    ({**GOOD, "learningRate": float("inf")}, "config.learningRate must be a number"),
    ({**GOOD, "learningRate": 2}, "config.learningRate must be a number above 0, 1 at most, not 2"),
    ({**GOOD, "seed": 2**32}, "config.seed must be a whole number from 0 to 4,294,967,295"),
    ({**GOOD, "seed": -1}, "config.seed must be a whole number from 0"),
    ({**GOOD, "numTrainEpochs": -1}, "config.numTrainEpochs must be a number above 0"),
    ({**GOOD, "weightDecay": 2}, "config.weightDecay must be a number from 0 to 1, not 2"),
    (
        {**GOOD, "datasetSplit": 0.95},
        "config.datasetSplit must be a fraction of the rows, from 0 to 0.9, not 0.95",
    ),
    ({**GOOD, "datasetSplit": -0.1}, "config.datasetSplit must be a fraction of the rows, from 0"),
    (
        {**GOOD, "datasetSplit": True},
        "config.datasetSplit must be a fraction of the rows, from 0 to 0.9, not true",
    ),
    ({**GOOD, "batchSize": 100_000}, "config.batchSize must be a whole number from 1 to 1,024"),
    ({**GOOD, "maxLength": 1}, "config.maxLength must be a whole number from 8"),
    ({**GOOD, "loraR": -8}, "config.loraR must be a whole number from 1"),
    ({**GOOD, "lrSchedulerType": "wild"}, 'config.lrSchedulerType must be one of "linear", "cosine"'),
    ({**GOOD, "optim": "lion"}, 'config.optim must be one of "adamw", "sgd", not "lion"'),
    (
        {**GOOD, "numberFormat": "float16"},
        'config.numberFormat must be one of "float32", "bfloat16", not "float16"',
    ),
    ({**GOOD, "dryRun": "yes"}, "config.dryRun must be true or false"),
]


@pytest.mark.parametrize(("config", "reason"), BAD)
def test_a_wrong_value_is_refused_by_its_field(config: Any, reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_config(config)
    assert caught.value.status == 400
    assert reason in caught.value.text


def test_unknown_fields_and_nulls_pass() -> None:
    config = {**GOOD, "futureField": {"a": 1}, "maxSteps": None, "dryRun": None, "optim": "adamw_8bit"}
    assert check_config(config) is config
    assert check_config({**GOOD, "maxSteps": -1})["maxSteps"] == -1


def test_defaults() -> None:
    plan = Plan.of(GOOD, 90, 10)
    assert plan.steps == 3 * 23
    assert (plan.batch_size, plan.learning_rate, plan.rank, plan.alpha) == (4, 2e-4, 8, 16)
    assert (plan.schedule, plan.optim, plan.weight_decay, plan.logging) == ("linear", "adamw", 0.0, 1)
    assert (plan.save, plan.evaluate, plan.warmup) == (17, 13, 3)


def test_steps_win_over_epochs() -> None:
    assert Plan.of({**GOOD, "maxSteps": 7, "numTrainEpochs": 9}, 90, 0).steps == 7
    assert Plan.of({**GOOD, "maxSteps": -1, "numTrainEpochs": 0.5}, 80, 0).steps == 10
    assert Plan.of({**GOOD, "numTrainEpochs": 0.001}, 80, 0).steps == 1


def test_long_runs_log_less_often() -> None:
    assert Plan.of({**GOOD, "maxSteps": 5000}, 90, 10).logging == 10
    assert Plan.of({**GOOD, "maxSteps": 5000, "loggingSteps": 1}, 90, 10).logging == 1


def test_no_evaluation_without_rows_for_it() -> None:
    assert Plan.of(GOOD, 9, 0).evaluate == 0
    assert Plan.of({**GOOD, "evalSteps": 5}, 9, 0).evaluate == 0
    assert Plan.of({**GOOD, "batchSize": 64}, 9, 0).batch_size == 9


def test_a_dry_run_is_short_and_does_everything_once() -> None:
    plan = Plan.of({**GOOD, "maxSteps": 500, "saveSteps": 100, "evalSteps": 50, "dryRun": True}, 18, 2)
    assert (plan.steps, plan.save, plan.evaluate) == (4, 3, 4)
    assert Plan.of({**GOOD, "maxSteps": 1, "dryRun": True}, 18, 2).save == 1


@pytest.mark.parametrize(
    ("schedule", "middle", "last"),
    [("linear", 0.0525, 0.005), ("cosine", 0.0539, 0.0006), ("constant", 0.1, 0.1)],
)
def test_schedules(schedule: str, middle: float, last: float) -> None:
    config = {**GOOD, "maxSteps": 24, "warmupSteps": 4, "learningRate": 0.1, "lrSchedulerType": schedule}
    rates = [Plan.of(config, 24, 0).rate_at(step) for step in range(1, 25)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert rates[14] == pytest.approx(middle if schedule == "constant" else rates[14])
    assert (rates[13] + rates[14]) / 2 == pytest.approx(middle, abs=1e-4)
    assert rates[-1] == pytest.approx(last, abs=1e-4)
    assert all(rate > 0 for rate in rates)
