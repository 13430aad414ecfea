"""Rows of prompts, for training by rewards: TRL's prompt-only rows, and those of conversations.

``messages`` of such a row end with the wanted answer, which is empty if the row has none.
``extra["columns"]`` has the record's other columns, for functions that score an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .forms import COLUMNS, FORMS, Content, Form
from .messages import checked_text, conversation, from_text, turn
from .rows import RowError, RowMessage

if TYPE_CHECKING:
    from collections.abc import Callable

PROMPT: Final = "prompt"
"""The form of rows whose answer, if they have one, only serves to score others."""
WANTED: Final = ("answer", "solution", "ground_truth", "target", "response")
"""Columns of a wanted answer beside a prompt: the first of them that the record has."""


def prompt_of(prompt: object) -> list[RowMessage]:
    """Return a prompt, text or messages, as checked messages. Raises RowError."""
    prompt = from_text(prompt)
    if isinstance(prompt, str):
        return turn(checked_text(prompt, "prompt"), "")[:1]
    if not isinstance(prompt, list) or not prompt:
        raise RowError("prompt must be text or a list of messages")
    # Checked as a conversation, which has an answer.
    return conversation([*prompt, {"role": "assistant", "content": "."}])[:-1]


def _read_prompt(record: dict[str, object]) -> Content:
    messages, system = prompt_of(record["prompt"]), record.get("system")
    if isinstance(system, str) and system.strip() and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    if not any(message["content"].strip() for message in messages):
        raise RowError("has an empty prompt, so there is nothing to answer")
    ideal = next((record[name] for name in WANTED if record.get(name) is not None), "")
    if isinstance(ideal, bool) or not isinstance(ideal, str | int | float):
        raise RowError(f"the wanted answer must be text or a number, not {type(ideal).__name__}")
    return Content([*messages, {"role": "assistant", "content": str(ideal)}])


def _with_columns(form: Form) -> Form:
    def read(record: dict[str, object], inner: Callable[[dict[str, object]], Content] = form.read) -> Content:
        columns = {key: value for key, value in record.items() if key not in COLUMNS}
        return replace(inner(record), extra={"columns": columns} if columns else {})

    return replace(form, read=read)


PROMPTS: Final[dict[str, Form]] = {
    **{name: _with_columns(form) for name, form in FORMS.items() if name != "text"},
    PROMPT: _with_columns(Form("prompts", ("prompt",), _read_prompt)),
}
"""The forms of rows that training by rewards accepts, by name."""
