"""The list of jobs, and the one job of it that a person or program names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.core.plain_text import one_line
from arkor_dev.jobs.follow import is_job

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Job

LATEST: Final = "latest"
MOST_IDS: Final = 5
"""Maximum number of ids listed when a name is ambiguous."""


async def jobs_of(backend: Backend) -> list[Job]:
    """Return all jobs, newest first."""
    return (await listing_of(backend))[0]


async def listing_of(backend: Backend) -> tuple[list[Job], str]:
    """Return all jobs, newest first, and why the backend can store nothing now, usually empty."""
    try:
        listing = json.loads((await backend.list_jobs()).body)
        jobs = [job for job in listing["jobs"] if is_job(job) and "id" in job]
        trouble = listing.get("trouble")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BackendError("The backend's list of jobs is unreadable. Try again later.") from None
    jobs.sort(key=lambda job: str(job.get("createdAt")), reverse=True)
    return jobs, trouble if isinstance(trouble, str) else ""


def choose_job(jobs: list[Job], text: str | None) -> Job:
    """Find the job by id, by prefix or by name. Raises BadRequestError for no match and for several."""
    if not text:
        raise BadRequestError(f"Name a job: its id, a prefix of it, its name, or {LATEST}.")
    matches = [job for job in jobs if job["id"] == text]
    if not matches:
        matches = jobs[:1] if text == LATEST else [job for job in jobs if job["id"].startswith(text)]
        matches = matches or [job for job in jobs if job.get("name") == text]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise BadRequestError(f"There is no job {one_line(text, 100)}. `arkor-dev jobs` lists them.")
    ids = ", ".join(one_line(job["id"], 100) for job in matches[:MOST_IDS])
    rest = f" and {len(matches) - MOST_IDS} more" if len(matches) > MOST_IDS else ""
    raise BadRequestError(f"{one_line(text, 100)} is ambiguous: {ids}{rest}. Give more of the id.")
