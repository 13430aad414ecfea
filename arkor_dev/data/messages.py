"""The messages of a conversation, checked and normalised for chat templates.

Data sets differ: a table stores lists as JSON text, its files fill absent keys with null, and arguments of a
tool call are JSON text with one vendor and an object with another.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, overload

from .rows import Role, RowError, RowMessage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.json_types import Json, JsonObject

ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "function_call": "assistant",
}
"""Role names in data sets, mapped to those of chat templates."""
DEPTH: Final = 60
"""Deepest nesting of tools and tool calls: templates process them recursively."""


SPELLINGS: Final = (("role", "content"), ("from", "value"))
"""The keys of a message: those of OpenAI, and those of ShareGPT."""


def is_message(value: object) -> bool:
    """Return whether ``value`` is an object whose role and content are texts."""
    texts = [value.get("role"), value.get("content")] if isinstance(value, dict) else [None]
    return all(isinstance(text, str) for text in texts)


def conversation(messages: object, role_key: str = "role", content_key: str = "content") -> list[RowMessage]:
    """Return messages with ``role`` and ``content``, read from the keys ``role_key`` and ``content_key``.

    Raises RowError with the first error, and if there is no answer.
    """
    messages = from_text(messages)
    if not isinstance(messages, list) or not messages:
        raise RowError("messages must be a list with at least one user and one assistant message")
    checked = [_message(message, index, role_key, content_key) for index, message in enumerate(messages, 1)]
    if not any(
        message["role"] == "assistant" and (message["content"].strip() or message.get("tool_calls"))
        for message in checked
    ):
        blank = any(message["role"] == "assistant" for message in checked)
        raise RowError(
            "has no assistant message with text, so there is nothing to learn",
            "blank" if blank else "content",
        )
    return checked


def tools_of(row: Mapping[str, object]) -> list[JsonObject]:
    """Return the tools of a row. Raises RowError unless they are a list of objects."""
    tools = from_text(row.get("tools"))
    if tools is None or tools == "":
        return []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise RowError("tools must be a list of objects, one per function")
    return [_without_nulls(tool) for tool in tools]


def turn(question: str, answer: str) -> list[RowMessage]:
    """Return a question and its answer as messages."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


@overload
def from_text(value: Json) -> Json: ...


@overload
def from_text(value: object) -> object: ...


def from_text(value: object) -> object:
    """Return ``value``, parsed if it is JSON text of a list or an object, as in a table's cell."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def checked_text(text: str, label: str) -> str:
    """Return ``text``. Raises RowError for a lone surrogate, which tokenizers refuse."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowError(f"{label} contains a lone surrogate (\\ud800 to \\udfff)") from None
    return text


def _message(message: object, index: int, role_key: str, content_key: str) -> RowMessage:
    if not isinstance(message, dict):
        raise RowError(f"message {index} must be an object with {role_key} and {content_key}")
    if role_key not in message:  # either spelling is understood, so that one list may have both
        role_key, content_key = next(
            (keys for keys in SPELLINGS if keys[0] in message), (role_key, content_key)
        )
    spoken, value = message.get(role_key), message.get(content_key)
    role = ROLES.get(spoken.lower()) if isinstance(spoken, str) else None
    if role is None:
        raise RowError(
            f"message {index} has the {role_key} {spoken!r}; expected system, user, assistant or tool",
            "content",
        )
    calls = from_text(message.get("tool_calls"))
    if spoken == "function_call" and isinstance(call := from_text(value), dict | list):
        calls, value = (call if isinstance(call, list) else [call]), None
    text = _text(value)
    if text is None and not (value is None and calls):
        raise RowError(f"message {index} has no text in {content_key}")
    extra = {
        key: part
        for key, part in message.items()
        if part is not None and key not in (role_key, content_key, "role", "content", "tool_calls")
    }
    checked: Any = {"role": role, "content": checked_text(text or "", f"message {index}"), **extra}
    if calls:
        checked["tool_calls"] = _calls(calls, index)
    said: RowMessage = checked  # role and content are texts; other keys are the row's own
    return said


def _text(value: object) -> str | None:
    """Return the text of a content, which may be a list of parts; None if any part is not text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in value
    ):
        return "".join(part["text"] for part in value)
    return None


def _calls(calls: object, index: int) -> list[JsonObject]:
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise RowError(f"message {index}: tool_calls must be a list of objects")
    return [_call(_without_nulls(call), index) for call in calls]


def _call(call: JsonObject, index: int) -> JsonObject:
    """Return a call as ``{type, function: {name, arguments}}``, the arguments as an object."""
    function = call.get("function", call)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RowError(f"message {index}: a tool call needs its function's name")
    function = {**function, "arguments": from_text(function.get("arguments", {}))}
    return {"type": "function", **call, "function": function} if "function" in call else {
        "type": "function", "function": function,
    }  # fmt: skip


def _without_nulls(record: JsonObject, depth: int = 0) -> JsonObject:
    """Return ``record`` without null keys: a Parquet file has every key of any row in all of them."""
    return {key: _cleaned(value, depth + 1) for key, value in record.items() if value is not None}


def _cleaned(value: Json, depth: int) -> Json:
    if depth > DEPTH:
        raise RowError("tools are nested too deeply")
    if isinstance(value, dict):
        return _without_nulls(value, depth)
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]
    return value
