"""Describes what ending a command costs the jobs that end with it, from their events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Final

from arkor_dev.client.features import goes_on_later
from arkor_dev.contract.errors import ArkorError
from arkor_dev.core.plain_text import one_line
from arkor_dev.jobs.follow import read_event
from arkor_dev.jobs.sse_frames import FrameSplitter, frames_in

from .event_text import RunLines

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend

PATIENCE: Final = 1.0
"""Seconds to wait for a job's events."""
QUIET: Final = 0.15
"""Seconds without an event after which a job's history counts as complete."""
MOST_JOBS: Final = 5


async def lost_with_studio(backend: Backend) -> list[str]:
    """Return a sentence for each running job that ends with Studio; empty if nothing is lost.

    A backend that can resume pauses its jobs when it ends and reports and resumes them itself.
    """
    if not backend.ends_with_launch or await goes_on_later(backend):
        return []
    body = (await backend.list_jobs()).body
    try:
        jobs = (await asyncio.to_thread(json.loads, body))["jobs"]
        running = [job for job in jobs if job.get("status") == "running" and isinstance(job.get("id"), str)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    progress = await asyncio.gather(*(_progress(backend, job["id"]) for job in running[:MOST_JOBS]))
    lines = [
        loss_line(str(job.get("name") or job["id"]), run, "Studio")
        for job, run in zip(running, progress, strict=False)
    ]
    return (
        [*lines, f"{len(running) - MOST_JOBS} more jobs stop with Studio."]
        if len(running) > MOST_JOBS
        else lines
    )


def loss_line(name: str, run: RunLines, ends_with: str) -> str:
    """Describe what the end of ``ends_with`` costs the job ``name``, from its progress ``run``."""
    at = f"is at {run.position_text()}" if run.step is not None else "has not finished its first step"
    if run.checkpoint is None:
        loss = "It has no checkpoint yet, so all its progress is lost."
    else:
        loss = f"Its checkpoint of step {run.checkpoint} is kept; its progress since then is lost."
    return f"The job {one_line(name, 100)} {at} and ends with {ends_with}. {loss}"


async def _progress(backend: Backend, job_id: str) -> RunLines:
    """Read a job's progress from the events that arrive at once."""
    run, splitter = RunLines(), FrameSplitter()
    with contextlib.suppress(ArkorError, TimeoutError):
        async with asyncio.timeout(PATIENCE), backend.events(job_id) as answer:
            quiet = None  # a backend that is busy for a moment does not mean that no step was trained
            while True:
                async with asyncio.timeout(quiet):
                    data = await answer.content.readany()
                if not data:
                    break
                quiet = QUIET
                for frame in frames_in(splitter.feed(data)):
                    run.read(read_event(frame))
    return run
