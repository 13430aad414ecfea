"""What people preferred of two answers without names, in the job's folder: so it goes where the job goes.

``votes.jsonl`` has a vote a line. A line is appended by one write and flushed; one that a crash has torn is
left out, and the next begins on its own. Blocks: called from a thread.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import ConflictError

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "votes.jsonl"
MOST: Final = 5000
KEPT: Final = ("voter", "one", "other", "choice", "left", "question")


def add_vote(job: Path, vote: dict[str, Any]) -> dict[str, Any]:
    """Keep a vote in its job's folder; the vote with its ``id`` and ``at``. ConflictError past the limit."""
    if len(votes_of(job)) >= MOST:
        raise ConflictError(f"This job has {MOST:,} votes already, as many as are kept")
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    kept = {"id": secrets.token_hex(8), "at": at, **{key: vote[key] for key in KEPT}}
    job.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    handle = os.open(job / FILE, flags, 0o600)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        line = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
        os.write(handle, f"{chr(10) if torn else ''}{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    return kept


def votes_of(job: Path) -> list[dict[str, Any]]:
    """Every vote in the order in which they were given."""
    try:
        lines = (job / FILE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    votes = []
    for line in lines:
        try:
            vote = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(vote, dict) and vote.keys() >= {"id", "at", *KEPT}:
            votes.append(vote)
    return votes
