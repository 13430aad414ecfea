"""Detects repeated rows: near duplicates of made and of the trainer's rows, copies of held-out ones."""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeGuard

from arkor_dev.contract.errors import ArkorError
from arkor_dev.data.findings.finding import CheckedRow
from arkor_dev.data.findings.likeness import ALIKE, FEWEST_RUNS, bands_of, likeness, runs_of
from arkor_dev.data.findings.repeats import NOTHING, digest, question_of
from arkor_dev.data.messages import is_message
from arkor_dev.data.methods import forms_of
from arkor_dev.data.prompts import PROMPT
from arkor_dev.data.reader import open_data
from arkor_dev.data.rows import Row
from arkor_dev.data.sources import SourceError, files_of, parts_of
from arkor_dev.project.arkor_toml import parse, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import JobConfig
    from arkor_dev.data.rows import RowMessage

MOST_ROWS: Final = 200_000
"""Maximum number of rows to compare with: each takes some 300 bytes of memory."""
HELD_OUT: Final = "held-out"
DUPLICATE: Final = "duplicate"


class KnownRows:
    """Rows that a made one must not repeat."""

    def __init__(self) -> None:
        self._questions: dict[int, str] = {}
        self._bands: dict[tuple[int, int], list[int]] = {}
        self._rows: list[tuple[array[int], str, int]] = []

    def match(self, row: Row) -> str | None:
        """Return what ``row`` repeats: HELD_OUT or DUPLICATE, or None for a new one."""
        seen = CheckedRow.of(0, row)
        if (question := question_of(seen)) != NOTHING and question in self._questions:
            return self._questions[question]
        runs = _runs(seen)
        reason = None
        if len(runs) >= FEWEST_RUNS:
            near = {at for band in enumerate(bands_of(runs)) for at in self._bands.get(band, ())}
            for at in near:
                known_runs, why, task = self._rows[at]
                # Many things can be asked about a text: with another task before it, it is a different row.
                if why == DUPLICATE and task != _task(seen):
                    continue
                if likeness(runs, known_runs) >= ALIKE:
                    reason = why if reason != HELD_OUT else reason
        return reason

    def add(self, row: Row, why: str = DUPLICATE) -> None:
        """Add a row that made ones must not repeat."""
        seen = CheckedRow.of(0, row)
        self._questions.setdefault(question_of(seen), why)
        runs = _runs(seen)
        if len(runs) < FEWEST_RUNS or len(self._rows) >= MOST_ROWS:
            return
        for band in enumerate(bands_of(runs)):
            self._bands.setdefault(band, []).append(len(self._rows))
        self._rows.append((array("I", runs), why, _task(seen)))

    def add_project(self, project: Path) -> None:
        """Add the rows of every trainer's files, those held out first. Skips what cannot be read. Blocks."""
        for config in _configs(project):
            for row in _rows_of(config, "evalDatasetSource", project):
                self.add(row, HELD_OUT)
        for config in _configs(project):
            for row in _rows_of(config, "datasetSource", project):
                if row.form != PROMPT:  # a question without an answer: rows may still answer it
                    self.add(row)


def _configs(project: Path) -> list[JobConfig]:
    try:
        trainers = parse(project, read(project))
    except ArkorError:
        return []  # a project without trainers has no rows to repeat
    return [trainer["config"] for trainer in trainers if "config" in trainer]


def _rows_of(
    config: JobConfig, key: Literal["datasetSource", "evalDatasetSource"], project: Path
) -> Iterator[Row]:
    source = config.get(key)
    for part in parts_of(source) if source else ():
        if part["type"] != "file":
            continue
        try:
            files = files_of(part, project, 0, forms_of(config.get("method")))
            # Also rows that judgements leave out: what a person has rejected must not come back.
            with open_data([replace(file, selection=None) for file in files]) as data:
                for item in data:
                    if item.location.number > MOST_ROWS:
                        break
                    if isinstance(item.row, Row):
                        yield item.row
        except (SourceError, OSError):
            continue


def _task(seen: CheckedRow) -> int:
    """Return a hash of the first line before a longer text, such as "Summarize this text:"."""
    first, line, _ = seen.question.partition("\n")
    return digest(first) if line else NOTHING


def _runs(seen: CheckedRow) -> set[int]:
    """Return the runs of a row's text, without its system prompt."""
    if seen.row.text is not None:
        return runs_of(seen.text)
    contents: Sequence[str] = [
        message["content"] for message in seen.row.messages if message["role"] != "system"
    ]
    return runs_of("\n".join(contents))


def is_conversation(messages: object) -> TypeGuard[list[RowMessage]]:
    """Return whether a row's ``messages`` are texts with an answer among them."""
    return (
        isinstance(messages, list)
        and all(map(is_message, messages))
        and any(message["role"] == "assistant" for message in messages)
    )


def is_whole(messages: Iterable[RowMessage]) -> bool:
    """Return whether the texts have no lone surrogate, which no file can hold."""
    try:
        "".join(message["content"] for message in messages).encode()
    except UnicodeEncodeError:
        return False
    return True
