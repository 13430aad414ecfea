"""The known formats of traces; the first that matches a record reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import (
    anthropic_messages,
    endpoint_log,
    langfuse,
    langsmith,
    openai_chat,
    openai_responses,
    opentelemetry,
)

if TYPE_CHECKING:
    from .conversation import TraceFormat

FORMATS: Final = (
    opentelemetry.FORMAT,
    langsmith.FORMAT,
    endpoint_log.FORMAT,
    langfuse.FORMAT,
    anthropic_messages.FORMAT,
    openai_responses.FORMAT,
    openai_chat.FORMAT,
)


def format_of(record: object) -> TraceFormat | None:
    """Return the format of a record; None if it is not a trace."""
    if not isinstance(record, dict):
        return None
    return next((known for known in FORMATS if known.matches(record)), None)
