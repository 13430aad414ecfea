"""Converts requests of OpenAI's Responses API to the contract's chat call, and answers to its form.

A request becomes one of chat/completions first, so that both have the same limits and refusals; a refusal has
the caller's own name of the field. Nothing is stored: a conversation is sent whole each time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import FILLED, FLAG, Rule, integer, quoted
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.local.inference.messages import Done, Text
from arkor_dev.local.jobs.records import compact

from .answers import Event, prompt_tokens, thinking_tokens
from .openai import IGNORED, MESSAGES, TOKENS, OpenAIRequest, checked, read_chat, refused
from .thought_text import SplitStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arkor_dev.local.modeling.tool_calls import CalledFunction, ToolCall

    from .answers import AnswerChoice
    from .anthropic import ConvertedMessage
    from .openai_shapes import FunctionTool

RESPONSES: Final = "responses"
EFFORT: Final = "reasoning_effort"
VERBOSITY: Final = "verbosity"
MAX_OUTPUT_TOKENS: Final = 4096
"""Default limit of an answer. OpenAI's has none, so agents do not set it; Codex takes a truncated one for a
failure.
"""
SAME: Final = frozenset(
    {"model", "temperature", "top_p", "stream", "seed", "top_k", "parallel_tool_calls", *IGNORED}
) - {EFFORT, VERBOSITY, "prediction"}
"""Options with the name that they have in a request of chat/completions."""
HANDLED: Final = frozenset(
    {*SAME, "input", "instructions", "max_output_tokens", "tools", "tool_choice", "text", "reasoning"}
)
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    "truncation": ("disabled",),
    "background": (False,),
    "include": ([], ["reasoning.encrypted_content"]),
    "top_logprobs": (0,),
}
"""Values with which an option has no effect: there is no encrypted reasoning to include."""
UNUSED: Final = frozenset({"client_metadata", "max_tool_calls", "stream_options"})
"""Options without effect here, beside those of chat/completions: Codex's own, the limit on OpenAI's built-in
tools, and the padding of streams.
"""
NAMES: Final = {
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    EFFORT: "reasoning",
    VERBOSITY: "text",
}
"""Fields of chat/completions, and of this call."""
ROLES: Final = ("system", "developer", "user", "assistant")

BODY: Final = Schema(
    Field("model", FILLED, null=True),
    Field("input", Rule("other"), needed=True),
    Field("stream", FLAG, null=True),
    Field("max_output_tokens", integer(1, TOKENS), null=True),
    Field("temperature", Rule("number", 0, 2), null=True),
    Field("top_p", Rule("number", 0, 1), null=True),
    Field("tools", Rule("list", 0, 1000), null=True),
    Field("text", Rule("object"), null=True),
    Field("reasoning", Rule("object"), null=True),
)


class TextOptions(TypedDict, total=False):
    """How the text is to be; a ``format`` of a JSON schema is converted, others are checked later."""

    format: object
    verbosity: object


class ReasoningOptions(TypedDict, total=False):
    """How much to think."""

    effort: object


class ResponsesBody(TypedDict):
    """A body that fits ``BODY``; null is the default."""

    input: object
    model: NotRequired[str | None]
    stream: NotRequired[bool | None]
    max_output_tokens: NotRequired[int | None]
    temperature: NotRequired[float | None]
    top_p: NotRequired[float | None]
    tools: NotRequired[list[object] | None]
    text: NotRequired[TextOptions | None]
    reasoning: NotRequired[ReasoningOptions | None]
    instructions: NotRequired[object]
    tool_choice: NotRequired[object]
    parallel_tool_calls: NotRequired[object]


class TextPart(TypedDict):
    """Text of an answer; the lists are empty."""

    type: Literal["output_text"]
    text: str
    annotations: list[object]
    logprobs: list[object]


class ThoughtPart(TypedDict):
    """Text of thoughts."""

    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(TypedDict):
    """The thoughts of an answer; there is no summary."""

    type: Literal["reasoning"]
    id: str
    summary: list[object]
    status: str
    content: list[ThoughtPart]


class MessageItem(TypedDict):
    """The text of an answer."""

    type: Literal["message"]
    id: str
    role: Literal["assistant"]
    status: str
    content: list[TextPart]


class FunctionCallItem(TypedDict):
    """A call of a function, and the namespace of that if it has one."""

    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    namespace: NotRequired[str]
    arguments: str
    status: str


Item = ReasoningItem | MessageItem | FunctionCallItem
"""An item of an answer's output."""


