"""Questions that have nothing to do with anybody's data, to find out what an adapter has forgotten.

They were written for this purpose by hand, and are of this package's licence: facts, sums, summaries,
language, code and everyday matters, plain and true, most of them short.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from arkor_dev.data.rows import Row
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QUESTIONS: Final = Path(__file__).with_name("general.jsonl")
DRY: Final = 8
"""So many of a dry run."""
COUNTS: Final = (64, 48, 32, 24)
"""As many as these are asked where all would take too long: few numbers, so that runs have the same."""
SEED: Final = 2004
SHARE: Final = 0.08
"""The part of a run's work that comparing may take, where fewer questions can bring it there."""
PASSES: Final = 3
"""A step costs as much as so many forward passes: the way back takes about two."""
ANSWERS: Final = ((16, 96), (16, 64), (8, 64), (8, 32))
"""How many questions are answered besides, in how many tokens at most; the last where all take too long."""
ANSWERS_SHARE: Final = 0.04
"""The part of a run's work that answers may take."""
WRITTEN: Final = 12
"""A token of an answer takes as long as so many that are read, where several answers are written at once."""


class Work(NamedTuple):
    """Tokens that a model reads: in a step of training, in all held-out rows, and in one general question.

    A clock would give the same job other questions on a busy machine.
    """

    step: float
    held_out: float
    question: float


def affordable(work: Work, counts: Sequence[int], steps: int, every: int) -> int:
    """How many questions of the ``counts``, the most first, a run of ``steps`` may be asked.

    It is evaluated ``every`` so many steps. Counted as if nothing of the base were known from before: a
    second run is asked what the first one was.
    """
    evaluations = -(-steps // every) if every else 0
    run = PASSES * steps * work.step + evaluations * work.held_out
    most = SHARE / (1 - SHARE) * run - work.held_out
    return next((count for count in counts if 2 * count * work.question <= most), counts[-1])


def answerable(work: Work, steps: int, every: int) -> tuple[int, int]:
    """How many questions a run may be asked to answer, and in how many tokens; as in :func:`affordable`."""
    evaluations = -(-steps // every) if every else 0
    most = ANSWERS_SHARE * (PASSES * steps * work.step + evaluations * work.held_out)
    fitting = (each for each in ANSWERS if 2 * each[0] * each[1] * WRITTEN <= most)
    return next(fitting, ANSWERS[-1])


def questions(count: int | None = None) -> list[Row]:
    """All of them as rows, or ``count`` that are spread over the topics."""
    told = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    rows = [
        Row(
            [{"role": "user", "content": each["question"]}, {"role": "assistant", "content": each["answer"]}],
            f"general question {number}",
        )
        for number, each in enumerate(told, 1)
    ]
    return rows if count is None else rows[:: -(-len(rows) // count)]


def fewer(examples: Sequence[Any], count: int) -> list[Any]:
    """``count`` of the encoded questions, the same whenever so many are asked for, in the order of the file.

    Every topic has its share, and whoever asks for more asks for these as well.
    """
    chance, topics = random.Random(SEED), dict[str, list[str]]()  # noqa: S311 - a choice, no secret
    for number, line in enumerate(QUESTIONS.read_text(encoding="utf-8").splitlines(), 1):
        topics.setdefault(json.loads(line)["topic"], []).append(f"general question {number}")
    for names in topics.values():
        chance.shuffle(names)
    longest = max(map(len, topics.values()))
    order = [names[turn] for turn in range(longest) for names in topics.values() if turn < len(names)]
    there = {example.where for example in examples}
    chosen = set([name for name in order if name in there][:count])
    return [example for example in examples if example.where in chosen]


def encoded(rows: Sequence[Row], encode: Callable[[Row], Any]) -> list[Any]:
    """Those of ``rows`` that the model's template and length allow, as ``encode`` makes them."""
    found = []
    for row in rows:
        try:
            found.append(encode(row))
        except JobFailure:  # one question less says little; that the template refuses is the data's to say
            continue
    return found
