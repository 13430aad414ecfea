"""Parses tool calls in a model's text, in the formats that models are trained to use.

Qwen, SmolLM and Hermes write ``<tool_call>{"name", "arguments"}</tool_call>`` for each call; Mistral writes a
list of such objects after ``[TOOL_CALLS]``; Llama writes one bare object with ``parameters``. Other text
stays text, even if it was held back.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from arkor_dev.local.workers.errors import JobFailure

from .chat_template import render

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .interfaces import Tokenizer

MARK: Final = "<tool_call>"
END: Final = "</tool_call>"
LIST_MARK: Final = "[TOOL_CALLS]"
MARKS: Final = (MARK, LIST_MARK, "<|python_tag|>")
DIGITS: Final = 12


class CalledFunction(TypedDict):
    """``arguments`` is JSON."""

    name: str
    arguments: str


class ToolCall(TypedDict):
    """A call of one of the request's tools, in OpenAI's form."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class IndexedCall(ToolCall):
    """A tool call in a chunk of a stream."""

    index: int


class ToolCalls:
    """Parses one answer. Text is passed on as it arrives; a possible call is held back until the end."""

    def __init__(self, names: Collection[str], *, only_marked: bool = False, most: int | None = None) -> None:
        """``names`` are the tools that may be called; without any, nothing is a call.

        ``only_marked``: only text behind ``MARK`` is a call. Calls after the first ``most`` are dropped.
        """
        self._names = names
        self._marks = (MARK,) if only_marked else MARKS
        self._bare = not only_marked
        self._most = most
        self._held_back = ""
        self._calling = False
        self._has_text = False

    def push(self, text: str) -> str:
        """Return the text that cannot be the beginning of a call."""
        if not self._names:
            return text
        self._held_back += text
        # A bare object or list is a call only at the beginning of the answer.
        is_bare = self._bare and not self._has_text and self._held_back.lstrip()[:1] in ("{", "[")
        if self._calling or is_bare:
            return ""
        start = _beginning(self._held_back, self._marks)
        self._calling = self._held_back.startswith(self._marks, start)
        out, self._held_back = self._held_back[:start], self._held_back[start:]
        self._has_text = self._has_text or bool(out.strip())
        return out

    def end(self) -> tuple[str, list[ToolCall]]:
        """Return the held-back text if it was not a call, else ``tool_calls`` in OpenAI's form."""
        calls = _calls(self._held_back, self._names) if self._names else []
        return ("", calls[: self._most]) if calls else (self._held_back, [])


def _beginning(text: str, marks: Collection[str]) -> int:
    """Return where in ``text`` a call's marker, or a prefix of one, starts; the text's length without one."""
    starts = [start for mark in marks if (start := text.find(mark)) >= 0]
    beginnings = (mark[:length] for mark in marks for length in range(1, len(mark)))
    starts += [len(text) - len(beginning) for beginning in beginnings if text.endswith(beginning)]
    return min(starts, default=len(text))


def _calls(text: str, names: Collection[str]) -> list[ToolCall]:
    """Return the calls in ``text``; none if any part of it is not a call of one of ``names``."""
    if text.lstrip().startswith(MARK):
        values = _marked(text.strip())
    else:
        for mark in MARKS:
            text = text.removeprefix(mark)
        value = _json(text.strip())
        values = value if isinstance(value, list) else [value]
    calls = [_call(value, names) for value in values]
    return [call for call in calls if call] if all(calls) else []


def _marked(text: str) -> list[object]:
    """Return the values behind the marks; an argument may have a mark in it. None for what is not JSON."""
    values: list[object] = []
    while text:
        if not text.startswith(MARK):
            return [None]
        text = text.removeprefix(MARK).lstrip()
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return [None]
        values.append(value)
        text = text[end:].lstrip().removeprefix(END).lstrip()
    return values


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _call(value: object, names: Collection[str]) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    inner = value.get("function", value)
    name = inner.get("name") if isinstance(inner, dict) else None
    arguments = inner.get("arguments", inner.get("parameters", {})) if isinstance(inner, dict) else None
    if not isinstance(name, str) or name not in names or not isinstance(arguments, dict | str):
        return None
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {
        "id": f"call_{secrets.token_hex(DIGITS)}",
        "type": "function",
        "function": {"name": name, "arguments": text},
    }


def writes_marked_calls(tokenizer: Tokenizer) -> bool:
    """Return whether the model's chat template writes a call as JSON between ``MARK`` and ``END``."""
    call = {"type": "function", "id": "call00001", "function": {"name": "probe", "arguments": {"x": 1}}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    tool = {"type": "function", "function": {"name": "probe", "description": "", "parameters": {}}}
    try:
        text = render(tokenizer, messages, False, [tool])
    except JobFailure:
        return False
    written = text.rpartition(MARK)[2].partition(END)[0]
    return bool(_json(written.strip()) == {"name": "probe", "arguments": {"x": 1}})


def tool_names(tools: Iterable[object] | None) -> frozenset[str]:
    """Return the names of OpenAI's ``tools``; nameless ones are skipped."""
    functions = [entry.get("function") if isinstance(entry, dict) else None for entry in tools or ()]
    return frozenset(
        entry["name"] for entry in functions if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    )
