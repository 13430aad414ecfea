"""Refuses to delete rows from an adapter that began with one that has learned them.

The new job starts from the same adapter as the old one, so what that knows of the rows would live on. Jobs
are told apart by the content of the rows that they trained on, were judged by, or replayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from arkor_dev.contract.errors import ConflictError
from arkor_dev.data.reader import open_data
from arkor_dev.data.rows import Row, row_digest
from arkor_dev.data.sources import SourceError, every_file, sources_of
from arkor_dev.local.checkpoints.origin import FileHashes, hash_of_data
from arkor_dev.local.checkpoints.resume_points import latest
from arkor_dev.local.jobs.atomic_folder import DamagedFolderError, manifest_of
from arkor_dev.local.jobs.job_config import left_out_of
from arkor_dev.local.jobs.job_folder import final_folder
from arkor_dev.local.jobs.second_model import JOB

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource, Job
    from arkor_dev.local.jobs.atomic_folder import RunOrigin


def started_from(job: Job) -> set[str]:
    """Return the ids of the jobs whose adapters a job began with, or learned from."""
    named = {value for value in job["config"].values() if isinstance(value, str) and JOB.fullmatch(value)}
    parent = job.get("parent")
    return named | ({parent["jobId"]} if parent else set())


def check_ancestors(
    job: Job, jobs: Mapping[str, Job], where: Collection[str], data: Path, project: Path
) -> None:
    """Raise ConflictError if an adapter from which ``job`` descends has learned its rows at ``where``.

    So does one of which that cannot be told: it was deleted, its data is not in the project, or has changed.
    ``jobs`` are all of the project, by id.
    """
    waiting, seen = sorted(started_from(job)), set[str]()
    if not waiting:
        return
    try:
        own = _rows(job["config"]["datasetSource"], project)
        digests = {row.where: row_digest(row) for row in own if row.where in where}
    except (SourceError, OSError) as fault:
        raise _unknown(job, job["name"], str(fault)) from None
    if missing := set(where) - digests.keys():
        raise _unknown(job, job["name"], f"{min(missing)} is not in its data set")
    deleted = {digest: place for place, digest in digests.items()}
    hashes = FileHashes(data)
    while waiting:
        if (other := waiting.pop()) in seen:
            continue
        seen.add(other)
        if (ancestor := jobs.get(other)) is None:
            raise _unknown(job, _name_of(job, other), "it was deleted")
        waiting += sorted(started_from(ancestor))
        _check(job, ancestor, deleted, hashes, data, project)
    hashes.save()


def _check(
    job: Job, ancestor: Job, deleted: Mapping[str, str], hashes: FileHashes, data: Path, project: Path
) -> None:
    config, name, origin = ancestor["config"], ancestor["name"], _origin(data, ancestor["id"])
    left_out = set(left_out_of(config))
    try:
        if origin.get("consistent") is not True:
            raise _unknown(job, name, "it continued after a change, perhaps of its data")
        if origin.get("data") != hash_of_data(config, project, hashes):
            raise _unknown(job, name, "its data has changed since")
        for _, source in sources_of(config):
            for row in _rows(source, project):
                if row.where not in left_out and (place := deleted.get(row_digest(row))):
                    raise ConflictError(
                        f"The job {job['name']} began with the adapter of {name}, which had {row.where}, the "
                        f"same row as {place}: delete it from {name} first, and train again from the result"
                    )
    except (SourceError, OSError) as fault:
        raise _unknown(job, name, str(fault)) from None


def _rows(source: DatasetSource, project: Path) -> Iterator[Row]:
    """Yield the readable rows of a data set in the project. Raises SourceError for any other, and OSError."""
    with open_data(list(every_file(source, project, _refuse))) as data:
        for located in data.scan():
            row = data.item(located).row
            if isinstance(row, Row):
                yield row


def _refuse(_: object) -> NoReturn:
    raise SourceError("its data is not a file of the project")


def _origin(data: Path, job_id: str) -> RunOrigin:
    """Return what a job's final adapter depends on, without one its newest checkpoint; empty if unknown."""
    try:
        return manifest_of(final_folder(data, job_id)).get("origin", {})
    except DamagedFolderError:
        point = latest(data, job_id)
        return point.origin if point else {}


def _unknown(job: Job, name: str, why: str) -> ConflictError:
    return ConflictError(
        f"It cannot be told whether the adapter that {job['name']} began with has learned the rows ({name}: "
        f"{why}): train a new job without them"
    )


def _name_of(job: Job, job_id: str) -> str:
    parent = job.get("parent")
    return parent.get("name", job_id) if parent and parent["jobId"] == job_id else job_id
