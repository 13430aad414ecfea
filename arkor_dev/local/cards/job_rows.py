"""Hashes of the rows that a job trained on, ``evaluation/rows.json``, and how those of two jobs differ.

A row's hash covers only learned content, so the same row in another file, format or position has the same
hash. Two rows with the same question, or in the same position, count as one row that was changed.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NotRequired, TypedDict

from arkor_dev.contract.errors import ConflictError
from arkor_dev.data.findings.finding import one_line
from arkor_dev.data.findings.masking import masked
from arkor_dev.local.jobs.job_folder import RESULT_LIMIT, evaluation_file
from arkor_dev.local.workers.codec import read_as

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import ChangedRow, DataDifference, RowDifference
    from arkor_dev.data.rows import Row

NAME: Final = "rows.json"
MOST_ROWS: Final = 100_000
WITH_EXCERPTS: Final = 20_000
"""Row limits: above the first a job has no record, above the second no excerpts, to keep the file small."""
EXCERPT: Final = 80
FILES_CHANGED: Final = "changed"
MOST_SHOWN: Final = 100


class _Record(NamedTuple):
    """A row: hashes of its content and its question, its location, and its beginning."""

    content: str
    question: str
    location: str
    excerpt: str


class _RowsFile(TypedDict):
    """The file: rows as lists of two hashes, a source in ``places`` by number, the number there, and perhaps
    their beginning; ``files`` is the hash of their files, which earlier versions did not store.
    """

    train: list[list[str | int]]
    heldOut: list[list[str | int]]
    places: list[str]
    files: NotRequired[str]


def save_rows(job: Path, train: Sequence[Row], held_out: Sequence[Row], files: str = "") -> None:
    """Write the record of a job's rows into its folder; if the disk is full, only the comparison is lost.

    ``files`` is the hash of the files that they were read from, `FILES_CHANGED` if these changed meanwhile,
    empty if unknown.
    """
    count = len(train) + len(held_out)
    if count > MOST_ROWS:
        return
    sources: dict[str, int] = {}

    def record(row: Row) -> list[object]:
        source, _, digits = row.where.rpartition(" ")
        source_number = sources.setdefault(source, len(sources))
        number_in_source = int(digits) if digits.isascii() and digits.isdecimal() else 0
        excerpt = [_excerpt(row)] if count <= WITH_EXCERPTS else []
        return [*_hashes(row), source_number, number_in_source, *excerpt]

    by_part = {"train": [record(row) for row in train], "heldOut": [record(row) for row in held_out]}
    stored = {**by_part, "places": list(sources), "files": files}
    content = json.dumps(stored, ensure_ascii=False, separators=(",", ":"))
    encoded = content.encode(errors="replace")
    if len(encoded) <= RESULT_LIMIT:
        with contextlib.suppress(OSError):
            evaluation_file(job, NAME).write(encoded)


def files_read(job: Path) -> str | None:
    """Return the hash of the files that a job's rows were read from, as in `save_rows`; None if unknown."""
    stored = evaluation_file(job, NAME).read_json()
    files = stored.get("files") if isinstance(stored, dict) else None
    return files if isinstance(files, str) and files else None


def _hashes(row: Row) -> tuple[str, str]:
    prompt = row.messages
    while prompt and prompt[-1].get("role") == "assistant":
        prompt = prompt[:-1]
    question = _hash([prompt]) if prompt else ""
    return _hash([row.messages, row.text, row.tools, dict(row.extra)]), question


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _excerpt(row: Row) -> str:
    contents = (message.get("content") for message in row.messages if message.get("role") != "system")
    text = next(
        (content for content in (row.text, *contents) if isinstance(content, str) and content.strip()), ""
    )
    beginning = text[: 4 * EXCERPT]
    return one_line(masked(beginning, cut=len(text) > len(beginning)))[:EXCERPT]


def difference(job: Path, other: Path) -> DataDifference:
    """Return how the rows of job folder ``other`` differ from ``job``'s. Raises ConflictError."""
    before, after = _read(job), _read(other)
    return {"train": _between(before[0], after[0]), "heldOut": _between(before[1], after[1])}


def _between(before: Sequence[_Record], after: Sequence[_Record]) -> RowDifference:
    removed, added = _difference(before, after), _difference(after, before)
    pairs: list[tuple[_Record, _Record]] = []
    for key in (_question, _location):
        unmatched: defaultdict[str, list[_Record]] = defaultdict(list)
        for row in removed:
            unmatched[key(row)].append(row)
        unpaired = []
        for row in added:
            same = unmatched[key(row)] if key(row) else []
            if same:
                pairs.append((same.pop(0), row))
            else:
                unpaired.append(row)
        paired = Counter(id(row) for row, _ in pairs)
        removed, added = [row for row in removed if not paired[id(row)]], unpaired
    rows: list[ChangedRow] = []
    kinds: tuple[tuple[Literal["changed", "added", "removed"], list[_Record]], ...] = (
        ("changed", [row for _, row in pairs]),
        ("added", added),
        ("removed", removed),
    )
    for kind, listed in kinds:
        rows += [{"kind": kind, "where": row.location, "excerpt": row.excerpt} for row in listed[:MOST_SHOWN]]
    return {
        "same": len(after) - len(added) - len(pairs),
        "changed": len(pairs),
        "added": len(added),
        "removed": len(removed),
        "rows": rows[:MOST_SHOWN],
    }


def _question(row: _Record) -> str:
    return row.question


def _location(row: _Record) -> str:
    return row.location


def _difference(rows: Sequence[_Record], subtracted: Iterable[_Record]) -> list[_Record]:
    """Return the rows that the others lack, or contain less often."""
    counts = Counter(row.content for row in subtracted)
    remaining = []
    for row in rows:
        if counts[row.content] > 0:
            counts[row.content] -= 1
        else:
            remaining.append(row)
    return remaining


def _read(job: Path) -> tuple[list[_Record], list[_Record]]:
    try:
        stored = read_as(_RowsFile, evaluation_file(job, NAME).read_json())
        train, held_out = (
            [_record(stored["places"], entry) for entry in rows]
            for rows in (stored["train"], stored["heldOut"])
        )
    except (TypeError, IndexError, ValueError, RecursionError):
        raise ConflictError(
            "One of these jobs has no record of its rows: it has not begun, or it has more than "
            f"{MOST_ROWS:,} rows."
        ) from None
    return train, held_out


def _record(sources: list[str], value: list[str | int]) -> _Record:
    """Parse a row of the file, which may come from another machine. Raises an error if it is invalid."""
    match value:
        case [str(content), str(question), int(source), int(number), *rest] if len(rest) <= 1:
            place = one_line(sources[source])[:200]
            excerpt = one_line(str(rest[0]))[:EXCERPT] if rest else ""
            return _Record(content, question, f"{place} {number}" if number else place, excerpt)
    raise TypeError
