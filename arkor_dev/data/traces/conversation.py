"""What a trace's format yields: conversations, and what is not one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.data.rows import RowError, RowMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_ANSWERS: Final = 128
"""Maximum number of answers to one prompt, as in OpenAI's API."""

Record = dict[str, object]
"""A record of a file, or a part of one: JSON that may have anything."""


@dataclass(frozen=True, slots=True)
class TracedPrompt:
    """What a model was asked: the conversation so far, and the tools that it may call."""

    messages: list[RowMessage]
    tools: list[Record] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TracedConversation:
    """A prompt with its answer: a row."""

    messages: list[RowMessage]
    tools: list[Record]


@dataclass(frozen=True, slots=True)
class NotAnAnswer:
    """A part of a trace that holds no model's answer, such as the span of a tool: counted, not an error."""


Outcome = TracedConversation | NotAnAnswer | RowError


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """A format of logs.

    ``matches`` returns whether a record is of it, by its keys. ``read`` yields what is in the record, one
    outcome an answer; a RowError that it raises is the outcome of the whole record.
    """

    label: str
    matches: Callable[[Record], bool]
    read: Callable[[Record], Iterator[Outcome]]


def conversations(prompt: TracedPrompt, answers: Iterable[RowMessage | RowError]) -> Iterator[Outcome]:
    """Yield a conversation for each answer to a prompt, which is repeated in all of them."""
    for number, answer in enumerate(answers):
        if number == MOST_ANSWERS:
            yield RowError(f"has more than {MOST_ANSWERS} answers; the others were not read")
            return
        if isinstance(answer, RowError):
            yield answer
        elif not answer["content"].strip() and not answer.get("tool_calls"):
            yield RowError("the answer is empty")
        else:
            yield TracedConversation([*prompt.messages, answer], prompt.tools)
