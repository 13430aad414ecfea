"""Blind preferences between two answers, stored in the job's folder so that they move with the job.

``votes.jsonl`` has one vote per line. A line is appended by a single write and flushed; one torn by a crash
is skipped, and the next begins on a new line. Blocking: call from a thread.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeGuard

from arkor_dev.contract import strict_json
from arkor_dev.contract.bodies import VOTE
from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.schema import SchemaError, check_as
from arkor_dev.contract.shapes import Ballot
from arkor_dev.contract.strict_json import StrictJSONError
from arkor_dev.local.jobs.job_folder import LIMITS, VOTES, votes_file

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import Vote

MOST: Final = 5000
MARK: Final = 40
"""Maximum length of an id and of a time, in characters."""
_WRITING: Final = Lock()
"""Serialises writes, which only this process makes: a vote that arrives while another is removed must not be
lost.
"""


def add_vote(job: Path, vote: Ballot) -> Vote:
    """Store a vote in its job's folder; return it with ``id`` and ``at``. Raises ConflictError."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = _stored(vote, secrets.token_hex(8), at)
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


def votes_of(job: Path) -> list[Vote]:
    """Return all valid votes in the order in which they were given."""
    try:
        lines = votes_file(job).read().split(b"\n")
    except OSError:
        return []
    votes = (_vote(line) for line in lines[: 2 * MOST] if line)  # tolerates a few lines torn by crashes
    return [vote for vote in votes if vote][:MOST]


def _line(vote: Vote) -> bytes:
    return json.dumps(vote, ensure_ascii=False, separators=(",", ":")).encode()


def _vote(line: bytes) -> Vote | None:
    """Parse a line; None if it is not a vote."""
    try:
        parsed = strict_json.parse(line)
        vote = check_as(Ballot, parsed, VOTE)
    except (StrictJSONError, SchemaError):
        return None
    vote_id, at = parsed.get("id"), parsed.get("at")
    return _stored(vote, vote_id, at) if _is_mark(vote_id) and _is_mark(at) else None


def _stored(ballot: Ballot, vote_id: str, at: str) -> Vote:
    """Return a ballot as stored, without fields that it does not know."""
    return {
        "id": vote_id,
        "at": at,
        "voter": ballot["voter"],
        "one": ballot["one"],
        "other": ballot["other"],
        "choice": ballot["choice"],
        "left": ballot["left"],
        "question": ballot["question"],
    }


def _is_mark(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MARK and value.isprintable()
