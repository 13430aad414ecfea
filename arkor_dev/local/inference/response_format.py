"""Converts the worker's messages to OpenAI's format."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arkor_dev.contract.shapes import AnsweredBy
    from arkor_dev.local.modeling.tool_calls import IndexedCall, ToolCall

    from .messages import Done, TokenLogprob


def envelope(kind: str, model: str) -> dict[str, Any]:
    """Return the fields that begin a chunk or a whole answer."""
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def whole_choice(text: str, entries: list[TokenLogprob], done: Done) -> dict[str, Any]:
    """Return the only choice of a complete answer: text or tool calls, and token probabilities."""
    calls = done.tool_calls
    message = {
        "role": "assistant",
        "content": text if text or not calls else None,
        **({"tool_calls": calls} if calls else {}),
    }
    entries = [*entries, *done.logprobs]
    weights = {"logprobs": logprobs(entries)} if entries else {}
    return {"index": 0, "message": message, **weights, "finish_reason": done.reason}


def logprobs(entries: list[TokenLogprob]) -> dict[str, Any] | None:
    """Return ``{content: [{token, logprob, bytes, top_logprobs}]}``; None for a chunk without tokens."""
    return {"content": entries} if entries else None


def indexed(calls: Iterable[ToolCall]) -> list[IndexedCall]:
    """Return the tool calls of a chunk with their indices."""
    return [{"index": index, **call} for index, call in enumerate(calls)]


def figures(done: Done) -> dict[str, Any]:
    """Return ``usage``, ``timings`` and the engine, for the last chunk or a complete answer."""
    prompt, completion = done.prompt_tokens, done.completion_tokens
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": done.cached_tokens},
    }
    engine = answered_by(done)
    return {"usage": usage, "timings": _timings(done), **({"answeredBy": engine} if engine else {})}


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


def _timings(done: Done) -> dict[str, float]:
    """Return seconds to the first token, seconds in total, and tokens per second after the first."""
    after_first = done.seconds - done.first_token_seconds
    counted = after_first > 0 and done.completion_tokens > 1
    return {
        "firstTokenSeconds": done.first_token_seconds,
        "seconds": done.seconds,
        "tokensPerSecond": round((done.completion_tokens - 1) / after_first, 2) if counted else 0.0,
    }
