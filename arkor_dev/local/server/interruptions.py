"""HTTP handlers that pause, resume, extend and adjust a job."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from arkor_dev.contract.bodies import ADJUSTMENT, EXTENSION, RESUMPTION
from arkor_dev.contract.changes import ADJUSTING, applied, complete
from arkor_dev.contract.errors import BadRequestError, ConflictError, NotFoundError
from arkor_dev.contract.placement import CLUSTER, HERE, INSECURE, STORAGE
from arkor_dev.contract.rules import quoted
from arkor_dev.contract.settings import by_field
from arkor_dev.local.checkpoints import origin
from arkor_dev.local.checkpoints.resume_points import latest
from arkor_dev.local.jobs.job_config import check_config, check_files
from arkor_dev.local.jobs.second_model import find_second
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers.errors import JobFailure

from .jobs import SCHEDULER, own_job_of
from .requests import SETUP, body_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.shapes import Job, JobConfig
    from arkor_dev.local.execution.messages import ResumeOptions

LENGTHS: Final = ("maxSteps", "numTrainEpochs")
BY_PERSON: Final = "It was resumed by a person."
EXTENDED: Final = "It was extended."


routes = web.RouteTableDef()


@routes.post("/v1/jobs/{id}/pause")
async def pause(request: web.Request) -> web.Response:
    job_id = (await own_job_of(request))["id"]
    await request.app[SCHEDULER].pause(job_id)
    return web.json_response({"job": await request.app[SETUP].store.read(Store.get, job_id)})


@routes.post("/v1/jobs/{id}/resume")
async def resume(request: web.Request) -> web.Response:
    job = await own_job_of(request)
    body = await body_of(request, RESUMPTION) if request.can_read_body else {}
    force = bool(body.get("force"))
    if job["status"] == "paused" or "resumable" in job:
        await _check_unchanged(request, job, force=force)
    config: JobConfig | None = None
    if body.keys() & {"on", "workers"} and job["status"] != "completed":
        config = await _config_of(request, job)
        if "on" in body:
            config = check_config(_moved(config, body["on"]))
        if "workers" in body:
            config = check_config({**config, "workers": body["workers"]})
    return await _resume(request, job, BY_PERSON, {"force": force}, config)


@routes.post("/v1/jobs/{id}/extend")
async def extend(request: web.Request) -> web.Response:
    job = await own_job_of(request)
    body = await body_of(request, EXTENSION)
    force = bool(body.get("force"))
    if job["status"] != "completed" or "resumable" not in job:
        why = "it has no saved state" if job["status"] == "completed" else f"it is {job['status']}"
        raise ConflictError(f"The job {job['name']} cannot be extended: {why}")
    if job["config"].get("dryRun"):
        raise ConflictError(f"The job {job['name']} was a dry run, which has only a few steps")
    _check_repeats_nothing(job)
    _check_later(job, body)
    setup = request.app[SETUP]
    config = check_config(_longer(await _config_of(request, job), body))
    await asyncio.to_thread(check_files, config, setup.project)
    await _check_unchanged(request, job, force=force)
    end: int = job["resumable"]
    orders: ResumeOptions = {"force": force, "further": end}
    if body.get("schedule") == "restart":
        orders["restart"] = end
    return await _resume(request, job, EXTENDED, orders, config)


@routes.post("/v1/jobs/{id}/adjust")
async def adjust(request: web.Request) -> web.Response:
    job = await own_job_of(request)
    body = await body_of(request, ADJUSTMENT)
    force = bool(body.get("force"))
    if job["status"] not in ("running", "paused") and not (
        "resumable" in job and job["status"] != "completed"
    ):
        raise ConflictError(
            f"The job {job['name']} cannot continue with other settings: it is {job['status']}"
        )
    if "sweep" in job:
        raise ConflictError(f"The job {job['name']} belongs to a sweep, which chooses its settings")
    _check_repeats_nothing(job)
    before = await _config_of(request, job)
    changes = complete(before, body["settings"])
    config = check_config(applied(before, changes))
    differing = {field: [before.get(field), config.get(field)] for field in changes}
    differing = {field: [old, new] for field, (old, new) in differing.items() if old != new}
    if not differing:
        raise BadRequestError("The job already has these settings")
    done = job["metrics"].get("step", 0)
    end = config.get("maxSteps") or -1
    if end != (before.get("maxSteps") or -1) and 0 < end <= done:
        raise BadRequestError(f"steps must be more than the {done} that the job already has")
    await _check_unchanged(request, job, force=force)
    if job["status"] == "running":
        await request.app[SCHEDULER].pause(job["id"], ADJUSTING)
        job = await own_job_of(request)
        if job["status"] in ("paused", "failed", "cancelled"):
            await _check_unchanged(request, job, force=force)
    step = job.get("pause", {}).get("step", job.get("resumable", 0))
    config["adjusted"] = [*before.get("adjusted", ()), {"step": step, "settings": differing}]
    return await _resume(request, job, _words(differing), {"force": force}, config)


def _check_repeats_nothing(job: Job) -> None:
    """Raise ConflictError for a job that repeats another without some rows: it is compared with that."""
    if job["config"].get("leftOut"):
        raise ConflictError(
            f"The job {job['name']} repeats another without some rows, so it keeps that one's settings "
            "and length"
        )


def _words(changes: Mapping[str, list[object]]) -> str:
    """Say in arkor.toml's terms what changed."""
    keys = {field: row.key for field, row in by_field().items()}
    texts = [
        f"{keys[field]} {'unset' if old is None else quoted(old)} → {'unset' if new is None else quoted(new)}"
        for field, (old, new) in changes.items()
    ]
    return f"Its settings were changed: {', '.join(texts)}."


