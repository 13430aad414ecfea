"""Converts Anthropic's Messages requests to the contract's chat call, and answers to Anthropic's form.

A request becomes one of OpenAI's first, so that both have the same limits and refusals. Every refusal names
the caller's own field. Pictures and server tools are refused; caching hints are ignored. Thoughts are sent
as blocks of their own. Claude Code sends its reminders as messages of the role system between the others;
they keep their place.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

from arkor_dev.contract.deployments import messages_error_body
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import FILLED, FLAG, Rule, integer, quoted, text_line
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.local.inference.messages import Done, Text
from arkor_dev.local.jobs.records import compact

from .openai import MESSAGES, TOKENS, OpenAIRequest, checked, read_chat, refused
from .thought_text import SplitStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arkor_dev.local.modeling.tool_calls import CalledFunction, ToolCall

    from .answers import AnswerChoice, Event
    from .openai_shapes import FunctionTool

MESSAGES_CALL: Final = "messages"
REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
SAME: Final = (
    "model",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stream",
    "metadata",
    "service_tier",
    "seed",
)
"""Options with the name that they have in OpenAI's request, or in vLLM's."""
OWN_NAMES: Final = {"reasoning_effort": "output_config"}
"""Fields of chat/completions, and of this call."""
LONGEST_STOP: Final = 200
HANDLED: Final = frozenset(
    {*SAME, "system", "messages", "stop_sequences", "tools", "tool_choice", "thinking", "output_config"}
)
EDITS: Final = "context_management"
"""Asks to drop old parts of the conversation. Nothing is dropped but thoughts, and the answer says so."""
UNUSED: Final = (EDITS, "cache_control", "speed")
"""Options that have no effect here, beside those of chat/completions."""
UNSUPPORTED: Final = "unsupported_parameter"
FREE: Final = ("auto", "none")
CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}

BODY: Final = Schema(
    Field("model", FILLED, needed=True),
    Field("max_tokens", integer(1, TOKENS), needed=True),
    Field("messages", Rule("list", 1, MESSAGES, noun=f"a list of 1 to {MESSAGES:,} messages"), needed=True),
    Field("stream", FLAG, null=True),
    Field("temperature", Rule("number", 0, 1), null=True),
    Field("top_p", Rule("number", 0, 1), null=True),
    Field("stop_sequences", Rule("list", 0, 16), null=True),
    Field("tools", Rule("list", 0, 1000), null=True),
    Field("tool_choice", Rule("object"), null=True),
    Field("thinking", Rule("object"), null=True),
    Field(EDITS, Rule("object"), null=True),
    Field(
        "output_config",
        Rule("object"),
        null=True,
        inner=Schema(Field("effort", text_line(20), null=True), Field("format", Rule("object"), null=True)),
    ),
)
_CONTEXT: Final = re.compile(r"maximum context length is (\d+) tokens, the conversation has (.+): shorten it")


class OutputConfig(TypedDict, total=False):
    """How the answer is to be: an effort, and a JSON schema."""

    effort: str | None
    format: dict[str, object] | None


class MessagesBody(TypedDict):
    """A body that fits ``BODY``; null is the default."""

    model: str
    max_tokens: int
    messages: list[object]
    system: NotRequired[object]
    stream: NotRequired[bool | None]
    temperature: NotRequired[float | None]
    top_p: NotRequired[float | None]
    stop_sequences: NotRequired[list[object] | None]
    tools: NotRequired[list[object] | None]
    tool_choice: NotRequired[dict[str, object] | None]
    thinking: NotRequired[dict[str, object] | None]
    context_management: NotRequired[dict[str, object] | None]
    output_config: NotRequired[OutputConfig | None]


class ConvertedMessage(TypedDict):
    """A message of chat/completions, which is checked there."""

    role: str
    content: str
    tool_call_id: NotRequired[str]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]


class TextBlock(TypedDict):
    """A block of text in an answer."""

    type: Literal["text"]
    text: str


class ThinkingBlock(TypedDict):
    """A block of thoughts; the signature is empty, since nothing is signed."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class ToolUseBlock(TypedDict):
    """A tool call."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, object]


Block = TextBlock | ThinkingBlock | ToolUseBlock


class AnthropicUsage(TypedDict):
    """Tokens of a request; those that were read again are not among the input's."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int


