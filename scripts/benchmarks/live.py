"""Measures the verdict so far (``local/evaluation/so_far.py``): false claims, and what stopping by it saves.

Of a run, the losses of each held-out row are kept: the base's, and the adapter's at each evaluation. ``real``
runs train the starter model on the example and two of the tasks in ``tasks.py``. ``null`` runs train a tiny
model, which knows already that the answers are drawn by chance, on rows with such answers: there is nothing
to learn, but much changes from row to row. What is true of them is known from many more held-out rows than a
run sees. Both are appended to ``live.jsonl`` in the cache and not run again: a study can be interrupted.
``python -m benchmarks.live KIND`` runs those of a kind.

Simulated null runs take their rows from these runs, each row with all of its evaluations, so that the losses,
and their dependence from one evaluation to the next, are real. Either the sign of each row's differences is
drawn, or each evaluation's mean over all rows is subtracted, which keeps the skew. Both make the true
difference exactly 0 at every evaluation.
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest.mock import patch

import numpy as np

from arkor_dev.local.evaluation import paired
from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.evaluation.so_far import BETTER, HOPELESS, OPEN, Look, LookSchedule, Watched
from tests.local.tiny_model import QUESTIONS

from .figures import Figure
from .starter import CACHE, starter
from .tasks import task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.contract.events import Event
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example

RESULTS: Final = CACHE / "bench" / "live.jsonl"
EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "support-bot" / "data"
TASKS: Final = ("facts", "extract", "example")
NULLS: Final = 60
LOOKS: Final = 8
"""Evaluations of a run; the example, whose rows make 54 steps, has 9."""
FEW: Final = 24
"""Training rows of a null run; the tasks hold out as many."""
OF_EXAMPLE: Final = 32
"""Held-out rows of the example."""
ROWS: Final = (16, 32)
SIMULATED: Final = 1000
"""Null runs of each kind, with each number of rows."""
SEEN: Final = 16
DRAWS: Final = 100
MARGIN: Final = 0.01
CAP: Final = 2.0
"""Nats: what a row counts for at most in a bet."""
KNOWN: Final = 192
"""Held-out rows of a null run, of which a run sees some; the rest say what is true."""
LENGTH: Final = 256
ANSWERS: Final = ("my parcel", "the password", "a refund", "our contract", "this invoice", "the second order")


class Run(NamedTuple):
    """``kind`` is ``real`` or ``null``, ``base`` has each held-out row's loss, ``looks`` those by step."""

    kind: str
    name: str
    seed: int
    steps: int
    base: list[float]
    looks: dict[int, list[float]]

    @property
    def gains(self) -> Any:
        """The base's losses less the adapter's, ``[rows, looks]``."""
        return np.array(self.base)[:, None] - np.array(list(self.looks.values())).T