async def _config_of(request: web.Request, job: Job) -> JobConfig:
    """Return the job's config. Raises NotFoundError if it was deleted after it was read."""
    config = await request.app[SETUP].store.read(Store.config, job["id"])
    if config is None:
        raise NotFoundError(f"There is no job {job['id']}")
    return config


async def _resume(
    request: web.Request,
    job: Job,
    why: str,
    orders: ResumeOptions,
    config: JobConfig | None = None,
) -> web.Response:
    going_on = await request.app[SETUP].store.request(Store.resume, job["id"], why, orders, config)
    request.app[SCHEDULER].wake()
    return web.json_response({"job": going_on})


def _check_later(job: Job, body: Mapping[str, Any]) -> None:
    """Raise BadRequestError unless the new end comes after the old one."""
    ends = {
        "maxSteps": max(job["resumable"], job["metrics"].get("totalSteps", 0)),
        "numTrainEpochs": job.get("settings", {}).get("numTrainEpochs", 0),
    }
    for field, end in ends.items():
        length = body.get(field)
        if length is not None and length <= end:
            raise BadRequestError(f"{field} must be more than the {end} that the job already has")


def _longer(config: JobConfig, body: Mapping[str, object]) -> dict[str, object]:
    """Return ``config`` with the new end, and without a setting that conflicts with it."""
    field = next(field for field in LENGTHS if body.get(field) is not None)
    remaining = {key: value for key, value in config.items() if key not in LENGTHS}
    by_hand = config.get("setByHand")
    if isinstance(by_hand, list):
        remaining["setByHand"] = [*(name for name in by_hand if name not in LENGTHS), field]
    return {**remaining, field: body[field]}


def _moved(config: Mapping[str, object], on: str) -> dict[str, object]:
    """Return ``config`` with the target ``on``; permission for an insecure cluster is kept only for the same
    one.
    """
    if config.get(CLUSTER) == on:
        return dict(config)
    dropped = {CLUSTER, INSECURE, *((STORAGE,) if on == HERE else ())}
    stays = {key: value for key, value in config.items() if key not in dropped}
    return stays if on == HERE else {**stays, CLUSTER: on}


async def _check_unchanged(request: web.Request, job: Job, *, force: bool) -> None:
    """Raise ConflictError if data or model have changed since the job's newest resume point."""
    if force:
        return
    setup, models, config = request.app[SETUP], request.app[SCHEDULER].models, job["config"]
    try:
        model = models.find_local(config["model"])
        second = await asyncio.to_thread(find_second, models, setup.data, config)
    except JobFailure as failure:
        raise ConflictError(f"The job {job['name']} cannot resume: {failure}") from None
    point = await asyncio.to_thread(latest, setup.data, job["id"])
    if point is None or model is None:
        return  # nothing to compare, or the worker will compare it
    folders = setup.project, Path(model.path), setup.data, second
    now = await asyncio.to_thread(origin.files, config, *folders)
    if other := origin.changed(point.origin, now):
        raise ConflictError(
            f"The job {job['name']} would not continue unchanged: {', and '.join(other)}. Restore the "
            "original, or resume anyway with force",
            changed=True,
        )
