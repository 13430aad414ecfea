"""Deletes rows from adapters of the tiny model in this process; shared by the tests and ``scripts/bench``."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from arkor_dev.local.checkpoints.origin import hash_of_rows
from arkor_dev.local.checkpoints.resume_points import ResumePlan, checked_points
from arkor_dev.local.deletion.service import weights_hash
from arkor_dev.local.jobs.job_folder import final_folder
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.earlier_run import earlier_plan, earlier_runs
from arkor_dev.local.training.plan import Plan
from arkor_dev.local.training.rows.left_out import blanked
from arkor_dev.local.training.run import Saving
from tests.local.tiny_run import Events, made_up, set_up

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from arkor_dev.contract.events import Event
    from arkor_dev.contract.shapes import Forgotten
    from arkor_dev.local.jobs.atomic_folder import RunOrigin

ROWS: Final = 24
STEPS: Final = 14
SETTINGS: Final[tuple[dict[str, Any], ...]] = (
    {"loraDropout": 0.1, "batchSize": 2},
    {"packing": True, "batchSize": 2},
    {"groupByLength": True, "batchSize": 4},
    {"replay": 0.3, "batchSize": 4, "loraDropout": 0.1},
    {"gradientAccumulationSteps": 2, "batchSize": 2, "neftuneNoiseAlpha": 5},
)
SAVED: Final = {"maxSteps": STEPS, "learningRate": 1e-2, "saveSteps": 2, "evalSteps": 0}
PACKED: Final = 60
ALPHABET: Final = 1000
"""Tokens of a secret are drawn from so many."""


class Killed(BaseException):
    """The process is gone."""


class KilledAt(Events):
    """Takes a run's events until the step ``last``, at which it is killed."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self._last = last

    def _take(self, event: Event) -> None:
        super()._take(event)
        if event["type"] == "training.log" and event["step"] >= self._last:
            raise Killed


def rows() -> list[Example]:
    return [replace(row, where=f"row {number}") for number, row in enumerate(made_up(ROWS), 1)]


class Trained(NamedTuple):
    """The hash of an adapter's weights, and the step after which its training continued another job's."""

    weights: str | None
    start: int


def train(
    tiny: Path,
    data: Path,
    job: str,
    examples: Sequence[Example],
    settings: dict[str, Any],
    resume_plan: ResumePlan | None = None,
    killed_at: int | None = None,
) -> Trained:
    """Train a job on ``examples``, or continue it; it may be killed at a step. Raises Killed."""
    run = set_up(tiny, data, {**SAVED, "loggingSteps": 1, **settings}, train=list(examples), job_id=job)
    if settings.get("packing"):
        run.plan = plan_of(examples, settings)
    run.resume_plan = resume_plan
    origin: RunOrigin = {
        "rows": hash_of_rows(examples, ()),
        "format": "float32",
        "device": "cpu",
        "consistent": True,
    }
    run.saving = Saving(origin=lambda: origin)
    if killed_at is not None:
        run.emit = KilledAt(killed_at)
    run.run()
    return Trained(weights_hash(final_folder(data, job)), resume_plan.points[0].step if resume_plan else 0)


def plan_of(examples: Sequence[Example], settings: dict[str, Any]) -> Plan:
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.rows.batches import packs

    packed = PACKED if settings.get("packing") else 0
    units = len(packs(examples, packed)) if packed else len(examples)
    return Plan.of(EffectiveSettings({"warmupSteps": 0, **SAVED, **settings}), units, 0, packed)


def deletion_plan(
    data: Path, of: str, examples: Sequence[Example], deleted: Collection[str], settings: dict[str, Any]
) -> ResumePlan | str:
    """Return from where the job that deletes rows continues the job ``of``, or why it does not."""
    earlier: Forgotten = {"job": of, "name": of, "rows": [], "weights": None}
    found = earlier_runs([earlier], deleted, examples, (), plan_of(examples, settings))
    left = hash_of_rows(blanked(examples, deleted), ())
    now: RunOrigin = {"rows": left, "format": "float32", "device": "cpu"}
    return earlier_plan(data, found, now)


def delete(
    tiny: Path,
    data: Path,
    job: str,
    deleted: Collection[str],
    settings: dict[str, Any],
    *,
    of: str = "job",
    examples: Sequence[Example] = (),
    killed_at: int | None = None,
) -> Trained:
    """Delete rows from the adapter of the job ``of``; if the training is killed, it starts again."""
    examples = examples or rows()
    plan = deletion_plan(data, of, examples, deleted, settings)
    resume = plan if isinstance(plan, ResumePlan) else None
    left = blanked(examples, deleted)
    try:
        return train(tiny, data, job, left, settings, resume, killed_at)
    except Killed:
        own = [point for point, wrong in checked_points(data, job) if wrong is None]
        again = ResumePlan(own, "It was killed.") if own else resume
        trained = train(tiny, data, job, left, settings, again)
        return Trained(trained.weights, resume.points[0].step if resume else 0)


def secrets(count: int, seed: int, controls: int) -> list[list[Example]]:
    """Return for each secret its row, followed by controls: the same question with other random answers."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        question = [chance.randrange(3, ALPHABET) for _ in range(6)]
        answers = [[chance.randrange(3, ALPHABET) for _ in range(6)] for _ in range(1 + controls)]
        found.append(
            [
                Example(question + answer, [IGNORED] * len(question) + answer, f"secret {number}")
                for answer in answers
            ]
        )
    return found


def ranks(tiny: Path, data: Path, job: str, candidates: Sequence[Sequence[Example]]) -> list[int]:
    """Return each secret's rank, from 1, by its loss among its controls (Carlini et al. 2019)."""
    from arkor_dev.local.training.adapter import load_weights

    run = set_up(tiny, data, SAVED, train=[row for [row, *_] in candidates])
    run.begin()
    load_weights(run.parts.weights, final_folder(data, job))
    found = []
    for some in candidates:
        losses = [loss for loss, _ in run.loss.row_losses(some)]
        found.append(1 + sum(loss < losses[0] for loss in losses[1:]))
    return found