def known(path: Path) -> list[Run]:
    """Return the runs in ``path``."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Run(**{**line, "looks": {int(step): rows for step, rows in line["looks"].items()}}) for line in lines
    ]


def train_missing(kind: str, path: Path, names: Sequence[tuple[str, int]]) -> list[Run]:
    """Train the runs of ``kind`` that are not in ``path``; return those of ``names``, tasks with seeds."""
    there = {(run.name, run.seed): run for run in known(path) if run.kind == kind}
    base: Base | None = None
    with tempfile.TemporaryDirectory() as folder:
        for name, seed in names:
            if (name, seed) in there:
                continue
            if base is None:
                base = _real_base() if kind == "real" else tiny_base(Path(folder))
            if kind == "null":
                rows = by_chance(seed, FEW), by_chance(-1 - seed, KNOWN)
            else:
                rows = _example(seed) if name == "example" else task(name, seed)
            run = there[name, seed] = _train(kind, name, seed, base, *rows)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(json.dumps(run._asdict()) + "\n")
            print(name, seed, run.gains.mean(0).round(3), file=sys.stderr, flush=True)
    return [there[each] for each in names]


def _example(seed: int) -> tuple[list[Any], list[Any]]:
    (file,) = EXAMPLE.glob("*.jsonl")
    rows = [json.loads(line)["messages"] for line in file.read_text().splitlines()]
    random.Random(seed).shuffle(rows)  # noqa: S311 - rows, no secrets
    return rows[OF_EXAMPLE:], rows[:OF_EXAMPLE]


def by_chance(seed: int, count: int) -> list[Any]:
    """Return questions, each with one of a few answers drawn by chance, often the first of them."""
    chance = random.Random(f"by chance/{seed}")  # noqa: S311 - rows, no secrets
    chosen = chance.choices(ANSWERS, [2**-number for number in range(len(ANSWERS))], k=count)
    return [(f"{chance.randrange(100)} {chance.choice(QUESTIONS)}", answer) for answer in chosen]


def _real_base() -> Base:
    from arkor_dev.local.modeling.base_model import load_base

    return load_base(starter(), as_stored=True)


def tiny_base(folder: Path) -> Base:
    """Return a tiny model that has learned how often each of the answers drawn by chance occurs."""
    from arkor_dev.local.modeling.base_model import load_base
    from tests.local.tiny_model import make

    make(folder)
    base = load_base(folder, as_stored=True)
    rows = encoded(base, by_chance(10**6, 2000))
    config = {"fullFineTuning": True, "learningRate": 1e-3, "batchSize": 16, "maxSteps": 125, "evalSteps": 0}
    loop_of(base, config, rows, [], 1, lambda _: None).run()
    return base


def encoded(base: Base, rows: Sequence[Any]) -> list[Example]:
    """Return pairs of a question and its answer, or conversations, as examples."""
    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.rows.encoding import Encoding, encode

    found: list[Example] = []
    for number, row in enumerate(rows, 1):
        turns = row
        if isinstance(row, tuple):
            turns = [{"role": "user", "content": row[0]}, {"role": "assistant", "content": row[1]}]
        found += encode(base.tokenizer, Row(turns, f"row {number}"), Encoding(LENGTH))[0]
    return found


def loop_of(
    base: Base, config: dict[str, Any], train: list[Example], held_out: list[Example], seed: int, emit: Any
) -> Any:
    """Return a run of ``config`` that is ready to begin; ``emit`` gets its events."""
    import torch

    from arkor_dev.local.modeling.number_format import DtypeChoice
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.run import ModelSource, TrainingLoop
    from arkor_dev.local.training.run_events import RunEvents

    settings = EffectiveSettings({"saveSteps": 0, "seed": seed, **config})
    parameters = sum(weight.numel() for weight in base.model.parameters())
    plan = Plan.of(settings, len(train), len(held_out), parameters=parameters)
    return TrainingLoop(
        method=method("sft"),
        base=base,
        source=ModelSource("starter"),
        plan=replace(plan, evaluate=_interval(plan.steps) if held_out else 0),
        train=train,
        held_out=held_out,
        data=Path(tempfile.mkdtemp()),
        job_id="study",
        seed=seed,
        settings={},
        emit=RunEvents(emit),
        choice=DtypeChoice(torch.bfloat16 if parameters > 10**8 else torch.float32, "the same for all runs"),
    )


def _interval(steps: int) -> int:
    return -(-steps // (LOOKS + (steps > 50)))


def _train(kind: str, name: str, seed: int, base: Base, train: list[Any], held_out: list[Any]) -> Run:
    """Train a copy of ``base``; a null run takes few steps at a rate that changes something."""
    from arkor_dev.local.training.greedy import switched_off

    config = {} if kind == "real" else {"learningRate": 4e-3, "batchSize": 16, "maxSteps": 24}
    own = replace(base, model=copy.deepcopy(base.model))
    looks: dict[int, list[float]] = {}

    def note(event: Event) -> None:
        if event["type"] == "training.log" and "evalLoss" in event:
            looks[event["step"]] = [round(loss, 4) for loss in loop.row_losses]

    loop = loop_of(own, config, encoded(own, train), encoded(own, held_out), seed, note)
    loop.run()
    with switched_off(loop.model):
        loop.evaluate()
    return Run(kind, name, seed, loop.plan.steps, [round(loss, 4) for loss in loop.row_losses], looks)


Claim = Callable[[Run, Any], bool]


def watch(run: Run, rows: Sequence[int], gains: Any, margin: float = MARGIN) -> list[Look]:
    """Return what each evaluation of a run spends and finds with these ``rows``, whose base losses do not
    matter, and their ``gains`` ``[rows, looks]``.
    """
    steps = list(run.looks)
    schedule = LookSchedule(run.steps, steps[0])
    watched = Watched([0.0] * len(rows), range(len(rows)), margin)
    looks: dict[int, Look] = {}
    for place, step in enumerate(steps):
        if found := watched.look(step, list(-gains[list(rows), place]), schedule, looks):
            looks[step] = found[0]
    return list(looks.values())


def false_claims(looks: Sequence[Look], truth: Sequence[float], margin: float = MARGIN) -> list[bool]:
    """Return for each look whether its state is false of the adapter, which gains ``truth``."""
    return [
        (look.state == BETTER and gain <= margin) or (look.state == HOPELESS and gain > margin)
        for look, gain in zip(looks, truth, strict=True)
    ]


def simulate(runs: Sequence[Run], count: int, rows: int, how: str, claim: Claim) -> float:
    """Return in how many of ``count`` null runs on ``rows`` rows ``claim`` is true of the gains, in percent.

    Rows are drawn with replacement from one of ``runs`` each. ``how`` is ``signs`` or ``centred``: see above.
    """
    chance, wrong = np.random.default_rng(44), 0
    for number in range(count):
        run = runs[number % len(runs)]
        gains = run.gains
        if how == "centred":
            gains = gains - gains.mean(0)
        drawn = chance.integers(0, len(gains), rows)
        gains = gains[drawn]
        if how == "signs":
            gains = gains * chance.choice([-1, 1], rows)[:, None]
        wrong += claim(run, gains)
    return 100 * wrong / count


def by_sequence(run: Run, gains: Any) -> bool:
    """Return whether the sequence calls any evaluation better, or worse from half of the run on."""
    states = [look.state for look in watch(run, range(len(gains)), gains, 0.0)]
    return bool({BETTER, HOPELESS}.intersection(states))


def by_each(run: Run, gains: Any) -> bool:
    """Return whether any of the evaluations is called better or worse, each by the verdict's interval."""
    nothing = [0.0] * len(gains)
    return any(compare(nothing, list(-each)).verdict in ("better", "worse") for each in gains.T)


