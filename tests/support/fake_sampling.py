"""Chat as the features ``sampling`` and ``tools`` have it, in the fake backend: checks, stop texts, calls,
usage."""

from __future__ import annotations

from typing import Any

from .fake_checks import number, whole, wrong

BOUNDS = {
    "minP": (0, 1),
    "repetitionPenalty": (1e-9, 10),
    "frequencyPenalty": (-2, 2),
    "presencePenalty": (-2, 2),
}


def check_sampling(body: dict[str, Any]) -> None:
    """Refuse what the contract does not allow."""
    for name, (least, most) in BOUNDS.items():
        number(body, name, least, most)
    whole(body, "seed", -(2**53))
    number(body, "seed", -(2**53), 2**53)
    whole(body, "topK", 0)
    whole(body, "topLogprobs", 0)
    number(body, "topLogprobs", 0, 20)
    whole(body, "thinkingBudget", 0)
    for name in ("logprobs", "enableThinking"):
        if not isinstance(body.get(name), bool | None):
            wrong(f"{name} has to be true or false.")
    if body.get("topLogprobs") is not None and not body.get("logprobs"):
        wrong("topLogprobs needs logprobs.")
    stops = stops_of(body)
    if len(stops) > 16 or not all(isinstance(stop, str) and 1 <= len(stop) <= 200 for stop in stops):
        wrong("stop has to be up to 16 texts.")
    if body.get("stop") == []:
        wrong("stop has to have a text.")


def check_tools(body: dict[str, Any]) -> None:
    """Refuse a choice that needs the feature ``formats``."""
    if body.get("toolChoice") not in (None, "auto", "none"):
        wrong("toolChoice has to be auto or none.")


def check_engine(body: dict[str, Any]) -> None:
    """Refuse an engine that the contract does not know."""
    if body.get("engine") not in (None, "auto", "exact", "llama.cpp"):
        wrong("engine has to be auto, exact or llama.cpp.")


def answered_by(body: dict[str, Any]) -> dict[str, Any]:
    """Who has answered, as if both engines were there."""
    exact = {"engine": "transformers", "precision": "float32"}
    return {
        "answeredBy": exact if body.get("engine") == "exact" else {"engine": "llama.cpp", "precision": "q8_0"}
    }


def stops_of(body: dict[str, Any]) -> list[Any]:
    stop = body.get("stop")
    return [] if stop is None else stop if isinstance(stop, list) else [stop]


def until_stop(chunks: list[str], body: dict[str, Any]) -> list[str]:
    """The chunks up to the first stop text."""
    text = "".join(chunks)
    end = min((place for stop in stops_of(body) if (place := text.find(stop)) >= 0), default=len(text))
    kept, left = [], end
    for chunk in chunks:
        kept.append(chunk[:left])
        left -= len(kept[-1])
    return [chunk for chunk in kept if chunk]


def logprobs(chunk: str, body: dict[str, Any]) -> dict[str, Any]:
    """``{logprobs}`` of a chunk that is one token, where they are asked for."""
    if not body.get("logprobs"):
        return {}
    token = {"token": chunk, "logprob": -0.25, "bytes": list(chunk.encode())}
    return {"logprobs": {"content": [{**token, "top_logprobs": [token] * (body.get("topLogprobs") or 0)}]}}


def usage(chunks: list[str], body: dict[str, Any]) -> dict[str, Any]:
    """``{usage}``: each chunk is a token, and each word of the prompt."""
    texts = [str(message.get("content") or "") for message in body.get("messages") or ()]
    prompt = sum(len(text.split()) for text in [*texts, body.get("prompt") or ""])
    counts = {"prompt_tokens": prompt, "completion_tokens": len(chunks), "total_tokens": prompt + len(chunks)}
    return {"usage": {**counts, "prompt_tokens_details": {"cached_tokens": 0}}}
