"""General questions, unrelated to the training data, which show whether an adapter has forgotten knowledge.

Written by hand for this purpose, under this package's licence: mostly short questions on facts, arithmetic,
summaries, language, code and everyday matters.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from arkor_dev.data.rows import Row
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.local.modeling.example import Example

Encoded = TypeVar("Encoded")
Located = TypeVar("Located", "Example", Row)
QUESTIONS: Final = Path(__file__).with_name("general.jsonl")
DRY: Final = 8
"""Number of questions in a dry run."""
COUNTS: Final = (64, 48, 32, 24)
"""Numbers of questions to choose from if asking all takes too long: few, so that runs stay comparable."""
SEED: Final = 2004
SHARE: Final = 0.08
"""Maximum share of a run's compute for the comparison, if a smaller number of questions can achieve it."""
PASSES: Final = 3
"""Cost of a training step, in forward passes: the backward pass costs about two."""
ANSWERS: Final = ((16, 96), (16, 64), (8, 64), (8, 32))
"""Numbers of questions to answer, each with its token limit; the last pair is used if all take too long."""
ANSWERS_SHARE: Final = 0.04
"""Maximum share of a run's compute for generating answers."""
WRITTEN: Final = 12
"""Cost of generating a token, in tokens read, when several answers are generated at once."""


class TokenCounts(NamedTuple):
    """Numbers of tokens in a training step, in all held-out rows, and in a general question.

    Tokens are counted, instead of measuring time, so that a job uses the same questions on a busy machine.
    """

    step: float
    held_out: float
    question: float


def affordable(work: TokenCounts, counts: Sequence[int], steps: int, every: int) -> int:
    """Return which of ``counts``, largest first, a run of ``steps`` can afford.

    The run is evaluated every ``every`` steps. Assumes an empty cache of base losses, so that a second run
    uses the same questions as the first.
    """
    evaluations = -(-steps // every) if every else 0
    run = PASSES * steps * work.step + evaluations * work.held_out
    most = SHARE / (1 - SHARE) * run - work.held_out
    return next((count for count in counts if 2 * count * work.question <= most), counts[-1])


def answerable(work: TokenCounts, steps: int, every: int) -> tuple[int, int]:
    """Return how many questions a run can afford to answer, and their token limit; see :func:`affordable`."""
    evaluations = -(-steps // every) if every else 0
    most = ANSWERS_SHARE * (PASSES * steps * work.step + evaluations * work.held_out)
    fitting = (size for size in ANSWERS if 2 * size[0] * size[1] * WRITTEN <= most)
    return next(fitting, ANSWERS[-1])


def questions(count: int | None = None) -> list[Row]:
    """Return all questions as rows, or ``count`` of them spread over the topics."""
    entries = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    rows = [
        Row(
            [
                {"role": "user", "content": entry["question"]},
                {"role": "assistant", "content": entry["answer"]},
            ],
            f"general question {number}",
        )
        for number, entry in enumerate(entries, 1)
    ]
    return rows if count is None else rows[:: -(-len(rows) // count)]


def fewer(examples: Sequence[Located], count: int) -> list[Located]:
    """Return ``count`` of the encoded questions, always the same ones, in file order.

    Every topic is represented, and a larger selection includes every smaller one.
    """
    chance, topics = random.Random(SEED), dict[str, list[str]]()  # noqa: S311 - a choice, no secret
    for number, line in enumerate(QUESTIONS.read_text(encoding="utf-8").splitlines(), 1):
        topics.setdefault(json.loads(line)["topic"], []).append(f"general question {number}")
    for names in topics.values():
        chance.shuffle(names)
    longest = max(map(len, topics.values()))
    order = [names[turn] for turn in range(longest) for names in topics.values() if turn < len(names)]
    locations = {example.where for example in examples}
    chosen = set([name for name in order if name in locations][:count])
    return [example for example in examples if example.where in chosen]


def encoded(rows: Sequence[Row], encode: Callable[[Row], Encoded]) -> list[Encoded]:
    """Encode the ``rows`` that fit the model's template and length limit."""
    examples = []
    for row in rows:
        try:
            examples.append(encode(row))
        except JobFailure:  # one question fewer matters little; the data check reports the template's errors
            continue
    return examples
