"""Measures whether trained runs keep their forgetting budget: tasks by seeds, each a training of its own.

A seed draws the task's rows, the order of the data, the adapter's initialisation, and which 64 of 364
general texts choose step and strength. The product's own `ForgettingBudget` chooses them, and the 300 texts
that were not drawn say what the harm is. Every second held-out row chooses the step, and the others say
what is gained. Beside it, the strength of the last step is chosen alone. Those of the starter model are the
texts in ``budget.py``; those of a tiny model are questions whose answers it has learned. Runs are short: 12
steps, at a learning rate at which they harm. They are appended to files in the cache and not trained again,
so a study can be interrupted: ``PYTHONPATH=.. python -m benchmarks.budget_seeds`` trains them, all tasks of
a seed before the next seed.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import sys
import tempfile
from dataclasses import replace
from math import comb
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .budget import QUESTIONS, others
from .figures import Figure
from .live import _real_base, by_chance, encoded, loop_of, tiny_base
from .starter import CACHE
from .tasks import task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example

RESULTS: Final = CACHE / "bench" / "budget-seeds.jsonl"
TINY: Final = CACHE / "bench" / "budget-seeds-tiny.jsonl"
TASKS: Final = ("facts", "style", "extract")
SEEDS: Final = range(1, 21)
STEPS: Final = 12
CONFIG: Final = {"maxSteps": STEPS, "learningRate": 4e-3, "saveSteps": 3}
LIMITS: Final = {"starter": 0.1, "tiny": 0.02}
"""Of both models, in nats: below what most runs harm at full strength."""


class Run(NamedTuple):
    """What a training chose by its ``limit``, and what is true of it, in nats per token.

    ``harm`` and ``most`` are the product's figures of the texts that chose ``step`` and ``strength``,
    ``rest`` each other text's harm of this adapter. ``gain`` is on the held-out rows that did not choose,
    ``full`` that of the last step without turning down, and ``alone`` that of the last step at
    ``alone_strength``, which was chosen without other steps.
    """

    name: str
    seed: int
    limit: float
    kept: bool
    step: int
    strength: float
    harm: float
    most: float | None
    rest: list[float]
    gain: float
    full: float
    alone: float
    alone_strength: float

    @property
    def exceeded(self) -> bool:
        """Whether the run says that it keeps the limit, and the other texts' mean harm is not below it."""
        return self.kept and mean(self.rest) >= self.limit


def known(path: Path) -> list[Run]:
    """Return the runs in ``path``."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def train_missing(
    path: Path, base: Base, texts: Sequence[Example], cells: Sequence[tuple[str, int]], limit: float
) -> None:
    """Train the runs of ``cells``, tasks with seeds, that are not in ``path``, with these general texts."""
    there, before = {(run.name, run.seed) for run in known(path)}, _base_losses(path, base, texts)
    for name, seed in cells:
        if (name, seed) not in there:
            run = _train(name, seed, base, texts, before, limit)
            with path.open("a") as file:
                file.write(json.dumps(run._asdict()) + "\n")
            figures = (*run[2:8], round(mean(run.rest), 4), *run[9:])
            print(name, seed, *figures, file=sys.stderr, flush=True)


def _base_losses(path: Path, base: Base, texts: Sequence[Example]) -> list[float]:
    """Return the base's losses on ``texts``, which are kept beside ``path``."""
    from arkor_dev.local.evaluation.by_length import measured
    from arkor_dev.local.training.greedy import switched_off

    kept = path.with_suffix(".base.json")
    if not kept.exists():
        rows = list(texts[:8])
        loop = loop_of(replace(base, model=copy.deepcopy(base.model)), CONFIG, rows, [], 0, lambda _: None)
        loop.begin()
        with switched_off(loop.model):
            losses = [loss / count for loss, count in measured(loop.loss.cross_entropy, texts, 16)]
        kept.write_text(json.dumps(losses))
    return list(map(float, json.loads(kept.read_text())))