class Envelope(TypedDict):
    """What an answer has from its beginning."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str


class Ending(TypedDict):
    """Why an answer ended, null while it is generated."""

    stop_reason: str | None
    stop_sequence: str | None


class MessagesAnswer(Envelope, Ending):
    """An answer of ``/messages``."""

    content: list[Block]
    usage: AnthropicUsage


def read_messages(body: object, slug: str, supported: frozenset[str]) -> OpenAIRequest:
    """Parse a body of ``messages``; see `read_chat` for the arguments and what it raises."""
    asked = checked(MessagesBody, body, BODY)
    given: Mapping[str, object] = asked
    converted: dict[str, object] = {name: given[name] for name in SAME if name in given}
    system = asked.get("system")
    messages: list[ConvertedMessage] = []
    if system is not None:
        messages.append({"role": "system", "content": _text(system, "system")})
    for index, message in enumerate(asked["messages"]):
        messages += _messages(message, f"messages[{index}]")
    converted["messages"] = messages
    for at, text in enumerate(asked.get("stop_sequences") or ()):
        if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_STOP:
            where = f"stop_sequences[{at}]"
            raise refused(where, f"{where} must be text of 1 to {LONGEST_STOP} characters")
    if asked.get("stop_sequences"):
        converted["stop"] = asked["stop_sequences"]
    if tools := asked.get("tools"):
        converted["tools"] = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools)]
    converted |= _tool_choice(asked.get("tool_choice") or {})
    if thinking := asked.get("thinking"):
        converted |= _thinking(thinking, asked["max_tokens"], supported)
        if converted.get("thinking_token_budget") and converted.get("tool_choice", "auto") not in FREE:
            text = "thinking cannot be combined with a forced tool, whose calls have no thoughts: remove one"
            raise refused("thinking", text)
    converted |= _output(asked.get("output_config") or {})
    for name, value in asked.items():
        if name not in HANDLED and name not in UNUSED and value is not None:
            raise refused(name, f"{quoted(name)} is not a setting of this endpoint", UNSUPPORTED)
    request = read_chat(converted, slug, supported)
    ignored = [OWN_NAMES.get(name, name) for name in request.ignored]
    return replace(request, ignored=(*(name for name in UNUSED if given.get(name)), *ignored))


def _output(config: OutputConfig) -> dict[str, object]:
    """Return what OpenAI's request has for ``output_config``: a schema of the answer, and an effort."""
    converted: dict[str, object] = {}
    if config.get("effort") is not None:
        converted["reasoning_effort"] = config["effort"]
    if (wanted := config.get("format")) is not None:
        if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict):
            where = "output_config.format"
            raise refused(where, f"{where} must be of the type json_schema, with a schema")
        schema = {"name": "output", "schema": wanted["schema"], "strict": True}
        converted["response_format"] = {"type": "json_schema", "json_schema": schema}
    return converted


def in_anthropics_words(fault: BadRequestError) -> BadRequestError:
    """Return a refusal of chat/completions in the words of Anthropic's API.

    Claude Code looks for these words before it shortens the conversation, and reads both numbers.
    """
    match = _CONTEXT.search(fault.text)
    if match is None:
        return fault
    return BadRequestError(f"prompt is too long: {match[2]} tokens > {match[1]} maximum", **fault.extra)


def _thinking(thinking: Mapping[str, object], most: int, supported: frozenset[str]) -> dict[str, object]:
    """Return what OpenAI's request, and vLLM's, has for ``thinking`` in an answer of ``most`` tokens."""
    kind = thinking.get("type")
    if kind not in ("enabled", "adaptive", "disabled"):
        raise refused("thinking.type", "thinking.type must be enabled, adaptive or disabled")
    if not {"enableThinking", "thinkingBudget"} <= supported:
        if kind == "disabled":
            return {}
        raise refused("thinking", "This endpoint does not support thinking: leave it out", UNSUPPORTED)
    if kind == "disabled":
        return {"enable_thinking": False}
    budget = thinking.get("budget_tokens") if kind == "enabled" else most
    if type(budget) is not int or not 1 <= budget <= most:
        raise refused(
            "thinking.budget_tokens",
            f"thinking.budget_tokens must be a whole number from 1 to max_tokens, not {quoted(budget)}",
        )
    return {"enable_thinking": True, "thinking_token_budget": budget}


