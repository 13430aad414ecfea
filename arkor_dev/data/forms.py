"""The forms of rows, recognised by their keys, and how each is read.

``FORMS`` are those of conversations and plain text. A training method that learns from something else brings
its own (see ``arkor_dev.local.training.methods``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from json import dumps
from typing import TYPE_CHECKING, Any, Final

from .messages import checked_text, conversation, from_text, tools_of, turn
from .rows import Row, RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLUMNS: Final = (
    "messages", "conversations", "prompt", "completion", "instruction", "input", "output", "text", "system",
    "tools", "chosen", "rejected", "label",
)  # fmt: skip
"""The keys that a column can be mapped to."""
_WORDS: Final = re.compile(r"[a-z]+")
_KEY: Final = re.compile(r"[0-9a-f]{16}")
SHOWN_NAME: Final = 40
"""Longest key in a message, in characters."""
ORIGINS: Final = frozenset({
    "source", "group", "document", "doc", "conversation", "thread", "session", "dialogue", "dialog", "ticket",
    "case", "article", "page", "url", "file", "filename", "path", "author", "user", "customer", "speaker",
})  # fmt: skip
"""Common names of a column with a row's origin, with or without ``_id``."""
ORIGIN: Final = 500
"""Longest stored value of such a column, in characters."""
ASKING: Final = frozenset({
    "question", "query", "input", "user", "human", "customer", "request", "source", "prompt", "instruction",
})  # fmt: skip
ANSWERING: Final = frozenset({
    "answer", "response", "output", "assistant", "agent", "reply", "bot", "target", "completion",
})  # fmt: skip
"""Words in common names of a question's and its answer's column: only for suggestions."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a row: a conversation, or a plain ``text``; ``extra`` holds what else its form has."""

    messages: list[dict[str, Any]]
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
    read: Callable[[dict[str, Any]], Content]


def row_of(
    record: object,
    where: str,
    form: str | None,
    columns: Mapping[str, str],
    group: str | None = None,
    forms: Mapping[str, Form] | None = None,
) -> Row:
    """Return the row in ``record``, of the named ``form`` or of the first in ``forms`` whose keys fit.

    ``columns`` maps our keys to the record's: ``{"prompt": "question"}``. ``group`` is the key that says
    which rows belong together. Raises RowError with only the reason.
    """
    forms = FORMS if forms is None else forms
    if not isinstance(record, dict):
        key_name = wanted_keys(forms)
        raise RowError(f"must be a JSON object with the keys {key_name}, not {type(record).__name__}", "keys")
    if group is not None and group not in record:
        raise RowError(f"has no column {group!r} for group; it has {_key_list(record)}", "keys")
    origins, made_from = _origins(record, group), _made_from(record)
    if columns:
        mapped = set(columns.values())
        for key_name, column in columns.items():
            if column not in record:
                raise RowError(f"has no column {column!r} for {key_name}; it has {_key_list(record)}", "keys")
        record = {
            **{key: value for key, value in record.items() if key not in mapped},
            **{key_name: record[column] for key_name, column in columns.items()},
        }
    name = form or next(
        (name for name, known in forms.items() if all(map(record.__contains__, known.keys))), None
    )
    if name is None:
        raise RowError(
            f"has the keys {_key_list(record)}; expected {wanted_keys(forms)}{_hint(record)}", "keys"
        )
    if name not in forms:
        raise RowError(
            f"the form {name} is not for this training method, which takes: {', '.join(forms)}", "keys"
        )
    keys = forms[name].keys
    if not all(key in record for key in keys):
        raise RowError(
            f"has the keys {_key_list(record)}; the form {name} needs {' and '.join(keys)}", "keys"
        )
    content = forms[name].read(record)
    tools = tools_of(record) if content.text is None else []
    return Row(
        content.messages, where, content.text, tools, name, origins, group or "", made_from, content.extra
    )


def wanted_keys(forms: Mapping[str, Form]) -> str:
    """Return the keys of all forms for a sentence: ``messages, or prompt and completion``."""
    return ", or ".join(" and ".join(form.keys) for form in forms.values())


