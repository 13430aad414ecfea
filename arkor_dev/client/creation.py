"""Creates a job."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arkor_dev.contract.changes import for_managed
from arkor_dev.contract.errors import ArkorError, BackendError, BadRequestError
from arkor_dev.contract.run_names import free_name
from arkor_dev.core.plain_text import one_line

from .job_list import jobs_of

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings


@dataclass(frozen=True, slots=True)
class CreatedJob:
    """A new job; ``forecast`` is the backend's estimate of its time and memory, if it has one."""

    id: str
    name: str
    forecast: object


async def name_for(backend: Backend, trainer: str) -> str:
    """Return a name that no other job has; the trainer's own if the backend does not list its jobs."""
    names: list[object] = []
    with contextlib.suppress(ArkorError):
        names = [job.get("name") for job in await jobs_of(backend)]
    return free_name(trainer, names)


async def create(
    backend: Backend,
    settings: Settings,
    name: str,
    config: dict[str, object],
    parent: dict[str, object] | None,
) -> CreatedJob:
    """Create a job. Raises BadRequestError for a config that the backend refuses."""
    try:
        answer = await backend.create_job(name, config if settings.local else for_managed(config), parent)
    except BadRequestError as fault:
        source = config.get("datasetSource")
        if isinstance(source, dict) and source.get("type") == "file" and not settings.local:
            raise BadRequestError(
                f"{one_line(fault.text)} (This trainer's dataset is a file of the project, which only the "
                "local backend reads: add --local, or name a dataset by huggingface or url.)",
            ) from None
        raise
    job = answer.get("job")
    job = job if isinstance(job, dict) else {}
    job_id = job.get("id")
    if not isinstance(job_id, str) or not job_id or one_line(job_id, 200) != job_id:
        raise BackendError("The backend created a job but did not say which. Look for it in Studio.")
    created_name = job.get("name")
    return CreatedJob(job_id, created_name if isinstance(created_name, str) else name, job.get("forecast"))
