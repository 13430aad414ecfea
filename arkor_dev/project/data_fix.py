"""Plans fixes for what `data check` finds in a trainer's files: which rows change, and how."""

from __future__ import annotations

import json
import sys
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line
from arkor_dev.data import row_edits
from arkor_dev.data.exclusions import entry_of
from arkor_dev.data.findings.check import rows_found
from arkor_dev.data.findings.finding import CheckedRow
from arkor_dev.data.findings.masking import masked
from arkor_dev.data.findings.repeats import question_of
from arkor_dev.data.mending import IN_EVAL, KINDS, ON_REQUEST, REMOVES, TEXTS, mended
from arkor_dev.data.methods import forms_of
from arkor_dev.data.reader import open_data
from arkor_dev.data.rows import Row, RowError
from arkor_dev.data.sources import SourceError, files_of, parts_of
from arkor_dev.processes.run_child import run_child

from .data_editor import FileRows, RowChange, config_of, files_in

if TYPE_CHECKING:
    from array import array
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import DataFixes
    from arkor_dev.data.findings.check import Progress
    from arkor_dev.data.reader import DataFile

HELD_OUT: Final = 100
"""Added to the number of a source of the evaluation set, so that both sets' sources differ."""
WINDOW: Final = 200
"""Characters of a row in the diff, around what changes."""
BEFORE: Final = 40
NEAR: Final = 20_000
"""Characters on both sides of what changes in which secrets are masked: twice the longest private key."""
SECONDS: Final = 120
PLAN_BYTES: Final = 64 * 2**20


@dataclass
class FixPlan:
    """What would change. ``counts`` are rows by kind, ``diff`` has one hunk per row, with secrets masked."""

    changes: list[RowChange] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    diff: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def files_to_fix(project: Path, trainer: str) -> tuple[list[DataFile], list[DataFile]]:
    """Return the files of a trainer's data set and of its evaluation set. Raises BadRequestError."""
    config = config_of(project, trainer)
    held_out: list[DataFile] = []
    try:
        source = config.get("evalDatasetSource")
        for number, part in enumerate(parts_of(source) if source else ()):
            if part["type"] == "file":
                held_out += files_of(part, project, HELD_OUT + number, forms_of(config.get("method")))
    except SourceError as fault:
        raise BadRequestError(f"The evaluation set: {fault}") from None
    return files_in(config, project), held_out


def plan_fixes(
    files: Sequence[DataFile],
    held_out: Sequence[DataFile],
    only: Collection[str] = (),
    row: int | None = None,
    progress: Progress = lambda *_: None,
) -> FixPlan:
    """Plan the fixes of the findings in ``only``, by default of all but those on request.

    With ``row`` only of the row with that number. Raises BadRequestError for an unknown kind, and OSError.
    """
    if unknown := sorted(set(only) - set(KINDS)):
        raise BadRequestError(f"No fix for {one_line(unknown[0], 80)}. There are: {', '.join(KINDS)}.")
    kinds = set(only) or set(KINDS) - ON_REQUEST
    numbers = rows_found(files, held_out, progress)
    rows_by_file: dict[int, set[str]] = {}
    for kind in (kind for kind in (*TEXTS, *REMOVES) if kind in kinds):
        for number in numbers.get(kind, ()):
            if row in (None, number):
                rows_by_file.setdefault(number, set()).add(kind)
    plan = FixPlan()
    _plan_rows(plan, files, rows_by_file)
    if IN_EVAL in kinds and (leaks := numbers.get(IN_EVAL)):
        _plan_leaks(plan, files, held_out, leaks if row is None else [row] if row in leaks else [])
    return plan


async def fixes_in_child(project: Path, trainer: str, only: Sequence[str], row: int | None) -> DataFixes:
    """Run `plan_fixes` in a separate process, since reading uses a CPU. Raises BadRequestError."""
    # -P: a project's own random.py or datasets/ must not shadow the real ones.
    argv = [sys.executable, "-P", "-m", "arkor_dev", "data", "fix", "--json", "--dry-run"]
    argv += ["--project", str(project), f"--trainer={trainer}", *(f"--only={kind}" for kind in only)]
    argv += [] if row is None else [f"--row={row}"]
    try:
        output = await run_child(argv, project, SECONDS, PLAN_BYTES)
    except OSError as fault:
        raise BadRequestError(f"The fixes cannot be planned: {fault}") from None
    line = output.text.rpartition("\n")[2]
    if output.code != 0 or not line.startswith("{"):
        raise BadRequestError(
            f"The fixes cannot be planned: {one_line(output.text) or 'it takes too long'}. "
            "Run arkor-dev data fix."
        )
    fixes: DataFixes = json.loads(line)
    return fixes


