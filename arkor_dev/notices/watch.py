"""Watches jobs for notices in the daemon, when no tab follows them.

The list is polled four times a minute, and only in a project whose ``[notify]`` applies. The events of an
unfinished job are followed; a job that started and ended between two polls is read once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ArkorError, NotFoundError
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.jobs.follow import JobEvent, follow, is_job

from .notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Job
    from arkor_dev.core.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 15.0
FOLLOWED: Final = 16
"""Maximum number of jobs followed, newest first."""


class JobWatch:
    """Follows the jobs of ``backend`` for ``notifier``."""

    def __init__(self, backend: Backend, notifier: Notifier, seconds: float = POLL_SECONDS) -> None:
        self._backend = backend
        self._notifier = notifier
        self._seconds = seconds
        self._known_ids: set[str] | None = None
        self._following: dict[str, asyncio.Task[None]] = {}
        self._sweeps: set[str] = set()
        """Sweeps with a job that has not ended."""

    async def run(self) -> None:
        try:
            while True:
                if await self._notifier.ready():
                    await self._check_jobs()
                await asyncio.sleep(self._seconds)
        finally:
            tasks = list(self._following.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _check_jobs(self) -> None:
        try:
            entries = json.loads((await self._backend.list_jobs()).body)["jobs"]
            jobs = {job["id"]: job for job in entries if is_job(job) and "id" in job}
        except ArkorError:
            return  # unavailable: the next poll will tell
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        before, self._known_ids = self._known_ids, set(jobs)
        newest = sorted(jobs.values(), key=lambda job: str(job.get("createdAt")), reverse=True)
        for job in newest:
            # Jobs that had ended before the first poll were reported, or are not news.
            relevant = job.get("status") not in TERMINAL or (before is not None and job["id"] not in before)
            if isinstance(part := job.get("sweep"), dict):  # one notice at the end, not one per trial
                if relevant and isinstance(part.get("id"), str):
                    self._sweeps.add(part["id"])
                continue
            if relevant and job["id"] not in self._following and len(self._following) < FOLLOWED:
                self._following[job["id"]] = asyncio.create_task(self._follow(job), name="notices of a job")

        for sweep_id in list(self._sweeps):
            await self._look_at(sweep_id)

    async def _look_at(self, sweep_id: str) -> None:
        """Send the notice of a sweep that has ended."""
        try:
            sweep = json.loads((await self._backend.get_sweep(sweep_id)).body)["sweep"]
            state = sweep["state"]
        except NotFoundError:
            state = None
        except (ArkorError, ValueError, KeyError, TypeError, RecursionError):
            return
        if state != "running":
            self._sweeps.discard(sweep_id)
        if state in ("completed", "failed"):
            self._notifier.notify_sweep(sweep)

    async def _follow(self, job: Job) -> None:
        job_id, name = job["id"], str(job.get("name") or job["id"])
        try:
            async with aclosing(follow(self._backend, job_id)) as items:
                async for item in items:
                    if isinstance(item, JobEvent):
                        self._notifier.notify(job_id, name, item)
        except ArkorError:
            # the backend is unavailable: the job is followed again once it is in the next list
            pass
        except Exception:
            log.exception("the notices of job %s", job_id)
        finally:
            self._following.pop(job_id, None)


@asynccontextmanager
async def watching(
    settings: Settings, backend: Backend, warn: Callable[[str], object]
) -> AsyncIterator[None]:
    """Send notices while the block runs; its end does not wait."""
    notifier = Notifier(settings, warn)
    task = asyncio.create_task(JobWatch(backend, notifier).run(), name="notices")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await notifier.close()
