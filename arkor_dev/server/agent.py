"""What ``arkor-dev --agent`` lets a coding assistant know: that Studio runs, where, and how far its jobs are.

The assistant finds address and secret in this Studio's entry (`open_studios`), a file with mode 0600. The
secret opens this one call, which only reads; it is not the page's token.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from aiohttp import hdrs, web

from arkor_dev import __version__
from arkor_dev.contract.errors import ArkorError
from arkor_dev.jobs.follow import is_job

from .app_keys import JOBS, SETTINGS

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from arkor_dev.contract.shapes import Job

JOBS_SHOWN: Final = 20
LONGEST: Final = 200


class AgentJob(TypedDict):
    """A running job; no name, setting, text or loss of it."""

    id: str
    status: str
    step: NotRequired[int]
    totalSteps: NotRequired[int]


class AgentStatus(TypedDict):
    """``jobs`` are those that run, or null if the backend does not answer."""

    version: str
    project: str
    port: int | None
    jobs: list[AgentJob] | None


def handler(secret: str) -> Handler:
    """Return the handler of ``GET /agent/status``, which requires ``Authorization: Bearer SECRET``."""
    expected = f"Bearer {secret}".encode()

    async def status(request: web.Request) -> web.StreamResponse:
        sent = request.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(sent, expected):
            return web.json_response({"error": "Missing or invalid secret of this session"}, status=401)
        settings = request.app[SETTINGS]
        try:
            listing, _ = await request.app[JOBS].get()
            jobs = await asyncio.to_thread(running, listing.body)
        except ArkorError:
            jobs = None
        view: AgentStatus = {
            "version": __version__, "project": str(settings.project), "port": settings.port, "jobs": jobs,
        }  # fmt: skip
        return web.json_response(view)

    return status


def running(listing: bytes) -> list[AgentJob] | None:
    """Return the running jobs of a backend's list, which may have any content; None if it is none."""
    try:
        jobs = json.loads(listing)["jobs"]
        found = [job for job in jobs if is_job(job) and job.get("status") == "running"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return [_job(job) for job in found[:JOBS_SHOWN]]


def _job(job: Job) -> AgentJob:
    metrics = job.get("metrics")
    figures = metrics if isinstance(metrics, dict) else {}
    shown: AgentJob = {"id": str(job.get("id"))[:LONGEST], "status": "running"}
    if type(step := figures.get("step")) is int:
        shown["step"] = step
    if type(total := figures.get("totalSteps")) is int:
        shown["totalSteps"] = total
    return shown
