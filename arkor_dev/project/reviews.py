"""Judging the rows of a trainer: reads and adds to ``data/reviews.jsonl`` (`arkor_dev.data.reviews`).

These calls block.
"""

from __future__ import annotations

import getpass
import json
from collections import Counter
from datetime import UTC, datetime
from itertools import chain, combinations
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.agreement import LEAST_ROWS, agreement
from arkor_dev.data.reviews import (
    BY_LIMIT,
    FILE,
    FILE_LIMIT,
    RUBRIC_TAG,
    VERDICTS,
    Reviewed,
    Reviews,
    ReviewsError,
    read_reviews,
    verdict_of,
)

from .line_file import FOLDER, opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import (
        Review,
        ReviewAgreement,
        ReviewCount,
        ReviewedRow,
        ReviewMark,
        ReviewSummary,
        RubricAgreement,
    )

    from .data_editor import FileRows, Moved

NAME: Final = FILE.removeprefix(f"{FOLDER}/")
UNSEEN: Final = "unseen"
GENERATED: Final = "made"
DISPUTED: Final = "disputed"
WANTED: Final = (UNSEEN, *VERDICTS, GENERATED, DISPUTED)
"""Which rows to go through: not judged by a person, with a certain verdict, made and undecided, or disputed.
"""
SHOWN_TAGS: Final = 50
SHOWN_PEOPLE: Final = 20
SHOWN_PAIRS: Final = 6
_NOBODY: Final = Reviewed()


def add_reviews(project: Path, reviews: Iterable[Review]) -> None:
    """Append lines, all or none; each gets the time (``at``) if it has none.

    Raises TooLargeError beyond the limit, and BadRequestError or InternalError if unwritable.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines = b"".join(
        json.dumps({**review, "at": review.get("at", at)}, ensure_ascii=False, separators=(",", ":")).encode()
        + b"\n"
        for review in reviews
    )
    if not lines:
        return
    with opened(project, NAME, make=True) as file:
        file.append(lines, FILE_LIMIT)


def reviews_of(project: Path) -> Reviews:
    """Return the judgements of a project. Raises BadRequestError for a damaged file, with its line."""
    try:
        return read_reviews(project)
    except ReviewsError as fault:
        raise BadRequestError(str(fault)) from None


def user_name() -> str:
    """Return the name of this computer's user; empty if the system does not know it."""
    try:
        return one_line(getpass.getuser(), BY_LIMIT)
    except (OSError, KeyError, ImportError):  # no such user, or no module for it
        return ""


def summary(reviews: Reviews, files: Sequence[FileRows]) -> ReviewSummary:
    """Count the judgements of the rows of ``files``. Copies of a row count each, people's agreement once."""
    verdicts: Counter[str | None] = Counter()
    tags: Counter[str] = Counter()
    people: Counter[str] = Counter()
    made_rows = disputed = 0
    several: dict[int, dict[str, str]] = {}
    scores: dict[str, dict[int, tuple[str | None, str]]] = {}
    for digest in _digests(files):
        row = reviews.of(digest) if digest else None
        if row is None:
            verdicts[None] += 1
            continue
        by_person = row.verdicts
        verdict = verdict_of(by_person)
        verdicts[verdict] += 1
        for name, score in _scores(row):
            scores.setdefault(name, {})[digest] = verdict, score
        for tag in row.tags:
            tags[tag] += 1
        for name in by_person:
            people[name] += 1
        if len(by_person) > 1:
            several[digest] = by_person
            disputed += len(set(by_person.values())) > 1
        made_rows += row.made is not None and verdict not in ("accepted", "rejected")
    return {
        "file": FILE,
        "rows": verdicts.total(),
        "accepted": verdicts["accepted"],
        "rejected": verdicts["rejected"],
        "flagged": verdicts["flagged"],
        "unseen": verdicts[None],
        "made": made_rows,
        "disputed": disputed,
        "tags": _counts(tags, SHOWN_TAGS),
        "people": _counts(people, SHOWN_PEOPLE),
        "agreement": _agreements(several.values(), [name for name, _ in people.most_common(SHOWN_PEOPLE)]),
        "rubrics": [
            _rubric(name, verdicts_of_rubric)
            for name, verdicts_of_rubric in list(scores.items())[:SHOWN_PAIRS]
        ],
        "by": user_name(),
    }


def _scores(row: Reviewed) -> Iterable[tuple[str, str]]:
    """Yield the verdict of each rubric's judge."""
    for name, review in row.people.items():
        for tag in review.get("tags", ()) if "verdict" not in review else ():
            if tag.startswith(RUBRIC_TAG):
                yield name, tag.removeprefix(RUBRIC_TAG)


def _rubric(name: str, verdicts: Mapping[int, tuple[str | None, str]]) -> RubricAgreement:
    pairs = [(verdict, score) for verdict, score in verdicts.values() if verdict in ("accepted", "rejected")]
    measured = agreement(pairs)
    return {
        "by": name,
        "scored": len(verdicts),
        "rows": len(pairs),
        "equal": sum(verdict == score for verdict, score in pairs),
        "kappa": measured and round(measured.kappa, 4),
        "low": measured and round(measured.low, 4),
        "high": measured and round(measured.high, 4),
        "needs": max(0, LEAST_ROWS - len(pairs)),
        "heard": measured is not None and measured.is_heard,
    }


