"""Conversations as token ids, with the part marked that the model should learn.

Padding is masked by position and never by id, because the pad token often equals the end token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.modeling.chat_template import completion_spans
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.data.rows import Row


IGNORED: Final = -100


@dataclass(frozen=True, slots=True)
class Example:
    """One row as token ids; ``labels`` has the same length and is ``IGNORED`` outside the completion.

    ``where`` is the row's place in the data, for a person.
    """

    ids: list[int]
    labels: list[int]
    where: str = field(default="", compare=False)


def learned_tokens(batches: Sequence[Sequence[Example]]) -> int:
    """How many tokens of ``batches`` are learned."""
    return sum(label != IGNORED for batch in batches for row in batch for label in row.labels[1:])


@dataclass(frozen=True, slots=True)
class Coded:
    """One row before it is cut: the ``text`` that the chat template made of it, and its tokens.

    ``offsets`` are the characters of ``text`` that each token stands for, and ``spans`` those of the answers;
    ``labels`` are as an :class:`Example` has them. A tokenizer in Python has no offsets, and gives none where
    they are not needed.
    """

    text: str
    ids: list[int]
    labels: list[int]
    offsets: list[tuple[int, int]]
    spans: list[tuple[int, int]]


def coded(tokenizer: Any, row: Row, responses_only: bool, last_only: bool = False) -> Coded:
    """One row as tokens, however long; raises :class:`JobFailure` where the template refuses it.

    ``last_only``: of the answers the last one alone is learned. Of a plain text everything is, and the end
    mark behind it, so that the model knows when to stop.
    """
    if row.text is None:
        text, spans = completion_spans(tokenizer, row.messages, row.tools)
    else:
        end = tokenizer.eos_token or ""
        text = row.text if row.text.endswith(end) else row.text + end
        spans = [(0, len(text))]
    wanted = responses_only or bool(getattr(tokenizer, "is_fast", False))
    # A chat template writes its special tokens itself; to a plain text the tokenizer adds them.
    special = row.text is not None
    coding = tokenizer(text, add_special_tokens=special, return_offsets_mapping=wanted)
    ids, offsets = coding["input_ids"], coding.get("offset_mapping", [])
    labels = list(ids)
    if responses_only:
        learned = spans[-1:] if last_only else spans
        labels = [
            token if any(start <= left < end and left < right for start, end in learned) else IGNORED
            for token, (left, right) in zip(ids, offsets, strict=True)
        ]
    return Coded(text, ids, labels, offsets, spans)


def encode(
    tokenizer: Any, row: Row, max_length: int, responses_only: bool, last_only: bool = False
) -> tuple[Example, bool]:
    """One row as an :class:`Example`, and whether it had to be cut to ``max_length`` tokens.

    Raises :class:`JobFailure` with the row's place when nothing to learn from survives the cut.
    """
    try:
        whole = coded(tokenizer, row, responses_only, last_only)
    except JobFailure as failure:
        raise JobFailure(f"{row.where}: {failure}") from None
    cut = len(whole.ids) > max_length
    example = Example(whole.ids[:max_length], whole.labels[:max_length], row.where)
    if not teaches(example.labels):
        if cut:
            raise JobFailure(
                f"{row.where}: {len(whole.ids)} tokens long, and maxLength {max_length} cuts it before the "
                "answer begins: raise maxLength or shorten the row"
            )
        raise JobFailure(f"{row.where}: the model's chat template leaves nothing of the answer to learn from")
    return example, cut


def teaches(labels: Sequence[int]) -> bool:
    """Whether something is learned from ``labels``: the first token never is, as nothing stands before it."""
    return any(label != IGNORED for label in labels[1:])


def encode_all(
    tokenizer: Any,
    rows: Sequence[Row],
    max_length: int,
    responses_only: bool,
    progress: Callable[[int], None],
    last_only: bool = False,
) -> tuple[list[Example], int]:
    """Every row encoded, and how many of them were cut; ``progress`` hears of each hundred."""
    examples: list[Example] = []
    cuts = 0
    for number, row in enumerate(rows, 1):
        example, cut = encode(tokenizer, row, max_length, responses_only, last_only)
        examples.append(example)
        cuts += cut
        if number % 100 == 0:
            progress(number)
    return examples, cuts
