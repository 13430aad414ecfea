"""Requests of OpenAI's Responses API with their responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.rows import RowError

from .conversation import TracedPrompt, TraceFormat, conversations
from .messages import read_messages, read_tools
from .pairs import check_answered, pair_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.data.rows import RowMessage

    from .conversation import Outcome, Record


def prompt_of(request: Record) -> TracedPrompt:
    """Return what a request asks. Raises RowError."""
    if request.get("previous_response_id") or request.get("conversation"):
        raise RowError(
            "continues a conversation that only the server has (previous_response_id): log whole inputs"
        )
    messages = read_messages(request.get("input"), "input")
    if isinstance(told := request.get("instructions"), str) and told:
        messages.insert(0, {"role": "system", "content": told})
    return TracedPrompt(messages, read_tools(request.get("tools")))


def answers_of(response: Record) -> Iterator[RowMessage | RowError]:
    """Yield the answer in a response's items, or why it cannot be learned."""
    if response.get("status") in ("incomplete", "failed", "cancelled"):
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else response["status"]
        yield RowError(f"the answer was cut off ({reason})")
        return
    try:
        messages = read_messages(response.get("output"), "output")
    except RowError as fault:
        yield fault
        return
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        yield RowError("its output must be one turn of the assistant")
        return
    yield messages[0]


def _matches(record: Record) -> bool:
    request, response = pair_of(record)
    is_response = response.get("object") == "response" or isinstance(response.get("output"), list)
    return is_response or ("input" in request and request is not record)


def _read(record: Record) -> Iterator[Outcome]:
    pair = pair_of(record)
    check_answered(record, pair)
    yield from conversations(prompt_of(pair.request), answers_of(pair.response))


FORMAT: Final = TraceFormat("OpenAI responses", _matches, _read)
