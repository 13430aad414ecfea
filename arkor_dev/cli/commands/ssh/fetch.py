"""``arkor-dev ssh fetch``: the adapter of every completed job, from the other machine to this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.cli.commands.export.run import run_export
from arkor_dev.cli.commands.jobs import jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BackendError
from arkor_dev.contract.regular_files import is_safe_name

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings

FOLDER: Final = "fetched"


async def fetch_all(settings: Settings, out: str | None) -> int:
    """Export the adapters that are not in ``out`` (None: ``fetched`` in the project) yet.

    Return the exit code: 1 if one of them is not the trained model. Raises ArkorError.
    """
    folder = settings.project / FOLDER if out is None else Path(out)
    async with joined(settings, lambda _: None) as backend:
        done = [str(job["id"]) for job in await jobs_of(backend) if job.get("status") == "completed"]
    if not all(is_safe_name(job) and "/" not in job for job in done):
        raise BackendError(f"{settings.ssh} answered with something unexpected. Try again.")
    missing = [job for job in done if not (folder / job).exists()]
    print(f"{len(missing)} of {len(done)} completed jobs to fetch")  # noqa: T201
    folder.mkdir(parents=True, exist_ok=True)
    how = {"form": "adapter", "which": "best", "replace": False, "as_json": False}
    codes = [await run_export(settings, job, out=str(folder / job), **how) for job in missing]  # type: ignore[arg-type]
    return max(codes, default=0)
