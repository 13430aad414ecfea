"""Converts logs and traces of model calls to rows in a new file of the project's ``data`` folder.

These calls block, but for those that run them in a separate process.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import counted
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.rows import DataError
from arkor_dev.data.traces.convert import convert, is_trace, records_of
from arkor_dev.processes.run_child import run_child

from .new_data import NewDataFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import ImportedTraces
    from arkor_dev.data.traces.convert import LoggedRecord

SECONDS: Final = 900.0
"""Maximum seconds for a file that was dropped on the page."""
LISTED: Final = 100
"""Maximum number of reasons in a result."""
SAID: Final = 20
"""Maximum number of reasons on the page."""
SHOWN: Final = 400
RESULT_BYTES: Final = 2**20


def import_files(
    project: Path, files: Sequence[Path], name: str | None, refuse: Callable[[str], None] | None = None
) -> ImportedTraces:
    """Convert the logs in ``files``, whose rows become ``data/NAME.jsonl``. See `import_records`."""
    if not files:
        raise BadRequestError("Name the log to import: arkor-dev data import FILE.")

    def records() -> Iterator[LoggedRecord]:
        for file in files:
            yield from records_of(file, file.name)

    return import_records(project, records(), name or f"{_stem(files[0].name)}-rows", refuse)


def import_records(
    project: Path, records: Iterable[LoggedRecord], name: str, refuse: Callable[[str], None] | None = None
) -> ImportedTraces:
    """Convert ``records``; call ``refuse`` with each that cannot be converted, and why, as one line.

    Nothing is overwritten: the file gets a number if there is one of this name. Without a row there is no
    file. Raises BadRequestError if a file cannot be read or written.
    """
    reasons: list[str] = []

    def note(text: str) -> None:
        line = one_line(text, SHOWN)
        if len(reasons) < LISTED:
            reasons.append(line)
        if refuse is not None:
            refuse(line)

    rows = NewDataFile(project, f"{name}.jsonl")
    try:
        done = convert(records, rows.write, note)
        if done.rows:
            rows.keep()
    except DataError as fault:
        raise BadRequestError(f"Nothing was converted: {fault}.") from None
    except OSError as fault:
        raise BadRequestError(f"{fault.filename} cannot be read ({fault.strerror or fault}).") from None
    finally:
        rows.close()
    return {
        "file": rows.path if done.rows else None,
        "rows": done.rows,
        "merged": done.merged,
        "others": done.others,
        "failed": done.failed,
        "formats": list(done.records),
        "reasons": reasons,
    }


async def rows_of_trace(project: Path, file: str) -> tuple[str, str] | None:
    """Convert a file of the project if it is a log or a trace; return the rows' file, and what became of it.

    None if it is anything else. Raises BadRequestError if it has no row.
    """
    try:
        if not await asyncio.to_thread(is_trace, project / file):
            return None
    except OSError as fault:
        raise BadRequestError(f"{file} cannot be read: {fault.strerror or fault}.") from None
    imported = await import_in_child(project, file)
    lines = [summary(imported), *imported["reasons"][:SAID]]
    if (more := imported["failed"] - SAID) > 0:
        lines.append(f"… and {more:,} more. arkor-dev data import lists them all.")
    if imported["file"] is None:
        raise BadRequestError("\n".join(lines))
    return imported["file"], "\n".join(lines)


async def import_in_child(project: Path, file: str) -> ImportedTraces:
    """Convert a project's file in a separate process, since reading uses a CPU. Raises BadRequestError."""
    # -P: a project's own random.py or datasets/ must not shadow the real ones.
    argv = [sys.executable, "-P", "-m", "arkor_dev", "data", "import", "--json", "--project", str(project)]
    try:
        output = await run_child([*argv, "--", file], project, SECONDS, RESULT_BYTES)
    except OSError as fault:
        raise BadRequestError(f"The log cannot be converted: {fault}") from None
    line = output.text.rpartition("\n")[2]
    if output.code not in (0, 1) or not line.startswith("{"):
        raise BadRequestError(
            f"The log cannot be converted: {one_line(output.text) or 'it takes too long'}. "
            "Run arkor-dev data import."
        )
    imported: ImportedTraces = json.loads(line)
    return imported


def summary(imported: ImportedTraces) -> str:
    """Return the counts in a sentence: ``41 rows of OpenAI chat completions; 9 conversations merged.``"""
    of = f" of {', '.join(imported['formats'])}" if imported["formats"] else ""
    parts = [f"{counted(imported['rows'], 'row')}{of}"]
    if imported["merged"]:
        parts.append(f"{counted(imported['merged'], 'shorter or equal conversation')} merged")
    if imported["others"]:
        parts.append(f"{counted(imported['others'], 'part')} without a model's answer left out")
    if imported["failed"]:
        parts.append(f"{imported['failed']:,} not converted")
    return f"{'; '.join(parts)}."


def _stem(name: str) -> str:
    bare = name.removesuffix(".gz")
    return bare.rpartition(".")[0] or bare
