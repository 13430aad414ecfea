"""Conversations as token ids, with the part marked that the model should learn.

A row is one example, or several where the chat template rewrites earlier turns: see ``renderings``. Padding
is masked by position and never by id, because the pad token often equals the end token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arkor_dev.local.modeling.chat_template import Rendering, renderings
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.job_settings import JobSettings


@dataclass(frozen=True, slots=True)
class Encoding:
    """How rows become examples: of ``longest`` tokens at most.

    With ``responses_only`` the answers alone are learned, with ``last_only`` only the last one of each row.
    """

    longest: int
    responses_only: bool = True
    last_only: bool = False

    @classmethod
    def of(cls, settings: JobSettings, longest: int) -> Encoding:
        """Return what a job's settings say."""
        return cls(longest, settings.get("trainOnResponsesOnly"), settings.get("completionOnlyLoss"))


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


def rendered(tokenizer: Any, row: Row, encoding: Encoding) -> tuple[list[Rendering], list[int]]:
    """The texts that a row is learned from, and the places of the answers that none of them teaches.

    Of a plain text everything is learned, and the end mark behind it, so that the model knows when to stop.
    Without ``responses_only`` a conversation is one text. Raises :class:`JobFailure` where the template
    refuses it.
    """
    if row.text is not None:
        end = tokenizer.eos_token or ""
        text = row.text if row.text.endswith(end) else row.text + end
        return [Rendering(text, [(0, len(text))])], []
    found, missed = renderings(tokenizer, row.messages, row.tools, encoding.last_only)
    if not encoding.responses_only:
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


def encode(tokenizer: Any, row: Row, encoding: Encoding) -> tuple[list[Example], bool]:
    """One row as its examples, and whether one of them had to be cut.

    Raises :class:`JobFailure` with the row's place when nothing to learn from survives the cut.
    """
    try:
        found, _ = rendered(tokenizer, row, encoding)
    except JobFailure as failure:
        raise JobFailure(f"{row.where}: {failure}") from None
    examples: list[Example] = []
    max_length, longest, beyond = encoding.longest, 0, math.inf
    for rendering in found:
        start = rendering.spans[0][0] if rendering.spans else 0
        if start >= beyond:  # as much precedes it as precedes one that the cut has left nothing of
            continue
        whole = coded(tokenizer, row, rendering, encoding.responses_only)
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
