"""The study behind the defaults of ``learning_rate`` and ``lora.target_modules``.

Each cell trains the starter model on one task (``tasks.py``) with our own loop and our own defaults, except
for the learning rate, the adapted layers and the rank. Then it measures the loss on held-out paraphrases, and
on general questions of the verdict. Each cell appends one line of JSON to ``defaults.jsonl`` in the cache,
and finished cells are not run again, so a study can be interrupted.

``scripts/bench defaults`` runs all cells and prints the means, ``python -m benchmarks.defaults`` runs them.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.process import DEFAULTS

from .figures import Figure
from .starter import CACHE, starter
from .tasks import TASKS, task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example

RESULTS: Final = CACHE / "bench" / "defaults.jsonl"
LAYERS: Final[dict[str, dict[str, Any]]] = {
    "base": {},
    "attention": {"loraTargetModules": ["q_proj", "k_proj", "v_proj", "o_proj"]},
    "all-linear": {"loraTargetModules": "all-linear"},
    "whole model": {"fullFineTuning": True},
}
ORDER: Final = (
    ("all-linear", 1e-3),
    ("all-linear", 2e-4),
    ("all-linear", 5e-4),
    ("attention", 2e-4),
    ("attention", 1e-3),
    ("all-linear", 2e-3),
    ("attention", 2e-3),
    ("attention", 5e-4),
    ("all-linear", 1e-4),
    ("attention", 1e-4),
)
"""Layers and learning rates, the most informative first."""
REPEATED: Final = 5
"""Number of settings that run with every seed, and at rank 16 with one: seeds differ far less than
settings.
"""
WHOLE_RATES: Final = (2e-5, 1e-4, 2e-4)
SEEDS: Final = (1, 2, 3)
LENGTH: Final = 256
GENERAL: Final = 16


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the study."""

    task: str
    layers: str
    rank: int
    rate: float
    seed: int


def cells(*, quick: bool = False) -> list[Cell]:
    """Return all cells, the most informative first."""
    if quick:
        return [Cell("style", "all-linear", 8, 1e-3, 1)]
    base = [Cell(name, "base", 8, 0, seed) for seed in SEEDS for name in TASKS]
    whole = [Cell(name, "whole model", 8, rate, 1) for rate in WHOLE_RATES for name in TASKS]
    first, *others = SEEDS
    repeated = [_adapters(8, seed)[: REPEATED * len(TASKS)] for seed in others]
    wide = _adapters(16, first)[: REPEATED * len(TASKS)]
    return [
        *base[: len(TASKS)],
        *_adapters(8, first),
        *base[len(TASKS) :],
        *whole,
        *itertools.chain(*repeated),
        *wide,
    ]


def _adapters(rank: int, seed: int) -> list[Cell]:
    return [Cell(name, layers, rank, rate, seed) for layers, rate in ORDER for name in TASKS]


def measure(*, quick: bool) -> Iterator[Figure]:
    """Run the missing cells; yield each setting's losses on each task, as means over seeds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / RESULTS.name if quick else RESULTS
        run_all(cells(quick=quick), path, steps=2 if quick else None)
        found = known(path)
    for (layers, rank, rate, name), lines in grouped(found).items():
        spread = f"± {stdev(line['heldOut'] for line in lines):.3f}" if len(lines) > 1 else "one seed"
        for what in ("heldOut", "general"):
            title = f"{name}, {layers} r {rank} at {rate:g} ({spread}): {what}"
            yield Figure(title, mean(line[what] for line in lines), "nats")


def grouped(found: Mapping[Cell, dict[str, Any]]) -> dict[tuple[str, int, float, str], list[dict[str, Any]]]:
    """Return the figures grouped by setting and task, with all seeds together."""
    groups: dict[tuple[str, int, float, str], list[dict[str, Any]]] = {}
    for cell, figures in found.items():
        groups.setdefault((cell.layers, cell.rank, cell.rate, cell.task), []).append(figures)
    return groups


def known(path: Path) -> dict[Cell, dict[str, Any]]:
    """Return the cells that have run, with their figures."""
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    except OSError:
        return {}
    names = Cell.__slots__
    return {Cell(**{name: line.pop(name) for name in names}): line for line in lines}


def run_all(wanted: list[Cell], path: Path, steps: int | None = None) -> None:
    """Run the cells that have no line in ``path`` yet, and append theirs; each has ``steps`` steps if
    given.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)  # threads wait like those of a worker
    path.parent.mkdir(parents=True, exist_ok=True)
    there = known(path)
    base: Base | None = None
    for cell in wanted:
        if cell in there:
            continue
        if base is None:
            from arkor_dev.local.modeling.base_model import load_base

            base = load_base(starter(), as_stored=True)
        began = time.monotonic()
        figures = run(cell, base, steps)
        line = {**asdict(cell), **figures, "seconds": round(time.monotonic() - began, 1)}
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, file=sys.stderr, flush=True)


def run(cell: Cell, base: Base, steps: int | None) -> dict[str, Any]:
    """Train one cell on a copy of ``base``; losses are means per completion token, in nats."""
    import torch

    from arkor_dev.local.evaluation.general import questions
    from arkor_dev.local.modeling.number_format import DtypeChoice
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding, encode
    from arkor_dev.local.training.run import ModelSource, TrainingLoop
    from arkor_dev.local.training.run_events import RunEvents

    own = replace(base, model=copy.deepcopy(base.model))
    whole = cell.layers == "whole model"
    if whole:
        own.model.to(torch.float32)
    train, held_out = (_rows(base.tokenizer, pairs) for pairs in task(cell.task, cell.seed))
    asked = (encode(base.tokenizer, row, Encoding(LENGTH))[0] for row in questions(GENERAL))
    general = [example for examples in asked for example in examples]
    config = {
        "learningRate": cell.rate or None,
        "loraR": cell.rank,
        "maxSteps": steps,
        "saveSteps": 0,
        "evalSteps": 0,
        "seed": cell.seed,
    }
    if whole:
        del config["loraR"]
    plan = Plan.of(EffectiveSettings({**config, **LAYERS[cell.layers]}), len(train), 0)
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingLoop(
            method=method("sft"),
            base=own,
            source=ModelSource("starter"),
            plan=plan,
            train=train,
            held_out=held_out,
            data=Path(folder),
            job_id="study",
            seed=cell.seed,
            settings={},
            emit=RunEvents(lambda *_: None),
            choice=DtypeChoice(torch.float32 if whole else torch.bfloat16, "the same for all cells"),
        )
        training = None
        if cell.rate:
            run.run()
            training = run.last_loss
        else:
            run.begin()

    found = {"heldOut": run.evaluate().loss}
    run.held_out = general
    found["general"] = run.evaluate().loss
    return {**found, "training": training, "steps": plan.steps}


def _rows(tokenizer: Any, pairs: list[tuple[str, str]]) -> list[Example]:
    from arkor_dev.data.messages import turn
    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.rows.encoding import Encoding, encode

    rows: list[Example] = []
    for number, (question, answer) in enumerate(pairs, 1):
        rows += encode(tokenizer, Row(turn(question, answer), f"row {number}"), Encoding(LENGTH))[0]
    return rows


if __name__ == "__main__":
    run_all(cells(), RESULTS)
