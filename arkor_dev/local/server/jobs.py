"""HTTP handlers for jobs: creation, list, changes, cancellation, deletion, order, events, disk."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from arkor_dev.contract.bodies import JOB_CHANGES, PARENT, QUEUE_CHANGES, absolute_path, job_changes
from arkor_dev.contract.errors import (
    BadRequestError,
    ConflictError,
    InsufficientStorageError,
    InternalError,
    NotFoundError,
)
from arkor_dev.contract.rules import Rule, filled
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.local.attribution.service import Attributions
from arkor_dev.local.evaluation.service import Evaluations
from arkor_dev.local.exports.service import Exports
from arkor_dev.local.inference.engines.router import EngineRouter
from arkor_dev.local.jobs.archive.reader import import_job
from arkor_dev.local.jobs.archive.writer import export_job
from arkor_dev.local.jobs.disk import (
    disk_use,
    embeddings_folder,
    job_bytes,
    keep_reserve,
    leftovers,
    remove_leftovers,
    remove_models,
)
from arkor_dev.local.jobs.job_config import check_config, with_current_reviews
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.jobs.scheduler import Scheduler
from arkor_dev.local.jobs.store import REPORTED, Store, new_id

from .branches import copy_parent, parent_of
from .event_stream import stream_events
from .forecasts import FORECASTS
from .requests import SETUP, Setup, body_of, check_scope

NAME_LIMIT: Final = 200
NAME: Final = filled(NAME_LIMIT)
JOB: Final = Schema(
    Field("name", NAME, needed=True),
    Field("config", Rule("object"), needed=True),
    Field("parent", Rule("object"), null=True, inner=PARENT),
)
"""The config's content is checked by the table of settings."""

ARCHIVE: Final = Schema(
    Field("path", absolute_path("the absolute path of a file"), needed=True),
)
ATTRIBUTIONS: Final = web.AppKey("attributions", Attributions)
EVALUATIONS: Final = web.AppKey("evaluations", Evaluations)
EXPORTS: Final = web.AppKey("exports", Exports)
SCHEDULER: Final = web.AppKey("scheduler", Scheduler)
INFERENCE: Final = web.AppKey("inference", EngineRouter)
IMPORTING: Final = web.AppKey("importing", asyncio.Lock)

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import Job

routes = web.RouteTableDef()


async def job_of(request: web.Request) -> Job:
    setup = check_scope(request)
    job = await setup.store.read(Store.get, request.match_info["id"])
    if job is None:
        raise NotFoundError(f"There is no job {request.match_info['id']}")
    return job


async def own_job_of(request: web.Request) -> Job:
    """Return the job in the path. Raises ConflictError for one run by another program."""
    job = await job_of(request)
    if job["config"].get(REPORTED):
        raise ConflictError(f"Only the program that runs the job {job['name']} can pause, resume or end it")
    return job


@routes.get("/v1/jobs")
async def jobs(request: web.Request) -> web.Response:
    listing = await check_scope(request).store.read(Store.listing)
    return web.Response(body=listing, content_type="application/json")


@routes.post("/v1/jobs")
async def create_job(request: web.Request) -> web.Response:
    setup = check_scope(request)
    body = await body_of(request, JOB)
    config = check_config(body["config"])
    config.pop("adjusted", None)
    config = await asyncio.to_thread(with_current_reviews, config, setup.project)
    parent, job_id = None, new_id()
    if body.get("parent") is not None:
        parent, folder = await parent_of(setup, body["parent"], config)
        await asyncio.to_thread(copy_parent, setup.data, job_id, folder)
    forecast = await request.app[FORECASTS].stored_estimate(config)
    job = await setup.store.request(Store.create, body["name"].strip(), config, forecast, parent, job_id)
    request.app[SCHEDULER].wake()
    return web.json_response({"job": job})


@routes.get("/v1/jobs/{id}")
async def job(request: web.Request) -> web.Response:
    record = await job_of(request)
    size = await asyncio.to_thread(job_bytes, request.app[SETUP].data, record["id"])
    if evaluating := request.app[EVALUATIONS].state_of(record["id"]):
        record["evaluating"] = evaluating
    return web.json_response({"job": record, "bytes": size})


@routes.patch("/v1/jobs/{id}")
async def edit_job(request: web.Request) -> web.Response:
    job_id = (await job_of(request))["id"]
    changes: Any = job_changes(await body_of(request, JOB_CHANGES))
    return web.json_response({"job": await request.app[SETUP].store.request(Store.edit, job_id, changes)})