def read_response(body: object, slug: str, supported: frozenset[str]) -> OpenAIRequest:
    """Parse a body of ``responses``; see `read_chat` for the arguments and what it raises."""
    asked = checked(ResponsesBody, body, BODY)
    given: Mapping[str, object] = asked
    for name, value in given.items():
        if name not in HANDLED | UNUSED and value is not None and value not in NEUTRAL.get(name, ()):
            text = f"{quoted(name)} is not a setting of this endpoint"
            if name == "previous_response_id":
                text = "previous_response_id: nothing is stored here; send the whole conversation as input"
            raise refused(name, text, "unsupported_parameter")
    converted: dict[str, object] = {name: given[name] for name in SAME & given.keys()}
    instructions = asked.get("instructions")
    messages: list[ConvertedMessage] = []
    if instructions is not None:
        messages.append({"role": "system", "content": _text(instructions, "instructions")})
    converted["messages"] = messages + _messages(asked["input"])
    namespaces: dict[str, str] = {}
    limit = asked.get("max_output_tokens")
    converted["max_tokens"] = MAX_OUTPUT_TOKENS if limit is None else limit
    if tools := asked.get("tools"):
        converted["tools"], namespaces = _tools(tools)
    choice = asked.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function":
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    converted["tool_choice"] = choice
    text_format = (asked.get("text") or {}).get("format")
    if isinstance(text_format, dict) and text_format.get("type") == "json_schema":
        inner = {name: value for name, value in text_format.items() if name != "type"}
        text_format = {"type": "json_schema", "json_schema": inner}
    converted["response_format"] = text_format
    if (effort := (asked.get("reasoning") or {}).get("effort")) is not None:
        converted[EFFORT] = effort
    if (verbosity := (asked.get("text") or {}).get("verbosity")) is not None:
        converted[VERBOSITY] = verbosity
    request = read_chat(converted, slug, supported)
    unused = sorted(name for name in UNUSED & given.keys() if given[name])
    request = replace(request, ignored=(*unused, *(NAMES.get(name, name) for name in request.ignored)))
    repeated = {
        "instructions": instructions,
        "max_output_tokens": asked.get("max_output_tokens"),
        "temperature": asked.get("temperature"),
        "top_p": asked.get("top_p"),
        "tools": asked.get("tools") or [],
        "tool_choice": asked.get("tool_choice") or "auto",
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "text": asked.get("text") or {"format": {"type": "text"}},
    }
    return replace(request, repeated=repeated, namespaces=namespaces)


def in_callers_names(fault: BadRequestError) -> BadRequestError:
    """Return a refusal of chat/completions with this call's name of the field."""
    param = fault.extra.get("param")
    root = param.partition("[")[0].partition(".")[0] if isinstance(param, str) else None
    if root not in NAMES:
        return fault
    name, extra = NAMES[root], {key: value for key, value in fault.extra.items() if key != "param"}
    text = fault.text.replace(root, name, 1) if fault.text.startswith(root) else fault.text
    return BadRequestError(text, **extra, param=name)


def _messages(given: object) -> list[ConvertedMessage]:
    if isinstance(given, str) and given:
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not 1 <= len(given) <= MESSAGES:
        raise refused("input", f"input must be text, or a list of 1 to {MESSAGES:,} items")
    messages: list[ConvertedMessage] = []
    thoughts = ""
    for at, item in enumerate(given):
        where = f"input[{at}]"
        match item:
            case {"role": str(role), "content": content} if item.get("type", "message") == "message":
                if role not in ROLES:
                    raise refused(f"{where}.role", f"{where}.role must be one of {', '.join(ROLES)}")
                messages.append({"role": role, "content": _text(content, f"{where}.content")})
                if thoughts and role == "assistant":
                    messages[-1]["reasoning_content"] = thoughts
                thoughts = ""
            case {"type": "function_call", "call_id": str(call), "name": str(name), "arguments": str(text)}:
                if not messages or messages[-1]["role"] != "assistant" or thoughts:
                    messages.append({"role": "assistant", "content": ""})
                if thoughts:
                    messages[-1]["reasoning_content"], thoughts = thoughts, ""
                function: CalledFunction = {"name": name, "arguments": text}
                calls = messages[-1].setdefault("tool_calls", [])
                calls.append({"id": call, "type": "function", "function": function})
            case {"type": "function_call_output", "call_id": str(call), "output": output}:
                content = _text(output, f"{where}.output")
                messages.append({"role": "tool", "tool_call_id": call, "content": content})
            case {"type": "reasoning"}:
                # Without its content it is a summary, or encrypted by the service that wrote it.
                parts = item.get("content") or []
                thoughts = _text(parts, f"{where}.content")
            case _:
                kind = item.get("type") if isinstance(item, dict) else item
                raise refused(
                    where, f"{where} cannot be read: {quoted(kind)} is not an item of text or a call"
                )
    return messages


