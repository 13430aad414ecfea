"""The rows that a job trained on, by hashes: ``evaluation/rows.json``, and how those of two jobs differ.

A row's hash is of what is learned from it, so that the same row in another place, file or format is the same.
Two rows with one question, or in one place, are taken for one row that was changed.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from arkor_dev.contract.errors import ConflictError
from arkor_dev.data.findings.finding import one_line
from arkor_dev.data.findings.masking import masked
from arkor_dev.local.jobs.job_folder import RESULT_LIMIT, evaluation_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import ChangedRow, DataDifference, RowDifference
    from arkor_dev.data.rows import Row

NAME: Final = "rows.json"
MOST_ROWS: Final = 100_000
WITH_EXCERPTS: Final = 20_000
"""Jobs with more rows have no record, and with more than this no excerpts: it must be a small file."""
EXCERPT: Final = 80
SHOWN: Final = 100


class _Record(NamedTuple):
    """A row: hashes of its content and its question, where it is, and how it begins."""

    content: str
    question: str
    where: str
    excerpt: str


def keep_rows(job: Path, train: Sequence[Row], held_out: Sequence[Row]) -> None:
    """Write the record of a job's rows into its folder; a full disk only costs the comparison."""
    count = len(train) + len(held_out)
    if count > MOST_ROWS:
        return
    places: dict[str, int] = {}

    def record(row: Row) -> list[Any]:
        place, _, number = row.where.rpartition(" ")
        at = places.setdefault(place, len(places))
        where = int(number) if number.isascii() and number.isdecimal() else 0
        short = [_excerpt(row)] if count <= WITH_EXCERPTS else []
        return [*_hashes(row), at, where, *short]

    told = {"train": [record(row) for row in train], "heldOut": [record(row) for row in held_out]}
    content = json.dumps({**told, "places": list(places)}, ensure_ascii=False, separators=(",", ":"))
    encoded = content.encode(errors="replace")
    if len(encoded) <= RESULT_LIMIT:
        with contextlib.suppress(OSError):
            evaluation_file(job, NAME).write(encoded)


def _hashes(row: Row) -> tuple[str, str]:
    asked = row.messages
    while asked and asked[-1].get("role") == "assistant":
        asked = asked[:-1]
    question = _hash([asked]) if asked else ""
    return _hash([row.messages, row.text, row.tools, dict(row.extra)]), question


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _excerpt(row: Row) -> str:
    said = (message.get("content") for message in row.messages if message.get("role") != "system")
    text = next((each for each in (row.text, *said) if isinstance(each, str) and each.strip()), "")
    begun = text[: 4 * EXCERPT]
    return one_line(masked(begun, cut=len(text) > len(begun)))[:EXCERPT]


def difference(job: Path, other: Path) -> DataDifference:
    """Return how the rows of ``other`` differ from those of ``job``, two folders of jobs.

    Raises ConflictError if one has no record of its rows.
    """
    before, after = _read(job), _read(other)
    return {"train": _between(before[0], after[0]), "heldOut": _between(before[1], after[1])}


def _between(before: Sequence[_Record], after: Sequence[_Record]) -> RowDifference:
    gone, new = _beyond(before, after), _beyond(after, before)
    pairs: list[tuple[_Record, _Record]] = []
    for key in (_question, _place):
        known: defaultdict[str, list[_Record]] = defaultdict(list)
        for row in gone:
            known[key(row)].append(row)
        left = []
        for row in new:
            same = known[key(row)] if key(row) else []
            if same:
                pairs.append((same.pop(0), row))
            else:
                left.append(row)
        paired = Counter(id(row) for row, _ in pairs)
        gone, new = [row for row in gone if not paired[id(row)]], left
    rows: list[ChangedRow] = []
    kinds: tuple[tuple[Literal["changed", "added", "removed"], list[_Record]], ...] = (
        ("changed", [row for _, row in pairs]),
        ("added", new),
        ("removed", gone),
    )
    for kind, listed in kinds:
        rows += [{"kind": kind, "where": row.where, "excerpt": row.excerpt} for row in listed[:SHOWN]]
    return {
        "same": len(after) - len(new) - len(pairs),
        "changed": len(pairs),
        "added": len(new),
        "removed": len(gone),
        "rows": rows[:SHOWN],
    }


def _question(row: _Record) -> str:
    return row.question


def _place(row: _Record) -> str:
    return row.where


def _beyond(rows: Sequence[_Record], others: Iterable[_Record]) -> list[_Record]:
    """Return the rows that are not among the others, or not as often."""
    left = Counter(row.content for row in others)
    found = []
    for row in rows:
        if left[row.content] > 0:
            left[row.content] -= 1
        else:
            found.append(row)
    return found


def _read(job: Path) -> tuple[list[_Record], list[_Record]]:
    found = evaluation_file(job, NAME).read_json()
    try:
        places = found["places"]
        lists = [[_record(places, each) for each in found[name]] for name in ("train", "heldOut")]
    except (TypeError, KeyError, IndexError, ValueError, AttributeError):
        raise ConflictError(
            "One of these jobs has no record of its rows: it has not begun, or it has more than "
            f"{MOST_ROWS:,} rows."
        ) from None
    return lists[0], lists[1]


def _record(places: list[str], value: list[Any]) -> _Record:
    """Read a row of the file, which may come from elsewhere. Raises an error if it is invalid."""
    content, question, place, number, *excerpt = value
    texts = [content, question, places[place], *excerpt[:1]]
    if not all(isinstance(text, str) for text in texts) or not isinstance(number, int):
        raise TypeError
    where = f"{one_line(places[place])[:200]} {number}" if number else one_line(places[place])[:200]
    return _Record(content, question, where, one_line(excerpt[0])[:EXCERPT] if excerpt else "")
