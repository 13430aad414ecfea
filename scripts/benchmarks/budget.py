"""Measures the forgetting budget (``local/evaluation/budget.py``): how often it is exceeded, and its price.

Runs train the starter model on the example and on two of the tasks in ``tasks.py``, without anything against
forgetting, or with a fixed ``base_kl``. Of each, the losses of every candidate, a step with a strength, are
kept: those of the held-out rows, and of several hundred general texts. They are appended to ``budget.jsonl``
in the cache and not trained again: a study can be interrupted. ``PYTHONPATH=.. python -m benchmarks.budget``
trains them.

The general texts are the product's 64 questions, and 300 others made of WordNet, sayings and sums. Measuring
sets are drawn from all of them, and what is true is known from the texts that a set lacks.
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest.mock import patch

import numpy as np

from arkor_dev.local.evaluation import paired
from arkor_dev.local.evaluation.budget import STRENGTHS, Harm, harm_of, parts_of, strongest

from .figures import Figure
from .labeled_texts import _debian, labeled_texts
from .live import _example, _real_base, encoded, loop_of
from .starter import CACHE
from .tasks import Pair, task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.contract.events import Event
    from arkor_dev.local.modeling.base_model import Base

RESULTS: Final = CACHE / "bench" / "budget.jsonl"
TEXTS: Final = CACHE / "bench" / "general-texts.json"
WAYS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "base_kl = 0.1": {"baseKl": 0.1},
    "base_kl = 1": {"baseKl": 1.0},
}
CELLS: Final = (
    *(("facts", way) for way in WAYS),
    ("extract", "plain"),
    ("extract", "base_kl = 0.1"),
    ("style", "plain"),
    ("example", "plain"),
)
EARLY: Final = ("facts", "extract", "style")
"""Tasks of which the steps of earlier evaluations are candidates, too."""
OF_OTHERS: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Strengths of those, and of runs with a penalty."""
SEED: Final = 1
QUESTIONS: Final = 64
LIMITS: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
DRAWS: Final = 1000
RESAMPLES: Final = 1000
"""Draws of a bootstrap here, a tenth of the product's."""


class Run(NamedTuple):
    """A run's losses on ``task`` rows and ``general`` texts, by candidate: a step and a strength, such as
    ``40 0.5``, or ``""`` for the base. ``kl`` is the divergence from the base on the task's rows.
    """

    name: str
    way: str
    seed: int
    steps: int
    task: dict[str, list[float]]
    general: dict[str, list[float]]
    kl: dict[str, float]

    def harms(self, strength: float, step: int | None = None) -> Any:
        """Return each general text's harm at ``step``, by default the last, with this ``strength``."""
        return np.array(self.general[f"{step or self.steps} {strength}"]) - np.array(self.general[""])

    def gain(self, strength: float) -> float:
        """Return the base's mean loss on the task less the adapter's at the last step."""
        return mean(self.task[""]) - mean(self.task[f"{self.steps} {strength}"])

    def grid(self) -> tuple[list[int], list[float]]:
        """Return the measured steps, the last one first, and the strengths that each of them has."""
        found: dict[int, set[float]] = {}
        for key in self.general:
            if key:
                step, strength = key.split()
                found.setdefault(int(step), set()).add(float(strength))
        return sorted(found, reverse=True), sorted(set.intersection(*found.values()))


def others() -> list[Pair]:
    """Return general questions with short answers that are not among the product's."""
    if TEXTS.is_file():
        return [(question, answer) for question, answer in json.loads(TEXTS.read_text())]
    chance = random.Random("general texts")  # noqa: S311 - rows, no secrets
    with tempfile.TemporaryDirectory() as folder:
        _debian("wordnet-base", Path(folder))
        found = list(_of_wordnet(Path(folder), chance))
    for text in labeled_texts("fortunes", 2000):
        if len(text["text"]) < 120 and len(found) < 250:
            found.append((f"Tell me a saying about {text['label']}.", " ".join(text["text"].split())))
    for _ in range(25):
        one, two = chance.randint(2, 99), chance.randint(2, 99)
        found.append((f"What is {one} plus {two}?", f"{one} plus {two} is {one + two}."))
        found.append((f"Which is larger, {one} or {two * 7}?", f"{max(one, two * 7)} is larger."))
    TEXTS.write_text(json.dumps(found))
    return found


