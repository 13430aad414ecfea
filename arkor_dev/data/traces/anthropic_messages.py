"""Requests of Anthropic's Messages API with their responses (docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.rows import RowError

from .conversation import TracedPrompt, TraceFormat, conversations
from .messages import join, read_answer, read_message, read_messages, read_tools
from .openai_chat import check_complete
from .pairs import check_answered, pair_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.data.rows import RowMessage

    from .conversation import Outcome, Record


def prompt_of(request: Record) -> TracedPrompt:
    """Return what a request asks. Raises RowError."""
    messages = read_messages(request.get("messages"), "messages")
    if request.get("system"):
        messages[:0] = read_message({"role": "system", "content": request["system"]}, "system")
    return TracedPrompt(messages, read_tools(request.get("tools")))


def answers_of(response: Record) -> Iterator[RowMessage | RowError]:
    """Yield the answer, or why it cannot be learned."""
    try:
        check_complete(response.get("stop_reason"))
        yield read_answer({"role": "assistant", "content": response.get("content")}, "response")
    except RowError as fault:
        yield fault


def _matches(record: Record) -> bool:
    request, response = pair_of(record)
    is_message = response.get("type") == "message" and isinstance(response.get("content"), list)
    return is_message or ("messages" in request and response.get("type") == "error")


def _read(record: Record) -> Iterator[Outcome]:
    pair = pair_of(record)
    check_answered(record, pair)
    prompt = prompt_of(pair.request)
    answers = answers_of(pair.response)
    if prompt.messages[-1]["role"] == "assistant":  # the request began the answer, which continues it
        begun = prompt.messages.pop()
        answers = (_continued(begun, answer) for answer in answers)
    yield from conversations(prompt, answers)


def _continued(begun: RowMessage, answer: RowMessage | RowError) -> RowMessage | RowError:
    if isinstance(answer, RowError):
        return answer
    whole: RowMessage = {**begun}
    join(whole, answer)
    return whole


FORMAT: Final = TraceFormat("Anthropic messages", _matches, _read)
