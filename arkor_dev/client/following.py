"""Follows a job to its end, or to a pause that only a person ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import events
from arkor_dev.contract.changes import ADJUSTING
from arkor_dev.contract.errors import ArkorError, NotFoundError
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.jobs.follow import APPEARS_WITHIN, Connection, JobEvent, Waiting, follow, job_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from arkor_dev.backend.client import Backend

    Item = JobEvent | Connection | Waiting

PASSING: Final = ("disk", "battery", ADJUSTING)
"""Reasons of pauses that end by themselves."""
ENDS: Final = {
    events.TRAINING_COMPLETED: "completed",
    events.TRAINING_FAILED: "failed",
    events.TRAINING_CANCELLED: "cancelled",
}
"""The events that end a job, with its status then."""
RECORD_SECONDS: Final = (0.0, 0.2, 0.8, 2.0)
"""Pauses before each look at a job's record: its stream may end a moment before the record is updated."""


@dataclass(frozen=True, slots=True)
class JobEnding:
    """The end of a job, or a pause that only a person ends.

    ``status`` is also ``deleted``, or ``unknown`` if the backend does not say it. ``error`` is a failed job's
    reason; ``reported`` says whether its events have had it.
    """

    status: str
    error: str | None = None
    reported: bool = False


async def followed(
    backend: Backend, job_id: str, *, appears_within: float = APPEARS_WITHIN
) -> AsyncGenerator[Item]:
    """Yield what `follow` does, up to the job's end or a pause that only a person ends."""
    async with aclosing(follow(backend, job_id, appears_within=appears_within)) as items:
        async for item in items:
            yield item
            if isinstance(item, JobEvent) and item.name == events.TRAINING_PAUSED:
                reason = item.data.get("reason") if isinstance(item.data, dict) else None
                if reason not in PASSING:
                    return


async def watch(
    backend: Backend, job_id: str, show: Callable[[Item], None], *, appears_within: float = APPEARS_WITHIN
) -> JobEnding:
    """Call ``show`` with each item of `followed`; return how the job has ended. Raises ArkorError."""
    seen: str | None = None
    last: Item | None = None
    async with aclosing(followed(backend, job_id, appears_within=appears_within)) as items:
        async for item in items:
            show(item)
            last = item
            if isinstance(item, JobEvent):
                seen = None if item.name == events.TRAINING_RESUMED else ENDS.get(item.name, seen)
    if isinstance(last, JobEvent) and last.name == events.TRAINING_PAUSED:
        return JobEnding("paused")
    return await _ending(backend, job_id, seen)


async def _ending(backend: Backend, job_id: str, seen: str | None) -> JobEnding:
    for pause in RECORD_SECONDS:
        await asyncio.sleep(pause)
        try:
            job = await job_of(backend, job_id)
        except NotFoundError:
            if seen is None:
                return JobEnding("deleted")
            continue
        except ArkorError:
            continue
        if job is None:
            continue
        status, error = str(job.get("status")), job.get("error")
        if status in TERMINAL:
            return JobEnding(status, str(error) if error else None, reported=seen is not None)
    return JobEnding(seen or "unknown", reported=seen is not None)