def _of_wordnet(folder: Path, chance: random.Random) -> Iterator[Pair]:
    """Yield questions for the meaning and the use of words."""
    for kind, name in (("noun", "noun"), ("verb", "verb"), ("adjective", "adj")):
        lines = (folder / f"usr/share/wordnet/data.{name}").read_text(encoding="latin-1").splitlines()
        entries = [line for line in lines if not line.startswith(" ") and '; "' in line]
        for number, line in enumerate(chance.sample(entries, 70)):
            fields, _, gloss = line.partition(" | ")
            word, (meaning, _, use) = fields.split()[4].replace("_", " "), gloss.partition('; "')
            if number % 2:
                yield f'What does the {kind} "{word}" mean?', f"It means: {meaning.strip()}."
            else:
                yield (
                    f'Use the {kind} "{word}" in a sentence.',
                    use.partition('"')[0].strip().capitalize() + ".",
                )


def train_missing() -> list[Run]:
    """Train the runs that are not in the cache; return all."""
    there = {(run.name, run.way) for run in known(RESULTS)}
    base: Base | None = None
    for name, way in CELLS:
        if (name, way) not in there:
            base = base or _real_base()
            run = _train(name, way, base)
            with RESULTS.open("a") as file:
                file.write(json.dumps(run._asdict()) + "\n")
    return known(RESULTS)


def known(path: Path) -> list[Run]:
    """Return the runs in ``path``."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def _train(name: str, way: str, base: Base) -> Run:
    import torch

    from arkor_dev.local.evaluation.by_length import by_row, measured
    from arkor_dev.local.evaluation.general import questions
    from arkor_dev.local.training.final_evaluation.budget import divergence_from_base, scaled
    from arkor_dev.local.training.greedy import switched_off
    from arkor_dev.local.training.replay.rows import Replay
    from arkor_dev.local.training.rows.encoding import Encoding, encode

    train, held_out = _example(SEED) if name == "example" else task(name, SEED)
    own = replace(base, model=copy.deepcopy(base.model))
    general = [encode(own.tokenizer, row, Encoding(256))[0][0] for row in questions()]
    general += encoded(own, others())
    saved: dict[int, dict[str, Any]] = {}

    def note(event: Event) -> None:
        if event["type"] == "training.log" and "evalLoss" in event:
            saved[event["step"]] = {
                name: weight.detach().clone()
                for name, weight in loop.model.named_parameters()
                if weight.requires_grad
            }

    rows = encoded(own, held_out)
    loop = loop_of(own, WAYS[way], encoded(own, train), rows, SEED, note)
    steps = loop.plan.steps
    loop.plan = replace(loop.plan, evaluate=-(-steps // 4))
    loop.replay = Replay.of(loop.plan, own)
    loop.run()
    kept = list(saved) if way == "plain" and name in EARLY else [steps]
    found = Run(name, way, SEED, steps, {}, {}, {})
    weights = dict(loop.model.named_parameters())

    def measure(key: str) -> None:
        found.task[key] = [round(loss, 4) for loss in by_row(rows, measured(loop.loss.row_losses, rows, 8))]
        losses = measured(loop.loss.cross_entropy, general, 16)
        found.general[key] = [round(loss / count, 4) for loss, count in losses]

    with switched_off(loop.model):
        measure("")
    for step in kept:
        with torch.no_grad():
            for place, value in saved[step].items():
                weights[place].copy_(value)
        for strength in STRENGTHS if (step, way) == (steps, "plain") else OF_OTHERS:
            key = f"{step} {strength}"
            with scaled(loop.model, strength):
                measure(key)
                if step == steps:
                    found.kl[key] = round(divergence_from_base(loop.loss, rows), 4)
            print(
                name,
                way,
                key,
                *(round(sum(each[key]) / len(each[key]), 3) for each in found[4:6]),
                file=sys.stderr,
            )
    return found


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield how often the budget is exceeded, at fixed limits and in the worst case, and what it costs."""
    if quick:
        yield from _simulated(20)
        return
    runs = train_missing()
    for run in runs:
        if run.way == "plain":
            with patch.object(paired, "RESAMPLES", RESAMPLES):
                yield from _exceeded(run)
                if len(run.grid()[0]) > 1:
                    yield from by_steps(run)
        yield from _price(run)
    yield from _simulated(DRAWS)


class Draws(NamedTuple):
    """Measuring sets of one run: of each, the ``harms`` by strength, and the ``true`` ones."""

    harms: list[dict[float, Harm]]
    true: list[dict[float, float]]