@routes.delete("/v1/jobs/{id}")
async def delete_job(request: web.Request) -> web.Response:
    record = await job_of(request)
    folder = job_folder(request.app[SETUP].data, record["id"])
    if request.app[INFERENCE].answers_from(folder):
        raise ConflictError(f"The job {record['name']} is answering in a chat: stop it before you delete it")

    def drop(job_id: str) -> None:
        request.app[EVALUATIONS].drop(job_id)
        request.app[EXPORTS].drop(job_id)
        request.app[ATTRIBUTIONS].drop(job_id)

    await request.app[SCHEDULER].delete(record["id"], drop)
    return web.Response(status=204)


@routes.post("/v1/jobs/{id}/export")
async def export(request: web.Request) -> web.Response:
    record = await job_of(request)
    target = Path((await body_of(request, ARCHIVE))["path"])
    if record["status"] not in TERMINAL:
        raise ConflictError(f"The job {record['name']} is {record['status']}: export it when it has ended")
    size = await asyncio.to_thread(export_job, request.app[SETUP].data, record, target)
    return web.json_response({"bytes": size})


@routes.post("/v1/jobs/import")
async def take_in(request: web.Request) -> web.Response:
    setup = check_scope(request)
    source = Path((await body_of(request, ARCHIVE))["path"])
    # Continues if its client disconnects, so that the job exists completely or not at all.
    importing = asyncio.create_task(_import(setup, request.app[IMPORTING], source))
    return web.json_response({"job": await asyncio.shield(importing)})


async def _import(setup: Setup, turn: asyncio.Lock, source: Path) -> Job:
    imported = await asyncio.to_thread(import_job, setup.data, source)
    try:
        async with turn:  # two imports of the same job would overwrite each other's files
            if await setup.store.read(Store.get, imported.job["id"]):
                raise ConflictError(f"The job {imported.job['id']} already exists here")
            try:  # Files first: a job without its files would be incomplete.
                await asyncio.to_thread(imported.install_files)
                return await setup.store.request(Store.import_job, imported.job, imported.events)
            except OSError as error:
                reason = f"The job could not be imported: {error.strerror}. Nothing was changed"
                raise BadRequestError(reason) from None
            except Exception:
                await asyncio.to_thread(imported.remove_files)
                raise
    finally:
        await asyncio.to_thread(imported.drop)


@routes.get("/v1/queue")
async def queue(request: web.Request) -> web.Response:
    return web.json_response({"queue": await check_scope(request).store.read(Store.queue)})


@routes.patch("/v1/queue")
async def arrange_queue(request: web.Request) -> web.Response:
    store = check_scope(request).store
    body = await body_of(request, QUEUE_CHANGES)
    arranged = await store.request(Store.arrange, body.get("order"), body.get("held"))
    request.app[SCHEDULER].wake()
    return web.json_response({"queue": arranged})


@routes.get("/v1/disk")
async def disk(request: web.Request) -> web.Response:
    setup = check_scope(request)
    names = await setup.store.read(Store.names)
    use = await asyncio.to_thread(disk_use, setup.data, setup.cache, names)
    return web.json_response({"disk": {**use, "unused": await setup.store.read(Store.unused)}})


@routes.post("/v1/disk/clean")
async def clean_disk(request: web.Request) -> web.Response:
    setup = check_scope(request)
    # List folders before names: a folder created between the two belongs to a new job.
    paths = await asyncio.to_thread(leftovers, setup.data, ())
    names = await setup.store.read(Store.names)
    spare = [path for path in paths if path.name not in names]
    try:
        freed = await asyncio.to_thread(remove_leftovers, spare)
        freed += await asyncio.to_thread(remove_leftovers, [embeddings_folder(setup.data)])
        freed += await asyncio.to_thread(remove_models, setup.data, setup.cache)
        with contextlib.suppress(InsufficientStorageError):  # compacting needs space
            freed += await setup.store.request(Store.give_back)
        await asyncio.to_thread(keep_reserve, setup.data)
    except OSError as error:
        raise InternalError(f"Not everything could be removed: {error}") from None
    return web.json_response({"freed": freed})


@routes.post("/v1/jobs/{id}/cancel")
async def cancel_job(request: web.Request) -> web.Response:
    job_id = (await own_job_of(request))["id"]
    await request.app[SCHEDULER].cancel(job_id)
    return web.json_response({"job": await request.app[SETUP].store.read(Store.get, job_id)})


@routes.get("/v1/jobs/{id}/events/stream")
async def job_events(request: web.Request) -> web.StreamResponse:
    return await stream_events(request, request.app[SETUP].store, (await job_of(request))["id"])
