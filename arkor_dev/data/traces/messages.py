"""Reads messages and tools in the spellings of all formats: the types of their parts tell them apart.

OpenAI's chat and Responses APIs, Anthropic's Messages, OpenTelemetry's parts and LangChain's messages name
the same things differently: a call is a ``tool_calls`` entry, a ``function_call`` item, a ``tool_use`` block
or a ``tool_call`` part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.data.messages import DEPTH, ROLES, from_text
from arkor_dev.data.rows import RowError

if TYPE_CHECKING:
    from arkor_dev.data.rows import Function, Role, RowMessage, RowToolCall

    from .conversation import Record

LANGCHAIN_ROLES: Final[dict[str, Role]] = {
    "ai": "assistant", "aimessage": "assistant", "aimessagechunk": "assistant", "humanmessage": "user",
    "systemmessage": "system", "toolmessage": "tool", "functionmessage": "tool",
}  # fmt: skip
SHOWN: Final = 60
"""Longest type or role in a reason, in characters."""
TEXTS: Final = ("text", "input_text", "output_text")
CALLS: Final = ("tool_use", "tool_call", "function_call", "function")
RESULTS: Final = ("tool_result", "tool_call_response", "function_call_output")
REASONING: Final = ("thinking", "reasoning")
ITEMS: Final = (*CALLS, *RESULTS, *REASONING)
"""Types of the Responses API's items that are not messages. (Tuples: a type may be anything, also a list.)"""


