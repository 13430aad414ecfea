"""Prompts as examples: the tokens before an answer, and the data that a reward needs to score answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arkor_dev.local.evaluation.stage import texts_of
from arkor_dev.local.evaluation.tool_call_match import CallFields, call_fields
from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row, RowMessage


@dataclass(frozen=True, slots=True)
class PromptExample(Example):
    """A prompt, of which no token is learned. ``messages`` are those before the answer, ``reference`` is the
    reference answer, or empty; ``called`` has the row's `call_fields`.
    """

    question: str = ""
    reference: str = ""
    columns: Mapping[str, object] = field(default_factory=dict)
    called: CallFields = field(default_factory=lambda: CallFields(tools=[], calls=[]))
    messages: Sequence[RowMessage] = ()

    @property
    def row(self) -> dict[str, object]:
        """What an environment gets of the row."""
        prompt = [dict(message) for message in self.messages]
        return {"answer": self.reference, **self.columns, "prompt": prompt}


def last_answer(row: Row) -> int:
    """Return the index of a row's last answer in its messages."""
    return max(index for index, turn in enumerate(row.messages) if turn["role"] == "assistant")


def rendered_prompt(tokenizer: PreTrainedTokenizerBase, row: Row) -> str:
    """Return the text before a row's last answer, including the generation prompt."""
    return render(tokenizer, row.messages[: last_answer(row)], add_generation_prompt=True, tools=row.tools)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, row: Row, longest: int) -> PromptExample:
    """Return a row's prompt. Raises JobFailure with its location if it is longer than ``longest`` tokens."""
    ids: list[int] = tokenizer(rendered_prompt(tokenizer, row), add_special_tokens=False)["input_ids"]
    if len(ids) >= longest:
        raise JobFailure(
            f"{row.where}: the prompt is {len(ids)} tokens long, and max_length {longest} leaves no room for "
            "an answer: raise max_length or shorten the prompt"
        )
    question, reference = texts_of(row)
    columns = row.extra.get("columns", {})
    return PromptExample(
        ids,
        [IGNORED] * len(ids),
        row.where,
        counts=1,
        question=question,
        reference=reference,
        columns=columns,
        called=call_fields(row),
        messages=row.messages[: last_answer(row)],
    )
