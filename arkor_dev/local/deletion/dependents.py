"""Names what learned from deleted rows: adapters, their exports, and endpoints that serve them."""

from __future__ import annotations

from os.path import normpath
from pathlib import PurePath
from typing import TYPE_CHECKING

from arkor_dev.data.sources import REPLAY, parts_of, sources_of
from arkor_dev.local.jobs.job_config import left_out_of
from arkor_dev.local.jobs.job_folder import checkpoint_steps, export_ids, final_folder

from .ancestors import started_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.forget import Dependent
    from arkor_dev.contract.shapes import Job, JobConfig


def dependents(
    data: Path, job: Job, jobs: Sequence[Job], endpoints: Sequence[tuple[str, Mapping[str, object]]]
) -> list[Dependent]:
    """Return what learned, or may have learned, from the rows that ``job`` deletes.

    ``endpoints`` are names with their targets. A job that began with such an adapter is certain to depend on
    it; one that trained on the same files may have had the rows.
    """
    rows, files = set(left_out_of(job["config"])), _files(job["config"])
    trained = {each["job"] for each in job["config"].get("forgets", ()) if rows - set(each["rows"])}
    certain = dict.fromkeys(trained, "it trained on the rows")
    growing = True
    while growing:
        growing = False
        for each in jobs:
            source = started_from(each) & certain.keys()
            if source and each["id"] not in certain:
                certain[each["id"]] = f"it learned from the adapter of {_name(jobs, min(source))}"
                growing = True
    found: list[Dependent] = []
    for each in jobs:
        if each["id"] == job["id"]:
            continue
        why = certain.get(each["id"]) or _may_have(each["config"], rows, files)
        if why:
            found += _of_job(data, each, why, certain=each["id"] in certain)
    named = {entry["job"]: entry["certain"] for entry in found if "job" in entry}
    for slug, target in endpoints:
        adapter = target.get("adapter")
        served = str(adapter.get("jobId", "")) if isinstance(adapter, dict) else ""
        if served in named:
            found.append(
                {
                    "kind": "endpoint",
                    "name": slug,
                    "certain": named[served],
                    "why": f"it serves {_name(jobs, served)}",
                    "job": served,
                }
            )
    return found


def _may_have(config: JobConfig, rows: set[str], files: set[str]) -> str:
    if rows <= set(left_out_of(config)):
        return ""
    replayed = config.get(REPLAY)
    if isinstance(replayed, str) and _shared(files, {normpath(replayed)}):
        return f"it replays rows of {replayed}"
    shared = _shared(files, _files(config))
    return f"it trained on {shared}" if shared else ""


def _files(config: JobConfig) -> set[str]:
    """Return the normalised paths of the files and folders of a job's training rows."""
    source = dict(sources_of(config)).get("datasetSource")
    return (
        {normpath(part["path"]) for part in parts_of(source) if part["type"] == "file"} if source else set()
    )


def _shared(some: Iterable[str], others: Iterable[str]) -> str | None:
    """Return the first path of ``others`` that is in ``some``, or of which one lies in the other."""
    pairs = ((PurePath(one), PurePath(other)) for one in some for other in others)
    found = (str(other) for one, other in pairs if one.is_relative_to(other) or other.is_relative_to(one))
    return min(found, default=None)


def _of_job(data: Path, job: Job, why: str, *, certain: bool) -> Iterator[Dependent]:
    steps = checkpoint_steps(data, job["id"])
    if final_folder(data, job["id"]).is_dir() or steps:
        more = f" and {len(steps)} checkpoints" if len(steps) > 1 else ""
        name = f"{job['name']}{more}"
        yield {"kind": "adapter", "name": name, "certain": certain, "why": why, "job": job["id"]}
    for export in sorted(export_ids(data, job["id"])):
        name = f"export {export} of {job['name']}"
        yield {"kind": "export", "name": name, "certain": certain, "why": why, "job": job["id"]}


def _name(jobs: Sequence[Job], job_id: str) -> str:
    return next((job["name"] for job in jobs if job["id"] == job_id), job_id)
