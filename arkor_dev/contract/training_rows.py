"""The form of a training row: what a line of a JSON Lines file may be, and what is said of one that is not.

A row becomes a list of chat messages, whatever form it came in. Studio looks at a data file before anything
is started and the local backend reads it for training; both have to judge alike and in the same words, so
this module belongs to neither and imports nothing of the package.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_LINE: Final = 4 * 2**20
"""Bytes of one row."""
ROLES: Final = frozenset({"system", "user", "assistant", "tool"})
FORMS: Final = "messages, or prompt and completion, or instruction and output"
REASON_LIMIT: Final = 400


class RowError(Exception):
    """Why rows cannot be trained on, in words for a person; cut to size, since it may quote them."""

    def __init__(self, text: str) -> None:
        super().__init__(text if len(text) <= REASON_LIMIT else f"{text[: REASON_LIMIT - 1]}…")


def lines_in(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, with its number from 1; ``name`` is what the person calls the file.

    Raises RowError at a line of more than 4 MiB, of which no more than that is read.
    """
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise RowError(
                f"{name}, line {number}: longer than {MAX_LINE // 2**20} MiB; split it into smaller rows"
            )
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield number, line


def read_row(line: bytes, number: int, name: str) -> list[dict[str, Any]]:
    """The chat messages of one line; raises RowError with file and line."""
    try:
        return messages_of(_parsed(line, number))
    except RowError as fault:
        raise RowError(f"{name}, line {number}: {fault}") from None


def no_rows(name: str) -> RowError:
    """What to say of a file without a row."""
    return RowError(f"{name} is empty: write one JSON object a line, with the keys {FORMS}")


def _parsed(line: bytes, number: int) -> object:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise RowError(
            f"not UTF-8 (byte {error.start + 1} is 0x{line[error.start]:02x}); save the file as UTF-8"
        ) from None
    if number == 1 and text.lstrip().startswith("["):
        raise RowError("begins a JSON list; write one JSON object a line instead (JSON Lines)")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON ({_fault(text, error)})") from None
    except ValueError:
        raise RowError("not JSON that can be read: it has a number of thousands of digits") from None
    except RecursionError:
        raise RowError("not JSON that can be read: nested too deeply") from None


def _fault(text: str, error: json.JSONDecodeError) -> str:
    """The fault and its place, in the same words on every Python: 3.13 names a last comma for itself."""
    before = text[: error.pos].rstrip()
    if error.msg.startswith("Illegal trailing comma"):
        before = text[: error.pos + 1]
    elif not (before.endswith(",") and text[error.pos : error.pos + 1] in ("}", "]")):
        return f"{error.msg} at column {error.colno}"
    return f"a comma with nothing behind it at column {len(before)}"


def messages_of(row: object) -> list[dict[str, Any]]:
    """The chat messages of a row in any of its forms; raises RowError with the reason alone."""
    if not isinstance(row, dict):
        raise RowError(f"must be a JSON object with the keys {FORMS}, not {type(row).__name__}")
    if "messages" in row:
        return _checked(row["messages"])
    if "prompt" in row and "completion" in row:
        prompt, completion = row["prompt"], row["completion"]
        if isinstance(prompt, list) and isinstance(completion, list):
            return _checked([*prompt, *completion])
        return _checked(_turn(_text(row, "prompt"), _text(row, "completion")))
    if "instruction" in row and "output" in row:
        extra = _text(row, "input").strip() if row.get("input") is not None else ""
        asked = _text(row, "instruction") + (f"\n\n{extra}" if extra else "")
        return _checked(_turn(asked, _text(row, "output")))
    keys = ", ".join(map(str, list(row)[:8])) or "none"
    raise RowError(f"has the keys {keys}; wanted {FORMS}")


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise RowError(f"{key} must be text, not {type(value).__name__}")
    return value


def _turn(asked: str, answered: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def _checked(messages: object) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise RowError("messages must be a list with at least one user and one assistant message")
    answered = False
    for place, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise RowError(f"message {place} must be an object with role and content")
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in ROLES:
            raise RowError(f"message {place} has the role {role!r}; wanted system, user, assistant or tool")
        if content is None and message.get("tool_calls"):
            continue
        if not isinstance(content, str):
            raise RowError(f"message {place} has no text in content")
        if not _is_whole(content):
            raise RowError(f"message {place} holds half a character (a lone \\ud800 to \\udfff)")
        answered = answered or (role == "assistant" and bool(content.strip()))
    if not answered:
        raise RowError("has no assistant message with text, so there is nothing to learn from it")
    return messages


def _is_whole(text: str) -> bool:
    """Whether ``text`` can be encoded: JSON can spell one half of a surrogate pair, no tokenizer takes it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
