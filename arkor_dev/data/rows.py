"""The result of reading a row, whatever the format, and the errors that prevent it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.json_types import JsonObject

MAX_ROW: Final = 4 * 2**20
"""Largest row, in bytes."""
REASON_LIMIT: Final = 400

Fault = Literal["file", "json", "table", "encoding", "size", "keys", "content", "blank"]
"""The kind of error: the whole file; a row's JSON, cells, bytes, length or keys; one of its values; or that
its answers, or its text, are empty.
"""


class RowError(Exception):
    """Why a row cannot be trained on, for the user; shortened, since it may quote the row."""

    def __init__(self, text: str, kind: Fault = "content") -> None:
        super().__init__(text if len(text) <= REASON_LIMIT else f"{text[: REASON_LIMIT - 1]}…")
        self.kind: Fault = kind


class DataError(RowError):
    """Why a file cannot be read, or not any further; the rest of it is unknown."""

    def __init__(self, text: str) -> None:
        super().__init__(text, "file")


Role = Literal["system", "user", "assistant", "tool"]


class Function(TypedDict):
    """The function that a call names. ``arguments`` are an object, if the model wrote one."""

    name: str
    arguments: object


class RowToolCall(TypedDict):
    """A tool call, in OpenAI's form."""

    type: Literal["function"]
    id: NotRequired[str]
    function: Function


class RowMessage(TypedDict):
    """A message of a row. ``tool_call_id`` and ``name`` are of a tool's result.

    It may have other keys, which a chat template may read.
    """

    role: Role
    content: str
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[RowToolCall]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a conversation in ``messages``, or plain ``text`` of which everything is learned.

    ``where`` is its place for display (``data/chats.jsonl, line 3``). ``tools`` are the functions that the
    assistant may call, as JSON schemas; ``form`` is the name of the row's form. ``origins`` has the values of
    columns that may say where a row comes from; ``group`` is the one that is named for that, empty without
    one. ``made_from`` is the key of the passage or row that a teacher made it from, empty for others.
    ``extra`` holds what the form has beyond a conversation or a text (a rejected answer, a rating), for the
    training method that uses it. ``source`` is the number of its source in the data set, from 0.
    """

    messages: list[RowMessage]
    where: str
    text: str | None = None
    tools: list[JsonObject] = field(default_factory=list)
    form: str = "chat"
    origins: dict[str, str] = field(default_factory=dict)
    group: str = ""
    made_from: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    source: int = 0


def row_digest(row: Row) -> str:
    """Return the SHA-256 of a row's content, in hexadecimal."""
    content = [row.messages, row.text, row.tools, dict(row.extra)]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
