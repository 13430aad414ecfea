"""One row as tokens, each with its role: learned or not, special, and which message it belongs to.

A row is one example, or several if the chat template rewrites earlier turns; they are shown one after
another. Whether a token is learned is read from the labels used in training, not determined separately.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, groupby, islice, repeat
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.data.labels import LABEL, LABELS, labels_of, words_of
from arkor_dev.data.text_pairs import SCORE
from arkor_dev.data.thoughts import thoughts_of
from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.training.rows.encoding import coded
from arkor_dev.local.workers.errors import JobFailure

from .thoughts import thoughts_in_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.dataset_shapes import DatasetTokens, TokenRun
    from arkor_dev.data.rows import Row, RowMessage, RowToolCall
    from arkor_dev.local.training.methods.interface import Method
    from arkor_dev.local.training.rows.encoding import EncodedText, Encoding

    from .thoughts import TemplateThoughts

MOST_TOKENS: Final = 4_000
"""Maximum number of a row's tokens that are shown individually."""
MOST_CHARACTERS: Final = 200_000
"""Maximum number of characters in these tokens; a tokenizer may encode a whole row as a single token."""
TEMPLATE: Final = "template"
"""The role of tokens added by the chat template."""


@dataclass(frozen=True, slots=True)
class ShownExample:
    """One of a row's examples, with each token's role."""

    coded: EncodedText
    roles: list[str]

    @property
    def first(self) -> int | None:
        """The position of the first learned token; an example's very first token is never learned."""
        labels = self.coded.labels
        return next((index for index in range(1, len(labels)) if labels[index] != IGNORED), None)

    def runs(self) -> Iterator[tuple[int, int]]:
        """The ranges of learned tokens."""
        start = 0
        for learned, run in groupby(self.coded.labels, lambda label: label != IGNORED):
            end = start + sum(1 for _ in run)
            if learned:
                yield start, end
            start = end


@dataclass(frozen=True, slots=True)
class TokenizedRow:
    """A row and its examples.

    ``lost`` are messages that the template omits from all examples, thoughts aside; ``missed`` says that an
    answer is learned from none. ``drops_tools``: the template omits the row's tools; for ``unwritten_calls``
    see the function of that name. ``learns`` is the method's.
    """

    row: Row
    parts: list[ShownExample]
    lost: list[RowMessage]
    missed: bool
    drops_tools: bool
    unwritten_calls: Literal["none", "parallel", "any"]
    thoughts: TemplateThoughts
    learns: Literal["tokens", "sampled", "texts"]

    @property
    def length(self) -> int:
        """The number of tokens of the longest example."""
        return max(len(part.coded.ids) for part in self.parts)

    @property
    def tokens(self) -> int:
        """The number of tokens of all examples."""
        return sum(len(part.coded.ids) for part in self.parts)

    @property
    def learned(self) -> int:
        return sum(label != IGNORED for part in self.parts for label in part.coded.labels)

    @property
    def first(self) -> int | None:
        """The position of the row's first learned token within its example."""
        return min((part.first for part in self.parts if part.first is not None), default=None)

    @property
    def begins(self) -> int | None:
        """Where what is learned begins: a sampled answer follows its prompt."""
        return self.length if self.learns == "sampled" else self.first

    def runs(self) -> Iterator[tuple[int, int]]:
        """The ranges of learned tokens in each example."""
        return chain.from_iterable(part.runs() for part in self.parts)

    def by_role(self) -> dict[str, int]:
        """The number of tokens of each role."""
        counts: dict[str, int] = {}
        for role in chain.from_iterable(part.roles for part in self.parts):
            counts[role] = counts.get(role, 0) + 1
        return counts


def tokenize_row(
    tokenizer: PreTrainedTokenizerBase, row: Row, method: Method, encoding: Encoding
) -> TokenizedRow:
    """Return the row as training sees it, before truncation. Raises JobFailure if training refuses it."""

    def prompt_before(answer: int) -> str:
        return render(tokenizer, row.messages[:answer], True, row.tools)

    renderings, missed = method.renderings(tokenizer, row, encoding)
    parts, lost = [], row.messages
    for rendering in renderings:
        code = coded(tokenizer, row, rendering, encoding)
        ranges, left_out = _messages_in(row, code)
        parts.append(ShownExample(code, _roles(code.offsets, ranges, len(code.ids))))
        lost = [message for message in lost if message in left_out]
    return TokenizedRow(
        row,
        parts,
        lost,
        bool(missed),
        _drops_tools(tokenizer, row),
        unwritten_calls(tokenizer, row),
        thoughts_in_template(row, [part.coded for part in parts], encoding, prompt_before),
        method.learns,
    )


def _messages_in(row: Row, coding: EncodedText) -> tuple[list[tuple[int, int, str]], list[RowMessage]]:
    """Return the range of each message in the template's text, and the messages that are not in it.

    For an answer, it is the range that training learns, including its end mark; for others, only the content.
    """
    text, cursor = coding.text, 0
    if row.text is not None:
        return [(0, len(text), "text")], []
    ranges: list[tuple[int, int, str]] = [(start, end, "assistant") for start, end in coding.spans]
    lost, squeezed = [], ""
    for message in row.messages:
        content = thoughts_of(message).answer if message["role"] == "assistant" else message["content"]
        words = content.strip()
        if not words:
            continue
        at = text.find(words, cursor)
        if at < 0:
            # A template may change line breaks.
            squeezed = squeezed or "".join(text.split())
            if "".join(words.split()) not in squeezed:
                lost.append(message)
            continue
        cursor = at + len(words)
        if not any(start <= at < end for start, end in coding.spans):
            ranges.append((at, cursor, message["role"]))
    return sorted(ranges), lost


