"""Tokenizes conversations and marks the tokens to learn.

A row is one example, or several if the chat template rewrites earlier turns: see ``renderings``. Padding is
masked by position, never by id, because the pad token often equals the end token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arkor_dev.data.thoughts import split_answer
from arkor_dev.local.modeling.chat_template import Rendering, renderings
from arkor_dev.local.modeling.embedder import Embedder
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.classes import Classes
    from arkor_dev.local.training.job_settings import EffectiveSettings


@dataclass(frozen=True, slots=True)
class Encoding:
    """How rows become examples, of at most ``longest`` tokens.

    ``responses_only``: only answers are learned; ``last_only``: only the last answer of each row.
    ``thought_weight`` and ``answer_weight`` are the weights of an answer's tokens in the loss, in its
    thoughts and after them; at 0 they are not learned. Only their ratio counts: all other tokens that are
    learned, such as those of plain text, count as much as an answer's. ``empty_thoughts``: empty ones are
    learned.
    ``classes`` are those of a classifier, ``embedder`` says how an embedder pools.
    """

    longest: int
    responses_only: bool = True
    last_only: bool = False
    thought_weight: float = 1.0
    answer_weight: float = 1.0
    empty_thoughts: bool = True
    classes: Classes | None = None
    embedder: Embedder = field(default_factory=Embedder)

    @property
    def relative_weight(self) -> float:
        """The weight of a thought's token beside an answer's, or 1 if only thoughts are learned."""
        return self.thought_weight / self.answer_weight if self.answer_weight else 1.0

    @classmethod
    def of(cls, settings: EffectiveSettings, longest: int, classes: Classes | None = None) -> Encoding:
        """Build from a job's settings."""
        return cls(
            longest,
            settings.get("trainOnResponsesOnly"),
            settings.get("completionOnlyLoss"),
            settings.get("thoughtWeight"),
            settings.get("answerWeight"),
            settings.get("trainOnEmptyThoughts"),
            classes,
            _embedder_of(settings) if settings.applies("poolingMode") else Embedder(),
        )


def _embedder_of(settings: EffectiveSettings) -> Embedder:
    """Return how a job's settings turn texts into vectors."""
    dimensions = settings.get("matryoshkaDims", [])
    return Embedder(
        settings.get("poolingMode"),
        settings.get("queryPrompt", ""),
        settings.get("documentPrompt", ""),
        tuple(sorted({dimensions} if isinstance(dimensions, int) else set(dimensions))),
    )


@dataclass(frozen=True, slots=True)
class EncodedText:
    """An example before truncation: the chat template's ``text``, and its tokens.

    ``offsets`` are each token's character range in ``text``, ``spans`` those of the answers; ``labels`` and
    ``weights`` as in :class:`Example`. A pure-Python tokenizer has no offsets and returns none if they are
    not needed.
    """

    text: str
    ids: list[int]
    labels: list[int]
    offsets: list[tuple[int, int]]
    spans: list[tuple[int, int]]
    weights: list[float] | None = None


def rendered(
    tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
) -> tuple[list[Rendering], list[int]]:
    """Return the texts that a row is learned from, and the indices of answers that no text teaches.

    All of a plain text is learned, including an end token, so that the model learns to stop. Without
    ``responses_only``, a conversation is a single text. Raises :class:`JobFailure` if it is rejected.
    """
    if row.text is not None:
        end = tokenizer.eos_token or ""
        text = row.text if row.text.endswith(end) else row.text + end
        return [Rendering(text, [(0, len(text))])], []
    all_renderings, missed = renderings(tokenizer, row.messages, row.tools, encoding.last_only)
    if not encoding.responses_only:
        return all_renderings[-1:], []
    return [rendering for rendering in all_renderings if rendering.spans] or all_renderings, missed


