"""Pairs whose preference is known, trainings on them, and what the verdict says: for tests and the bench."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from arkor_dev.data.methods import forms_of
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.evaluation.preferred import Preferred, preferred
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from tests.local.tiny_model import PHRASE, QUESTIONS
from tests.local.tiny_run import set_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.run import TrainingLoop

WORDS = sorted({*PHRASE.lower().split(), *" ".join(QUESTIONS).lower().replace("?", "").split()})


def answer(chance: random.Random, fewest: int, most: int) -> str:
    """Return a sentence of some words that the tiny model's tokenizer knows."""
    return " ".join(chance.choices(WORDS, k=chance.randint(fewest, most))).capitalize() + "."


def brief(count: int, seed: int) -> list[dict[str, str]]:
    """Return pairs that prefer answers of fewer than 20 words."""
    chance = random.Random(seed)
    return [
        {
            "prompt": f"{chance.randrange(10**6)}: {chance.choice(QUESTIONS)}",
            "chosen": answer(chance, 3, 10),
            "rejected": answer(chance, 25, 35),
        }
        for _ in range(count)
    ]


def coin_flips(count: int, seed: int) -> list[dict[str, str]]:
    """Return pairs whose preference is a fair coin's."""
    chance = random.Random(seed)
    return [
        {
            "prompt": f"{chance.randrange(10**6)}: {chance.choice(QUESTIONS)}",
            "chosen": answer(chance, 4, 14),
            "rejected": answer(chance, 4, 14),
        }
        for _ in range(count)
    ]


def encoded(model: Path, rows: Sequence[dict[str, str]], name: str = "dpo") -> list[Example]:
    """Return ``rows`` as the examples of a method."""
    read = [row_of(row, str(place), None, {}, forms=forms_of(name)) for place, row in enumerate(rows)]
    return method(name).encode_all(load_tokenizer(model), read, Encoding(512), lambda _: None)[0]


def trained(model: Path, folder: Path, rows: Sequence[dict[str, str]], **config: Any) -> TrainingLoop:
    """Return a completed run on ``rows``."""
    facts: dict[str, Any] = {"train": encoded(model, rows), "method": method("dpo"), "job_id": "job"}
    run = set_up(model, folder, {"method": "dpo", "saveSteps": 0, **config}, **facts)
    assert run.run().status == "completed"
    return run


def verdict_on(run: TrainingLoop, held_out: Sequence[Example]) -> Preferred:
    """Judge a completed run as the end of a job does."""
    start = [0.0] * len(held_out)
    size = run.plan.batch_size
    batches = [held_out[first : first + size] for first in range(0, len(held_out), size)]
    margins = [margin for batch in batches for margin in run.loss.margins(batch)]
    return preferred("pair", compare(start, start), start, margins, range(len(held_out)))


def answer_lengths(run: TrainingLoop, rows: Sequence[Example], longest: int = 64) -> list[int]:
    """Return how many tokens the model answers to each prompt, greedily and at most ``longest``."""
    from arkor_dev.local.modeling.chat_template import end_ids
    from arkor_dev.local.modeling.example import IGNORED
    from arkor_dev.local.training.greedy import GenerationLimit, answers

    prompts = [row.ids[: next(at for at, label in enumerate(row.labels) if label != IGNORED)] for row in rows]
    tokenizer = run.base.tokenizer
    ends = end_ids(tokenizer, run.base.model)
    found = answers(
        run.loss, tokenizer, ends, prompts, GenerationLimit(lambda *_: longest, lambda: False), longest
    )
    return [len(each.ids) for each in found]
