"""Converts OpenAI requests to the contract's chat call; refuses unsupported options by name.

A missing, null or neutral option (a penalty of 0) counts as not set, since clients send such options.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict, TypeVar

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.contract.rules import FILLED, FLAG, Rule, integer, quoted, text_line
from arkor_dev.contract.schema import Field, Schema, SchemaError, check_as
from arkor_dev.contract.shapes import ChatMessage
from arkor_dev.local.inference.chat_call import ASK, ChatCall
from arkor_dev.local.inference.request_options import LIKELIEST, is_prompt
from arkor_dev.local.modeling.chat_template import REFUSAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.local.inference.chat_call import Prompt

T = TypeVar("T")
MESSAGES: Final = 1000
TOKENS: Final = 32_768
ANSWERS: Final = 8
MOST_CHOICES: Final = 32
"""Maximum number of answers to all prompts of a request: one caller may have no more waiting."""
LEAST_TOP_P: Final = 1e-6

FIELDS: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxTokens",
    "max_completion_tokens": "maxTokens",
    "seed": "seed",
    "stop": "stop",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "top_k": "topK",
    "min_p": "minP",
    "repetition_penalty": "repetitionPenalty",
    "logprobs": "logprobs",
    "top_logprobs": "topLogprobs",
    "tools": "tools",
    "tool_choice": "toolChoice",
    "parallel_tool_calls": "parallelToolCalls",
    "response_format": "responseFormat",
    "enable_thinking": "enableThinking",
    "thinking_token_budget": "thinkingBudget",
}
"""OpenAI's field name, or vLLM's if OpenAI has none, and the contract's."""
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "tools": ([],),
    "tool_choice": ("auto",),
    "response_format": ({"type": "text"},),
    "logit_bias": ({},),
    "store": (False,),
    "metadata": ({},),
    "service_tier": ("auto", "default"),
    "stop": ([],),
    "echo": (False,),
    "best_of": (1,),
    "suffix": ("",),
    "modalities": (["text"],),
}
"""Values with which an option has no effect."""
IGNORED: Final = frozenset(
    {
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "prediction", "reasoning_effort", "verbosity",
    }
)  # fmt: skip
"""Standard options that have no effect here: accepted, and named in the answer's header."""
HANDLED_FIELDS: Final = frozenset({"model", "messages", "prompt", "stream", "stream_options", "n"})
CHAT_ONLY: Final = frozenset(
    {
        "tools", "tool_choice", "parallel_tool_calls", "response_format", "top_logprobs", "enable_thinking",
        "thinking_token_budget",
    }
)  # fmt: skip
BUDGET: Final = "thinking_token_budget"
THOUGHTS: Final = "reasoning_content"
"""The field of a message with its thoughts, in DeepSeek's API and vLLM, whose newer name is ``reasoning``."""
KWARGS: Final = "chat_template_kwargs"
"""VLLM's field for arguments of the chat template, of which ``enable_thinking`` can be set."""

