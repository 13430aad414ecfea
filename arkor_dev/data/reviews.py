"""Judgements of rows: ``data/reviews.jsonl`` of the project, one per line, and the rows that are trained on.

A line names a row by the hash of its content (`arkor_dev.data.exclusions.row_hash`, 16 hexadecimal digits):
the judgement follows the row to any file and place, and copies of a row share it. The last line for a row and
a person counts. A line with ``made`` says that a program wrote the row, and how; it need not be a judgement.

The file is only ever appended to. Reading is strict: a line that cannot be read might be a rejection.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import MIB, read_small

from .exclusions import ENTRY
from .json_text import parsed
from .rows import RowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Review

FILE: Final = "data/reviews.jsonl"
VERDICTS: Final = ("accepted", "rejected", "flagged")
FILE_LIMIT: Final = 64 * MIB
TAGS: Final = 20
TAG_LIMIT: Final = 50
COMMENT_LIMIT: Final = 2_000
BY_LIMIT: Final = 100
"""Limits of one judgement: tags, and characters of a tag, a comment and a person's name."""


class ReviewsError(Exception):
    """Why the judgements cannot be read, with file and line, for the user."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What is known of one row: the last judgement of each person, and how it was ``made``, if it was."""

    people: dict[str, Review] = field(default_factory=dict)
    made: dict[str, Any] | None = None

    @property
    def verdict(self) -> str | None:
        """The verdict of all people: one rejection rejects a row, and one flag flags it."""
        given = {review.get("verdict") for review in self.people.values()}
        return next((each for each in ("rejected", "flagged", "accepted") if each in given), None)

    @property
    def tags(self) -> list[str]:
        """The tags of all people, sorted."""
        return sorted({tag for review in self.people.values() for tag in review.get("tags", ())})


@dataclass(frozen=True, slots=True)
class Reviews:
    """All judgements of a project, by the number that a row's hash is.

    Of the file, ``size`` bytes with ``lines`` line ends and this hash (``state``) were read.
    """

    rows: Mapping[int, Reviewed] = field(default_factory=dict)
    size: int = 0
    lines: int = 0
    state: bytes = b""

    def of(self, digest: int) -> Reviewed | None:
        """Return what is known of the row with this `row_hash`."""
        return self.rows.get(digest)

    def update(self, content: bytes) -> Reviews:
        """Return the judgements of a file with this ``content``.

        Only what was appended is parsed if the file begins with what was read before. Raises ReviewsError.
        """
        kept = hashlib.blake2b(content[: self.size]).digest() == self.state
        if kept and self.size == len(content):
            return self
        rows, size, lines = (dict(self.rows), self.size, self.lines) if kept else ({}, 0, 0)
        for number, line in enumerate(content[size:].split(b"\n"), lines + 1):
            try:
                if line.strip():
                    _judge(rows, review_of(parsed(line)))
            except RowError as fault:
                text = f"{FILE}, line {number}: {fault}. Correct the line or remove it."
                raise ReviewsError(text) from None
        # A last line without its end may be continued: it is read again then.
        size = content.rfind(b"\n") + 1
        return Reviews(rows, size, content.count(b"\n"), hashlib.blake2b(content[:size]).digest())


def _judge(rows: dict[int, Reviewed], review: Review) -> None:
    digest = int(review["row"], 16)
    before = rows.get(digest) or Reviewed()
    people, made = dict(before.people), review.get("made", before.made)
    if "made" not in review or "verdict" in review:
        people[review.get("by", "")] = review
    rows[digest] = Reviewed(people, made)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of a source are trained on by their judgements: ``only`` those, or without ``these``."""

    only: frozenset[int] | None = None
    without: frozenset[int] = frozenset()

    def leaves_out(self, digest: int) -> bool:
        """Return whether the row with this `row_hash` is not trained on."""
        return digest not in self.only if self.only is not None else digest in self.without


ONLY: Final = ("accepted", "all")
"""Values of a source's ``only``. Without it, rejected rows are left out, and made ones until accepted."""


def selection(reviews: Reviews, only: str | None) -> Selection | None:
    """Return the selection of a source with this ``only``; None if it has all rows."""
    if only == "all":
        return None
    verdicts = [(digest, row.verdict, row.made) for digest, row in reviews.rows.items()]
    if only == "accepted":
        return Selection(frozenset(digest for digest, verdict, _ in verdicts if verdict == "accepted"))
    without = frozenset(
        digest
        for digest, verdict, made in verdicts
        if verdict == "rejected" or (made is not None and verdict != "accepted")
    )
    return Selection(without=without) if without else None


def read_reviews(project: Path) -> Reviews:
    """Return the judgements of a project; none without the file. Raises ReviewsError."""
    return Reviews().update(content_of(project))


def content_of(project: Path) -> bytes:
    """Return the file's content, empty without a file. Raises ReviewsError."""
    try:
        return read_small(project / FILE, FILE_LIMIT)
    except FileNotFoundError:
        return b""
    except OSError as fault:
        raise ReviewsError(f"{FILE} cannot be read: {fault.strerror or fault}") from None


def review_of(value: object) -> Review:
    """Return a line's value as a review; unknown keys are dropped. Raises RowError."""
    if not isinstance(value, dict):
        raise RowError("must be a JSON object")
    row, verdict = value.get("row"), value.get("verdict")
    if not (isinstance(row, str) and ENTRY.fullmatch(row)):
        raise RowError("row must be the hash of a row, 16 hexadecimal digits")
    review: Review = {"row": row[:16]}
    if verdict is not None:
        if verdict not in VERDICTS:
            raise RowError(f"verdict must be one of {', '.join(VERDICTS)}")
        review["verdict"] = verdict
    for key in ("file", "comment", "by", "at"):
        text = value.get(key)
        if text is not None:
            if not isinstance(text, str):
                raise RowError(f"{key} must be text")
            review[key] = text
    tags = value.get("tags")
    if tags is not None:
        if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            raise RowError("tags must be a list of texts")
        review["tags"] = tags
    if value.get("made") is not None:
        if not isinstance(value["made"], dict):
            raise RowError("made must be an object")
        review["made"] = value["made"]
    return review


def pairs_of(reviews: Reviews, digests: Iterable[int]) -> Iterator[tuple[str, str, str, str]]:
    """Yield each pair of verdicts on a row by two people, sorted: both names, then both verdicts."""
    for digest in digests:
        row = reviews.of(digest)
        given = sorted(
            (name, review["verdict"]) for name, review in (row.people if row else {}).items()
            if "verdict" in review
        )  # fmt: skip
        for at, (one, verdict) in enumerate(given):
            for other, second in given[at + 1 :]:
                yield one, other, verdict, second