@dataclass(slots=True)
class _Parts:
    """The parts of one message, sorted."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[RowToolCall] = field(default_factory=list)
    results: list[RowMessage] = field(default_factory=list)

    def add(self, part: object, where: str) -> None:
        """Sort one part. Raises RowError for one that a row cannot hold."""
        if isinstance(part, str):
            self.texts.append(part)
            return
        if not isinstance(part, dict):
            raise RowError(f"{where} must be an object, not {type(part).__name__}")
        kind = part.get("type")
        if kind in TEXTS or (kind is None and isinstance(part.get("text"), str)):
            self.texts.append(_text(part, ("text", "content"), where))
        elif kind in CALLS:
            self.calls.append(_call(part, where))
        elif kind in RESULTS:
            self.results.append(_result(part, where))
        elif kind in REASONING:
            self.reasoning += _reasoning(part)
        elif kind == "refusal":
            raise RowError(f"{where} is a refusal")
        else:
            raise RowError(f"{where} is {_shown(kind)}, and rows are text")


def read_messages(value: object, where: str) -> list[RowMessage]:
    """Return messages, or items of the Responses API, as those of a row; a text is one of the user.

    ``where`` is their field, for reasons. Raises RowError with the first that cannot be read.
    """
    value = from_text(value)
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list):
        raise RowError(f"{where} must be a list of messages, not {type(value).__name__}")
    if not value:
        raise RowError(f"{where} is empty")
    messages: list[RowMessage] = []
    for index, item in enumerate(value):
        for message in read_message(item, f"{where}[{index}]"):
            if message["content"] or len(message) > 2 or not _is_item(item):  # not thoughts in secret
                _append(messages, message, is_item=_is_item(item))
    return messages


def read_message(value: object, where: str, role: str | None = None) -> list[RowMessage]:
    """Return one message as those of a row: each tool's result becomes one of its own, before the text.

    ``role`` is for a message that does not name its own. Raises RowError.
    """
    value = from_text(value)
    if not isinstance(value, dict):
        raise RowError(f"{where} must be an object, not {type(value).__name__}")
    if isinstance(value.get("kwargs"), dict) and "lc" in value:  # LangChain's serialised message
        names = value.get("id")
        spoken = names[-1] if isinstance(names, list) and names else None
        value = {"role": spoken, **value["kwargs"]}
    parts = _Parts()
    if _is_item(value):
        parts.add(value, where)
        return parts.results or _messages("assistant", parts, {})
    name = _role(value, where, role)
    content = (
        value.get("parts") if "parts" in value and value.get("content") is None else value.get("content")
    )
    content = from_text(content) if name != "tool" else content
    if isinstance(content, str):
        parts.add(content, f"{where}.content")
    elif isinstance(content, list):
        for index, part in enumerate(content):
            # A LangChain message repeats its calls as parts of the content.
            if not (value.get("tool_calls") and isinstance(part, dict) and part.get("type") in CALLS):
                parts.add(part, f"{where}.content[{index}]")
    elif content is not None and name == "tool":
        parts.add(_as_text(content), f"{where}.content")
    elif content is not None:
        raise RowError(f"{where}.content must be text, not {type(content).__name__}")
    if isinstance(value.get("refusal"), str) and value["refusal"]:
        raise RowError(f"{where} is a refusal")
    calls = from_text(value.get("tool_calls"))
    if calls and not parts.calls:
        if not isinstance(calls, list):
            raise RowError(f"{where}.tool_calls must be a list")
        parts.calls = [_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(calls)]
    if isinstance(call := from_text(value.get("function_call")), dict):  # OpenAI's form before tools
        parts.calls.append(_call(call, f"{where}.function_call"))
    for key in ("reasoning_content", "reasoning"):
        if isinstance(value.get(key), str) and value[key]:
            parts.reasoning.append(value[key])
            break
    return _messages(name, parts, value)


def read_answer(value: object, where: str) -> RowMessage:
    """Return an answer as the message of the assistant. Raises RowError if it is anything else."""
    if isinstance(value := from_text(value), str):
        return {"role": "assistant", "content": value}
    messages = read_message(value, where, "assistant")
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        raise RowError(f"{where} must be a message of the assistant")
    return messages[0]


def read_tools(value: object, where: str = "tools") -> list[Record]:
    """Return tools in OpenAI's form; of Anthropic's and the Responses API's, too. Raises RowError.

    Tools that the server itself runs (a web search) have no schema, and no row can teach their calls.
    """
    value = from_text(value)
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise RowError(f"{where} must be a list, not {type(value).__name__}")
    return [_tool(from_text(tool), f"{where}[{index}]") for index, tool in enumerate(value)]


def _tool(tool: object, where: str) -> Record:
    if not isinstance(tool, dict):
        raise RowError(f"{where} must be an object, not {type(tool).__name__}")
    inner = tool.get("function")
    function: Record = inner if isinstance(inner, dict) else tool
    kind, name = tool.get("type", "function"), function.get("name")
    if not isinstance(name, str) or kind not in (None, "function", "custom", "tool"):
        raise RowError(f"{where} is {_shown(kind)}: only functions can be learned")
    schemas = (function.get(key) for key in ("parameters", "input_schema", "args_schema"))
    schema = from_text(next((schema for schema in schemas if schema is not None), {}))
    told = function.get("description")
    described = {"description": told} if isinstance(told, str) else {}
    strict = {"strict": True} if function.get("strict") is True else {}
    return {"type": "function", "function": {"name": name, **described, "parameters": schema, **strict}}


def _is_item(value: object) -> bool:
    return isinstance(value, dict) and "role" not in value and value.get("type") in ITEMS


def _role(value: Record, where: str, default: str | None) -> Role:
    spoken = value.get("role", default)
    if spoken is None and value.get("type") != "message":
        spoken = value.get("type")
    known = spoken.lower() if isinstance(spoken, str) else ""
    role = ROLES.get(known) or LANGCHAIN_ROLES.get(known)
    if role is None:
        raise RowError(f"{where} has the role {_shown(spoken)}; expected system, user, assistant or tool")
    return role


def _messages(role: Role, parts: _Parts, value: Record) -> list[RowMessage]:
    messages = list(parts.results)
    text = "".join(parts.texts) if role == "assistant" else "\n\n".join(parts.texts)
    if parts.calls and role != "assistant":
        raise RowError(f"a message of the {role} has a tool call; only the assistant calls tools")
    if not (parts.texts or parts.calls or parts.reasoning) and messages:
        return messages
    message: RowMessage = {"role": role, "content": text}
    if parts.reasoning:
        message["reasoning_content"] = "\n\n".join(parts.reasoning)
    if parts.calls:
        message["tool_calls"] = parts.calls
    if role == "tool":
        if isinstance(identity := value.get("tool_call_id"), str):
            message["tool_call_id"] = identity
        if isinstance(name := value.get("name"), str):
            message["name"] = name
    return [*messages, message]


def _append(messages: list[RowMessage], message: RowMessage, *, is_item: bool) -> None:
    """Append a message; an item of the assistant joins its message before, as one turn has many items."""
    last = messages[-1] if messages else None
    if is_item and last is not None and last["role"] == message["role"] == "assistant":
        join(last, message)
    elif (
        last is not None
        and last["role"] == message["role"] == "assistant"
        and not last["content"]
        and not last.get("tool_calls")
    ):
        join(last, message)  # its reasoning came first
    else:
        messages.append(message)


def join(message: RowMessage, more: RowMessage) -> None:
    """Add what the assistant said next to its message, in place."""
    message["content"] += more["content"]
    if more.get("reasoning_content"):
        parts = (message.get("reasoning_content"), more["reasoning_content"])
        message["reasoning_content"] = "\n\n".join(part for part in parts if part)
    if more.get("tool_calls"):
        message["tool_calls"] = [*message.get("tool_calls", []), *more["tool_calls"]]


def _call(call: object, where: str) -> RowToolCall:
    """Return a call in OpenAI's form, its arguments as an object if they are one."""
    call = from_text(call)
    if not isinstance(call, dict):
        raise RowError(f"{where} must be an object, not {type(call).__name__}")
    inner = call.get("function")
    function: Record = inner if isinstance(inner, dict) else call
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise RowError(f"{where} has no name of a function")
    given = (function.get(key) for key in ("arguments", "input", "args"))
    arguments = from_text(next((value for value in given if value is not None), {}))
    called: Function = {"name": name, "arguments": {} if arguments == "" else arguments}
    identity = call.get("call_id") or call.get("id")
    if isinstance(identity, str):
        return {"type": "function", "id": identity, "function": called}
    return {"type": "function", "function": called}