ROLES: Final[dict[str, Literal["system", "user", "assistant", "tool"]]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
"""The contract's role of a message, by OpenAI's."""
ANY_TARGET: Final = {"baseModel": "any"}
"""What the schema of a chat call requires; the endpoint's own target takes its place."""
_OPTIONS: Final = Schema(Field("include_usage", FLAG, null=True))
CHAT: Final = Schema(
        Field("model", FILLED, null=True),
        Field("stream", FLAG, null=True),
        Field("stream_options", Rule("object"), null=True, inner=_OPTIONS),
        Field("n", integer(1, ANSWERS), null=True),
        Field("temperature", Rule("number", 0, 2), null=True),
        Field("top_p", Rule("number", 0, 1), null=True),
        Field("max_tokens", integer(1, TOKENS), null=True),
        Field("max_completion_tokens", integer(1, TOKENS), null=True),
        Field("reasoning_effort", text_line(20), null=True),
        Field(
            "messages",
            Rule("list", 1, MESSAGES, noun=f"a list of 1 to {MESSAGES:,} messages"),
            needed=True,
        ),
)  # fmt: skip
COMPLETION: Final = Schema(
    *(field for field in CHAT.fields if field.name not in ("messages", "max_tokens")),
    Field("max_tokens", integer(0, TOKENS), null=True),
    Field("prompt", Rule("other"), needed=True),
    Field("echo", FLAG, null=True),
    Field("logprobs", integer(0, LIKELIEST), null=True),
)
_FORMAT: Final = re.compile(r"(responseFormat|toolChoice|parallelToolCalls|tools) cannot be enforced")
_TOKEN: Final = re.compile(r"prompt has the token \d+, ")
_CONTEXT: Final = re.compile(
    r"The conversation has ((?:more than )?\d+) tokens, and .* reads at most (\d+)", re.DOTALL
)


class StreamOptions(TypedDict, total=False):
    """Options of a stream."""

    include_usage: bool | None


class Body(TypedDict, total=False):
    """The checked fields of both calls; null is the default. Other options are in the body, too."""

    model: str | None
    stream: bool | None
    stream_options: StreamOptions | None
    n: int | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    max_completion_tokens: int | None
    reasoning_effort: str | None


class ChatBody(Body):
    """A body that fits ``CHAT``."""

    messages: list[object]


class CompletionBody(Body):
    """A body that fits ``COMPLETION``."""

    prompt: object
    echo: NotRequired[bool | None]
    logprobs: NotRequired[int | None]


class OpenAIMessage(ChatMessage):
    """A message with its thoughts, ``THOUGHTS``."""

    reasoning_content: NotRequired[str]


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """A parsed request: the contract's chat call without its target, and the format of the answer.

    ``answers`` is the number of answers to each of the ``chats``, which differ only in the prompt.
    """

    chat: ChatCall
    answers: int
    stream: bool
    usage: bool
    prompts: tuple[Prompt, ...] = ()
    ignored: tuple[str, ...] = ()
    """Options of the caller that have no effect here."""
    repeated: Mapping[str, object] = field(default_factory=dict)
    """Settings that the answer repeats, in the Responses API."""
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """Namespaces of functions, by the function's name, in the Responses API."""

    @property
    def chats(self) -> list[ChatCall]:
        """The chat calls, one for each prompt."""
        return [{**self.chat, "prompt": prompt} for prompt in self.prompts] or [self.chat]


def read_chat(body: object, slug: str, supported: frozenset[str]) -> OpenAIRequest:
    """Parse a body of ``chat/completions``; ``supported`` are the fields that the engine supports.

    Raises BadRequestError with the invalid ``param``, and NotFoundError for another model.
    """
    asked = checked(ChatBody, body, CHAT)
    _check_model(asked, slug)
    messages = [_message(message, f"messages[{index}]") for index, message in enumerate(asked["messages"])]
    _drop_old_thoughts(messages)
    return _request(_with_thinking(asked), asked, {"messages": messages}, supported)


def _drop_old_thoughts(messages: list[OpenAIMessage]) -> None:
    """Drop the thoughts before the last question, as chat templates do: only those between tool calls count.

    A long conversation would otherwise be refused for text that the model does not read.
    """
    last = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=-1)
    for message in messages[: last + 1]:
        message.pop("reasoning_content", None)


def _with_thinking(asked: Mapping[str, object]) -> dict[str, object]:
    """Return a request with ``enable_thinking`` if another of its fields says whether to think.

    An effort above "none" stays ignored: there are no levels, and the model's own default applies.
    """
    options = {name: value for name, value in asked.items() if name != KWARGS}
    arguments = asked.get(KWARGS)
    if arguments is not None:
        if not isinstance(arguments, dict) or not arguments.keys() <= {"enable_thinking"}:
            raise refused(KWARGS, f"{KWARGS} can only have enable_thinking", "unsupported_parameter")
        options |= arguments
    if options.get("reasoning_effort") == "none":
        options["enable_thinking"] = False
        del options["reasoning_effort"]
    for name in ("response_format", "tool_choice") if options.get(BUDGET) is not None else ():
        value = options.get(name)
        if value != "none" and _has_effect(name, value):
            raise refused(
                BUDGET, f"{BUDGET} has no effect with {name}, whose answers have no thoughts: remove one"
            )
    return options