def _train(
    name: str, seed: int, base: Base, texts: Sequence[Example], before: Sequence[float], limit: float
) -> Run:
    import torch

    from arkor_dev.local.evaluation.by_length import by_row, measured
    from arkor_dev.local.evaluation.halves import judging
    from arkor_dev.local.training.final_evaluation.budget import ForgettingBudget
    from arkor_dev.local.training.greedy import switched_off

    train, held_out = task(name, seed)
    own = replace(base, model=copy.deepcopy(base.model))
    rows = encoded(own, held_out)
    loop = loop_of(own, {**CONFIG, "dataSeed": seed}, encoded(own, train), rows, seed, lambda _: None)
    loop.plan = replace(loop.plan, evaluate=0)
    loop.run()

    def on_texts(some: Sequence[Example]) -> list[float]:
        return [loss / count for loss, count in measured(loop.loss.cross_entropy, some, 16)]

    picking = [number % 2 == 0 for number in range(len(rows))]

    def on_task() -> float:
        losses = by_row(rows, measured(loop.loss.row_losses, rows, loop.measured_at_once))
        return mean(judging(picking, losses))

    full = on_task()
    with switched_off(loop.model):
        untrained = on_task()
    order = list(range(len(texts)))
    random.Random(f"texts/{name}/{seed}").shuffle(order)  # noqa: S311 - texts, no secrets
    count = min(QUESTIONS, len(texts) // 2)
    questions, rest = [texts[place] for place in order[:count]], order[count:]
    weights = [weight for weight in loop.model.parameters() if weight.requires_grad]
    trained = [weight.detach().clone() for weight in weights]
    alone = ForgettingBudget(loop, limit, questions, range(len(rows)), (), lambda: False)
    strength = alone.choose()["strength"]
    with torch.no_grad():
        for weight, value in zip(weights, trained, strict=True):
            weight.copy_(value)
    budget = ForgettingBudget(loop, limit, questions, range(len(rows)), (), lambda: False, picking)
    chosen = budget.choose()
    after = on_texts([texts[place] for place in rest])
    shutil.rmtree(loop.data)
    return Run(
        name,
        seed,
        limit,
        chosen["kept"],
        chosen["step"],
        chosen["strength"],
        chosen["harm"],
        chosen.get("most"),
        [round(loss - before[place], 4) for loss, place in zip(after, rest, strict=True)],
        round(untrained - mean(judging(picking, budget.rows or [])), 4),
        round(untrained - full, 4),
        round(untrained - mean(judging(picking, alone.rows or [])), 4),
        strength,
    )


def study() -> list[Run]:
    """Train the starter model's runs that are not in the cache; return all."""
    from arkor_dev.local.evaluation.general import questions
    from arkor_dev.local.training.rows.encoding import Encoding, encode

    cells = [(name, seed) for seed in SEEDS for name in TASKS]
    if not {*cells} <= {(run.name, run.seed) for run in known(RESULTS)}:
        base = _real_base()
        texts = [encode(base.tokenizer, row, Encoding(256))[0][0] for row in questions()]
        train_missing(RESULTS, base, [*texts, *encoded(base, others())], cells, LIMITS["starter"])
    return known(RESULTS)


def study_tiny(path: Path, seeds: Sequence[int], texts: int) -> list[Run]:
    """Train the tiny model's runs that are not in ``path``, with so many general texts; return all.

    These are questions with the answers whose frequencies it has learned.
    """
    cells = [(name, seed) for seed in seeds for name in TASKS]
    if not {*cells} <= {(run.name, run.seed) for run in known(path)}:
        with tempfile.TemporaryDirectory() as folder:
            base = tiny_base(Path(folder) / "tiny")
            train_missing(path, base, encoded(base, by_chance(1, texts)), cells, LIMITS["tiny"])
    return known(path)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield by model and task in how many runs the limit was exceeded, and what they kept of their gain.

    ``quick`` trains a tiny model only, with one seed and fewer texts.
    """
    if quick:
        with tempfile.TemporaryDirectory() as folder:
            yield from _figures("tiny", study_tiny(Path(folder) / RESULTS.name, SEEDS[:1], 32))
        return
    for model, runs in (("tiny", study_tiny(TINY, SEEDS, 364)), ("starter", study())):
        for name in TASKS:
            own = [run for run in runs if run.name == name]
            yield from _figures(f"{model}, {name}, {len(own)} seeds", own)
        yield from _figures(f"{model}, all", runs)


def _figures(title: str, runs: Sequence[Run]) -> Iterator[Figure]:
    wrong, count = sum(run.exceeded for run in runs), len(runs)
    low, high = exact_interval(wrong, count)
    yield Figure(f"{title}: runs of {count} over {runs[0].limit} nats on texts that chose nothing", wrong, "")
    # The promise is refuted if even the low end of the interval is above it.
    yield Figure("  share, low end of its exact interval (95 %)", 100 * low, "%", most=5)
    yield Figure("  high end", 100 * high, "%")
    yield Figure("  runs that found no strength, and say so", sum(not run.kept for run in runs), "")
    yield Figure("  runs that were turned down", sum(run.strength < 1 for run in runs), "")
    yield Figure(
        "  runs whose step is an earlier one", sum(run.step < CONFIG["maxSteps"] for run in runs), ""
    )
    yield Figure("  mean strength", mean(run.strength for run in runs), "")
    yield Figure("  mean harm on these texts", mean(mean(run.rest) for run in runs), "nats")
    yield Figure("  largest", max(mean(run.rest) for run in runs), "nats")
    gain, full = mean(run.gain for run in runs), mean(run.full for run in runs)
    yield Figure("  gain at the task, at full strength beside", gain, "nats", full)
    yield Figure("  gain of the last step, turned down alone", mean(run.alone for run in runs), "nats")
    yield Figure("  its mean strength", mean(run.alone_strength for run in runs), "")
    yield Figure("  runs that gain less than that", sum(run.gain < run.alone for run in runs), "")


def exact_interval(wrong: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share by Clopper and Pearson (1934, Biometrika 26)."""

    def at_most(share: float, most: int) -> float:
        return sum(comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(most + 1))

    def solve(too_low: Any) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if too_low(middle) else (low, middle)
        return low

    tail = (1 - level) / 2
    low = solve(lambda share: 1 - at_most(share, wrong - 1) < tail) if wrong else 0.0
    high = solve(lambda share: at_most(share, wrong) > tail) if wrong < count else 1.0
    return low, high


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    study_tiny(TINY, SEEDS, 364)
    study()
