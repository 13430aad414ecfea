"""Runs that LangSmith exports, as JSON or as a table with JSON in its cells.

A run of a model has the messages that LangChain sent, or the request of the wrapped client; other runs
(chains, tools, retrievers) hold no model's answer. A run may contain its children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.messages import from_text
from arkor_dev.data.rows import RowError

from . import any_api
from .conversation import NotAnAnswer, TraceFormat, conversations
from .messages import read_answer
from .openai_chat import check_complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.data.rows import RowMessage

    from .conversation import Outcome, Record

MODEL: Final = "llm"
SHOWN: Final = 150


def _matches(record: Record) -> bool:
    return isinstance(record.get("run_type"), str)


def _read(record: Record) -> Iterator[Outcome]:
    waiting: list[object] = [record]
    while waiting:
        run = from_text(waiting.pop())
        if not isinstance(run, dict):
            yield RowError("a child run is not an object")
            continue
        children = from_text(run.get("child_runs"))
        if isinstance(children, list):
            waiting += reversed(children)
        if run.get("run_type") != MODEL:
            yield NotAnAnswer()
            continue
        try:
            yield from _run(run)
        except RowError as fault:
            yield fault


def _run(run: Record) -> Iterator[Outcome]:
    if isinstance(fault := run.get("error"), str) and fault:
        raise RowError(f"the run failed: {fault[:SHOWN]}")
    extra = from_text(run.get("extra"))
    settings = from_text(extra.get("invocation_params")) if isinstance(extra, dict) else None
    tools = settings.get("tools") if isinstance(settings, dict) else None
    prompt = any_api.prompt_of(run.get("inputs"), tools)
    outputs = from_text(run.get("outputs"))
    generations = outputs.get("generations") if isinstance(outputs, dict) else None
    if isinstance(generations, list):
        yield from conversations(prompt, _generations(generations))
    else:
        yield from conversations(prompt, any_api.answers_of(outputs))


def _generations(generations: list[object]) -> Iterator[RowMessage | RowError]:
    """Yield LangChain's generations: of a chat model each has a message."""
    flat = [one for group in generations for one in (group if isinstance(group, list) else [group])]
    for generation in flat:
        try:
            if not isinstance(generation, dict):
                raise RowError("a generation is not an object")
            told = from_text(generation.get("generation_info"))
            if isinstance(told, dict):
                check_complete(told.get("finish_reason") or told.get("stop_reason"))
            yield read_answer(generation.get("message", generation.get("text")), "outputs.generations")
        except RowError as fault:
            yield fault


FORMAT: Final = TraceFormat("LangSmith runs", _matches, _read)
