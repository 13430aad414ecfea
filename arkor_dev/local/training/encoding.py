"""Conversations as token ids, with the part marked that the model should learn.

Padding is masked by position and never by id, because the pad token often equals the end token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.modeling.chat_template import completion_spans
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .datasets import Row


IGNORED: Final = -100


@dataclass(frozen=True, slots=True)
class Example:
    """One row as token ids; ``labels`` has the same length and is ``IGNORED`` outside the completion."""

    ids: list[int]
    labels: list[int]


def encode(tokenizer: Any, row: Row, max_length: int, responses_only: bool) -> tuple[Example, bool]:
    """One row as an :class:`Example`, and whether it had to be cut to ``max_length`` tokens.

    Raises :class:`JobFailure` with the row's place when nothing to learn from survives the cut.
    """
    try:
        text, spans = completion_spans(tokenizer, row.messages)
    except JobFailure as failure:
        raise JobFailure(f"{row.where}: {failure}") from None
    if responses_only:
        coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids = coded["input_ids"]
        labels = [
            token if any(start <= left < end and left < right for start, end in spans) else IGNORED
            for token, (left, right) in zip(ids, coded["offset_mapping"], strict=True)
        ]
    else:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        labels = list(ids)
    cut = len(ids) > max_length
    example = Example(ids[:max_length], labels[:max_length])
    if all(label == IGNORED for label in example.labels[1:]):
        if cut:
            raise JobFailure(
                f"{row.where}: {len(ids)} tokens long, and maxLength {max_length} cuts it before the answer "
                "begins: raise maxLength or shorten the row"
            )
        raise JobFailure(f"{row.where}: the model's chat template leaves nothing of the answer to learn from")
    return example, cut


def encode_all(
    tokenizer: Any,
    rows: Sequence[Row],
    max_length: int,
    responses_only: bool,
    progress: Callable[[int], None],
) -> tuple[list[Example], int]:
    """Every row encoded, and how many of them were cut; ``progress`` hears of each hundred."""
    examples: list[Example] = []
    cuts = 0
    for number, row in enumerate(rows, 1):
        example, cut = encode(tokenizer, row, max_length, responses_only)
        examples.append(example)
        cuts += cut
        if number % 100 == 0:
            progress(number)
    return examples, cuts
