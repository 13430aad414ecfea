"""Questions that have nothing to do with anybody's data, to find out what an adapter has forgotten.

They were written for this purpose by hand, and are of this package's licence: facts, sums, summaries,
language, code and everyday matters, plain and true, most of them short.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.data.rows import Row
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QUESTIONS: Final = Path(__file__).with_name("general.jsonl")
DRY: Final = 8
"""So many of a dry run."""


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


def encoded(rows: Sequence[Row], encode: Callable[[Row], Any]) -> list[Any]:
    """Those of ``rows`` that the model's template and length allow, as ``encode`` makes them."""
    found = []
    for row in rows:
        try:
            found.append(encode(row))
        except JobFailure:  # one question less says little; that the template refuses is the data's to say
            continue
    return found
