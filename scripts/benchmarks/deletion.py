"""Measures whether a row can be deleted from an adapter without a trace (docs/forget.md), and what it costs.

Exactness: random rows are deleted from trainings of a tiny model; every second one is killed on the way. The
weights must be those of a training from the start without the rows. Exposure: the ranks of planted secrets
among controls before and after. Cost: the share of steps that are repeated, on the orders of many rows.
"""

from __future__ import annotations

import random
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

DELETIONS: Final = 100
SECRETS: Final = 20
CONTROLS: Final = 99
ROWS: Final = 1000
DRAWS: Final = 60
DELETED: Final = (1, 10, 100)
EPOCHS: Final = (1, 2, 3)
CHECKPOINTS: Final = (4, 20, None)
"""Checkpoints of a run, in equal distances; None for one at every step."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the figures; ``quick`` measures fewer of each."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder) / "tiny"
        from tests.local.tiny_model import make

        make(tiny)
        yield from _exactness(tiny, Path(folder), 5 if quick else DELETIONS)
        yield from _exposure(tiny, Path(folder) / "exposure")
    yield from _cost(5 if quick else DRAWS)


def _exactness(tiny: Path, folder: Path, count: int) -> Iterator[Figure]:
    from arkor_dev.local.training.rows.left_out import blanked
    from tests.local.deletion.deleting import SETTINGS, STEPS, delete, rows, train

    chance = random.Random(1)  # noqa: S311 - rows, no secrets
    different = continued = 0
    examples = rows()
    for number in range(count):
        settings = {**SETTINGS[number % len(SETTINGS)], "dataSeed": number}
        data = folder / str(number)
        data.mkdir()
        train(tiny, data, "job", examples, settings)
        deleted = chance.sample([row.where for row in examples], chance.choice((1, 1, 1, 2, 3)))
        killed = chance.randrange(2, STEPS + 1) if number % 2 else None
        gone = delete(tiny, data, "gone", deleted, settings, killed_at=killed)
        scratch = train(tiny, data, "scratch", blanked(examples, deleted), settings)
        different += gone.weights is None or gone.weights != scratch.weights
        continued += gone.start > 0
        print(f"{number + 1} deletions, {different} different", file=sys.stderr, flush=True)
    yield Figure(f"deletions of {count} whose bits differ from a training without", different, "", most=0)
    yield Figure("of these, continued from a checkpoint", continued, "")


def _exposure(tiny: Path, data: Path) -> Iterator[Figure]:
    from tests.local.deletion import deleting

    deleting.SAVED = {**deleting.SAVED, "maxSteps": 120, "saveSteps": 60}  # type: ignore[misc]
    settings: dict[str, Any] = {"batchSize": 8}
    data.mkdir()
    candidates = deleting.secrets(SECRETS, 2, CONTROLS)
    planted = [replace(row) for [row, *_] in candidates]
    examples = [*deleting.rows()[:12], *planted]
    deleting.train(tiny, data, "job", examples, settings)
    places = [row.where for row in planted]
    deleting.delete(tiny, data, "gone", places, settings, examples=examples)
    before = deleting.ranks(tiny, data, "job", candidates)
    after = deleting.ranks(tiny, data, "gone", candidates)
    yield Figure(f"mean rank of secrets among {CONTROLS} controls, before", mean(before), "", most=1)
    yield Figure("the same after the deletion (by chance: 50.5)", mean(after), "", least=31)
    yield Figure("secrets of 20 in the first tenth, after", sum(rank <= 10 for rank in after), "", most=6)


def _cost(draws: int) -> Iterator[Figure]:
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.left_out import first_use

    chance = random.Random(0)  # noqa: S311 - rows, no secrets
    rows = [Example([0] * chance.randint(20, 200), [0], f"row {number}") for number in range(ROWS)]
    for epochs in EPOCHS:
        for checkpoints in CHECKPOINTS:
            for count in DELETED:
                shares = []
                for seed in range(draws):
                    settings = EffectiveSettings({"numTrainEpochs": epochs, "batchSize": 4, "dataSeed": seed})
                    plan = Plan.of(settings, len(rows), 0)
                    every = plan.steps // (checkpoints or plan.steps)
                    where = {row.where for row in chance.sample(rows, count)}
                    first = first_use(rows, plan, where) or plan.steps + 1
                    shares.append(1 - (first - 1) // every * every / plan.steps)
                name = f"repeated: {epochs} epochs, {checkpoints or 'all'} checkpoints, {count} rows"
                yield Figure(name, 100 * mean(shares), "%")
