"""Validates the options of a chat request and converts them for the worker."""

from __future__ import annotations

from typing import Final, Literal, TypedDict, TypeGuard

from arkor_dev.contract.bodies import ENGINES
from arkor_dev.contract.rules import FILLED, FLAG, TEXT, Rule, quoted
from arkor_dev.contract.schema import Field, Schema

from .engines.choice import LLAMA
from .messages import Sampling
from .structured_output.request import format_of
from .structured_output.schemas import FormatError

TEMPERATURE: Final = 0.7
TOP_P: Final = 0.95
STOPS: Final = 16
STOP_CHARACTERS: Final = 200
MOST_TOKENS: Final = 1_000_000
SEEDS: Final = 2**53
LIKELIEST: Final = 20
MOST_IDS: Final = 1_000_000
ECHO_NEEDS_EXACT: Final = "echo needs the engine exact: llama.cpp computes no log probabilities of a prompt"


class ChatOptions(TypedDict, total=False):
    """Options of a chat call, in the contract's units; null is the default."""

    adapterStrength: float | None
    temperature: float | None
    topP: float | None
    maxTokens: float | None
    seed: int | None
    topK: int | None
    minP: float | None
    repetitionPenalty: float | None
    frequencyPenalty: float | None
    presencePenalty: float | None
    stop: str | list[str] | None
    enableThinking: bool | None
    thinkingBudget: int | None
    logprobs: bool | None
    topLogprobs: int | None
    echo: bool | None
    tools: list[object] | None
    toolChoice: object
    parallelToolCalls: bool | None
    responseFormat: dict[str, object] | None
    engine: Literal["auto", "exact", "llama.cpp"] | None
    stream: bool


def _are_stops(value: object) -> bool:
    texts = value if isinstance(value, list) else [value]
    return 0 < len(texts) <= STOPS and all(
        isinstance(text, str) and 0 < len(text) <= STOP_CHARACTERS for text in texts
    )


def is_prompt(value: object) -> TypeGuard[str | list[int]]:
    """Return whether ``value`` is a text to continue, or the ids of its tokens."""
    if not isinstance(value, list):
        return isinstance(value, str)
    return 0 < len(value) <= MOST_IDS and all(type(token) is int and 0 <= token < 2**31 for token in value)


FUNCTION: Final = Schema(
    Field("name", FILLED, needed=True),
    Field("description", TEXT, null=True),
    Field("parameters", Rule("object"), null=True),
    Field("strict", FLAG, null=True),
)
TOOL: Final = Schema(Field("function", Rule("object"), needed=True, inner=FUNCTION))
"""A function that the model may call, in OpenAI's form."""
FIELDS: Final = (
    Field("temperature", Rule("number", 0, 5), null=True),
    Field("topP", Rule("number", 1e-6, 1), null=True),
    Field("maxTokens", Rule("number", 0, MOST_TOKENS), null=True),
    Field("seed", Rule("whole", -SEEDS, SEEDS), null=True),
    Field("topK", Rule("whole", 0, MOST_TOKENS), null=True),
    Field("minP", Rule("number", 0, 1), null=True),
    Field("repetitionPenalty", Rule("number", 0, 10, above=True), null=True),
    Field("frequencyPenalty", Rule("number", -2, 2), null=True),
    Field("presencePenalty", Rule("number", -2, 2), null=True),
    Field(
        "stop",
        Rule(
            "other",
            noun=f"a text of 1 to {STOP_CHARACTERS} characters, or a list of 1 to {STOPS} such texts",
            test=_are_stops,
        ),
        null=True,
    ),
    Field("enableThinking", FLAG, null=True),
    Field("thinkingBudget", Rule("whole", 0, MOST_TOKENS), null=True),
    Field("logprobs", FLAG, null=True),
    Field("topLogprobs", Rule("whole", 0, LIKELIEST), null=True),
    Field("echo", FLAG, null=True),
    Field("tools", Rule("list"), null=True, inner=TOOL),
    Field("toolChoice", Rule("other"), null=True),
    Field("parallelToolCalls", FLAG, null=True),
    Field("responseFormat", Rule("object"), null=True),
    Field("engine", Rule("choice", choices=ENGINES), null=True),
)
"""Fields of ``sampling``, ``tools``, ``formats``, ``engines``, and basic ones (docs/contract.md)."""


def problem(body: dict[str, object]) -> str | None:
    """Return a message about an unsupported option, or about conflicting ones; None if all are valid."""
    if body.get("topLogprobs") is not None and not body.get("logprobs"):
        return "topLogprobs requires logprobs: true"
    if body.get("echo"):
        if body.get("prompt") is None:
            return "echo requires prompt: a conversation cannot be repeated"
        if body.get("engine") == LLAMA:
            return ECHO_NEEDS_EXACT
    elif isinstance(most := body.get("maxTokens"), int | float) and most < 1:
        return f"maxTokens must be 1 or more without echo, not {quoted(most)}"
    for name in ("enableThinking", "thinkingBudget"):
        if body.get(name) is not None and body.get("messages") is None:
            return f"{name} requires messages: a continued text has no thoughts"
    if body.get("structuredOutputs"):
        return "The local backend does not support structuredOutputs: use responseFormat"
    try:
        form = format_of(body)
    except FormatError as fault:
        return str(fault)
    if form and body.get("thinkingBudget") is not None:
        return f"thinkingBudget has no effect with {form.field}, whose answers have no thoughts: remove one"
    return None


def sampling(body: ChatOptions) -> Sampling:
    """Return the options of choosing the next token."""
    temperature, top_p = body.get("temperature"), body.get("topP")
    return Sampling(
        temperature=float(TEMPERATURE if temperature is None else temperature),
        top_p=float(TOP_P if top_p is None else top_p),
        top_k=int(body.get("topK") or 0),
        min_p=body.get("minP") or 0.0,
        repetition=body.get("repetitionPenalty"),
        frequency=body.get("frequencyPenalty") or 0.0,
        presence=body.get("presencePenalty") or 0.0,
        seed=None if (seed := body.get("seed")) is None else int(seed),
        logprobs=int(body.get("topLogprobs") or 0) if body.get("logprobs") else None,
    )