def _draws(run: Run, count: int, *, again: bool) -> Draws:
    """Draw measuring sets; with ``again`` with replacement, and then the mean of all texts is true."""
    chance, base = np.random.default_rng(7), np.array(run.general[""])
    each = {strength: run.harms(strength) for strength in STRENGTHS}
    harms, rest = [], []
    for _ in range(count):
        if again:
            seen, left = chance.integers(0, len(base), QUESTIONS), np.arange(len(base))
        else:
            seen, left = np.split(chance.permutation(len(base)), [QUESTIONS])
        harms.append(
            {
                strength: harm_of(strength, list(base[seen]), list((base + harm)[seen]))
                for strength, harm in each.items()
            }
        )
        rest.append({strength: float(harm[left].mean()) for strength, harm in each.items()})
    return Draws(harms, rest)


def _exceeded(run: Run) -> Iterator[Figure]:
    """Yield the share of measuring sets by which a run exceeds its budget."""
    apart = _draws(run, DRAWS, again=False)
    most = 5 + round(310 * math.sqrt(0.05 * 0.95 / DRAWS), 1)
    for limit in LIMITS:
        choices = [strongest(harms.__getitem__, limit) for harms in apart.harms]
        chosen = [choice.chosen.strength for choice in choices]
        wrong = [
            choice.within and rest[choice.chosen.strength] >= limit
            for choice, rest in zip(choices, apart.true, strict=True)
        ]
        yield Figure(
            f"{run.name}, limit {limit}: exceeded on the other texts", 100 * mean(wrong), "%", most=most
        )
        yield Figure("  none found", 100 * mean(not choice.within for choice in choices), "%")
        yield Figure("  mean strength", mean(chosen), "")
        yield Figure(
            "  mean harm", mean(rest[at] for at, rest in zip(chosen, apart.true, strict=True)), "nats"
        )
        gains = {strength: run.gain(strength) for strength in STRENGTHS}
        yield Figure(
            "  mean gain at the task, at full strength beside",
            mean(map(gains.__getitem__, chosen)),
            "nats",
            gains[1.0],
        )
    again = _draws(run, DRAWS, again=True)
    true = again.true[0]
    for strength in STRENGTHS:
        if (limit := true[strength]) > 0:
            wrong = [
                (choice := strongest(harms.__getitem__, limit)).within
                and true[choice.chosen.strength] >= limit
                for harms in again.harms
            ]
            title = f"{run.name}, the limit is the harm at {strength}, {limit:.3f}: exceeded"
            yield Figure(title, 100 * mean(wrong), "%", most=most)
    base = np.array(run.general[""])[:QUESTIONS]
    for limit in LIMITS:
        choice = strongest(
            lambda strength: harm_of(strength, list(base), list(base + run.harms(strength)[:QUESTIONS])),
            limit,
        )
        title = f"{run.name}, limit {limit}, by the product's questions: strength"
        yield Figure(title, choice.chosen.strength, "")
        yield Figure(
            "  harm on the 300 other texts", run.harms(choice.chosen.strength)[QUESTIONS:].mean(), "nats"
        )


class Picked(NamedTuple):
    """What a measuring set chose: the ``step`` (0 for none), its true ``harm``, and the ``gain`` at the task
    on rows that did not choose. ``any_wrong``: some pair that passed is not below the limit.
    """

    step: int
    strength: float
    harm: float
    gain: float
    any_wrong: bool


