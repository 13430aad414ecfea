"""Requests in an endpoint's log of this Studio (docs/contract.md#serving), whose texts it was set to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.rows import RowError

from .conversation import TracedPrompt, TraceFormat, conversations
from .messages import read_answer, read_messages, read_tools
from .openai_chat import check_complete
from .pairs import FAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.data.rows import RowMessage

    from .conversation import Outcome, Record

COMPLETION: Final = "completions"


def _matches(record: Record) -> bool:
    return "promptTokens" in record and "kept" in record


def _read(record: Record) -> Iterator[Outcome]:
    status = record.get("status")
    if isinstance(status, int) and status >= FAULT:
        raise RowError(f"the request failed with {status}")
    if not record.get("kept"):
        raise RowError("its text was not kept: this endpoint is not set to keep texts")
    if record.get("call") == COMPLETION:
        raise RowError("is a completion of a text, not a conversation")
    prompt = TracedPrompt(read_messages(record.get("messages"), "messages"), read_tools(record.get("tools")))
    yield from conversations(prompt, _answers(record))


def _answers(record: Record) -> Iterator[RowMessage | RowError]:
    answers, calls, reasons = (record.get(key) for key in ("answers", "calls", "reasons"))
    if not isinstance(answers, list):
        raise RowError("answers must be a list")
    for index, text in enumerate(answers):
        try:
            if isinstance(reasons, list) and index < len(reasons):
                check_complete(reasons[index])
            called = calls[index] if isinstance(calls, list) and index < len(calls) else []
            yield read_answer(
                {"role": "assistant", "content": text, "tool_calls": called}, f"answers[{index}]"
            )
        except RowError as fault:
            yield fault


FORMAT: Final = TraceFormat("endpoint log", _matches, _read)
