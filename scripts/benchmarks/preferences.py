"""Measures whether preference training is honest, that is, what it learns from a preference and from coin
flips, and its cost.

On the starter model, pairs prefer answers of fewer than 20 words; held-out pairs and the length of its own
answers say whether that was learned. On a tiny model, pairs with coin flips as preferences must give no
difference in 95 % of the repeats, and simulated adapters that follow only length must not be credited with
more. A pair's cost is compared with that of supervised training on the same answers, and with TRL.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure
from .sides import in_a_process
from .starter import starter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPEATS: Final = 40
CERTAIN: Final = 95.0
WRONG: Final = 6.0
"""Maximum percentage of trials that may claim too much: 2.5, plus the sampling error of so few trials."""
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
    """Return pairs in which the chosen answer is the rejected one without the sentences around it."""
    chance, made = random.Random(seed), []  # noqa: S311 - words, not secrecy
    for _ in range(count):
        facts = {"thing": chance.choice(GOODS), "day": chance.choice(DAYS)}
        brief = chance.choice(BRIEF).format(**facts)
        first, second = chance.sample(LONG, 2)
        asked = f"{chance.choice(ASKED).format(**facts)} (number {chance.randrange(10**5)})"
        made.append({"prompt": asked, "chosen": brief, "rejected": f"{first} {brief} {second}"})
    return made


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield shares, lengths and ratios; timings need an idle machine."""
    yield from _learned(quick=quick)
    yield from _coins(2 if quick else REPEATS)
    yield from _controlled(4 if quick else 200)
    yield from _costs(2, 1) if quick else _costs(12, 2)


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


def _controlled(repeats: int) -> Iterator[Figure]:
    """Measure how often a model is said to follow more than length, when it follows only length, nothing, or
    more. In four of five pairs the chosen answer is the shorter one, and by a larger difference.
    """
    from arkor_dev.local.evaluation.length_control import at_equal_length

    def claimed(count: int, follows: Callable[[random.Random, float], bool]) -> float:
        chance, found = random.Random(count), 0  # noqa: S311 - a simulation
        for _ in range(repeats):
            apart = [
                -chance.uniform(1, 60) if chance.random() < 0.8 else chance.uniform(1, 10)
                for _ in range(count)
            ]
            followed = [float(follows(chance, each)) for each in apart]
            found += at_equal_length(apart, followed, 0.95)[1] > 0.5
        return 100 * found / repeats

    kinds: dict[str, Callable[[random.Random, float], bool]] = {
        "length alone": lambda _, apart: apart < 0,
        "length, with noise": lambda chance, apart: chance.gauss(-apart, 10) > 0,
        "a coin": lambda chance, _: chance.random() < 0.5,
    }
    for count in (20, 40, 150):
        for name, follows in kinds.items():
            share = claimed(count, follows)
            yield Figure(f"more than length claimed: {name}, {count} pairs", share, "%", most=WRONG)
        share = claimed(count, lambda chance, _: chance.random() < 0.9)
        yield Figure(f"  90 % followed, whatever the length, {count} pairs", share, "%")


def _costs(steps: int, rounds: int) -> Iterator[Figure]:
    """Run the sides in turns and take each one's minimum; a memory peak requires separate processes
    anyway.
    """
    sides = ("chosen", "both", "dpo", "trl", "trl-known")
    turns = [{side: in_a_process("pair_costs", side, steps) for side in sides} for _ in range(rounds)]

    def least(side: str, figure: str = "pair") -> float:
        return min(float(turn[side][figure]) for turn in turns)

    ours, reference = least("dpo"), least("dpo", "reference")
    both, peak = least("both"), least("dpo", "peak")
    yield Figure("time of a pair, beside one of its answers as a row", ours, "ms", both / 2, most=2.2)
    yield Figure("  beside both as rows", ours, "ms", both)
    yield Figure("  beside its chosen answer alone", ours, "ms", least("chosen"))
    yield Figure("  its reference, once", reference, "ms")
    yield Figure("peak memory, beside both answers as rows", peak, "MiB", least("both", "peak"), most=1.15)
    yield Figure("  beside the chosen answers alone", peak, "MiB", least("chosen", "peak"))
    theirs = 1000 / least("trl")
    yield Figure("pairs, TRL beside, the first epoch", 1000 / (ours + reference), "/s", theirs, least=1.5)
    yield Figure(
        "  later epochs, its references computed before", 1000 / ours, "/s", 1000 / least("trl-known")
    )
    yield Figure("  peak memory", peak, "MiB", least("trl", "peak"))
    cpu = {side: least(side, "pairCpu") for side in sides}
    yield Figure("  processor time of a pair, beside one answer", cpu["dpo"], "ms", cpu["both"] / 2)
    first = cpu["dpo"] + least("dpo", "referenceCpu")
    yield Figure("  of TRL, the first epoch beside", cpu["trl"], "ms", first)
    yield Figure("  of TRL, later epochs beside", cpu["trl-known"], "ms", cpu["dpo"])
