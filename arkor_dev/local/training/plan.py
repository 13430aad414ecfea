"""A job's settings with every default filled in: how many steps, at which rate, when to report and save."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .job_settings import JobSettings


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
    def of(cls, settings: JobSettings, train_rows: int, eval_rows: int) -> Plan:
        """The plan of a job that trains on ``train_rows`` rows and measures on ``eval_rows``."""
        get, settle = settings.get, settings.settle
        batch = settle("batchSize", min(get("batchSize"), train_rows))
        per_epoch = math.ceil(train_rows / batch)
        steps = get("maxSteps", -1)
        if steps < 1:
            steps = max(1, math.ceil(get("numTrainEpochs") * per_epoch))
        save, evaluate = get("saveSteps", max(1, steps // 4)), get("evalSteps", max(1, steps // 5))
        if get("dryRun"):
            steps = min(steps, DRY_STEPS)
            save, evaluate = max(1, steps - 1), steps
        settle("numTrainEpochs", round(steps / per_epoch, 4))
        rank = get("loraR")
        return cls(
            steps=settle("maxSteps", steps),
            batch_size=batch,
            learning_rate=get("learningRate"),
            schedule=get("lrSchedulerType"),
            warmup=settle("warmupSteps", min(get("warmupSteps", steps // 20), steps)),
            weight_decay=get("weightDecay"),
            optim=settle("optim", "sgd" if get("optim") == "sgd" else "adamw"),
            logging=get("loggingSteps", max(1, steps // 500)),
            save=settle("saveSteps", save),
            evaluate=settle("evalSteps", evaluate if eval_rows else 0),
            rank=rank,
            alpha=get("loraAlpha", 2 * rank),
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
