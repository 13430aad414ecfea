"""What the end of a command costs the jobs that end with it: a sentence each, from what their events say."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ArkorError
from arkor_dev.core.plain_text import one_line
from arkor_dev.jobs.follow import read_event
from arkor_dev.jobs.sse_frames import FrameSplitter, frames_in

from .event_text import RunLines

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend

PATIENCE: Final = 1.0
"""Seconds that a job's events have to arrive."""
QUIET: Final = 0.15
"""Seconds without an event, after the first ones, in which a job's history is taken to be whole."""
SHOWN: Final = 5


async def lost_with_studio(backend: Backend) -> list[str]:
    """A sentence for each running job that ends with Studio; none where nothing is lost by that.

    A backend that can resume pauses its jobs at its end, says where they stand, and goes on by itself.
    """
    if not backend.ends_with_launch or await goes_on_later(backend):
        return []
    body = (await backend.list_jobs()).body
    try:
        jobs = (await asyncio.to_thread(json.loads, body))["jobs"]
        running = [job for job in jobs if job.get("status") == "running" and isinstance(job.get("id"), str)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    seen = await asyncio.gather(*(_progress(backend, job["id"]) for job in running[:SHOWN]))
    lines = [
        lost(str(job.get("name") or job["id"]), run, "Studio")
        for job, run in zip(running, seen, strict=False)
    ]
    return [*lines, f"{len(running) - SHOWN} more jobs stop with Studio."] if len(running) > SHOWN else lines


async def features_of(backend: Backend) -> list[object]:
    """The optional features that the backend names; none where it does not answer."""
    try:
        features = json.loads((await backend.capabilities()).body)["features"]
    except (ArkorError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return features if isinstance(features, list) else []


async def goes_on_later(backend: Backend) -> bool:
    """Whether a job that is broken off goes on after the last step that was kept."""
    return "resume" in await features_of(backend)


def lost(name: str, run: RunLines, ends_with: str) -> str:
    """What the end of ``ends_with`` costs the job ``name``, which has come as far as ``run``."""
    at = f"is at {run.place()}" if run.step is not None else "has not finished its first step"
    if run.checkpoint is None:
        kept = "It has no checkpoint yet, so all its progress is lost."
    else:
        kept = f"Its checkpoint of step {run.checkpoint} is kept; its progress since then is lost."
    return f"The job {one_line(name, 100)} {at} and ends with {ends_with}. {kept}"


async def _progress(backend: Backend, job_id: str) -> RunLines:
    """How far a job has come, as far as its events say so at once."""
    run, splitter = RunLines(), FrameSplitter()
    with contextlib.suppress(ArkorError, TimeoutError):
        async with asyncio.timeout(PATIENCE), backend.events(job_id) as answer:
            quiet = None  # a backend that is busy for a moment has not said that nothing was learned
            while True:
                async with asyncio.timeout(quiet):
                    data = await answer.content.readany()
                if not data:
                    break
                quiet = QUIET
                for frame in frames_in(splitter.feed(data)):
                    run.read(read_event(frame))
    return run
