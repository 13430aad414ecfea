"""Inputs and outputs of a model's call, as observability tools store them: in the form of any API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.messages import from_text
from arkor_dev.data.rows import RowError

from . import anthropic_messages, openai_chat, openai_responses
from .conversation import TracedPrompt
from .messages import read_answer, read_messages, read_tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.data.rows import RowMessage

    from .conversation import Record

WRAPPED: Final = ("message", "messages", "response", "output")
"""Keys under which tools put an answer that they took out of its response."""


def prompt_of(value: object, tools: object = None) -> TracedPrompt:
    """Return what a model was asked: a request of any API, or only its messages. Raises RowError.

    ``tools`` are those that are stored elsewhere, for a request that has none.
    """
    value = from_text(value)
    if not isinstance(value, dict):
        return TracedPrompt(read_messages(value, "input"), read_tools(tools))
    messages = from_text(value.get("messages"))
    if isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0], list):
        messages = messages[0]  # LangChain's batch of one
    request: Record = {**value, "tools": from_text(value.get("tools")) or tools}
    if messages is not None:
        request["messages"] = messages
        if "system" in value:
            return anthropic_messages.prompt_of(request)
        return openai_chat.prompt_of(request)
    if "input" in value and isinstance(from_text(value["input"]), list | str):
        return openai_responses.prompt_of(request)
    if "role" in value or "lc" in value:
        return TracedPrompt(read_messages([value], "input"), read_tools(tools))
    raise RowError("its input has no messages")


def answers_of(value: object) -> Iterator[RowMessage | RowError]:
    """Yield the answers in an output: a response of any API, a message, or a text."""
    value = from_text(value)
    if isinstance(value, list) and value:
        value = from_text(value[-1])  # the conversation with its answer, or the only answer
    if isinstance(value, dict):
        if "choices" in value:
            yield from openai_chat.answers_of(value)
            return
        if isinstance(value.get("output"), list):
            yield from openai_responses.answers_of(value)
            return
        if value.get("type") == "message" and isinstance(value.get("content"), list):
            yield from anthropic_messages.answers_of(value)
            return
        inner = next((from_text(value[key]) for key in WRAPPED if value.get(key) is not None), None)
        if inner is not None and "role" not in value and "lc" not in value and "content" not in value:
            yield from _answers(inner[-1] if isinstance(inner, list) and inner else inner)
            return
    yield from _answers(value)


def _answers(value: object) -> Iterator[RowMessage | RowError]:
    if value is None:
        yield RowError("has no output")
        return
    try:
        if isinstance(value, dict):
            openai_chat.check_complete(value.get("finish_reason"))
        yield read_answer(value, "output")
    except RowError as fault:
        yield fault