def read_completion(body: object, slug: str, supported: frozenset[str]) -> OpenAIRequest:
    """Parse a body of ``completions``: one or more texts (or token ids) to continue. See `read_chat`."""
    asked = checked(CompletionBody, body, COMPLETION)
    _check_model(asked, slug)
    prompt = asked["prompt"]
    given = prompt if isinstance(prompt, list) and not is_prompt(prompt) else [prompt]
    prompts = [text for text in given if text and is_prompt(text)]
    if not prompts or len(prompts) < len(given):
        raise refused("prompt", "prompt must be a text that is not empty, its token ids, or a list of such")
    if len(prompts) * (asked.get("n") or 1) > MOST_CHOICES:
        raise refused("prompt", f"A request can have {MOST_CHOICES} answers in all: send fewer prompts")
    if "prompt" not in supported:
        raise refused("prompt", "This endpoint does not support text completions: use chat/completions")
    for name in CHAT_ONLY & _set_options(asked).keys():
        raise refused(name, f"{name} is not a setting of completions")
    chat: dict[str, object] = {"prompt": prompts[0]}
    if asked.get("echo"):
        chat["echo"] = True
    elif asked.get("max_tokens") == 0:
        raise refused("max_tokens", "max_tokens must be 1 or more without echo")
    if (count := asked.get("logprobs")) is not None:
        chat |= {"logprobs": True, "topLogprobs": count}
    options = {name: value for name, value in asked.items() if name not in ("echo", "logprobs")}
    return replace(_request(options, asked, chat, supported), prompts=tuple(prompts))


def context_fault(text: str) -> BadRequestError | None:
    """Convert the engine's message about a too long conversation for the caller; None for other messages.

    It starts like OpenAI's, because clients with a second model for long conversations search for that.
    """
    match = _CONTEXT.match(text)
    if match is None:
        return None
    tokens, most = match.groups()
    return BadRequestError(
        f"This model's maximum context length is {most} tokens, the conversation has {tokens}: shorten it",
        code="context_length_exceeded",
        param="messages",
    )


def template_fault(text: str) -> BadRequestError | None:
    """Explain to a caller that the model's chat template rejects the conversation; None for other errors.

    Usually the roles are out of order. The template's own message is only for the owner.
    """
    if not text.startswith(REFUSAL):
        return None
    return refused("messages", "The model's chat template rejects this conversation")


def prompt_fault(text: str) -> BadRequestError | None:
    """Convert the engine's message about a token that the model lacks; None for other messages."""
    return refused("prompt", text) if _TOKEN.match(text) else None


def format_fault(text: str) -> BadRequestError | None:
    """Convert the engine's message about a format that cannot be enforced; None for other messages."""
    return renamed(text) if _FORMAT.match(text) else None


def renamed(text: str) -> BadRequestError:
    """Return a refusal of the chat call with the field's name in the caller's request."""
    names = {field: parameter for parameter, field in FIELDS.items() if parameter != "max_completion_tokens"}
    field, _, message = text.partition(" ")
    name = names.get(field, field)
    return refused(name, f"{name} {message}")


def refused(param: str, text: str, code: str = "invalid_value") -> BadRequestError:
    """Return a refusal of one field of a caller's request."""
    return BadRequestError(text, param=param, code=code)


def checked(shape: type[T], body: object, schema: Schema) -> T:
    """Return a body that fits the schema, as ``shape``. Raises BadRequestError with the invalid ``param``."""
    try:
        return check_as(shape, body, schema)
    except SchemaError as fault:
        text = str(fault)
        field = text.split(" ", 1)[0]
        names = {field.name for field in schema.fields}
        param = field if re.split(r"[.\[]", field)[0] in names else None
        raise BadRequestError(text, param=param, code="invalid_value") from None


