"""Requests of OpenAI's chat completions with their responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.rows import RowError

from .conversation import TracedPrompt, TraceFormat, conversations
from .messages import read_answer, read_messages, read_tools
from .pairs import check_answered, pair_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.data.rows import RowMessage

    from .conversation import Outcome, Record

CUT: Final = frozenset({"length", "max_tokens", "content_filter", "refusal", "error"})
"""Reasons to end that leave an answer nobody should learn."""


def prompt_of(request: Record) -> TracedPrompt:
    """Return what a request asks. Raises RowError."""
    functions = request.get("functions")  # the form before tools
    return TracedPrompt(
        read_messages(request.get("messages"), "messages"), read_tools(request.get("tools") or functions)
    )


def answers_of(response: Record) -> Iterator[RowMessage | RowError]:
    """Yield each choice of a response, or why it cannot be learned."""
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices:
        yield RowError("its response has no choices")
        return
    for index, choice in enumerate(choices):
        try:
            yield _answer(choice, f"choices[{index}]")
        except RowError as fault:
            yield fault


def _answer(choice: object, where: str) -> RowMessage:
    if not isinstance(choice, dict):
        raise RowError(f"{where} must be an object, not {type(choice).__name__}")
    check_complete(choice.get("finish_reason"))
    if "message" not in choice:
        raise RowError(f"{where} has no message: is it a chunk of a stream? Log the whole response")
    return read_answer(choice["message"], f"{where}.message")


def check_complete(reason: object) -> None:
    """Raise RowError if the answer ended for a ``reason`` other than its end."""
    if isinstance(reason, str) and reason in CUT:
        raise RowError(f"the answer was cut off ({reason})")


def _matches(record: Record) -> bool:
    request, response = pair_of(record)
    return "choices" in response or ("messages" in request and ("error" in record or request is not record))


def _read(record: Record) -> Iterator[Outcome]:
    pair = pair_of(record)
    check_answered(record, pair)
    # LiteLLM logs the tools beside the messages.
    settings = record.get("model_parameters") or record.get("optional_params")
    prompt = prompt_of({**settings, **pair.request} if isinstance(settings, dict) else pair.request)
    yield from conversations(prompt, answers_of(pair.response))


FORMAT: Final = TraceFormat("OpenAI chat completions", _matches, _read)
