"""Measures whether training with rewards works: a JSON schema rewards a format that the starter model seldom
uses.

All settings except for the length of an answer and the number of steps are the defaults. No prompt is trained
on twice; the held-out ones are about other things.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure
from .starter import starter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.local.modeling.example import Example

THINGS: Final = (
    "parcel",
    "kettle",
    "invoice",
    "lamp",
    "order",
    "refund",
    "tent",
    "radio",
    "desk",
    "contract",
)
HELD_OUT: Final = ("bicycle", "ticket", "guitar", "letter")
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
FORMAT: Final[dict[str, Any]] = {
    "name": "format",
    "path": "data/prompts.jsonl",
    "metric": "json_schema",
    "schema": {
        "type": "object",
        "required": ["day"],
        "properties": {"day": {"type": "string"}},
        "additionalProperties": False,
    },
}
LOW, HIGH = 0.2, 0.8


def prompts(things: Sequence[str], count: int, seed: int) -> list[dict[str, str]]:
    """Return prompts about each of ``things`` in turn."""
    chance = random.Random(seed)  # noqa: S311 - words, not secrecy
    return [
        {
            "prompt": f"The {things[place % len(things)]} arrives on {chance.choice(DAYS)}. On which day? "
            'Answer in JSON, as {"day": "..."}.'
        }
        for place in range(count)
    ]


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield mean rewards, and the seconds per step."""
    import torch

    from arkor_dev.local.training.methods import method
    from tests.local.tiny_run import events_of, set_up

    steps = 1 if quick else 10
    way = method("grpo")
    config = {"method": "grpo", "maxSteps": steps, "batchSize": 2 if quick else 4, "maxCompletionLength": 24}
    with tempfile.TemporaryDirectory() as folder:
        run = set_up(
            starter(),
            Path(folder),
            {**config, "loggingSteps": 1, "evalSteps": 0},
            train=_encoded(prompts(THINGS, 40, 1)),
            method=way,
            job_id="job",
            sets=[FORMAT],
            project=Path(folder),
        )
        held_out = _encoded(prompts(HELD_OUT, 1 if quick else len(HELD_OUT), 2))
        began = time.perf_counter()
        ending = run.run()
        seconds = time.perf_counter() - began
        if ending.status != "completed":
            raise SystemExit(f"the run ended as {ending.status}")
        after = _reward(run, held_out)
        with run.model.disable_adapter():
            before = _reward(run, held_out)
        run.loss.close()
        logged = events_of(run).figures("reward")
    yield Figure("reward of held-out prompts before", before, "", most=None if quick else LOW)
    yield Figure("reward of held-out prompts after", after, "", least=None if quick else HIGH)
    yield Figure("  reward of the first three steps", fmean(logged[:3]), "")
    yield Figure("  reward of the last three steps", fmean(logged[-3:]), "")
    first = next((step for step, reward in enumerate(logged, 1) if reward > HIGH), 0)
    yield Figure(f"  first step above {HIGH}, of {steps}", first, "")
    yield Figure("  learning rate, the default", run.plan.optimizer.rate, "")
    yield Figure("  seconds of a step", seconds / steps, "s")
    yield Figure("  threads", torch.get_num_threads(), "threads")


def _encoded(rows: Sequence[dict[str, str]]) -> list[Example]:
    from arkor_dev.data.prompts import PROMPTS
    from arkor_dev.data.row_parser import row_of
    from arkor_dev.local.modeling.tokenizer import load_tokenizer
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.rows.encoding import Encoding

    read = [row_of(row, f"line {place}", None, {}, forms=PROMPTS) for place, row in enumerate(rows, 1)]
    return method("grpo").encode_all(load_tokenizer(starter()), read, Encoding(256), lambda _: None)[0]


def _reward(run: Any, held_out: Sequence[Example]) -> float:
    """Return the mean reward of answers sampled with the same random numbers each time."""
    groups = run.loss._answering.sampled(0, held_out).groups
    return fmean(each.reward for group in groups for each in group)