def _drops_tools(tokenizer: PreTrainedTokenizerBase, row: Row) -> bool:
    """Return whether the template writes the same text without the row's tools."""
    if not row.tools or row.text is not None:
        return False
    try:
        talk = row.messages[: _last(row) + 1]
        return render(tokenizer, talk, add_generation_prompt=False) == render(
            tokenizer, talk, add_generation_prompt=False, tools=row.tools
        )
    except JobFailure:
        return False


def unwritten_calls(tokenizer: PreTrainedTokenizerBase, row: Row) -> Literal["none", "parallel", "any"]:
    """Return which of a row's tool calls the template omits or rejects: none, all but the first call of a
    message, or any.
    """
    if row.text is not None or not any(message.get("tool_calls") for message in row.messages):
        return "none"
    talk = row.messages[: _last(row) + 1]
    if _writes_calls(tokenizer, row, talk):
        return "none"
    single: list[RowMessage] = [
        {**turn, "tool_calls": turn["tool_calls"][:1]} if turn.get("tool_calls") else turn for turn in talk
    ]
    return "parallel" if single != talk and _writes_calls(tokenizer, row, single) else "any"


def _writes_calls(tokenizer: PreTrainedTokenizerBase, row: Row, talk: list[RowMessage]) -> bool:
    """Return whether the template writes each call of ``talk``, by giving each a name that no text has."""
    names: list[str] = []

    def called(message: RowMessage) -> RowMessage:
        calls: list[RowToolCall] = []
        for call in message["tool_calls"]:
            names.append(f"zq{len(names)}qz")
            calls.append({**call, "function": {**call["function"], "name": names[-1]}})
        return {**message, "tool_calls": calls}

    named = [called(turn) if turn.get("tool_calls") else turn for turn in talk]
    try:
        text = render(tokenizer, named, add_generation_prompt=False, tools=row.tools)
    except JobFailure:
        return False
    return all(name in text for name in names)


def _last(row: Row) -> int:
    """Return the index of a row's last answer."""
    return max(index for index, turn in enumerate(row.messages) if turn["role"] == "assistant")


def _roles(offsets: Sequence[tuple[int, int]], ranges: list[tuple[int, int, str]], count: int) -> list[str]:
    roles, position = [TEMPLATE] * count, 0
    for index, (left, right) in enumerate(offsets):
        while position < len(ranges) and ranges[position][1] <= left:
            position += 1
        if position == len(ranges) or left == right:
            continue
        start, _, role = ranges[position]
        # A token that starts before an answer is not learned, so it does not count as part of the answer.
        if start <= left or (start < right and role != "assistant"):
            roles[index] = role
    return roles


def special_pattern(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Return a pattern that matches special tokens spelled out in a text."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    special_tokens = {str(token) for token in tokenizer.all_special_tokens}
    special_tokens |= {str(token) for token in added.values() if getattr(token, "special", False)}
    spelled = sorted((token for token in special_tokens if len(token) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, spelled)) or r"(?!)")


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return frozenset(tokenizer.all_special_ids).union(
        number for number, token in added.items() if getattr(token, "special", False)
    )


def to_wire(specials: frozenset[int], number: int, tokenized: TokenizedRow) -> DatasetTokens:
    """Return a row in the contract's form."""
    texts: list[str] = []
    size = 0
    for text in chain.from_iterable(_texts(part.coded) for part in tokenized.parts):
        size += len(text)
        if len(texts) == MOST_TOKENS or size > MOST_CHARACTERS:
            break
        texts.append(text)
    ids = list(chain.from_iterable(part.coded.ids for part in tokenized.parts))[: len(texts)]
    wire: DatasetTokens = {
        "row": number,
        "where": tokenized.row.where,
        "length": tokenized.length,
        "examples": [len(part.coded.ids) for part in tokenized.parts],
        "learned": tokenized.learned,
        "first": tokenized.parts[0].first,
        "roles": tokenized.by_role(),
        "shown": len(texts),
        "ids": ids,
        "texts": texts,
        "special": [index for index, token in enumerate(ids) if token in specials],
        "runs": list(_wire_runs(tokenized, len(texts))),
    }
    if (label := label_words(tokenized.row)) is not None:
        wire["label"] = label
    return wire


def label_words(row: Row) -> str | None:
    """Return what is to be said of the row's text: its labels, or a score; None if it has neither."""
    if LABEL in row.extra or LABELS in row.extra:
        return words_of(labels_of(row))
    score: float | None = row.extra.get(SCORE)
    return None if score is None else f"{score:g}"


def _texts(coding: EncodedText) -> Iterator[str]:
    """Yield each token's part of the text; concatenated, they are the text up to the last token."""
    done = 0
    for _, right in coding.offsets:
        yield coding.text[done : max(right, done)]
        done = max(right, done)


def _wire_runs(tokenized: TokenizedRow, count: int) -> Iterator[TokenRun]:
    states = (pair for part in tokenized.parts for pair in zip(_weights(part.coded), part.roles, strict=True))
    for (weight, role), run in groupby(islice(states, count)):
        yield {"count": sum(1 for _ in run), "weight": weight, "role": role}


def _weights(coding: EncodedText) -> Iterator[float]:
    """Yield the weight of each token in the loss."""
    for label, weight in zip(coding.labels, coding.weights or repeat(1.0)):  # noqa: B905 - endless
        yield 0.0 if label == IGNORED else weight
