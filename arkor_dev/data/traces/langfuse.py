"""Observations and traces that Langfuse exports, as JSON or as a table with JSON in its cells.

An observation of the type GENERATION is a model's call. A trace may contain its observations; one without
them has only its own input and output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.messages import from_text
from arkor_dev.data.rows import RowError

from . import any_api
from .conversation import NotAnAnswer, TraceFormat, conversations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conversation import Outcome, Record

MODEL: Final = "GENERATION"
MARKS: Final = frozenset(
    {"traceId", "trace_id", "timestamp", "startTime", "start_time", "sessionId", "session_id"}
)
"""Keys that an observation or a trace has, and other records with ``input`` and ``output`` seldom."""
SHOWN: Final = 150


def _matches(record: Record) -> bool:
    if isinstance(from_text(record.get("observations")), list):
        return True
    is_alpaca = "instruction" in record
    return "input" in record and "output" in record and bool(MARKS & record.keys()) and not is_alpaca


def _read(record: Record) -> Iterator[Outcome]:
    observations = from_text(record.get("observations"))
    parts = observations if isinstance(observations, list) and observations else [record]
    # A trace without observations of its own kind is what it was asked and answered.
    if not any(isinstance(part, dict) and "type" in part for part in parts):
        parts = [record]
    for part in parts:
        if not isinstance(part, dict):
            yield RowError("an observation is not an object")
        elif str(part.get("type", MODEL)).upper() != MODEL:
            yield NotAnAnswer()
        else:
            try:
                yield from _generation(part)
            except RowError as fault:
                yield fault


def _generation(part: Record) -> Iterator[Outcome]:
    if part.get("level") == "ERROR":
        told = part.get("statusMessage") or part.get("status_message")
        raise RowError(f"the call failed{f': {told[:SHOWN]}' if isinstance(told, str) else ''}")
    settings = from_text(part.get("modelParameters") or part.get("model_parameters"))
    tools = from_text(settings.get("tools")) if isinstance(settings, dict) else None
    prompt = any_api.prompt_of(part.get("input"), tools)
    yield from conversations(prompt, any_api.answers_of(part.get("output")))


FORMAT: Final = TraceFormat("Langfuse", _matches, _read)
