"""Whether preference training is honest: what it learns from a preference, and from coin flips.

On the starter model, pairs prefer answers of fewer than 20 words; held-out pairs and the length of its own
answers say whether that was learned. On a tiny model, pairs whose preference is a coin's must be called no
difference in 95 % of the repeats. A pair's cost is measured beside that of supervised training on the same
chosen answers, both in processes of their own.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure
from .starter import starter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
REPEATS: Final = 40
CERTAIN: Final = 95.0
GOODS: Final = ("parcel", "kettle", "invoice", "lamp", "order", "refund", "tent", "radio", "desk", "contract")
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
ASKED: Final = (
    "When does my {thing} arrive?",
    "Where is the {thing} I ordered?",
    "Who sends the {thing}?",
)
BRIEF: Final = ("Your {thing} arrives on {day}.", "We send the {thing} on {day}, by post.")
LONG: Final = (
    "Thank you very much for writing to us, and please let me say first how glad we are to hear from you.",
    "As you may know, many things need to be considered before an answer to such a question can be given.",
    "We hope that this explains it, and of course you can write to us again at any time of the day.",
    "There are several departments in our company, and each of them has its own way of looking at orders.",
)


def pairs(count: int, seed: int) -> list[dict[str, str]]:
    """Return pairs that prefer the same answer without the sentences around it."""
    chance, made = random.Random(seed), []  # noqa: S311 - words, not secrecy
    for _ in range(count):
        facts = {"thing": chance.choice(GOODS), "day": chance.choice(DAYS)}
        brief = chance.choice(BRIEF).format(**facts)
        first, second = chance.sample(LONG, 2)
        asked = f"{chance.choice(ASKED).format(**facts)} (number {chance.randrange(10**5)})"
        made.append({"prompt": asked, "chosen": brief, "rejected": f"{first} {brief} {second}"})
    return made


def measure(*, quick: bool) -> Iterator[Figure]:
    """Shares, lengths and ratios; timings need a quiet machine."""
    yield from _learned(quick=quick)
    yield from _coins(2 if quick else REPEATS)
    yield from _costs(2 if quick else 12)


def _learned(*, quick: bool) -> Iterator[Figure]:
    import torch

    from arkor_dev.local.training.final_evaluation.measure import all_questions
    from tests.local.training.methods.preferring import answer_lengths, encoded, trained, verdict_on

    model, began = starter(), time.perf_counter()
    how = {"batchSize": 4, "maxSteps": 2 if quick else 40, "learningRate": 1e-4, "evalSteps": 0}
    with tempfile.TemporaryDirectory() as folder:
        run = trained(model, Path(folder), pairs(8 if quick else 96, 1), **how, rpoAlpha=0.2)
        held_out = encoded(model, pairs(20 if quick else 40, 2))
        judged = verdict_on(run, held_out)
        yield Figure("held-out pairs followed", 100 * judged.won / judged.groups, "%")
        low = 100 * judged.interval[0]
        yield Figure("  low end of its interval", low, "%", least=None if quick else 50.0)
        asked, longest = held_out[: 2 if quick else 8], 8 if quick else 64
        general = all_questions(run)[0][: 2 if quick else 24]
        after, lost = mean(answer_lengths(run, asked, longest)), _loss(run, general)
        with run.model.disable_adapter():
            before, base = mean(answer_lengths(run, asked, longest)), _loss(run, general)
        yield Figure(
            "tokens of an answer, beside the base", after, "tokens", before, most=None if quick else 0.8
        )
        yield Figure("loss of general questions, beside the base", lost, "nats", base, most=1.02)
        yield Figure("  all of it", time.perf_counter() - began, "s", most=None if quick else 360.0)
        yield Figure("  threads", torch.get_num_threads(), "threads")


def _loss(run: Any, rows: list[Any]) -> float:
    found = [pair for row in rows for pair in run.loss.cross_entropy([row])]
    return float(sum(loss for loss, _ in found) / sum(count for _, count in found))


def _coins(repeats: int) -> Iterator[Figure]:
    from tests.local.tiny_model import make
    from tests.local.training.methods.preferring import coin_flips, encoded, trained, verdict_on

    said = []
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder) / "tiny"
        make(tiny)
        how = {"batchSize": 8, "maxSteps": 16, "learningRate": 1e-2, "evalSteps": 0}
        for seed in range(repeats):
            run = trained(tiny, Path(folder) / str(seed), coin_flips(48, seed), **how)
            said.append(verdict_on(run, encoded(tiny, coin_flips(24, 1000 + seed))).verdict)
    share = 100 * said.count("unclear") / repeats
    yield Figure(f"coin flips called no difference, of {repeats}", share, "%", least=CERTAIN)


def _costs(steps: int) -> Iterator[Figure]:
    """Each side in a process of its own: the second one would find memory that the first has taken."""
    found: dict[str, dict[str, float]] = {}
    for side in ("sft", "dpo"):
        argv = [sys.executable, "-m", "scripts.benchmarks.preferences", side, str(steps)]
        output = subprocess.run(argv, capture_output=True, check=True, text=True, cwd=ROOT).stdout
        found[side] = json.loads(output.splitlines()[-1])
    ours, floor = found["dpo"], found["sft"]
    yield Figure("time of a pair, beside its chosen answer in SFT", ours["row"], "ms", floor["row"], most=2.2)
    yield Figure("peak memory of DPO, beside SFT", ours["peak"], "MiB", floor["peak"], most=1.15)


def _cost(side: str, steps: int) -> None:
    """Print the milliseconds of a row, with the reference known, and the peak memory of one side."""
    import resource

    from arkor_dev.data.forms import row_of
    from arkor_dev.local.modeling.tokenizer import load_tokenizer
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.rows.batches import endless
    from arkor_dev.local.training.rows.encoding import Encoding
    from tests.local.tiny_run import set_up

    model, way = starter(), method(side)
    rows = pairs(16, 1)
    if side == "sft":
        rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
    read = [row_of(row, str(place), None, {}, forms=way.forms) for place, row in enumerate(rows)]
    train = way.encode_all(load_tokenizer(model), read, Encoding(512), lambda _: None)[0]
    with tempfile.TemporaryDirectory() as folder:
        config = {"method": side, "batchSize": 4, "maxSteps": steps}
        run = set_up(model, Path(folder), config, train=train, method=way, job_id="job")
        run.begin()
        batches = endless(run.train, run.plan, run.plan.order_seed)
        for _ in range(4):
            run.learn(*next(batches))
        began = time.perf_counter()
        for _ in range(steps):
            run.learn(*next(batches))
        row = 1000 * (time.perf_counter() - began) / (4 * steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"row": row, "peak": peak}))


if __name__ == "__main__":
    _cost(sys.argv[1], int(sys.argv[2]))
