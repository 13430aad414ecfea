"""Measures the cost and benefit of the ways against forgetting, each on the example project with its own
settings, and some of them on two of the tasks in ``tasks.py`` as well.

Every run is a separate process with one thread, and generates its replay answers anew. The losses are those
of the verdict, with its held-out rows, general questions and intervals. Times are processor time, which other
programs affect less, of training and the base's answers, without the verdict. In addition, steps of a plain
run, of replay and of the penalty are timed in turns on the same rows. ``python -m benchmarks.forgetting TASK
WAY SEED STEPS FORMAT`` runs one, or with the way ``TURNS`` those steps, and prints the figures as JSON.

Each finished run is appended to ``forgetting.jsonl`` in the cache, and is not run again: a study can be
interrupted. Delete that file after a change of what is measured.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.models.catalog import Model
from tests.local import job_configs

from .figures import Figure
from .sides import in_a_process
from .starter import CACHE, starter
from .tasks import TASKS, task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RESULTS: Final = CACHE / "bench" / "forgetting.jsonl"
EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "support-bot"
OFF: Final = {"replay": 0.0, "baseKl": 0.0}
LAST_LAYERS: Final = list(range(20, 30))
ALL_LINEAR: Final = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WAYS: Final[dict[str, dict[str, Any]]] = {
    "nothing": OFF,
    "replay = 0.2": {**OFF, "replay": 0.2},
    "sdft": {**OFF, "method": "sdft", "maxCompletionLength": 96},
    "base_kl = 0.1": {**OFF, "baseKl": 0.1},
    "base_kl = 1": {**OFF, "baseKl": 1.0},
    "lora.r = 2": {**OFF, "loraR": 2, "loraAlpha": 4},
    "the last 10 of 30 layers": {
        **OFF,
        "loraTargetModules": ALL_LINEAR,
        "loraLayersToTransform": LAST_LAYERS,
    },
    "replay = 0.2, base_kl = 0.1": {"replay": 0.2, "baseKl": 0.1},
    "learning_rate = 5e-4": {**OFF, "learningRate": 5e-4},
    "learning_rate = 2e-3": {**OFF, "learningRate": 2e-3},
}
SEEDS: Final = (42, 43, 44)
OFTEN: Final = 4
"""Number of the ways, counted from the first, that are measured with all seeds; the others use one."""
OTHER_TASKS: Final = ("facts", "extract")
ON_OTHERS: Final = 3
"""Number of the ways, counted from the first, that are measured on the other tasks, with two seeds."""
TURNS: Final = "in turns"

Cell = tuple[str, str, int]
"""A task, a way and a seed."""


def cells() -> list[Cell]:
    """Return every run, in order; a seed's plain run comes before its others."""
    often = [("example", way, seed) for seed in SEEDS for way in list(WAYS)[:OFTEN]]
    others = [
        (name, way, seed) for name in OTHER_TASKS for seed in SEEDS[:2] for way in list(WAYS)[:ON_OTHERS]
    ]
    return [*often, *others, *(("example", way, SEEDS[0]) for way in list(WAYS)[OFTEN:])]


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the losses on the task and in general, the interval of the harm, and the time relative to a plain
    run.
    """
    starter()
    one_thread = {"OMP_NUM_THREADS": "1"}
    steps = in_a_process(
        "forgetting", "example", TURNS, SEEDS[0], 1 if quick else 8, "auto", settings=one_thread
    )
    for kind in ("replay", "penalty"):
        yield Figure(f"a step with {kind}, a plain one beside", steps[kind], "s", steps["plain"], most=1.35)
    there = {} if quick else known(RESULTS)
    wanted = [("example", way, SEEDS[0]) for way in list(WAYS)[:ON_OTHERS]] if quick else cells()
    for cell in wanted:
        name, way, seed = cell
        plain = there.get((name, "nothing", seed))
        if cell not in there:
            number = plain["format"] if plain else "auto"
            found = in_a_process("forgetting", *cell, 4 if quick else 0, number, settings=one_thread)
            there[cell] = found
            if not quick:
                keep(RESULTS, cell, found)
        yield from _figures(f"{name}: {way}, seed {seed}", there[cell], plain or there[cell])
    if not quick:
        for way in list(WAYS)[1:OFTEN]:
            yield from _over_seeds(way, there)


def known(path: Path) -> dict[Cell, dict[str, Any]]:
    """Return the figures of the runs in ``path``."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {(line["task"], line["way"], line["seed"]): line for line in lines}


def keep(path: Path, cell: Cell, found: Mapping[str, Any]) -> None:
    """Append the figures of a run to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({**dict(zip(("task", "way", "seed"), cell, strict=True)), **found}) + "\n")


def _figures(name: str, found: Mapping[str, Any], plain: Mapping[str, Any]) -> Iterator[Figure]:
    task, general = found["heldOut"], found["general"]
    yield Figure(f"{name}: loss of the task, base beside", task["adapter"], "nats", task["base"])
    yield Figure("  loss in general, base beside", general["adapter"], "nats", general["base"])
    gain = general["difference"]
    yield Figure("  harm in general", -gain["mean"], "nats")
    yield Figure("    low end of its interval", -gain["high"], "nats")
    yield Figure("    high end", -gain["low"], "nats")
    if found is not plain:
        halved = compare([harm / 2 for harm in plain["harms"]], found["harms"])
        yield Figure("  how much less than half of the plain run's harm it is", halved.mean, "nats")
        yield Figure("    low end of its interval", halved.low, "nats")
        worse = compare(found["rows"], plain["rows"])
        yield Figure("  how much worse at the task than the plain run it is", worse.mean, "nats")
        yield Figure("    low end of its interval", worse.low, "nats")
        yield Figure("    high end", worse.high, "nats")
    yield Figure("  time, of a plain run beside", found["seconds"], "s", plain["seconds"])


def _over_seeds(way: str, there: Mapping[Cell, Mapping[str, Any]]) -> Iterator[Figure]:
    """Yield how far the harm is below half of the plain runs' harm, as means over the seeds per question."""

    def harms(way: str) -> list[float]:
        return [
            mean(each) for each in zip(*(there["example", way, seed]["harms"] for seed in SEEDS), strict=True)
        ]

    halved = compare([harm / 2 for harm in harms("nothing")], harms(way))
    yield Figure(f"{way}, {len(SEEDS)} seeds: how much less than half of the harm", halved.mean, "nats")
    yield Figure("    low end of its interval", halved.low, "nats")
    yield Figure("    high end", halved.high, "nats")


