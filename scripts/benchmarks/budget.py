"""Measures the forgetting budget (``local/evaluation/budget.py``): how often it is exceeded, and what it costs.

``runs`` train the starter model on the example and on two of the tasks in ``tasks.py``. Of each, the losses of
every candidate, a step with a strength, are kept: those of the held-out rows, and of several hundred general
texts. They are appended to ``budget.jsonl`` in the cache and not trained again: a study can be interrupted.
``python -m benchmarks.budget`` trains what is missing.

The general texts are the product's 64 questions, and as many others as `others` makes of WordNet and sayings.
A measuring set is drawn from all of them, and the mean over the rest says what is true.
"""

from __future__ import annotations

import copy
import json
import os
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .labeled_texts import _debian, labeled_texts
from .live import _example, _real_base, encoded, loop_of
from .starter import CACHE
from .tasks import Pair, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.events import Event
    from arkor_dev.local.modeling.base_model import Base

RESULTS: Final = CACHE / "bench" / "budget.jsonl"
TEXTS: Final = CACHE / "bench" / "general-texts.json"
TASKS: Final = ("facts", "extract", "example")
WAYS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "base_kl = 0.1": {"baseKl": 0.1},
    "base_kl = 1": {"baseKl": 1.0},
}
STRENGTHS: Final = tuple(number / 10 for number in range(1, 11))
EARLIER: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Strengths of the evaluations before the last."""
SEED: Final = 1


class Run(NamedTuple):
    """A run's losses on ``task`` rows and ``general`` texts, the base's with the key ``""``; others have a step
    and a strength, such as ``40 0.5``. ``kl`` is the divergence from the base on the task's rows.
    """

    name: str
    way: str
    seed: int
    steps: int
    task: dict[str, list[float]]
    general: dict[str, list[float]]
    kl: dict[str, float]


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


def train_missing() -> None:
    """Train the runs that are not in the cache."""
    there = {(run.name, run.way) for run in known(RESULTS)}
    base = None
    for name in TASKS:
        for way in WAYS:
            if (name, way) in there or (name, way) == ("example", "base_kl = 1"):
                continue
            base = base or _real_base()
            run = _train(name, way, base)
            with RESULTS.open("a") as file:
                file.write(json.dumps(run._asdict()) + "\n")


def known(path: Path) -> list[Run]:
    """Return the runs in ``path``."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def _train(name: str, way: str, base: Base) -> Run:
    import torch

    from arkor_dev.local.evaluation.by_length import by_row, measured
    from arkor_dev.local.evaluation.general import questions
    from arkor_dev.local.training.greedy import switched_off
    from arkor_dev.local.training.methods.divergence import Divergence, outputs
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
    kept = list(saved) if way == "plain" else [steps]
    found = Run(name, way, SEED, steps, {}, {}, {})
    weights = dict(loop.model.named_parameters())

    def measure(key: str) -> None:
        found.task[key] = [round(loss, 4) for loss in by_row(rows, measured(loop.loss.row_losses, rows, 8))]
        losses = measured(loop.loss.cross_entropy, general, 16)
        found.general[key] = [round(loss / count, 4) for loss, count in losses]

    def divergence() -> float:
        total = tokens = 0.0
        loop.model.eval()
        with torch.no_grad():
            for start in range(0, len(rows), 4):
                batch = rows[start : start + 4]
                with switched_off(loop.model):
                    known = outputs(loop.loss, batch)
                total += float(Divergence(0).summed(outputs(loop.loss, batch), known))
                tokens += sum(row.learned for row in batch)
        return round(total / tokens, 4)

    with switched_off(loop.model):
        measure("")
    for step in kept:
        for strength in STRENGTHS if (step, way) == (steps, "plain") else EARLIER:
            with torch.no_grad():
                for place, value in saved[step].items():
                    weights[place].copy_(value * strength if ".lora_B." in place else value)
            key = f"{step} {strength}"
            measure(key)
            if step == steps:
                found.kl[key] = divergence()
            print(
                name,
                way,
                key,
                *(round(sum(each[key]) / len(each[key]), 3) for each in found[4:6]),
                file=sys.stderr,
            )
    return found


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    train_missing()