def _origins(record: Mapping[str, Any], group: str | None) -> dict[str, str]:
    """Return where a record comes from: the value of ``group``, or else of every column with such a name."""
    names = [group] if group is not None else [name for name in record if _is_origin(name)]
    return {
        name: str(value)[:ORIGIN]
        for name in names
        if isinstance(value := record[name], str | int) and str(value).strip()
    }


def _made_from(record: Mapping[str, Any]) -> str:
    """Return the key of what a teacher made a record from; empty if it does not say."""
    made = record.get("made")
    value = made.get("origin") if isinstance(made, dict) else None
    return value if isinstance(value, str) and _KEY.fullmatch(value) else ""


@lru_cache(maxsize=256)
def _is_origin(name: object) -> bool:
    """Return whether a column's name is a common one for where a row comes from."""
    return isinstance(name, str) and "_".join(_WORDS.findall(name.lower())).removesuffix("_id") in ORIGINS


def _read_sharegpt(record: dict[str, Any]) -> Content:
    read = from_text(record["conversations"])
    messages = read if isinstance(read, list) else []
    return Content(conversation([*_system(record, "from", "value"), *messages], "from", "value"))


def _read_prompt(record: dict[str, Any]) -> Content:
    prompt, completion = record["prompt"], record["completion"]
    if record.get("label") is False:
        raise RowError('is an answer with the label false, which must not be imitated: set method = "kto"')
    if isinstance(prompt, list) and isinstance(completion, list):
        return Content(conversation([*prompt, *completion]))
    messages = turn(_text(record, "prompt"), _text(record, "completion"))
    return Content(conversation([*_system(record, "role", "content"), *messages]))


def _read_alpaca(record: dict[str, Any]) -> Content:
    context = _text(record, "input").strip() if record.get("input") is not None else ""
    question = _text(record, "instruction") + (f"\n\n{context}" if context else "")
    messages = turn(question, _text(record, "output"))
    return Content(conversation([*_system(record, "role", "content"), *messages]))


def _read_text(record: dict[str, Any]) -> Content:
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


def _system(record: dict[str, Any], role_key: str, content_key: str) -> list[dict[str, Any]]:
    system = record.get("system")
    return [{role_key: "system", content_key: system}] if isinstance(system, str) and system.strip() else []


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise RowError(f"{key} must be text, not {type(value).__name__}")
    return value


def _key_list(record: Mapping[str, Any]) -> str:
    names = [name if len(name) <= SHOWN_NAME else f"{name[:SHOWN_NAME]}…" for name in map(str, record)]
    return ", ".join(names[:8]) or "none"


def _hint(record: Mapping[str, Any]) -> str:
    """Return a hint on how to provide the keys, if the existing ones suggest it."""
    if "chosen" in record and "rejected" in record:
        return '. Chosen and rejected are for preference training: set method = "dpo"'
    if "completion" in record and "label" in record:
        return '. Rated answers are for method = "kto"'
    for key, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            close = get_close_matches(key[:SHOWN_NAME].lower(), ("messages", "conversations"), 1, 0.8)
            hint = (
                f"Is {key[:SHOWN_NAME]} meant to be {close[0]}?"
                if close
                else "save only that list, as a separate file"
            )
            return f". {hint}" if close else f". If its rows are under {dumps(key[:SHOWN_NAME])}, {hint}"
    if (columns := suggested_columns(record)) is None:
        return ""
    pairs = ", ".join(f"{name} = {dumps(column)}" for name, column in columns.items())
    return f". If these are a question and its answer: columns = {{ {pairs} }}"


def suggested_columns(record: Mapping[str, Any]) -> dict[str, str] | None:
    """Return which columns of ``record`` look like a question and its answer; None if none do."""
    names = [name for name, value in record.items() if isinstance(value, str) and len(name) <= SHOWN_NAME]
    words = {name: set(_WORDS.findall(name.lower())) for name in names}
    question = next((name for name in names if words[name] & ASKING), None)
    answer = next((name for name in names if words[name] & ANSWERING and name != question), None)
    # Otherwise the first ones with more than a number, a date or one word.
    with_spaces = [name for name in names if " " in record[name].strip()] or names
    question = question or next((name for name in with_spaces if name != answer), None)
    answer = answer or next((name for name in with_spaces if name != question), None)
    if question is None or answer is None:
        return None
    return {"prompt": question, "completion": answer}