def _check_model(body: Body, slug: str) -> None:
    model = body.get("model")
    if model not in (None, slug):
        text = f'The model {quoted(model)} is not served here: this endpoint\'s is "{slug}"'
        raise NotFoundError(text, param="model", code="model_not_found")


def _set_options(body: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in body.items()
        if name not in HANDLED_FIELDS | IGNORED and _has_effect(name, value)
    }


def _has_effect(name: str, value: object) -> bool:
    return value is not None and not any(
        value == neutral and isinstance(value, bool) == isinstance(neutral, bool)
        for neutral in NEUTRAL.get(name, ())
    )


def _request(
    options: Mapping[str, object], body: Body, chat: dict[str, object], supported: frozenset[str]
) -> OpenAIRequest:
    """Return the request with ``options`` of its ``body``, whose messages or prompt ``chat`` has."""
    for name, value in _set_options(options).items():
        field = FIELDS.get(name)
        if field is None:
            raise refused(name, f"{quoted(name)} is not a setting of this endpoint", "unsupported_parameter")
        if name == "tool_choice" and value == "none":
            chat.pop("tools", None)
            continue
        if field not in supported:
            raise refused(
                name, f"This endpoint does not support {name}: leave it out", "unsupported_parameter"
            )
        if field != "tools" or options.get("tool_choice") != "none":
            chat[field] = value
    if isinstance(top_p := chat.get("topP"), int | float):
        chat["topP"] = max(LEAST_TOP_P, top_p)
    try:
        call = check_as(ChatCall, {**chat, **ANY_TARGET}, ASK)
    except SchemaError as fault:
        raise renamed(str(fault)) from None
    del call["baseModel"]
    stream_options = body.get("stream_options") or {}
    return OpenAIRequest(
        call, body.get("n") or 1, body.get("stream") is True, stream_options.get("include_usage") is True,
        ignored=tuple(sorted(name for name in IGNORED & options.keys() if _has_effect(name, options[name]))),
    )  # fmt: skip


def _message(message: object, param: str) -> OpenAIMessage:
    """Return an OpenAI message in the contract's format: parts joined, the role developer as system."""
    if not isinstance(message, dict):
        raise refused(param, f"{param} must be a JSON object, not {quoted(message)}")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in ROLES:
        raise refused(
            f"{param}.role",
            f"{param}.role must be system, developer, user, assistant or tool, not {quoted(role)}",
        )
    converted: OpenAIMessage = {"role": ROLES[role], "content": ""}
    calls = message.get("tool_calls")
    if calls is not None:
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            raise refused(f"{param}.tool_calls", f"{param}.tool_calls must be a list of JSON objects")
        converted["tool_calls"] = calls
    if isinstance(message.get("tool_call_id"), str):
        converted["tool_call_id"] = message["tool_call_id"]
    for name in (THOUGHTS, "reasoning"):
        thoughts = message.get(name)
        if not isinstance(thoughts, str | None):
            raise refused(f"{param}.{name}", f"{param}.{name} must be text, not {quoted(thoughts)}")
        if thoughts and role == "assistant":
            converted["reasoning_content"] = thoughts
    if content is None and not calls:
        raise refused(f"{param}.content", f"{param}.content is missing: it must be text")
    if content is not None:
        converted["content"] = _text(content, f"{param}.content")
    return converted


def _text(content: object, param: str) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else None
    if parts is None:
        raise refused(param, f"{param} must be text, or a list of parts of text, not {quoted(content)}")
    texts = []
    for number, part in enumerate(parts):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else part
            raise refused(
                f"{param}[{number}]",
                f"{param}[{number}] must be a part of text; {quoted(kind)} cannot be read",
            )
        texts.append(part["text"])
    return "".join(texts)
