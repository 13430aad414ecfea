"""A job's settings with every default filled in: how many steps, at which rate, when to report and save."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


DRY_ROWS: Final = 20


DRY_STEPS: Final = 4


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