def _result(part: Record, where: str) -> RowMessage:
    given = (part.get(key) for key in ("content", "output", "response", "result"))
    value = next((value for value in given if value is not None), "")
    if isinstance(value, list) and all(isinstance(block, dict) and "type" in block for block in value):
        blocks = _Parts()
        for index, block in enumerate(value):
            blocks.add(block, f"{where}.content[{index}]")
        if blocks.calls or blocks.results:
            raise RowError(f"{where} has a call or a result inside a result")
        value = "\n\n".join(blocks.texts)
    identities = (part.get(key) for key in ("tool_use_id", "call_id", "id"))
    identity = next((identity for identity in identities if isinstance(identity, str)), None)
    message: RowMessage = {"role": "tool", "content": value if isinstance(value, str) else _as_text(value)}
    if identity is not None:
        message["tool_call_id"] = identity
    return message


def _as_text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise RowError(f"a tool's result is nested more than {DEPTH} deep") from None


def _reasoning(part: Record) -> list[str]:
    """Return the texts of a model's thoughts; none if they are encrypted."""
    lists = (part.get(key) for key in ("summary", "content"))
    listed = [block for blocks in lists if isinstance(blocks, list) for block in blocks]
    texts = [block.get("text") for block in listed if isinstance(block, dict)]
    texts += [part.get(key) for key in ("thinking", "content", "text", "reasoning")]
    return [text for text in texts if isinstance(text, str) and text]


def _text(part: Record, keys: tuple[str, ...], where: str) -> str:
    for key in keys:
        if isinstance(text := part.get(key), str):
            return text
    raise RowError(f"{where} has no text")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else type(value).__name__
    return f'"{text if len(text) <= SHOWN else f"{text[:SHOWN]}…"}"'