def _counts(counter: Counter[str], limit: int) -> list[ReviewCount]:
    return [{"name": name, "rows": rows} for name, rows in counter.most_common(limit)]


def _agreements(rows: Iterable[Mapping[str, str]], people: Sequence[str]) -> list[ReviewAgreement]:
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    counted = set(people)
    for by_person in rows:
        for first, second in combinations(sorted(by_person.keys() & counted), 2):
            pairs.setdefault((first, second), []).append((by_person[first], by_person[second]))
    agreements: list[ReviewAgreement] = []
    for both, verdicts in sorted(pairs.items(), key=lambda pair: -len(pair[1]))[:SHOWN_PAIRS]:
        measured = agreement(verdicts)
        equal = sum(first == second for first, second in verdicts)
        agreements.append(
            {
                "people": list(both),
                "rows": len(verdicts),
                "equal": equal,
                "kappa": measured and round(measured.kappa, 4),
                "low": measured and round(measured.low, 4),
                "high": measured and round(measured.high, 4),
            }
        )
    return agreements


def reviewed_row(
    reviews: Reviews, files: Sequence[FileRows], number: int, entry: str = "", elsewhere: str = ""
) -> ReviewedRow:
    """Return the judgements of row ``number`` (from 1); ``entry`` names a row from ``elsewhere``.

    Raises NotFoundError for a row outside the project without ``entry``.
    """
    index = number - 1
    for rows in files:
        if 0 <= index < rows.count:
            digest = rows.hashes[index] if index < len(rows.hashes) else 0
            return _reviewed(reviews, number, digest, rows.file.name)
        index -= rows.count
    if entry:
        return _reviewed(reviews, number, int(entry[:16], 16), elsewhere)
    raise NotFoundError("This row is not in a file of the project.")


def _reviewed(reviews: Reviews, number: int, digest: int, file: str) -> ReviewedRow:
    row = reviews.of(digest) or _NOBODY
    reviewed: ReviewedRow = {
        "row": number,
        "hash": f"{digest:016x}" if digest else "",
        "file": file,
        "reviews": list(row.people.values()),
    }
    if row.verdict:
        reviewed["verdict"] = row.verdict
    if row.made is not None:
        reviewed["made"] = row.made
    return reviewed


def marks(reviews: Reviews, files: Sequence[FileRows], first: int, count: int) -> list[ReviewMark]:
    """Return the marks of up to ``count`` rows from ``first`` (from 1) on, without rows that have none."""
    review_marks: list[ReviewMark] = []
    for number, digest in enumerate(_digests(files), 1):
        if number < first or digest == 0:
            continue
        if number >= first + count:
            break
        row = reviews.of(digest)
        if row is None:
            continue
        mark: ReviewMark = {"row": number}
        if row.verdict:
            mark["verdict"] = row.verdict
        if row.made is not None:
            mark["made"] = True
        if len(mark) > 1:
            review_marks.append(mark)
    return review_marks


def next_row(
    reviews: Reviews,
    files: Sequence[FileRows],
    want: str,
    after: int,
    by: str = "",
    tag: str = "",
    among: Sequence[int] = (),
) -> int | None:
    """Return the next row after row ``after`` that is wanted (see `WANTED`), then from the first row on.

    ``unseen`` are those without a verdict of ``by``. With ``tag`` only rows with that; ``want`` may be empty
    then. With ``among`` it is the first of these rows, in their order, that is wanted.
    """

    def fits(row: Reviewed) -> bool:
        if tag and tag not in row.tags:
            return False
        if want == UNSEEN:
            return by not in row.verdicts
        if want == GENERATED:
            return row.made is not None and row.verdict not in ("accepted", "rejected")
        if want == DISPUTED:
            return _is_disputed(row)
        return not want or row.verdict == want

    if among:
        numbers = set(among)
        digests = {number: digest for number, digest in enumerate(_digests(files), 1) if number in numbers}
        matches = (
            row for row in among if (digest := digests.get(row)) and fits(reviews.of(digest) or _NOBODY)
        )
        return next(matches, None)
    before = None
    for number, digest in enumerate(_digests(files), 1):
        if digest and (number > after or before is None) and fits(reviews.of(digest) or _NOBODY):
            if number > after:
                return number
            before = number
    return before


def _is_disputed(row: Reviewed) -> bool:
    return len(set(row.verdicts.values())) > 1


def _digests(files: Sequence[FileRows]) -> Iterable[int]:
    """Yield the hash of each row as rows are numbered; 0 for what cannot be read further."""
    return chain.from_iterable(chain(rows.hashes, (0,) if rows.broken else ()) for rows in files)


def carry_over(project: Path, moved: Sequence[Moved]) -> None:
    """Copy judgements and marks of edited rows to their new content, unless that already has some.

    A merged row counts as made by a program if a part of it was, and nobody has judged it. A damaged file is
    left alone: it is reported wherever judgements are read.
    """
    try:
        reviews = read_reviews(project)
    except ReviewsError:
        return
    lines: list[Review] = []
    for old, new, unmerged in moved:
        row = reviews.of(old)
        if row is None or old == new or not new or reviews.of(new) is not None:
            continue
        name = f"{new:016x}"
        if row.made is not None:
            lines.append({"row": name, "made": row.made})
        for review in row.people.values() if unmerged else ():
            copy: Review = {**review, "row": name}
            copy.pop("made", None)
            lines.append(copy)
    add_reviews(project, lines)
