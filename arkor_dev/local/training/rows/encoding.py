"""Conversations as token ids, with the part marked that the model should learn.

A row is one example, or several where the chat template rewrites earlier turns: see ``renderings``. Padding
is masked by position and never by id, because the pad token often equals the end token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.modeling.chat_template import Rendering, renderings
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.data.rows import Row


IGNORED: Final = -100


@dataclass(frozen=True, slots=True)
class Example:
    """A row, or a part of one, as token ids; ``labels`` has the same length, ``IGNORED`` outside the answers.

    ``where`` is the row's place in the data, for a person. ``same_row``: the example before it in its list is
    of the same row.
    """

    ids: list[int]
    labels: list[int]
    where: str = field(default="", compare=False)
    same_row: bool = field(default=False, compare=False)


def learned_tokens(batches: Sequence[Sequence[Example]]) -> int:
    """How many tokens of ``batches`` are learned."""
    return sum(label != IGNORED for batch in batches for row in batch for label in row.labels[1:])


@dataclass(frozen=True, slots=True)
class Coded:
    """One example before it is cut: the ``text`` that the chat template made of it, and its tokens.

    ``offsets`` are the characters of ``text`` that each token stands for, and ``spans`` those of the answers;
    ``labels`` are as an :class:`Example` has them. A tokenizer in Python has no offsets, and gives none where
    they are not needed.
    """

    text: str
    ids: list[int]
    labels: list[int]
    offsets: list[tuple[int, int]]
    spans: list[tuple[int, int]]


def rendered(
    tokenizer: Any, row: Row, responses_only: bool, last_only: bool = False
) -> tuple[list[Rendering], list[int]]:
    """The texts that a row is learned from, and the places of the answers that none of them teaches.

    ``last_only``: of the answers the last one alone is learned. Of a plain text everything is, and the end
    mark behind it, so that the model knows when to stop. Without ``responses_only`` a conversation is one
    text. Raises :class:`JobFailure` where the template refuses it.
    """
    if row.text is not None:
        end = tokenizer.eos_token or ""
        text = row.text if row.text.endswith(end) else row.text + end
        return [Rendering(text, [(0, len(text))])], []
    found, missed = renderings(tokenizer, row.messages, row.tools, last_only)
    if not responses_only:
        return found[-1:], []
    return [each for each in found if each.spans] or found, missed


def coded(tokenizer: Any, row: Row, rendering: Rendering, responses_only: bool) -> Coded:
    """One of a row's renderings as tokens, however long."""
    text, spans = rendering.text, rendering.spans
    wanted = responses_only or bool(getattr(tokenizer, "is_fast", False))
    # A chat template writes its special tokens itself; to a plain text the tokenizer adds them.
    special = row.text is not None
    coding = tokenizer(text, add_special_tokens=special, return_offsets_mapping=wanted)
    ids, offsets = coding["input_ids"], coding.get("offset_mapping", [])
    labels = list(ids)
    if responses_only:
        labels = [
            token if any(start <= left < end and left < right for start, end in spans) else IGNORED
            for token, (left, right) in zip(ids, offsets, strict=True)
        ]
    return Coded(text, ids, labels, offsets, spans)


def encode(
    tokenizer: Any, row: Row, max_length: int, responses_only: bool, last_only: bool = False
) -> tuple[list[Example], bool]:
    """One row as its examples, and whether one of them had to be cut to ``max_length`` tokens.

    Raises :class:`JobFailure` with the row's place when nothing to learn from survives the cut.
    """
    try:
        found, _ = rendered(tokenizer, row, responses_only, last_only)
    except JobFailure as failure:
        raise JobFailure(f"{row.where}: {failure}") from None
    examples: list[Example] = []
    longest, beyond = 0, math.inf
    for rendering in found:
        start = rendering.spans[0][0] if rendering.spans else 0
        if start >= beyond:  # as much precedes it as precedes one that the cut has left nothing of
            continue
        whole = coded(tokenizer, row, rendering, responses_only)
        longest = max(longest, len(whole.ids))
        labels = whole.labels[:max_length]
        if teaches(labels):
            examples.append(Example(whole.ids[:max_length], labels, row.where, bool(examples)))
        elif len(whole.ids) > max_length:
            beyond = start
    if not examples:
        if longest > max_length:
            raise JobFailure(
                f"{row.where}: {longest} tokens long, and maxLength {max_length} cuts it before the "
                "answer begins: raise maxLength or shorten the row"
            )
        if any(message.get("tool_calls") for message in row.messages):
            raise JobFailure(
                f"{row.where}: the model's chat template leaves out its tool calls, and nothing else is left "
                "to learn: choose a model whose template knows tool calls, or take the row out"
            )
        raise JobFailure(f"{row.where}: the model's chat template leaves nothing of the answer to learn from")
    return examples, longest > max_length


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
    """The examples of every row, and how many rows were cut; ``progress`` is told of each hundred."""
    examples: list[Example] = []
    cuts = 0
    for number, row in enumerate(rows, 1):
        parts, cut = encode(tokenizer, row, max_length, responses_only, last_only)
        examples += parts
        cuts += cut
        if number % 100 == 0:
            progress(number)
    return examples, cuts