def _plan_rows(plan: FixPlan, files: Sequence[DataFile], numbers: Mapping[int, set[str]]) -> None:
    first = 1
    occurrences: Counter[tuple[int, int]] = Counter()
    for file in files:
        rows = FileRows.of(file)
        inside = {
            number - first: kinds for number, kinds in numbers.items() if first <= number < first + rows.count
        }
        first += rows.count
        if inside and rows.kind is not None:
            plan.left_out.append(
                f"{file.name} is packed ({rows.kind}), so its rows cannot be fixed in place."
            )
            continue
        with file.path.open("rb") as content:
            for at, digest in enumerate(rows.hashes):
                occurrences[file.source, digest] += 1
                if at not in inside or not digest:
                    continue
                content.seek(rows.offsets[at])
                raw = content.read(rows.sizes[at])
                _, body, _ = row_edits.body_of(rows.container, rows.offsets[at], raw)
                entry = entry_of(digest, occurrences[file.source, digest])
                _plan_row(plan, rows, body, at, entry, inside[at])


def _plan_row(
    plan: FixPlan, rows: FileRows, body: bytes, at: int, entry: str, kinds: Collection[str]
) -> None:
    file = rows.file
    removed = next((kind for kind in REMOVES if kind in kinds), None)
    if removed:
        plan.changes.append(RowChange(file.source, entry, delete=True))
        plan.counts[removed] += 1
        plan.diff.append(_hunk(file, at, [removed], body.decode(errors="replace"), None))
        return
    try:
        new = row_edits.with_record(
            rows.container, body, mended(row_edits.value_of(rows.container, body), kinds, file.columns)
        )
    except RowError:
        return
    if new == body:
        return  # what is broken cannot be repaired
    plan.changes.append(RowChange(file.source, entry, text=new.decode()))
    plan.counts.update(kinds)
    plan.diff.append(_hunk(file, at, sorted(kinds), body.decode(), new.decode()))


def _plan_leaks(
    plan: FixPlan, files: Sequence[DataFile], held_out: Sequence[DataFile], numbers: array[int] | list[int]
) -> None:
    if {file.path for file in files} & {file.path for file in held_out}:
        plan.left_out.append(
            "A file is in the data set and in the evaluation set: name other rows for one of them."
        )
        return
    questions = set()
    leaking = set(numbers)
    with open_data(files) as data:
        for item in data:
            if item.location.number in leaking and isinstance(item.row, Row):
                questions.add(question_of(CheckedRow.of(item.location.number, item.row)))
    rows_by_file: dict[int, set[str]] = {}
    unfixable = 0
    with open_data(held_out) as data:
        for item in data:
            if isinstance(item.row, Row):
                if question_of(CheckedRow.of(item.location.number, item.row)) in questions:
                    rows_by_file[item.location.number] = {IN_EVAL}
                else:
                    unfixable += 1
    if rows_by_file and not unfixable:
        plan.left_out.append(
            "Every row of the evaluation set is in the data set: choose other rows to evaluate on."
        )
        return
    first = 1
    occurrences: Counter[tuple[int, int]] = Counter()
    for file in held_out:
        rows = FileRows.of(file)
        for at, digest in enumerate(rows.hashes):
            occurrences[file.source, digest] += 1
            if first + at in rows_by_file and digest and rows.kind is None:
                with file.path.open("rb") as content:
                    content.seek(rows.offsets[at])
                    raw = content.read(rows.sizes[at])
                entry = entry_of(digest, occurrences[file.source, digest])
                plan.changes.append(RowChange(file.source, entry, delete=True))
                plan.counts[IN_EVAL] += 1
                plan.diff.append(_hunk(file, at, [IN_EVAL], raw.decode(errors="replace"), None))
        first += rows.count


def _hunk(file: DataFile, at: int, kinds: Iterable[str], old: str, new: str | None) -> str:
    """Return one row of the diff, shortened to what changes, with secrets masked on both sides."""
    texts = [text for text in (old, new) if text is not None]
    # Masking a row of megabytes takes longer than everything else.
    near = max(0, _first_difference(texts) - NEAR)
    texts = [masked(text[near : near + 2 * NEAR]) for text in texts]
    start = max(0, _first_difference(texts) - BEFORE)

    def line(sign: str, text: str) -> str:
        end = start + WINDOW
        shown = one_line(text[start:end], WINDOW)
        return f"{sign}{'…' if near + start else ''}{shown}{'…' if len(text) > end else ''}\n"

    head = f"@@ {file.name}, row {at + 1}: {', '.join(kinds)} @@\n"
    return head + "".join(line(sign, text) for sign, text in zip("-+", texts, strict=False))


def _first_difference(texts: Sequence[str]) -> int:
    """Return the length of what two texts begin with alike; 0 for one text."""
    if len(texts) == 1:
        return 0
    old, new = texts
    return bisect_left(range(min(len(old), len(new))), True, key=lambda at: old[: at + 1] != new[: at + 1])


def as_wire(plan: FixPlan) -> DataFixes:
    """Return a plan for the wire; `changes_of` reads its changes."""
    return {
        "counts": dict(plan.counts),
        "rows": len(plan.changes),
        "diff": "".join(plan.diff),
        "leftOut": plan.left_out,
        "changes": [
            {"source": change.source, "entry": change.entry, "text": change.text, "delete": change.delete}
            for change in plan.changes
        ],
    }


def changes_of(fixes: DataFixes) -> list[RowChange]:
    """Return the changes of a plan from the wire."""
    return [
        RowChange(change["source"], change["entry"], text=change["text"], delete=change["delete"])
        for change in fixes["changes"]
    ]
