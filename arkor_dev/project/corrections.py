"""Corrected answers: ``data/corrections.jsonl`` of the project, one chat per line. These calls block."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict, TypeGuard

from arkor_dev.contract.errors import BadRequestError, ConflictError
from arkor_dev.data.messages import is_message

from .line_file import FOLDER, includes, json_rows, opened, to_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Correction, CorrectionAdded
    from arkor_dev.data.rows import RowMessage

NAME: Final = "corrections.jsonl"
FILE: Final = f"{FOLDER}/{NAME}"
MOST_LINES: Final = 200
"""Maximum number of lines to read back, newest ones."""
_TOKEN: Final = re.compile(r"([na])\.(\d{1,12})\.(\d{1,12})\.(\d{1,20})\.(\d{1,20})\.([0-9a-f]{32})")

CHANGED: Final = f"{FILE} has changed since, so nothing was removed. Remove the line by hand."


class CorrectedRow(TypedDict):
    """A line of the file; ``corrected`` may be anything, as a person may have written it."""

    messages: list[RowMessage]
    corrected: NotRequired[object]


def add_correction(project: Path, messages: Sequence[RowMessage], instead: str, by: str) -> CorrectionAdded:
    """Append a conversation whose last message is the ideal answer.

    ``instead`` is the answer that was given, ``by`` what gave it. Raises ConflictError if the same
    conversation exists already, TooLargeError beyond the limits, and BadRequestError or InternalError for a
    file that cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"messages": list(messages), "corrected": {"at": now, "by": by, "instead": instead}}
    line = to_line(row, "correction")
    with opened(project, NAME, make=True) as file:
        content = file.read()
        conversation, question = _contents(messages), _contents(messages[:-1])
        same_question = []
        for number, other in _rows(content):
            if _contents(other["messages"]) == conversation:
                text = f"The same correction is in line {number} of {FILE} already."
                raise ConflictError(text, line=number)
            if _contents(other["messages"][:-1]) == question:
                same_question.append(number)
        count = file.add(line, content)
        number = content.count(b"\n") + (1 if count == len(line) else 2)
        undo = file.token(len(content), line if count == len(line) else b"\n" + line)
        return {"file": FILE, "line": number, "sameQuestion": same_question[-20:], "undo": undo}


def undo_correction(project: Path, token: str) -> None:
    """Remove the line that ``add_correction`` added with this ``undo``, if the file is unchanged since.

    Raises ConflictError if it is not, and BadRequestError for an invalid token.
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise BadRequestError("This is not a valid undo token.")
    start, length = int(match[2]), int(match[3])
    try:
        with opened(project, NAME, make=False) as file:
            content = file.read()
            data = content[start:]
            if len(data) != length or file.token(start, data, new=match[1] == "n") != token:
                raise ConflictError(CHANGED)
            file.cut(start, remove=match[1] == "n")
    except FileNotFoundError:
        raise ConflictError(CHANGED) from None


def read_corrections(project: Path) -> tuple[list[Correction], int]:
    """Return the newest valid corrections in the file's order, and how many older ones there are."""
    try:
        with opened(project, NAME, make=False) as file:
            content = file.read()
    except FileNotFoundError:
        return [], 0
    rows: list[Correction] = []
    for number, row in _rows(content):
        read: Correction = {
            "line": number,
            "messages": [
                {"role": message["role"], "content": message["content"]} for message in row["messages"]
            ],
        }
        correction = row.get("corrected")
        if isinstance(correction, dict):
            for key in ("at", "by", "instead"):
                if isinstance(correction.get(key), str):
                    read[key] = correction[key]
        rows.append(read)
    return rows[-MOST_LINES:], max(0, len(rows) - MOST_LINES)


def count_of_pairs(project: Path) -> int:
    """Count the corrections that include the original answer: each is a pair of answers."""
    try:
        with opened(project, NAME, make=False) as file:
            content = file.read()
    except FileNotFoundError:
        return 0
    corrections = (row.get("corrected") for _, row in _rows(content))
    return sum(isinstance(correction, dict) and bool(correction.get("instead")) for correction in corrections)


def includes_corrections(source: object) -> bool:
    """Return whether a ``DatasetSource`` includes the file."""
    return includes(source, FILE)


def _rows(content: bytes) -> Iterator[tuple[int, CorrectedRow]]:
    """Yield each line that is a chat ending in an answer, with its number from 1."""
    for number, row in json_rows(content):
        if _is_corrected(row):
            yield number, row


def _is_corrected(row: Mapping[str, object]) -> TypeGuard[CorrectedRow]:
    messages = row.get("messages")
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(map(is_message, messages))
        and messages[-1]["role"] == "assistant"
    )


def _contents(messages: Sequence[RowMessage]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"].strip()) for message in messages]
