"""Blind preferences between two answers, stored in the job's folder so that they move with the job.

``votes.jsonl`` has one vote per line. A line is appended by a single write and flushed; one torn by a crash
is skipped, and the next begins on a new line. Blocking: call from a thread.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.bodies import VOTE
from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.contract.strict_json import StrictJSONError
from arkor_dev.local.jobs.job_folder import LIMITS, VOTES, votes_file

if TYPE_CHECKING:
    from pathlib import Path

MOST: Final = 5000
MARK: Final = 40
"""Maximum length of an id and of a time, in characters."""
_WRITING: Final = Lock()
"""Serialises writes, which only this process makes: a vote that arrives while another is removed must not be
lost.
"""
FIELDS: Final = ("voter", "one", "other", "choice", "left", "question")


def add_vote(job: Path, vote: dict[str, Any]) -> dict[str, Any]:
    """Store a vote in its job's folder; return it with ``id`` and ``at``. Raises ConflictError."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = {"id": secrets.token_hex(8), "at": at, **{key: vote[key] for key in FIELDS}}
    line = _line(record)
    file, limit = votes_file(job), LIMITS[VOTES]
    try:
        with _WRITING:
            votes = votes_of(job)
            if len(votes) >= MOST or file.size() + len(line) + 2 > limit:
                raise ConflictError(f"This job has {len(votes):,} votes, the most that are stored")
            file.append(line, flush=True)
    except OSError as error:
        raise ConflictError(f"The vote could not be stored in {file.path}: {error.strerror}") from None
    return record


def remove_vote(job: Path, vote_id: str) -> None:
    """Remove a vote. Raises NotFoundError without it, and ConflictError if the file is not writable."""
    file = votes_file(job)
    try:
        with _WRITING:
            votes = votes_of(job)
            remaining = [vote for vote in votes if vote["id"] != vote_id]
            if len(remaining) == len(votes):
                raise NotFoundError("There is no such vote")
            file.write(b"".join(_line(vote) + b"\n" for vote in remaining))
    except OSError as error:
        raise ConflictError(f"The vote could not be removed from {file.path}: {error.strerror}") from None


def votes_of(job: Path) -> list[dict[str, Any]]:
    """Return all valid votes in the order in which they were given."""
    try:
        lines = votes_file(job).read().split(b"\n")
    except OSError:
        return []
    votes = (_vote(line) for line in lines[: 2 * MOST] if line)  # tolerates a few lines torn by crashes
    return [vote for vote in votes if vote][:MOST]


def _line(vote: dict[str, Any]) -> bytes:
    return json.dumps(vote, ensure_ascii=False, separators=(",", ":")).encode()


def _vote(line: bytes) -> dict[str, Any] | None:
    """Parse a line; None if it is not a vote."""
    try:
        vote = check(strict_json.parse(line), VOTE)
    except (StrictJSONError, SchemaError):
        return None
    marks = (vote.get("id"), vote.get("at"))
    if not all(isinstance(mark, str) and 0 < len(mark) <= MARK and mark.isprintable() for mark in marks):
        return None
    return {key: vote[key] for key in ("id", "at", *FIELDS)}
