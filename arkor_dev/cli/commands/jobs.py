"""``arkor-dev jobs``: what there is, and the end of one. It starts none, on this machine neither."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.connect import joined
from arkor_dev.identity.credentials_file import NoCredentialsError, read_credentials

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings

NAME_CHARACTERS: Final = 60
LATEST: Final = "latest"
SHOWN: Final = 5
"""Ids that are listed where several may be meant."""


async def run_jobs(settings: Settings, action: str | None, job: str | None, *, as_json: bool) -> int:
    """List the jobs, or with the action ``cancel`` cancel ``job``; the exit code."""
    if action not in (None, "cancel"):
        raise BadRequestError(f"unknown action {one_line(action, 100)}. See arkor-dev jobs --help.")
    if not settings.local:
        _require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        jobs = await jobs_of(backend)
        if action is None:
            print(json.dumps({"jobs": jobs}, indent=2) if as_json else "\n".join(lines(jobs)))  # noqa: T201
            return 0
        chosen = choose_job(jobs, job)
        name = f"{one_line(chosen['id'], 100)} ({one_line(chosen.get('name'), NAME_CHARACTERS)})"
        over = chosen.get("status") in TERMINAL
        if not over:
            answer = json.loads((await backend.cancel_job(chosen["id"])).body)
            chosen = answer.get("job", chosen) if isinstance(answer, dict) else chosen
        if as_json:
            print(json.dumps({"job": chosen}, indent=2))  # noqa: T201
        elif over:
            print(f"{name} is {one_line(chosen.get('status'), 40)} already: nothing was cancelled.")  # noqa: T201
        else:
            print(f"{name} is cancelled.")  # noqa: T201
    return 0


def _require_sign_in(settings: Settings) -> None:
    """Raise BadRequestError where nobody is signed in: to look at jobs makes no identity."""
    try:
        read_credentials(settings.arkor_home / "credentials.json")
    except NoCredentialsError:
        raise BadRequestError(
            "Nobody is signed in, so there are no jobs to list. Those of this machine: add --local."
        ) from None


def lines(jobs: list[dict[str, Any]]) -> list[str]:
    """A line a job, with a head: status, when it was made, id, name, star and tags."""
    if not jobs:
        return ["No job has run yet."]
    rows = [("STATUS", "CREATED", "ID", "NAME"), *(_row(job) for job in jobs)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*map(str.ljust, row[:3], widths), row[3]]) for row in rows]


def _row(job: dict[str, Any]) -> tuple[str, str, str, str]:
    status = one_line(job.get("status"), 20)
    queue = job.get("queue")
    if isinstance(queue, dict) and isinstance(queue.get("position"), int):
        status += f" {queue['position']}{' (held)' if queue.get('held') else ''}"
    name = one_line(job.get("name"), NAME_CHARACTERS)
    if job.get("starred"):
        name = f"* {name}"
    tags = job.get("tags")
    if isinstance(tags, list) and tags:
        name += f"  [{one_line(', '.join(map(str, tags)), NAME_CHARACTERS)}]"
    return status, _moment(job.get("createdAt")), one_line(job["id"], 100), name


def _moment(text: object) -> str:
    try:
        return datetime.fromisoformat(str(text)).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return "-"


async def jobs_of(backend: Backend) -> list[dict[str, Any]]:
    """All jobs, the newest first."""
    try:
        listed = json.loads((await backend.list_jobs()).body)["jobs"]
        jobs = [job for job in listed if isinstance(job, dict) and isinstance(job.get("id"), str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackendError("The backend's list of jobs cannot be read. Try again later.") from None
    return sorted(jobs, key=lambda job: str(job.get("createdAt")), reverse=True)


def choose_job(jobs: list[dict[str, Any]], text: str | None) -> dict[str, Any]:
    """The job that ``text`` names; raises BadRequestError where that is none, or several."""
    if not text:
        raise BadRequestError(f"Say which job: its id, the beginning of it, or {LATEST}.")
    found = [job for job in jobs if job["id"] == text]
    if not found:
        found = jobs[:1] if text == LATEST else [job for job in jobs if job["id"].startswith(text)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadRequestError(f"There is no job {one_line(text, 100)}. `arkor-dev jobs` lists them.")
    ids = ", ".join(one_line(job["id"], 100) for job in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise BadRequestError(f"{one_line(text, 100)} may be {ids}{more}. Give more of the id.")
