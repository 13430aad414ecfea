"""Forms of rows: the keys that identify each, and how its content is read.

``FORMS`` are those of conversations and plain text. A training method that learns from something else has its
own in its record (see ``methods``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .messages import checked_text, conversation, from_text, turn
from .rows import RowError, RowMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLUMNS: Final = (
    "messages", "conversations", "prompt", "completion", "instruction", "input", "output", "text", "system",
    "tools", "chosen", "rejected", "label", "anchor", "positive", "negative", "sentence1",
    "sentence2", "score", "query", "document",
)  # fmt: skip
"""The keys that a column can be mapped to."""


class ForeignRowError(RowError):
    """A row that only another training method can learn from."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a row: a conversation, or a plain ``text``; ``extra`` holds what else its form has."""

    messages: list[RowMessage]
    text: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """A form of rows.

    A record that has all ``keys`` is of this form; ``read`` returns its content, or raises RowError.
    ``label`` names the form on the page.
    """

    label: str
    keys: tuple[str, ...]
    read: Callable[[dict[str, object]], Content]


def _read_sharegpt(record: dict[str, object]) -> Content:
    read = from_text(record["conversations"])
    messages = read if isinstance(read, list) else []
    return Content(conversation([*_system(record, "from", "value"), *messages], "from", "value"))


def _read_prompt(record: dict[str, object]) -> Content:
    prompt, completion = record["prompt"], record["completion"]
    if record.get("label") is False:
        raise ForeignRowError("is an answer with the label false, which must not be imitated")
    if isinstance(prompt, list) and isinstance(completion, list):
        return Content(conversation([*prompt, *completion]))
    messages = turn(_text(record, "prompt"), _text(record, "completion"))
    return Content(conversation([*_system(record, "role", "content"), *messages]))


def _read_alpaca(record: dict[str, object]) -> Content:
    context = _text(record, "input").strip() if record.get("input") is not None else ""
    question = _text(record, "instruction") + (f"\n\n{context}" if context else "")
    messages = turn(question, _text(record, "output"))
    return Content(conversation([*_system(record, "role", "content"), *messages]))


def _read_text(record: dict[str, object]) -> Content:
    text = checked_text(_text(record, "text"), "text")
    if not text.strip():
        raise RowError("has an empty text, so there is nothing to learn", "blank")
    return Content([], text)


FORMS: Final[dict[str, Form]] = {
    "chat": Form("chat", ("messages",), lambda record: Content(conversation(record["messages"]))),
    "sharegpt": Form("ShareGPT", ("conversations",), _read_sharegpt),
    "prompt-completion": Form("prompt and completion", ("prompt", "completion"), _read_prompt),
    "alpaca": Form("Alpaca", ("instruction", "output"), _read_alpaca),
    "text": Form("plain text", ("text",), _read_text),
}
"""Each form by its name in ``dataset.form``; without one the first that fits is used."""


def _system(record: dict[str, object], role_key: str, content_key: str) -> list[dict[str, object]]:
    system = record.get("system")
    return [{role_key: "system", content_key: system}] if isinstance(system, str) and system.strip() else []


def _text(record: Mapping[str, object], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise RowError(f"{key} must be text, not {type(value).__name__}")
    return value