def by_betting(run: Run, gains: Any) -> bool:
    """Return whether betting calls any evaluation better or worse, with the shares of the sequence.

    A row's difference counts for at most ``CAP`` nats. The bet against a mean of 0 at most is a mixture of
    constant fractions (Waudby-Smith and Ramdas, 2024), so the rows' order does not matter.
    """
    shares = _shares(run)
    return any(_bet(gains, shares, sign) for sign in (1, -1))


def _shares(run: Run) -> list[float]:
    schedule, looks = LookSchedule(run.steps, next(iter(run.looks))), dict[int, Look]()
    for step in run.looks:
        looks[step] = Look(schedule.share(step, looks), OPEN)
    return [look.share for look in looks.values()]


def _bet(gains: Any, shares: Sequence[float], sign: int) -> bool:
    level = paired.LEVEL_OF_FEW if len(gains) < paired.FEW else paired.LEVEL
    fractions = np.linspace(0.02, 0.98, 25)[:, None, None] / CAP
    capital = np.exp(np.log1p(fractions * np.clip(sign * gains, -CAP, CAP)).sum(1)).mean(0)
    return bool((capital >= 2 / (level * np.array(shares))).any())


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the shares of false claims in null runs, and what the real runs would have saved."""
    path = Path(tempfile.mkdtemp()) / RESULTS.name if quick else RESULTS
    nulls = train_missing("null", path, [("by chance", seed) for seed in range(2 if quick else NULLS)])
    real = [] if quick else train_missing("real", path, [(name, 1) for name in TASKS])
    with patch.object(paired, "RESAMPLES", 500 if quick else 2000):
        yield from _simulated("tiny model", nulls, quick=quick)
        if real:
            yield from _simulated("starter model", real, quick=quick)
        yield from _trained(nulls)
        for run in real:
            yield from _saved(run)


def _simulated(name: str, runs: Sequence[Run], *, quick: bool) -> Iterator[Figure]:
    count = 10 if quick else SIMULATED
    most = 5 + round(310 * math.sqrt(0.05 * 0.95 / count), 1)
    for how in ("signs", "centred"):
        for rows in ROWS:
            title = f"{name}, {how}, {rows} rows: any false claim"
            yield Figure(title, simulate(runs, count, rows, how, by_sequence), "%", most=most)
            each = simulate(runs, count, rows, how, by_each)
            yield Figure("  by the verdict's interval at each evaluation", each, "%")
            yield Figure("  by betting, capped", simulate(runs, count, rows, how, by_betting), "%")


def _trained(runs: Sequence[Run]) -> Iterator[Figure]:
    """Yield the real null runs with false claims; a run sees its first rows, the others say what is true."""
    for rows in ROWS:
        wrong = claims = 0
        for run in runs:
            looks = watch(run, range(rows), run.gains, MARGIN)
            wrong += any(false_claims(looks, run.gains[rows:].mean(0)))
            claims += any(look.state != OPEN for look in looks)
        yield Figure(f"{len(runs)} null runs trained, {rows} rows: with a false claim", wrong, "runs", most=7)
        yield Figure("  with any claim", claims, "runs")


def _saved(run: Run) -> Iterator[Figure]:
    """Yield what stopping at the first settled evaluation saves, over samples of a run's rows, and how often
    the verdict is that of the whole run.
    """
    chance, saved, same, settled = np.random.default_rng(5), [], 0, 0
    steps = list(run.looks)
    for _ in range(DRAWS):
        rows = chance.permutation(len(run.base))[:SEEN].tolist()
        looks = watch(run, rows, run.gains)
        at = next((place for place, look in enumerate(looks) if look.state != OPEN), len(looks) - 1)
        saved.append(100 * (1 - steps[at] / run.steps))
        whole = compare([0.0] * SEEN, list(-run.gains[rows, -1]), margin=MARGIN).verdict
        settled += looks[at].state != OPEN
        same += looks[at].state == (whole if whole == BETTER else HOPELESS)
    yield Figure(f"{run.name}: steps saved, median of {DRAWS} samples of {SEEN} rows", median(saved), "%")
    yield Figure("  settled", 100 * settled / DRAWS, "%")
    yield Figure("  with the verdict of the whole run", 100 * same / DRAWS, "%")
    left = run.gains[:, -1].mean() - run.gains[:, steps.index(steps[0])].mean()
    yield Figure("  gain of the whole run, nats", run.gains[:, -1].mean(), "nats")
    yield Figure("  of it after the first evaluation", left, "nats")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if sys.argv[1] == "real":
        train_missing("real", RESULTS, [(name, 1) for name in TASKS])
    else:
        train_missing("null", RESULTS, [("by chance", seed) for seed in range(NULLS)])
