"""What people preferred of two answers without names, in the job's folder: so it goes where the job goes.

``votes.jsonl`` has a vote a line. A line is appended by one write and flushed; one that a crash has torn is
left out, and the next begins on its own. Blocks: called from a thread.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.bodies import VOTE
from arkor_dev.contract.errors import ConflictError
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.contract.strict_json import StrictJSONError
from arkor_dev.local.jobs.job_folder import LIMITS, VOTES, votes_file

if TYPE_CHECKING:
    from pathlib import Path

MOST: Final = 5000
MARK: Final = 40
"""Characters of an id and of a time."""
KEPT: Final = ("voter", "one", "other", "choice", "left", "question")


def add_vote(job: Path, vote: dict[str, Any]) -> dict[str, Any]:
    """Keep a vote in its job's folder; the vote with its ``id`` and ``at``.

    Raises ConflictError past the limit, and where the file cannot be written.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    kept = {"id": secrets.token_hex(8), "at": at, **{key: vote[key] for key in KEPT}}
    line = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
    file, limit = votes_file(job), LIMITS[VOTES]
    try:
        votes = votes_of(job)
        if len(votes) >= MOST or file.size() + len(line) + 2 > limit:
            raise ConflictError(f"This job has {len(votes):,} votes, as many as are kept")
        file.append(line, flush=True)
    except OSError as error:
        raise ConflictError(f"The vote cannot be kept: {file.path} is {error.strerror}") from None
    return kept


def votes_of(job: Path) -> list[dict[str, Any]]:
    """Return every vote in the order in which they were given, without lines that are none."""
    try:
        lines = votes_file(job).read().split(b"\n")
    except OSError:
        return []
    votes = (_vote(line) for line in lines[: 2 * MOST] if line)  # beside a few that a crash has torn
    return [vote for vote in votes if vote][:MOST]


def _vote(line: bytes) -> dict[str, Any] | None:
    """The vote in a line, as a person's request had it; None where it is none."""
    try:
        vote = check(strict_json.parse(line), VOTE)
    except (StrictJSONError, SchemaError):
        return None
    marks = (vote.get("id"), vote.get("at"))
    if not all(isinstance(mark, str) and 0 < len(mark) <= MARK and mark.isprintable() for mark in marks):
        return None
    return {key: vote[key] for key in ("id", "at", *KEPT)}