def in_turns(seed: int, steps: int, number: str) -> dict[str, float]:
    """Return each kind of step's processor time in seconds, with placeholders of full length as answers."""
    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run_events import RunEvents
    from arkor_dev.project.data_editor import config_of

    config: dict[str, Any] = {**config_of(EXAMPLE, "lighthouse"), **OFF, "baseKl": 0.1}
    config |= {"seed": seed, "numberFormat": number}
    seconds: dict[str, list[float]] = {"plain": [], "replay": [], "penalty": []}
    with tempfile.TemporaryDirectory() as folder:
        job = JobRequest("job", job_configs.config_of(config), folder, str(EXAMPLE))
        preparation = RunPreparation(job, RunEvents(lambda *_: None), lambda *_: None)
        preparation.read()
        preparation.load(Model("starter", starter()))
        preparation.encode()
        trained = preparation.make_run()
        trained.begin()
        loss: Any = trained.loss
        loss.keep_base_states(trained.replay.examples, lambda: False)  # type: ignore[union-attr]
        every = trained.steps()
        for _ in range(steps + 1):
            batches = next(every)
            own = [[row for row in batch if not row.replayed] for batch in batches]
            learned = [[replace(row, counts=None) for row in batch] for batch in batches]
            for kind, some in (("plain", own), ("replay", learned), ("penalty", batches)):
                loss._penalized = trained.replay if kind == "penalty" else None
                began = time.process_time()
                trained.learn(*some)
                seconds[kind].append(time.process_time() - began)
    return {kind: mean(each[1:]) for kind, each in seconds.items()}  # the first ones warm up


def _project(name: str, seed: int, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a task's project and its trainer's config: the example's, with the rows of the task."""
    from arkor_dev.project.data_editor import config_of

    config: dict[str, Any] = dict(config_of(EXAMPLE, "lighthouse"))
    if name not in TASKS:
        return EXAMPLE, config
    for file, pairs in zip(("train", "held-out"), task(name, seed), strict=True):
        lines = [json.dumps({"prompt": prompt, "completion": answer}) for prompt, answer in pairs]
        (folder / f"{file}.jsonl").write_text("\n".join(lines))
    del config["datasetSplit"]
    rows = {
        field: {"type": "file", "path": f"{file}.jsonl"}
        for field, file in (("datasetSource", "train"), ("evalDatasetSource", "held-out"))
    }
    return folder, {**config, **rows}


def run(name: str, way: str, seed: int, steps: int, number: str) -> dict[str, Any]:
    """Run the example's trainer on a task and evaluate it; ``steps`` 0 uses its own number."""
    from arkor_dev.contract.events import EVALUATION_COMPLETED
    from arkor_dev.local.evaluation.by_length import measured
    from arkor_dev.local.training.final_evaluation.measure import FinalEvaluation, general_examples
    from arkor_dev.local.training.greedy import switched_off
    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run_events import RunEvents

    seen: dict[str, Any] = {}
    emit = RunEvents(lambda event: seen.update({event["type"]: event}))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as rows_folder:
        project, config = _project(name, seed, Path(rows_folder))
        config |= WAYS[way]
        config |= {"seed": seed, "numberFormat": number, "samples": "off"}  # measure only losses, no answers
        if steps:
            config |= {"maxSteps": steps, "evalSteps": steps}
        job = JobRequest("job", job_configs.config_of(config), folder, str(project))
        preparation = RunPreparation(job, emit, lambda *_: None)
        preparation.read()
        preparation.load(Model("starter", starter()))
        preparation.encode()
        judging = FinalEvaluation(preparation, lambda: False)
        trained = preparation.make_run()
        judging.follow(trained)
        began = time.process_time()
        trained.run()
        seconds = time.process_time() - began
        judging.judge()

        def losses(rows: Any) -> list[float]:
            found = measured(trained.loss.cross_entropy, rows, trained.measured_at_once)
            return [loss / count for loss, count in found]

        questions = general_examples(trained)[0]
        after, rows = losses(questions), losses(trained.held_out)
        with switched_off(trained.model):
            harms = [one - other for one, other in zip(after, losses(questions), strict=True)]
    evaluation = seen[EVALUATION_COMPLETED]["evaluation"]
    parts = {part: evaluation[part] for part in ("heldOut", "general")}
    return {**parts, "harms": harms, "rows": rows, "seconds": seconds, "format": trained.choice.name}


if __name__ == "__main__":
    name, kind, *rest = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    figures = in_turns(*rest) if kind == TURNS else run(name, kind, *rest)  # type: ignore[arg-type]
    print(json.dumps(figures))
