"""Converts the worker's messages to OpenAI's format."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arkor_dev.contract.shapes import AnsweredBy
    from arkor_dev.local.modeling.tool_calls import IndexedCall, ToolCall

    from .messages import Done, FinishReason, TokenLogprob


class AnswerEnvelope(TypedDict):
    """The fields that begin a chunk or a whole answer."""

    id: str
    object: str
    created: int
    model: str


class WholeMessage(TypedDict):
    """A whole answer: a text, or calls of tools."""

    role: Literal["assistant"]
    content: str | None
    tool_calls: NotRequired[list[ToolCall]]


class Logprobs(TypedDict):
    """The log probabilities of an answer's tokens."""

    content: list[TokenLogprob]


class WholeChoice(TypedDict):
    """The only choice of a complete answer."""

    index: int
    message: WholeMessage
    logprobs: NotRequired[Logprobs | None]
    finish_reason: FinishReason


class PromptDetails(TypedDict):
    """How many of the prompt's tokens were cached."""

    cached_tokens: int


class AnswerUsage(TypedDict):
    """The tokens of an answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class Timings(TypedDict):
    """How fast an answer came; ``tokensPerSecond`` counts those after the first."""

    firstTokenSeconds: float
    seconds: float
    tokensPerSecond: float


class Figures(TypedDict):
    """What the last chunk and a complete answer say beside the text."""

    usage: AnswerUsage
    timings: Timings
    answeredBy: NotRequired[AnsweredBy]


def envelope(kind: str, model: str) -> AnswerEnvelope:
    """Return the fields that begin a chunk or a whole answer."""
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def whole_choice(text: str, entries: list[TokenLogprob], done: Done) -> WholeChoice:
    """Return the only choice of a complete answer: text or tool calls, and token probabilities."""
    calls = done.tool_calls
    message: WholeMessage = {"role": "assistant", "content": text if text or not calls else None}
    if calls:
        message["tool_calls"] = calls
    choice: WholeChoice = {"index": 0, "message": message, "finish_reason": done.reason}
    if entries := [*entries, *done.logprobs]:
        choice["logprobs"] = logprobs(entries)
    return choice


def logprobs(entries: list[TokenLogprob]) -> Logprobs | None:
    """Return the log probabilities of a chunk; None for one without tokens."""
    return {"content": entries} if entries else None


def indexed(calls: Iterable[ToolCall]) -> list[IndexedCall]:
    """Return the tool calls of a chunk with their indices."""
    return [{"index": index, **call} for index, call in enumerate(calls)]


def figures(done: Done) -> Figures:
    """Return ``usage``, ``timings`` and the engine, for the last chunk or a complete answer."""
    prompt, completion = done.prompt_tokens, done.completion_tokens
    usage: AnswerUsage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": done.cached_tokens},
    }
    found: Figures = {"usage": usage, "timings": _timings(done)}
    if engine := answered_by(done):
        found["answeredBy"] = engine
    return found


def answered_by(done: Done) -> AnsweredBy | None:
    """Return the engine that answered, if the message states it."""
    if not done.engine:
        return None
    engine: AnsweredBy = {"engine": done.engine, "precision": done.precision or ""}
    if done.weights:
        engine["weights"] = done.weights
    if done.why:
        engine["why"] = done.why
    return engine


def _timings(done: Done) -> Timings:
    """Return seconds to the first token, seconds in total, and tokens per second after the first."""
    after_first = done.seconds - done.first_token_seconds
    counted = after_first > 0 and done.completion_tokens > 1
    return {
        "firstTokenSeconds": done.first_token_seconds,
        "seconds": done.seconds,
        "tokensPerSecond": round((done.completion_tokens - 1) / after_first, 2) if counted else 0.0,
    }