def _tool_choice(choice: Mapping[str, object]) -> dict[str, object]:
    converted: dict[str, object] = {}
    kind = choice.get("type", "auto")
    if kind == "tool" and isinstance(choice.get("name"), str):
        converted["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif isinstance(kind, str) and kind in CHOICES:
        converted["tool_choice"] = CHOICES[kind]
    else:
        raise refused("tool_choice", "tool_choice must be of the type auto, any, none, or tool with a name")
    if choice.get("disable_parallel_tool_use") is True:
        converted["parallel_tool_calls"] = False
    return converted


def _tool(tool: object, param: str) -> FunctionTool:
    if not isinstance(tool, dict) or tool.get("type") not in (None, "custom"):
        kind = tool.get("type") if isinstance(tool, dict) else tool
        raise refused(param, f"{param} must be a tool of the caller's; {quoted(kind)} cannot be used here")
    for name, kind in (("name", str), ("input_schema", dict)):
        if not isinstance(tool.get(name), kind):
            what = "text" if kind is str else "a JSON object"
            raise refused(f"{param}.{name}", f"{param}.{name} must be {what}, not {quoted(tool.get(name))}")
    function: dict[str, object] = {"name": tool["name"], "parameters": tool["input_schema"]}
    for name in ("description", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    return {"type": "function", "function": function}


def _messages(message: object, param: str) -> Iterator[ConvertedMessage]:
    """Yield a message as OpenAI's: each tool's result is a message of its own, before the text."""
    if not isinstance(message, dict):
        raise refused(param, f"{param} must be a JSON object, not {quoted(message)}")
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise refused(f"{param}.role", f"{param}.role must be user, assistant or system, not {quoted(role)}")
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    if not isinstance(content, list) or not content:
        raise refused(f"{param}.content", f"{param}.content must be text, or a list of blocks")
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for at, block in enumerate(content):
        where = f"{param}.content[{at}]"
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "tool_use", "id": str(identity), "name": str(name), "input": dict(arguments)} if (
                role == "assistant"
            ):
                function: CalledFunction = {
                    "name": name,
                    "arguments": json.dumps(arguments, ensure_ascii=False),
                }
                calls.append({"id": identity, "type": "function", "function": function})
            case {"type": "tool_result", "tool_use_id": str(identity)} if role == "user":
                result = block.get("content") or ""
                yield {"role": "tool", "tool_call_id": identity, "content": _text(result, f"{where}.content")}
            case {"type": "thinking", "thinking": str(text)} if role == "assistant":
                thoughts.append(text)
            case {"type": "redacted_thinking"} if role == "assistant":
                pass  # encrypted by the service that wrote it, so no model here can read it
            case _:
                kind = block.get("type") if isinstance(block, dict) else block
                raise refused(where, f"{where} cannot be read: {quoted(kind)} is not a block of this message")
    if texts or calls:
        converted: ConvertedMessage = {"role": role, "content": "\n\n".join(texts)}
        if thoughts:
            converted["reasoning_content"] = "\n\n".join(thoughts)
        if calls:
            converted["tool_calls"] = calls
        yield converted


def _text(content: object, param: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise refused(param, f"{param} must be text, or a list of blocks of text, not {quoted(content)}")
    texts = []
    for at, block in enumerate(content):
        if (
            not isinstance(block, dict)
            or block.get("type") != "text"
            or not isinstance(block.get("text"), str)
        ):
            raise refused(f"{param}[{at}]", f"{param}[{at}] must be a block of text")
        texts.append(block["text"])
    return "\n\n".join(texts)


class MessagesFormat:
    """Format of one request's answer; ``model`` is the name that the caller knows."""

    def __init__(self, model: str) -> None:
        self._envelope: Envelope = {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": model,
        }
        self._stream = SplitStream()
        self._blocks = 0
        self._open: str | None = None
        """The kind of the block that is being sent."""

    def complete(self, choices: list[AnswerChoice]) -> MessagesAnswer:
        """Return the answer to a request without a stream."""
        (choice,) = choices
        content: list[Block] = []
        text = choice.answer
        if reasoning := choice.reasoning:
            content.append({"type": "thinking", "thinking": reasoning, "signature": ""})
        if text or not (choice.calls or content):
            content.append({"type": "text", "text": text})
        content += [_tool_use(call, _arguments(call)) for call in choice.calls]
        return {
            **self._envelope,
            "content": content,
            **_ending(choice.done.reason if choice.done else None),
            "usage": _usage(choice.done),
        }

    def starting(self, number: int) -> Iterator[Event]:
        """Yield the event before the first text; the tokens of the prompt follow at the end."""
        assert number == 0
        message: MessagesAnswer = {**self._envelope, "content": [], **_ending(None), "usage": _usage(None)}
        yield _event("message_start", message=message)

    def events(self, number: int, message: Text | Done) -> Iterator[Event]:
        """Yield the events of one message of the engine, including the final one."""
        assert number == 0
        thoughts, text = self._stream.push(message) if isinstance(message, Text) else (self._stream.end(), "")
        if thoughts:
            if self._open is None:
                yield from self._begin({"type": "thinking", "thinking": "", "signature": ""})
            yield self._delta({"type": "thinking_delta", "thinking": thoughts})
        if text:
            if self._open != "text":
                yield from self._end()
                yield from self._begin({"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": text})
        if isinstance(message, Text):
            return
        if not message.tool_calls and not self._blocks:
            yield from self._begin({"type": "text", "text": ""})
        yield from self._end()
        for call in message.tool_calls:
            yield from self._begin(_tool_use(call, {}))
            yield self._delta({"type": "input_json_delta", "partial_json": compact(_arguments(call))})
            yield from self._end()
        yield _event("message_delta", delta=_ending(message.reason), usage=_usage(message))

    def _begin(self, block: Block) -> Iterator[Event]:
        yield _event("content_block_start", index=self._blocks, content_block=block)
        self._blocks += 1
        self._open = block["type"]

    def _delta(self, delta: Mapping[str, object]) -> Event:
        return _event("content_block_delta", index=self._blocks - 1, delta=delta)

    def _end(self) -> Iterator[Event]:
        if self._open:
            yield _event("content_block_stop", index=self._blocks - 1)
            self._open = None

    def ending(self, choices: list[AnswerChoice], *, usage: bool) -> Iterator[Event]:
        """Yield the event after the answer, with which the usage has been sent."""
        yield _event("message_stop")

    @staticmethod
    def fault(status: int, text: str, code: object) -> Iterator[Event]:
        """Yield the event of an error within a stream."""
        yield "error", compact(messages_error_body(status, text))


def _event(kind: str, **fields: object) -> Event:
    return kind, compact({"type": kind, **fields})


def _tool_use(call: ToolCall, arguments: dict[str, object]) -> ToolUseBlock:
    return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": arguments}


def _arguments(call: ToolCall) -> dict[str, object]:
    """Return the arguments of a tool call; invalid JSON as ``text``."""
    text = call["function"]["arguments"]
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        arguments = None
    return arguments if isinstance(arguments, dict) else {"text": text}


def _ending(reason: str | None) -> Ending:
    return {"stop_reason": None if reason is None else REASONS.get(reason, "end_turn"), "stop_sequence": None}


def _usage(done: Done | None) -> AnthropicUsage:
    return {
        "input_tokens": max(0, done.prompt_tokens - done.cached_tokens) if done else 0,
        "output_tokens": done.completion_tokens if done else 0,
        "cache_read_input_tokens": done.cached_tokens if done else 0,
        "cache_creation_input_tokens": 0,
    }
