"""``arkor-dev local``: shows and cleans up what this machine stores of a project's jobs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.cli.consent import confirm
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.local_backend import rebuild_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Disk, ModelOnDisk
    from arkor_dev.core.settings import Settings
    from arkor_dev.identity.local_backend import RebuiltJobs

ACTIONS = {"status": "", "gc": "", "path": "", "export": "JOB FILE", "import": "FILE", "rebuild": ""}
"""The actions, each with the names that it accepts."""


async def run_local(
    settings: Settings, action: str | None, names: list[str], *, as_json: bool, yes: bool
) -> int:
    """Do ``action`` (None: ``status``) with the named jobs; return the exit code."""
    action = action or "status"
    if action not in ACTIONS:
        actions = ", ".join(ACTIONS)
        raise BadRequestError(f"unknown action {one_line(action, 100)}. Choose one of {actions}.")
    if len(names) != len(ACTIONS[action].split()):
        usage = f"arkor-dev local {action} {ACTIONS[action]}".rstrip()
        raise BadRequestError(f"local {action} takes {ACTIONS[action] or 'nothing more'}: {usage}.")
    if action == "path":
        print(settings.local_data)  # noqa: T201
        return 0
    stored_data = [settings.local_data / name for name in ("backend.sqlite", "jobs")]
    if action != "import" and not any(path.exists() for path in stored_data):
        print(f"This machine has no jobs of the project {one_line(settings.project, 500)}.")  # noqa: T201
        return 0
    if action == "rebuild":
        rebuilt = await rebuild_jobs(settings)
        print(json.dumps(rebuilt, indent=2) if as_json else "\n".join(_rebuilt(rebuilt)))  # noqa: T201
        return 0
    async with joined(dataclasses.replace(settings, local=True), lambda _: None, idle=True) as backend:
        if action == "export":
            return await _export(backend, *names)
        if action == "import":
            job = json.loads((await backend.import_job(_absolute(names[0]))).body)["job"]
            print(f"{one_line(job['id'], 60)} ({one_line(job['name'], 60)}) was imported.")  # noqa: T201
            return 0
        disk = await _disk(backend)
        if action == "status":
            paths = {"data": str(settings.local_data), "cache": str(settings.cache)}
            print(json.dumps({"disk": disk, **paths}, indent=2) if as_json else _status(settings, disk))  # noqa: T201
            return 0
        return await _clean(backend, disk, yes=yes)


async def _export(backend: Backend, job: str, file: str) -> int:
    chosen, target = choose_job(await jobs_of(backend), job), _absolute(file)
    size_written = json.loads((await backend.export_job(chosen["id"], target)).body)["bytes"]
    name = f"{one_line(chosen['id'], 60)} ({one_line(chosen.get('name'), 60)})"
    print(f"{name} is in {one_line(target, 500)}, {format_bytes(size_written)}.")  # noqa: T201
    return 0


def _rebuilt(outcome: RebuiltJobs) -> Iterator[str]:
    """Describe the outcome of rebuilding the list of jobs."""
    added, skipped = outcome["added"], outcome["unusable"]
    jobs = "job" if outcome["jobs"] == 1 else "jobs"
    yield f"The list has {outcome['jobs']} {jobs}; {outcome['read']} could be read from the old one."
    if added:
        yield f"{len(added)} were rebuilt from their folders, without their metrics over time:"
        yield from (f"  {one_line(name, 100)}" for name in added)
    if skipped:
        yield "Folders left alone, as they don't name their job:"
        yield from (f"  {one_line(job_id, 60)}" for job_id in skipped)
    if outcome["damaged_file"]:
        file = one_line(outcome["damaged_file"], 100)
        yield f"The old list was kept as {file}: remove it when nothing is missing."


def _absolute(file: str) -> str:
    """Make the path absolute: the backend has another working directory."""
    return str(Path(file).absolute())


async def _disk(backend: Backend) -> Disk:
    try:
        disk: Disk = json.loads((await backend.disk()).body)["disk"]
    except (ValueError, KeyError, TypeError):
        raise BackendError("The local backend did not report its disk usage.") from None
    return disk


def _status(settings: Settings, disk: Disk) -> str:
    jobs, models = disk["jobs"], disk["models"]
    total = sum(job["bytes"] for job in jobs)
    lines = [
        f"Project  {one_line(settings.project, 500)}",
        f"Data     {one_line(settings.local_data, 500)}",
        f"Models   {one_line(settings.cache / 'models', 500)}",
        "",
        f"{format_bytes(total):>9}  {len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}",
        f"{format_bytes(disk['database']):>9}  job database",
        f"{format_bytes(disk['leftovers']):>9}  orphaned files",
        f"{format_bytes(disk['free']):>9}  free on this disk",
    ]
    if disk.get("embeddings"):
        lines.insert(-1, f"{format_bytes(disk['embeddings']):>9}  embeddings of rows")
    if jobs:
        lines += ["", "Jobs, largest first:"]
        labelled = [(job, f"{one_line(job['id'], 60)}  {one_line(job['name'], 60)}") for job in jobs]
        lines += [f"{format_bytes(job['bytes']):>9}  {words}" for job, words in labelled]
    if models:
        lines += ["", "Models:"]
        described = [(model, one_line(model["name"], 80) + _use(model)) for model in models]
        lines += [f"{format_bytes(model['bytes']):>9}  {words}" for model, words in described]
    if next(_spare(disk), None):
        lines += ["", "`arkor-dev local gc` deletes orphaned files and unused models."]
    return "\n".join(lines)


def _use(model: ModelOnDisk) -> str:
    if model.get("shared"):
        return "  (in the model hub's cache, shared with other programs)"
    return "" if model.get("used", True) else "  (no job uses it)"


def _spare(disk: Disk) -> Iterator[tuple[str, int]]:
    """Describe what ``gc`` would delete, with its size."""
    if disk["leftovers"]:
        yield "orphaned files", disk["leftovers"]
    if disk.get("embeddings"):
        yield "embeddings of rows, which can be made again", disk["embeddings"]
    for model in disk["models"]:
        if not model.get("shared") and not model.get("used", True):
            yield f"the model {one_line(model['name'], 80)}, which no job uses", model["bytes"]
    if disk.get("unused"):
        yield "database entries of deleted jobs", disk["unused"]


async def _clean(backend: Backend, disk: Disk, *, yes: bool) -> int:
    spare = list(_spare(disk))
    if not spare:
        print("Nothing to remove: everything belongs to a job.")  # noqa: T201
        return 0
    for words, count in spare:
        print(f"{format_bytes(count):>9}  {words}")  # noqa: T201
    total = format_bytes(sum(count for _, count in spare))
    if not confirm(f"{total} will be removed from this disk.", "Remove it?", yes=yes):
        print("Nothing was removed.")  # noqa: T201
        return 0
    freed = json.loads((await backend.clean_disk()).body)["freed"]
    print(f"{format_bytes(freed)} removed.")  # noqa: T201
    return 0