def coded(
    tokenizer: PreTrainedTokenizerBase, row: Row, rendering: Rendering, encoding: Encoding
) -> EncodedText:
    """Tokenize one of a row's renderings without truncating it."""
    text, spans, responses_only = rendering.text, rendering.spans, encoding.responses_only
    with_offsets = responses_only or bool(getattr(tokenizer, "is_fast", False))
    # A chat template writes its own special tokens; for plain text the tokenizer adds them.
    special = row.text is not None
    coding = tokenizer(text, add_special_tokens=special, return_offsets_mapping=with_offsets)
    ids, offsets = coding["input_ids"], coding.get("offset_mapping", [])
    if not responses_only:
        return EncodedText(text, ids, list(ids), offsets, spans)
    parts = [(start, end, 1.0) for start, end in spans]
    if row.text is None:
        parts = [part for span in spans for part in _parts(text, span, encoding)]
    weights = [
        next((weight for start, end, weight in parts if start <= left < end and left < right), 0.0)
        for left, right in offsets
    ]
    labels = [token if weight else IGNORED for token, weight in zip(ids, weights, strict=True)]
    alike = encoding.relative_weight in (0.0, 1.0)
    return EncodedText(text, ids, labels, offsets, spans, None if alike else weights)


def _parts(text: str, span: tuple[int, int], encoding: Encoding) -> list[tuple[int, int, float]]:
    """Return the ranges of an answer's thoughts and of the rest, with their weights."""
    start, end = span
    if encoding.empty_thoughts and encoding.relative_weight == 1 and encoding.answer_weight:
        return [(start, end, 1.0)]
    split = split_answer(text[start:end])
    answer = start + split.answer_start if split.ended else end
    learned = split.thoughts or encoding.empty_thoughts
    return [
        (start, answer, encoding.relative_weight if learned else 0.0),
        (answer, end, 1.0 if encoding.answer_weight else 0.0),
    ]


def encode(tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding) -> tuple[list[Example], bool]:
    """Encode a row as examples; also return whether one was truncated.

    Raises :class:`JobFailure` with the row's location if truncation leaves nothing to learn.
    """
    try:
        all_renderings, _ = rendered(tokenizer, row, encoding)
    except JobFailure as failure:
        raise JobFailure(f"{row.where}: {failure}") from None
    examples: list[Example] = []
    max_length, longest, beyond = encoding.longest, 0, math.inf
    for rendering in all_renderings:
        start = rendering.spans[0][0] if rendering.spans else 0
        if start >= beyond:  # as much context as in an example left empty by truncation
            continue
        coding = coded(tokenizer, row, rendering, encoding)
        longest = max(longest, len(coding.ids))
        labels = coding.labels[:max_length]
        if teaches(labels):
            weights = coding.weights and coding.weights[:max_length]
            examples.append(
                Example(coding.ids[:max_length], labels, row.where, bool(examples), weights=weights)
            )
        elif len(coding.ids) > max_length:
            beyond = start
    if not examples:
        if longest > max_length:
            raise JobFailure(
                f"{row.where}: {longest} tokens long, and max_length {max_length} truncates it before the "
                "answer: raise max_length or shorten the row"
            )
        if not (encoding.thought_weight and encoding.answer_weight):
            what, key = ("answer", "thought") if encoding.answer_weight else ("thoughts", "answer")
            raise JobFailure(
                f"{row.where}: has no {what} to learn, and {key}_weight is 0: change it, or remove the row"
            )
        if any(message.get("tool_calls") for message in row.messages):
            raise JobFailure(
                f"{row.where}: the model's chat template drops its tool calls, and nothing else is left "
                "to learn: choose a model whose template supports tool calls, or remove the row"
            )
        raise JobFailure(f"{row.where}: the model's chat template drops the whole answer")
    return examples, longest > max_length


def teaches(labels: Sequence[int]) -> bool:
    """Return whether any of ``labels`` is learned; the first token never is, since nothing precedes it."""
    return any(label != IGNORED for label in labels[1:])
