"""Parses a record of a data set: recognises its form by its keys, and reads it as a row."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from json import dumps
from typing import TYPE_CHECKING, Final

from .forms import FORMS, ForeignRowError
from .messages import tools_of
from .methods import hint_for
from .rows import Row, RowError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .forms import Form

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
    "problem",
})  # fmt: skip
ANSWERING: Final = frozenset({
    "answer", "response", "output", "assistant", "agent", "reply", "bot", "target", "completion", "solution",
})  # fmt: skip
"""Words in common names of a question's and its answer's column: only for suggestions."""


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
    # A column that is learned from says nothing about where a row comes from.
    learned = {*keys, *columns.values()} - {group}
    origins = {column: value for column, value in origins.items() if column not in learned}
    try:
        content = forms[name].read(record)
    except ForeignRowError as error:
        raise RowError(f"{error}{hint_for(record)}") from None
    tools = tools_of(record) if content.text is None else []
    return Row(
        content.messages, where, content.text, tools, name, origins, group or "", made_from, content.extra
    )


def wanted_keys(forms: Mapping[str, Form]) -> str:
    """Return the keys of all forms for a sentence: ``messages, or prompt and completion``."""
    return ", or ".join(" and ".join(form.keys) for form in forms.values())


def _origins(record: Mapping[str, object], group: str | None) -> dict[str, str]:
    """Return where a record comes from: the value of ``group``, or else of every column with such a name."""
    names = [group] if group is not None else [name for name in record if _is_origin(name)]
    return {
        name: str(value)[:ORIGIN]
        for name in names
        if isinstance(value := record[name], str | int) and str(value).strip()
    }


def _made_from(record: Mapping[str, object]) -> str:
    """Return the key of what a teacher made a record from; empty if it does not say."""
    made = record.get("made")
    value = made.get("origin") if isinstance(made, dict) else None
    return value if isinstance(value, str) and _KEY.fullmatch(value) else ""


@lru_cache(maxsize=256)
def _is_origin(name: object) -> bool:
    """Return whether a column's name is a common one for where a row comes from."""
    return isinstance(name, str) and "_".join(_WORDS.findall(name.lower())).removesuffix("_id") in ORIGINS


def _key_list(record: Mapping[str, object]) -> str:
    names = [name if len(name) <= SHOWN_NAME else f"{name[:SHOWN_NAME]}…" for name in map(str, record)]
    return ", ".join(names[:8]) or "none"


def _hint(record: Mapping[str, object]) -> str:
    """Return a hint on how to provide the keys, if the existing ones suggest it."""
    if hint := hint_for(record):
        return hint
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


def suggested_columns(record: Mapping[str, object]) -> dict[str, str] | None:
    """Return which columns of ``record`` look like a question and its answer; None if none do."""
    texts = {name: text for name, text in record.items() if isinstance(text, str) and len(name) <= SHOWN_NAME}
    names = list(texts)
    words = {name: set(_WORDS.findall(name.lower())) for name in names}
    # Of "problem_source" and "problem", the latter: other words say something about it.
    plainest = sorted(names, key=lambda name: len(words[name]))
    question = next((name for name in plainest if words[name] & ASKING), None)
    answer = next((name for name in plainest if words[name] & ANSWERING and name != question), None)
    # Otherwise the first ones with more than a number, a date or one word.
    with_spaces = [name for name in names if " " in texts[name].strip()] or names
    question = question or next((name for name in with_spaces if name != answer), None)
    answer = answer or next((name for name in with_spaces if name != question), None)
    if question is None or answer is None:
        return None
    return {"prompt": question, "completion": answer}
