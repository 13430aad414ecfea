"""What a job may ask for: checks a submitted ``config`` and turns it into a complete plan.

Unknown fields are tolerated, since other backends know more of them. A value that is known and wrong is
refused before a job exists, by the field's name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEDULES: Final = ("linear", "cosine", "constant", "constant_with_warmup")
NUMBER_FORMATS: Final = ("float32", "bfloat16")
DATASET_TYPES: Final = ("file", "huggingface", "blob")

INTEGERS: Final = {
    "maxSteps": (1, 10_000_000),
    "batchSize": (1, 1024),
    "warmupSteps": (0, 10_000_000),
    "loggingSteps": (1, 10_000_000),
    "saveSteps": (0, 10_000_000),
    "evalSteps": (0, 10_000_000),
    "loraR": (1, 1024),
    "maxLength": (8, 1_000_000),
    "seed": (0, 2**32 - 1),
}
NUMBERS: Final = {
    "numTrainEpochs": (0.0, 10_000.0),
    "learningRate": (0.0, 10.0),
    "loraAlpha": (0.0, 10_000.0),
}
SWITCHES: Final = ("loadIn4bit", "trainOnResponsesOnly", "dryRun")

DRY_ROWS: Final = 20
DRY_STEPS: Final = 4


def _wrong(field: str, reason: str) -> RequestError:
    return RequestError(400, f"config.{field} {reason}")


def _check_number(
    config: Mapping[str, Any], field: str, whole: bool, low: float, high: float, above: bool
) -> None:
    value = config.get(field)
    if value is None or (field == "maxSteps" and value == -1):
        return
    kinds = (int,) if whole else (int, float)
    finite = not isinstance(value, float) or math.isfinite(value)  # a whole number may be too large to ask
    if isinstance(value, bool) or not isinstance(value, kinds) or not finite:
        raise _wrong(field, f"must be {'a whole number' if whole else 'a number'}, not {value!r}")
    if value > high or value < low or (above and value == low):
        raise _wrong(
            field, f"must be {'above' if above else 'from'} {low:g} and at most {high:g}, not {value!r}"
        )


def check_config(config: object) -> dict[str, Any]:
    """Return ``config`` unchanged, or raise :class:`RequestError` 400 naming the field and the reason."""
    if not isinstance(config, dict):
        raise RequestError(400, "config must be an object with model and datasetSource")
    model = config.get("model")
    if not isinstance(model, str) or not model.strip():
        raise _wrong("model", "must name a base model: the starter model, a model hub's id, or a folder")
    for field, (low, high) in INTEGERS.items():
        _check_number(config, field, True, low, high, above=False)
    for field, (bottom, top) in NUMBERS.items():
        _check_number(config, field, False, bottom, top, above=True)
    _check_number(config, "weightDecay", False, 0.0, 1.0, above=False)
    # Other backends take other forms of it, so only a number is ours to judge.
    if isinstance(config.get("datasetSplit"), int | float):
        _check_number(config, "datasetSplit", False, 0.0, 0.9, above=False)
    for field in SWITCHES:
        if not isinstance(config.get(field, False), bool | None):
            raise _wrong(field, f"must be true or false, not {config[field]!r}")
    schedule = config.get("lrSchedulerType")
    if schedule is not None and schedule not in SCHEDULES:
        raise _wrong("lrSchedulerType", f"must be one of {', '.join(SCHEDULES)}, not {schedule!r}")
    number_format = config.get("numberFormat")
    if number_format is not None and number_format not in NUMBER_FORMATS:
        raise _wrong("numberFormat", f"must be one of {', '.join(NUMBER_FORMATS)}, not {number_format!r}")
    optim = config.get("optim")
    if optim is not None and (not isinstance(optim, str) or not ("adamw" in optim or optim == "sgd")):
        raise _wrong("optim", f"must be adamw or sgd, not {optim!r}")
    _check_source(config.get("datasetSource"))
    return config


def _check_source(source: object) -> None:
    if not isinstance(source, dict) or source.get("type") not in DATASET_TYPES:
        raise _wrong("datasetSource", f"must be an object whose type is one of {', '.join(DATASET_TYPES)}")
    needed = {"file": "path", "huggingface": "name", "blob": "url"}[source["type"]]
    if not isinstance(source.get(needed), str) or not source[needed].strip():
        raise _wrong(f"datasetSource.{needed}", "is missing")
    for field in ("split", "subset", "token"):
        if not isinstance(source.get(field, ""), str | None):
            raise _wrong(f"datasetSource.{field}", "must be text")
    if source["type"] == "blob" and not source["url"].startswith(("http://", "https://")):
        raise _wrong("datasetSource.url", "must begin with http:// or https://")


@dataclass(frozen=True, slots=True)
class Plan:
    """A job's settings with every default filled in. Counts are optimizer steps, ``max_length`` tokens."""

    steps: int
    batch_size: int
    learning_rate: float
    schedule: str
    warmup: int
    weight_decay: float
    optim: str
    logging: int
    save: int
    evaluate: int
    rank: int
    alpha: float

    @classmethod
    def of(cls, config: Mapping[str, Any], train_rows: int, eval_rows: int) -> Plan:
        """Fill in defaults for a job that trains on ``train_rows`` rows and measures on ``eval_rows``."""

        def given(field: str, default: Any) -> Any:
            value = config.get(field)
            return default if value is None else value

        batch = min(given("batchSize", 4), train_rows)
        per_epoch = math.ceil(train_rows / batch)
        steps = given("maxSteps", -1)
        if steps < 1:
            steps = max(1, math.ceil(given("numTrainEpochs", 3) * per_epoch))
        save, evaluate = given("saveSteps", max(1, steps // 4)), given("evalSteps", max(1, steps // 5))
        if config.get("dryRun"):
            steps = min(steps, DRY_STEPS)
            save, evaluate = max(1, steps - 1), steps
        return cls(
            steps=steps,
            batch_size=batch,
            learning_rate=given("learningRate", 2e-4),
            schedule=given("lrSchedulerType", "linear"),
            warmup=min(given("warmupSteps", steps // 20), steps),
            weight_decay=given("weightDecay", 0.0),
            optim="sgd" if config.get("optim") == "sgd" else "adamw",
            logging=given("loggingSteps", max(1, steps // 500)),
            save=save,
            evaluate=evaluate if eval_rows else 0,
            rank=given("loraR", 8),
            alpha=given("loraAlpha", 2 * given("loraR", 8)),
        )

    def rate_at(self, step: int) -> float:
        """The learning rate of step ``step`` (from 1): linear warm-up, then the schedule's decay."""
        if step <= self.warmup:
            return self.learning_rate * step / (self.warmup + 1)
        if self.schedule.startswith("constant"):
            return self.learning_rate
        share = (step - 1 - self.warmup) / max(1, self.steps - self.warmup)
        decay = 1 - share if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * share))
        return self.learning_rate * decay
