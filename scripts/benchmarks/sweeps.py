"""Measures whether a sweep finds the best setting and declares no false winner, with training runs of a tiny
model.

All 27 settings of a grid are trained in full with several seeds, and their means are the truth. Each sweep
then uses the runs of one of these seeds. In the null case, twenty equal settings differ only in their seed.
"""

from __future__ import annotations

import itertools
import random
import tempfile
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arkor_dev.local.evaluation.results import Scores

GRID: Final[dict[str, list[Any]]] = {
    "learningRate": [1e-4, 1e-3, 1e-2], "loraR": [2, 8, 32], "batchSize": [2, 4, 8],
}  # fmt: skip
STEPS: Final = 90
CONFIG: Final = {"maxSteps": STEPS, "learningRate": 1e-4, "loraR": 8, "batchSize": 4, "evalSteps": 0}
ROWS: Final = 48
NULL_STEPS: Final = 30


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield shares of sweeps, in percent."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(Path(folder))
        yield from _grid(trainer, 1 if quick else 5, 2 if quick else 4, quick=quick)
        yield from _null(trainer, 27 if quick else 80, 10 if quick else 200)


class Trainer:
    """Trains a tiny model with given settings on rows with learnable answers."""

    def __init__(self, folder: Path) -> None:
        import torch

        from tests.local.tiny_model import make
        from tests.local.training.methods.preferring import coin_flips, encoded

        torch.set_num_threads(1)  # so small a model gains nothing from two threads
        self._folder, self._count = folder, 0
        make(folder / "tiny")
        self._train, self._held_out = (
            encoded(
                folder / "tiny",
                [{"prompt": row["prompt"], "completion": row["chosen"]} for row in coin_flips(count, seed)],
                "sft",
            )
            for count, seed in ((96, 1), (ROWS, 2))
        )

    def losses(self, config: Mapping[str, Any]) -> list[float]:
        """Return the losses of the held-out rows after a run."""
        from tests.local.tiny_run import set_up

        self._count += 1
        run = set_up(
            self._folder / "tiny", self._folder / str(self._count), {**config, "saveSteps": 0},
            train=self._train, job_id="job", seed=config["seed"],
        )  # fmt: skip
        assert run.run().status == "completed"
        found = run.loss.row_losses(self._held_out)
        return [loss / weight for loss, weight in found]


def _scores(losses: Sequence[float]) -> Scores:
    count = len(losses)
    keys = [f"{(7919 * place) % 2**32:016x}" for place in range(count)]
    return {
        "adapter": list(losses),
        "keys": keys,
        "groups": list(range(count)),
        "margin": 0.01,
        "rows": "",
        "tokens": "",
    }


def _grid(trainer: Trainer, seeds: int, sweeps: int, *, quick: bool) -> Iterator[Figure]:
    from arkor_dev.local.sweeps import plan
    from arkor_dev.local.sweeps.judging import selecting_loss
    from arkor_dev.local.sweeps.record import Trial
    from tests.local.sweeps.simulated import run, sweep_of

    every = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    base = {**CONFIG, "maxSteps": 27} if quick else CONFIG
    sweep = sweep_of(GRID, base)
    sweep.estimate = type(sweep.estimate)(base["maxSteps"], 1.0, 1.0)  # type: ignore[misc, arg-type]
    sweep.rungs = plan.rungs_of(sweep)
    found: dict[tuple[int, str, float], list[float]] = {}
    for seed, settings in itertools.product(range(seeds), every):
        for rung, part in enumerate(sweep.rungs):
            config = plan.config_of(sweep, Trial(1, settings, "job", rung=rung))
            found[seed, str(settings), part] = trainer.losses({**config, "seed": seed})
    truth = {
        str(settings): fmean(fmean(found[seed, str(settings), 1.0]) for seed in range(seeds))
        for settings in every
    }
    best = sorted(truth, key=truth.__getitem__)
    hits, lengths = 0, []
    for seed, again in itertools.product(range(seeds), range(sweeps)):
        one = sweep_of(GRID, base, seed=100 * seed + again)
        one.estimate, one.rungs = sweep.estimate, list(sweep.rungs)

        def loss_of(settings: dict[str, Any], part: float, seed: int = seed) -> float:
            key = str({name: settings[name] for name in GRID})
            return selecting_loss(_scores(found[seed, key, part])) or 0.0

        length, _, _ = run(one, loss_of)
        lengths.append(length / len(every))
        chosen = {**{name: base[name] for name in GRID}, **plan.finalists(one)[0].settings}
        hits += str({name: chosen[name] for name in GRID}) in best[:3]
    count = seeds * sweeps
    yield Figure(
        f"one of the best 3 of 27 found, of {count} sweeps",
        100 * hits / count,
        "%",
        least=None if quick else 90,
    )
    yield Figure("  steps of the whole grid", 100 * max(lengths), "%", most=35)
    yield Figure("  best of the grid", truth[best[0]], "nats")
    yield Figure("  third, and the median", truth[best[2]], "nats", truth[best[13]])


def _null(trainer: Trainer, pool: int, sweeps: int) -> Iterator[Figure]:
    from arkor_dev.local.sweeps.judging import judged, selecting_loss

    config = {**CONFIG, "maxSteps": NULL_STEPS, "learningRate": 1e-2}
    runs = [_scores(trainer.losses({**config, "seed": 1000 + seed})) for seed in range(pool)]
    chance = random.Random(5)  # noqa: S311 - statistics, not secrecy
    none = naive = 0
    for _ in range(sweeps):
        drawn = chance.sample(runs, 26)
        trials, start, winner = drawn[:20], drawn[20:23], drawn[23:]
        none += judged(start, winner)["verdict"] == "none"
        best = min(trials, key=lambda run: selecting_loss(run) or 0.0)
        naive += judged([trials[0]] * 3, [best] * 3)["verdict"] == "none"
    spread = [fmean(run["adapter"]) for run in runs]
    yield Figure(f"no winner among twenty equal settings, of {sweeps}", 100 * none / sweeps, "%", least=95)
    yield Figure("  if the selected run itself were judged", 100 * naive / sweeps, "%")
    yield Figure("  range of their losses by the seed", max(spread) - min(spread), "nats")