def _text(content: object, param: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise refused(param, f"{param} must be text, or a list of parts of text, not {quoted(content)}")
    texts = []
    for at, part in enumerate(content):
        match part:
            case {"type": "input_text" | "output_text" | "reasoning_text" | "text", "text": str(text)}:
                texts.append(text)
            case _:
                raise refused(f"{param}[{at}]", f"{param}[{at}] must be a part of text")
    return "".join(texts)


def _tools(tools: list[object]) -> tuple[list[FunctionTool], dict[str, str]]:
    """Return the functions among the caller's tools, and the namespace of each that has one, by its name.

    Codex groups functions in namespaces. A model sees only the functions' names, which must differ.
    """
    functions: list[FunctionTool] = []
    namespaces: dict[str, str] = {}
    for at, tool in enumerate(tools):
        where = f"tools[{at}]"
        match tool:
            case {"type": "namespace", "name": str(namespace), "tools": list(grouped)}:
                inner = [_tool(entry, f"{where}.tools[{number}]") for number, entry in enumerate(grouped)]
                namespaces |= dict.fromkeys(map(_name, inner), namespace)
            case _:
                inner = [_tool(tool, where)]
        functions += inner
    names = list(map(_name, functions))
    if namespaces and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise refused("tools", f"tools has two functions named {quoted(twice)}, in different namespaces")
    return functions, namespaces


def _name(tool: FunctionTool) -> str:
    return str(tool["function"]["name"])


def _tool(tool: object, param: str) -> FunctionTool:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        kind = tool.get("type") if isinstance(tool, dict) else tool
        raise refused(
            param, f"{param} must be a function of the caller's; {quoted(kind)} cannot be used here"
        )
    if not isinstance(tool.get("name"), str):
        raise refused(f"{param}.name", f"{param}.name must be text, not {quoted(tool.get('name'))}")
    function = {name: value for name, value in tool.items() if name != "type" and value is not None}
    return {"type": "function", "function": function}


class ResponsesFormat:
    """Format of one request's answer; ``request`` has settings that the answer repeats, and namespaces."""

    def __init__(self, model: str, request: OpenAIRequest) -> None:
        self._envelope: dict[str, object] = {
            "id": f"resp_{secrets.token_hex(12)}",
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            "error": None,
            "metadata": {},
            "previous_response_id": None,
            "store": False,
            "truncation": "disabled",
            **request.repeated,
        }
        self._namespaces = request.namespaces
        self._message = f"msg_{secrets.token_hex(12)}"
        self._thoughts = f"rs_{secrets.token_hex(12)}"
        self._stream = SplitStream()
        self._reasoning = self._text = ""
        self._number = -1
        self._calls: list[FunctionCallItem] = []

    def complete(self, choices: list[AnswerChoice]) -> dict[str, object]:
        """Return the answer to a request without a stream."""
        (choice,) = choices
        calls = list(map(self._call, choice.calls))
        return self._whole(choice, self._output(choice, calls))

    def _output(self, choice: AnswerChoice, calls: Sequence[FunctionCallItem]) -> list[Item]:
        thoughts = [self._thought_item("completed", reasoning)] if (reasoning := choice.reasoning) else []
        is_silent = not choice.answer and (calls or thoughts)
        message = [] if is_silent else [self._item("completed", [_part(choice.answer)])]
        return [*thoughts, *message, *calls]

    def _thought_item(self, status: str, text: str = "") -> ReasoningItem:
        content = [_thought(text)] if text else []
        return {
            "type": "reasoning", "id": self._thoughts, "summary": [], "status": status, "content": content,
        }  # fmt: skip

    def _item(self, status: str, content: list[TextPart]) -> MessageItem:
        return {
            "type": "message", "id": self._message, "role": "assistant", "status": status, "content": content,
        }  # fmt: skip

    def _whole(self, choice: AnswerChoice, output: list[Item]) -> dict[str, object]:
        is_cut = choice.done is not None and choice.done.reason == "length"
        written = choice.done.completion_tokens if choice.done else 0
        prompt = prompt_tokens([choice], 1)
        return {
            **self._envelope,
            "status": "incomplete" if is_cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "output": output,
            "usage": {
                "input_tokens": prompt,
                "input_tokens_details": {
                    "cached_tokens": prompt_tokens([choice], 1, cached=True),
                    "cache_write_tokens": 0,
                },
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": thinking_tokens([choice])},
                "total_tokens": prompt + written,
            },
        }

    def starting(self, number: int) -> Iterator[Event]:
        """Yield the events before the first text."""
        assert number == 0
        begun = {
            **self._envelope,
            "status": "in_progress",
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }
        yield self._event("response.created", response=begun)
        yield self._event("response.in_progress", response=begun)

    def events(self, number: int, message: Text | Done) -> Iterator[Event]:
        """Yield the events of one message of the engine, including the final one."""
        assert number == 0
        done = message if isinstance(message, Done) else None
        thoughts, text = self._stream.push(message) if isinstance(message, Text) else (self._stream.end(), "")
        self._calls = list(map(self._call, done.tool_calls if done else ()))
        yield from self._think(thoughts, ended=bool(text) or done is not None)
        yield from self._speak(text, done)
        if done is None:
            return
        for index, call in enumerate(self._calls, start=bool(self._reasoning) + bool(self._text)):
            opened = {**call, "arguments": "", "status": "in_progress"}
            yield self._event("response.output_item.added", output_index=index, item=opened)
            arguments = call["arguments"]
            yield self._event(
                "response.function_call_arguments.delta",
                item_id=call["id"],
                output_index=index,
                delta=arguments,
            )
            yield self._event(
                "response.function_call_arguments.done",
                item_id=call["id"],
                output_index=index,
                name=call["name"],
                arguments=arguments,
            )
            yield self._event("response.output_item.done", output_index=index, item=call)

    def _think(self, thoughts: str, *, ended: bool) -> Iterator[Event]:
        """Yield the events of a piece of the thoughts, and those of their end before the first text."""
        place = {"item_id": self._thoughts, "output_index": 0, "content_index": 0}
        if thoughts:
            if not self._reasoning:
                item = self._thought_item("in_progress")
                yield self._event("response.output_item.added", output_index=0, item=item)
                yield self._event("response.content_part.added", **place, part=_thought(""))
            self._reasoning += thoughts
            yield self._event("response.reasoning_text.delta", **place, delta=thoughts)
        if ended and self._reasoning and not self._text:
            yield self._event("response.reasoning_text.done", **place, text=self._reasoning)
            yield self._event("response.content_part.done", **place, part=_thought(self._reasoning))
            item = self._thought_item("completed", self._reasoning)
            yield self._event("response.output_item.done", output_index=0, item=item)

    def _speak(self, text: str, done: Done | None) -> Iterator[Event]:
        """Yield the events of a piece of the text, and of its end; only an empty answer has an empty text."""
        index = int(bool(self._reasoning))
        place = {"item_id": self._message, "output_index": index, "content_index": 0}
        is_empty = done is not None and not (self._text or self._calls or self._reasoning)
        if (text and not self._text) or is_empty:
            item = self._item("in_progress", [])
            yield self._event("response.output_item.added", output_index=index, item=item)
            yield self._event("response.content_part.added", **place, part=_part(""))
        self._text += text
        if text:
            yield self._event("response.output_text.delta", **place, delta=text, logprobs=[])
        if done is not None and (self._text or is_empty):
            yield self._event("response.output_text.done", **place, text=self._text, logprobs=[])
            yield self._event("response.content_part.done", **place, part=_part(self._text))
            item = self._item("completed", [_part(self._text)])
            yield self._event("response.output_item.done", output_index=index, item=item)

    def ending(self, choices: list[AnswerChoice], *, usage: bool) -> Iterator[Event]:
        """Yield the event after the answer, which has all of it."""
        (choice,) = choices
        whole = self._whole(choice, self._output(choice, self._calls))
        yield self._event(f"response.{whole['status']}", response=whole)

    def fault(self, status: int, text: str, code: object) -> Iterator[Event]:
        """Yield the events of an error within a stream: OpenAI's clients read the first, Codex the second."""
        yield self._event("error", code=code, message=text, param=None)
        failed = {
            **self._envelope,
            "status": "failed",
            "error": {"code": "server_error", "message": text},
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }
        yield self._event("response.failed", response=failed)

    def _call(self, call: ToolCall) -> FunctionCallItem:
        name = call["function"]["name"]
        item: FunctionCallItem = {
            "type": "function_call",
            "id": f"fc_{secrets.token_hex(12)}",
            "call_id": call["id"],
            "name": name,
            "arguments": call["function"]["arguments"],
            "status": "completed",
        }
        if name in self._namespaces:
            item["namespace"] = self._namespaces[name]
        return item

    def _event(self, kind: str, **fields: object) -> Event:
        self._number += 1
        return kind, compact({"type": kind, "sequence_number": self._number, **fields})


def _part(text: str) -> TextPart:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _thought(text: str) -> ThoughtPart:
    return {"type": "reasoning_text", "text": text}
