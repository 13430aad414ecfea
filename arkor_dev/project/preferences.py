"""What people prefer: votes in ``data/preferences.jsonl`` of the project, ratings in ``data/ratings.jsonl``.

A vote is a pair of answers, a rating one answer and whether it is a good one. They are apart because most
methods learn from pairs only: a single rating among them would be an invalid row. Both have the forms of
``arkor_dev.data.preferences``. ``given`` says who gave it, when, and which models answered. Calls block.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.data.json_text import parsed
from arkor_dev.data.preferences import RATINGS
from arkor_dev.data.prompts import prompt_of
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError

from . import corrections
from .line_file import FOLDER, json_rows, opened, to_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Preference, Preferences
    from arkor_dev.data.rows import RowMessage

PAIRS: Final = "preferences.jsonl"
RATED: Final = "ratings.jsonl"
FILES: Final = (f"{FOLDER}/{PAIRS}", f"{FOLDER}/{RATED}")
MOST_LINES: Final = 500
"""Maximum number of lines to read back, newest ones."""


class GivenPreference(TypedDict):
    """A pair (``chosen`` and ``rejected``) or a rating (``completion`` and ``label``) of answers."""

    prompt: list[RowMessage]
    chosen: NotRequired[str]
    rejected: NotRequired[str]
    completion: NotRequired[str]
    label: NotRequired[bool]


def add_preference(project: Path, preference: GivenPreference, by: str, models: Sequence[str]) -> Preference:
    """Append a pair or a rating; return it.

    ``models`` are those of the chosen and the rejected answer, or that of the rated one. Raises TooLargeError
    beyond the limits, and BadRequestError or InternalError for a file that cannot be written.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    origin = {"id": secrets.token_hex(8), "at": at, "by": by, "models": list(models)}
    row = {**preference, "given": origin}
    line = to_line(row, "preference")
    with opened(project, RATED if "label" in row else PAIRS, make=True) as file:
        content = file.read()
        count = file.add(line, content)
        return _preference_of(file.path, content.count(b"\n") + (1 if count == len(line) else 2), row)


def remove_preference(project: Path, given_id: str, learned: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Remove the line with that id, and no other.

    ``learned`` has the jobs that learned from each file: when each was created, and its name.
    Raises NotFoundError without the line, and ConflictError if a job has learned from it.
    """
    for name in (PAIRS, RATED):
        with suppress(FileNotFoundError), opened(project, name, make=False) as file:
            content = file.read()
            lines = content.split(b"\n")
            for number, row in json_rows(content):
                if _origin_of(row).get("id") != given_id:
                    continue
                at = _seconds(_origin_of(row).get("at"))
                jobs = learned.get(file.path, ())
                if job := next((name for created, name in jobs if _seconds(created) >= at), None):
                    raise ConflictError(f"{job} has learned from this already, so it stays in {file.path}.")
                del lines[number - 1]
                file.replace(b"\n".join(lines))
                return
    raise NotFoundError(f"It is no longer in {' or '.join(FILES)}.")


def read_preferences(project: Path) -> Preferences:
    """Return the newest preferences, and how many there are of each kind; corrections are pairs, too."""
    preferences: Preferences = {
        "files": [],
        "rows": [],
        "older": 0,
        "pairs": 0,
        "ratings": 0,
        "corrections": 0,
    }
    rows: list[Preference] = []
    for name in (PAIRS, RATED):
        with suppress(FileNotFoundError), opened(project, name, make=False) as file:
            found, problem = _rows_of(file.path, file.read())
            if found:
                preferences["files"].append(file.path)
            if problem:
                preferences.setdefault("problem", problem)
            rows += found
    rows.sort(key=lambda row: _seconds(row.get("at")))
    for row in rows:
        preferences["pairs" if row["kind"] == "pair" else "ratings"] += 1
    preferences["rows"], preferences["older"] = rows[-MOST_LINES:], max(0, len(rows) - MOST_LINES)
    preferences["corrections"] = corrections.count_of_pairs(project)
    return preferences


def _rows_of(path: str, content: bytes) -> tuple[list[Preference], str | None]:
    """Return a file's valid lines, and what is wrong with the first of the others."""
    rows: list[Preference] = []
    problem = None
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            record = parsed(line) if line.strip() else None
            if record is None:
                continue
            row_of(record, "", None, {}, forms=RATINGS)
        except RowError as fault:
            problem = problem or f"{path}, line {number}: {fault}"
            continue
        rows.append(_preference_of(path, number, record))  # type: ignore[arg-type]
    return rows, problem


def _origin_of(row: Mapping[str, object]) -> Mapping[str, object]:
    origin = row.get("given")
    return origin if isinstance(origin, dict) else {}


def _seconds(at: object) -> float:
    """Return a time of ISO 8601 in seconds; one that is not readable counts as long ago."""
    try:
        return datetime.fromisoformat(str(at)).timestamp()
    except ValueError:
        return 0.0


def _preference_of(path: str, number: int, row: Mapping[str, object]) -> Preference:
    """Return a line as the page sees it; one that was written by hand may have fewer fields."""
    origin = _origin_of(row)
    models, label = origin.get("models"), row.get("label")
    preference: Preference = {
        "file": path,
        "line": number,
        "kind": "rating" if "label" in row else "pair",
        "models": [model for model in models if isinstance(model, str)][:2]
        if isinstance(models, list)
        else [],
    }
    for key in ("id", "at", "by"):
        if isinstance(text := origin.get(key), str):
            preference[key] = text
    if row.get("prompt") is not None:
        preference["prompt"] = [
            {"role": message["role"], "content": message["content"]} for message in prompt_of(row["prompt"])
        ]
    if isinstance(label, bool):
        preference["label"] = label
    return preference