def by_steps(run: Run, draws: int = DRAWS) -> Iterator[Figure]:
    """Yield how often the budget is exceeded if steps are chosen, too, and what that gains.

    Half of the task's rows choose, and the gain is that on the others. Only those strengths are tried that
    were measured at every step. The worst case is a limit that one pair just reaches.
    """
    steps, strengths = run.grid()
    parts = dict(zip(steps, parts_of(steps), strict=True))
    most = 5 + round(310 * math.sqrt(0.05 * 0.95 / draws), 1)
    every = {(step, strength): run.harms(strength, step) for step in steps for strength in strengths}
    true = sorted(float(harm.mean()) for harm in every.values() if harm.mean() > min(LIMITS) / 2)
    worst = true[:: max(1, len(true) // 6)]
    chosen: dict[tuple[str, float], list[Picked]] = {}
    chance = np.random.default_rng(9)
    base, count = np.array(run.general[""]), len(run.general[""])
    for _ in range(draws):
        picks = chance.permutation(len(run.task[""])) < len(run.task[""]) // 2
        for limits, again in ((LIMITS, False), (worst, True)):
            if again:
                seen, left = chance.integers(0, count, QUESTIONS), np.arange(count)
            else:
                seen, left = np.split(chance.permutation(count), [QUESTIONS])
            bounds = {
                (pair, part): harm_of(pair[1], list(base[seen]), list((base + harm)[seen]), part)
                for pair, harm in every.items()
                for part in {parts[pair[0]], *([1] if pair[0] == run.steps else [])}
            }
            rest = {pair: float(harm[left].mean()) for pair, harm in every.items()}
            for limit in limits:
                for name, tried in (("the last step", steps[:1]), ("steps", steps)):
                    picked = _pick(run, tried, strengths, limit, bounds, rest, picks)
                    chosen.setdefault((f"{name}{', worst case' if again else ''}", limit), []).append(picked)
    for (name, limit), found in chosen.items():
        wrong = [each.step > 0 and each.harm >= limit for each in found]
        title = f"{run.name}, strengths of {name}, limit {limit:.3f}: exceeded"
        yield Figure(title, 100 * mean(wrong), "%", most=most)
        yield Figure("  any pair that passed", 100 * mean(each.any_wrong for each in found), "%", most=most)
        yield Figure("  none found", 100 * mean(not each.step for each in found), "%")
        yield Figure("  mean step", mean(each.step for each in found), "")
        yield Figure("  mean strength", mean(each.strength for each in found), "")
        yield Figure("  mean harm", mean(each.harm for each in found), "nats")
        yield Figure("  mean gain on rows that did not choose", mean(each.gain for each in found), "nats")


def _pick(
    run: Run,
    steps: Sequence[int],
    strengths: Sequence[float],
    limit: float,
    bounds: Any,
    rest: Any,
    picks: Any,
) -> Picked:
    """Choose as `ForgettingBudget` does, by ``bounds`` of a step and strength with a part of the error."""

    def losses(pair: tuple[int, float]) -> Any:
        return np.array(run.task[f"{pair[0]} {pair[1]}"])

    passed: list[tuple[int, float]] = []
    wrong = False
    for step, part in zip(steps, parts_of(steps), strict=True):
        for strength in strengths:
            pair = step, strength
            if not bounds[pair, part].most < limit:
                break
            wrong |= rest[pair] >= limit
            if passed and passed[-1][0] == step:
                passed.pop()
            passed.append(pair)
    best = min(passed, key=lambda pair: losses(pair)[picks].mean()) if passed else (run.steps, strengths[0])
    gain = float((np.array(run.task[""]) - losses(best))[~picks].mean())
    return Picked(best[0] if passed else 0, best[1], rest[best], gain, wrong)


def _price(run: Run) -> Iterator[Figure]:
    """Yield the gain, the harm and the divergence of each candidate."""
    for key, losses in run.general.items():
        if key:
            harm = np.array(losses) - np.array(run.general[""])
            yield Figure(f"{run.name}, {run.way}, {key}: harm", harm.mean(), "nats")
            yield Figure("  gain", mean(run.task[""]) - mean(run.task[key]), "nats")
            if key in run.kl:
                yield Figure("  divergence from the base", run.kl[key], "nats")


def _simulated(draws: int) -> Iterator[Figure]:
    """Yield how often a limit that one strength just reaches is exceeded, for lognormal harms."""
    most = 5 + round(310 * math.sqrt(0.05 * 0.95 / draws), 1)
    with patch.object(paired, "RESAMPLES", RESAMPLES):
        for count in (24, QUESTIONS):
            for skew in (0.5, 1.0, 1.5):
                chance, wrong = np.random.default_rng(11), 0
                for _ in range(draws):
                    harms = np.exp(skew * chance.normal(size=count) - skew**2 / 2)

                    def harm_at(strength: float, harms: Any = harms) -> Harm:
                        return harm_of(strength, [2.0] * len(harms), list(2 + strength**2 * harms))

                    wrong += strongest(harm_at, 0.25).chosen.strength >= 0.5
                title = f"lognormal harms, sigma {skew}, {count} questions: exceeded"
                yield Figure(title, 100 * wrong / draws, "%", most=most if skew <= 1 else None)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    train_missing()
