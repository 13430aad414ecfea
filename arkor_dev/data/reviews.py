"""Judgements of rows: ``data/reviews.jsonl`` of the project, one per line, and the rows that are trained on.

A line names a row by the hash of its content (`arkor_dev.data.exclusions.row_hash`, 16 hexadecimal digits):
the judgement follows the row to any file and place, and copies of a row share it. The last line for a row and
a person counts. A line with ``made`` says that a program wrote the row, and how; it need not be a judgement.

The file is only ever appended to. Reading is strict: a line that cannot be read might be a rejection.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import MIB, read_small

from .exclusions import ENTRY
from .json_text import parsed
from .rows import RowError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Review

FILE: Final = "data/reviews.jsonl"
VERDICTS: Final = ("accepted", "rejected", "flagged")
ACCEPTED: Final = "accepted"
RUBRIC_TAG: Final = "rubric: "
"""Begins the tag with the verdict of a rubric's judge, whose reviews have none."""
ALL: Final = "all"
ONLY: Final = (ACCEPTED, ALL)
"""Values of a source's ``only``. Without it, rejected rows are left out, and made ones until accepted."""
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
    """The last judgement of a row by each person, and how it was ``made``, if a program made it."""

    people: dict[str, Review] = field(default_factory=dict)
    made: dict[str, object] | None = None

    @property
    def verdict(self) -> str | None:
        """The verdict of all people: one rejection rejects a row, and one flag flags it."""
        return verdict_of(self.verdicts)

    def is_in(self, only: str) -> bool:
        """Return whether a source with this ``only`` ("" for none) trains on the row."""
        if only == ALL:
            return True
        verdict = self.verdict
        if only == ACCEPTED or self.made is not None:
            return verdict == "accepted"
        return verdict != "rejected"

    @property
    def verdicts(self) -> dict[str, str]:
        """Each person's verdict."""
        return {name: review["verdict"] for name, review in self.people.items() if "verdict" in review}

    @property
    def tags(self) -> list[str]:
        """The tags of all people, sorted."""
        return sorted({tag for review in self.people.values() for tag in review.get("tags", ())})


def verdict_of(verdicts: Mapping[str, str]) -> str | None:
    """Return the verdict of all people from that of each."""
    votes = verdicts.values()
    return next((verdict for verdict in ("rejected", "flagged", "accepted") if verdict in votes), None)


@dataclass(frozen=True, slots=True)
class Reviews:
    """All judgements of a project, by the number that a row's hash is.

    ``changed`` is the size that the file had when a judgement last changed which rows are trained on, for
    each value of a source's ``only`` ("" for none). Of the file, ``size`` bytes with ``lines`` line ends and
    this hash (``state``) were read.
    """

    rows: Mapping[int, Reviewed] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)
    size: int = 0
    lines: int = 0
    state: bytes = b""
    selections: dict[str, Selection | None] = field(default_factory=dict, compare=False)
    """Those that `selection` has made, since a manifest is read every few seconds."""

    def of(self, digest: int) -> Reviewed | None:
        """Return the judgements of the row with this `row_hash`."""
        return self.rows.get(digest)

    def update(self, content: bytes) -> Reviews:
        """Return the judgements of a file with this ``content``.

        Only what was appended is parsed if the file begins with what was read before. Raises ReviewsError.
        """
        unchanged = hashlib.blake2b(content[: self.size]).digest() == self.state
        if unchanged and self.size == len(content):
            return self
        base = self if unchanged else Reviews()
        rows, changed, at = dict(base.rows), dict(base.changed), base.size
        for number, line in enumerate(content[at:].split(b"\n"), base.lines + 1):
            at += len(line) + 1
            try:
                if line.strip():
                    for only in _judge(rows, review_of(parsed(line))):
                        changed[only] = min(at, len(content))
            except RowError as fault:
                text = f"{FILE}, line {number}: {fault}. Correct the line or remove it."
                raise ReviewsError(text) from None
        # A last line without its end may be continued: it is read again then.
        size = content.rfind(b"\n") + 1
        digest = hashlib.blake2b(content[:size]).digest()
        return Reviews(rows, changed, size, content.count(b"\n"), digest)


def _judge(rows: dict[int, Reviewed], review: Review) -> list[str]:
    """Add a line; return the values of ``only`` for which it changes whether its row is trained on."""
    digest = int(review["row"], 16)
    before = rows.get(digest) or Reviewed()
    people, made = dict(before.people), review.get("made", before.made)
    if "made" not in review or "verdict" in review:
        people[review.get("by", "")] = review
    now = rows[digest] = Reviewed(people, made)
    return [only for only in ("", ACCEPTED) if now.is_in(only) != before.is_in(only)]


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a source that are trained on by their judgements: ``only`` some, or all but some."""

    only: frozenset[int] | None = None
    without: frozenset[int] = frozenset()

    def leaves_out(self, digest: int) -> bool:
        """Return whether the row with this `row_hash` is not trained on."""
        return digest not in self.only if self.only is not None else digest in self.without


def selection(reviews: Reviews, only: str) -> Selection | None:
    """Return which rows a source with this ``only`` ("" for none) has; None if it has all of them."""
    if only not in reviews.selections:
        reviews.selections[only] = _selection(reviews, only)
    return reviews.selections[only]


def _selection(reviews: Reviews, only: str) -> Selection | None:
    if only == ALL:
        return None
    if only == ACCEPTED:
        return Selection(frozenset(digest for digest, row in reviews.rows.items() if row.is_in(only)))
    without = frozenset(digest for digest, row in reviews.rows.items() if not row.is_in(only))
    return Selection(without=without) if without else None


_cache: dict[tuple[Path, int | None], Reviews] = {}
CACHED: Final = 4


def read_reviews(project: Path, size: int | None = None) -> Reviews:
    """Return the judgements of a project, of the first ``size`` bytes of the file; none without the file.

    What was read before is not parsed again. Raises ReviewsError.
    """
    content = content_of(project)
    ends = not size or size == len(content) or b"\n" in content[size - 1 : size + 1]
    if not ends or (size or 0) > len(content):
        raise ReviewsError(
            f"{FILE} was rewritten since the job was made, so the rows that it trains on are unknown. "
            "Restore the file, or make a new job."
        )
    reviews = _cache.pop((project, size), Reviews()).update(content[:size])
    _cache[project, size] = reviews  # the latest last
    for oldest in list(_cache)[:-CACHED]:
        _cache.pop(oldest, None)
    return reviews


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
