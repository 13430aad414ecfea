"""The backend's aiohttp application: authentication and routes."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.bodies import CLASSIFY, SEARCH
from arkor_dev.contract.errors import (
    MAKE_ROOM,
    STATUS,
    ArkorError,
    ConflictError,
    ForbiddenError,
    InsufficientStorageError,
    UnauthorizedError,
    is_disk_full,
    status_of,
)
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.data.methods import listed
from arkor_dev.local.attribution.service import Attributions
from arkor_dev.local.datasets.client import Datasets
from arkor_dev.local.deletion.service import Deletions
from arkor_dev.local.embeddings.service import Embeddings
from arkor_dev.local.endpoints.service import Endpoints
from arkor_dev.local.evaluation.service import Evaluations
from arkor_dev.local.exports.service import Exports
from arkor_dev.local.forecast.service import Forecasts
from arkor_dev.local.inference.chat_call import ASK, ChatCall
from arkor_dev.local.inference.engines.router import EngineRouter
from arkor_dev.local.inference.generation.interface import MAX_CONCURRENT
from arkor_dev.local.inference.prompt_checks import PromptChecks
from arkor_dev.local.inference.structured_output.check import FormatChecks
from arkor_dev.local.jobs.reported import ReportedRuns
from arkor_dev.local.jobs.running.devices import gpus
from arkor_dev.local.jobs.scheduler import Scheduler
from arkor_dev.local.models.catalog import Models
from arkor_dev.local.sweeps.service import Sweeps
from arkor_dev.local.workers.spare import SPARE

from .attributions import routes as attribution_routes
from .branches import copy_parent
from .chat import Chat
from .clusters import CLUSTERS, Clusters, optional_features
from .clusters import routes as placement_routes
from .datasets import DATASETS, EMBEDDINGS
from .datasets import routes as dataset_routes
from .deletions import DELETIONS
from .deletions import routes as deletion_routes
from .endpoints import ENDPOINTS
from .endpoints.routes import routes as endpoint_routes
from .endpoints.serve import routes as serve_routes
from .evaluation import routes as evaluation_routes
from .exports import routes as export_routes
from .forecasts import FORECASTS
from .forecasts import routes as forecast_routes
from .interruptions import routes as interruption_routes
from .jobs import ATTRIBUTIONS, EVALUATIONS, EXPORTS, IMPORTING, INFERENCE, NAME, SCHEDULER
from .jobs import routes as job_routes
from .requests import ORG, SETUP, Setup, body_as, body_of, check_org, check_scope
from .search import ranked
from .sweeps import SWEEPS
from .sweeps import routes as sweep_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

log = logging.getLogger(__name__)

BODY_LIMIT: Final = 8 * 2**20
FEATURES: Final = (
    "adapters",
    "adjust",
    "archive",
    "attribution",
    "card",
    "classify",
    "datasets",
    "delete",
    "edit",
    "embeddings",
    "endpoints",
    "engines",
    "evaluation",
    "exports",
    "extend",
    "forecast",
    "forget",
    "formats",
    "gguf",
    "parent",
    "pause",
    "queue",
    "replay",
    "resume",
    "rows",
    "samples",
    "sampling",
    "search",
    "serving",
    "sources",
    "strength",
    "strengths",
    "sweeps",
    "tools",
    "votes",
)
"""Optional features (docs/contract.md#optional-features) that this backend always has."""
OPEN_PATHS: Final = frozenset({"/v1/auth/cli/config", "/v1/auth/anonymous"})
TEXT_LIMIT: Final = 1000
"""Maximum length of an error message, in characters: it may quote the request."""
PROJECT: Final = Schema(Field("name", NAME, needed=True), Field("slug", NAME, needed=True))
CHAT: Final = web.AppKey("chat", Chat)

routes = web.RouteTableDef()


@web.middleware
async def envelope(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Convert every exception to ``{"error"}``; only the message and its code leave the process."""
    try:
        return await handler(request)
    except ArkorError as error:
        text = error.text if len(error.text) <= TEXT_LIMIT else f"{error.text[: TEXT_LIMIT - 1]}…"
        return web.json_response({**error.extra, "error": text}, status=status_of(error))
    except web.HTTPException as error:
        text = f"{error.reason}: {request.method} {request.path}"
        return web.json_response({"error": text}, status=error.status)
    except ConnectionError:
        # The client disconnected during a stream; no one reads this, and it is not an error.
        return web.Response(status=499, reason="Client closed the request")
    except Exception as error:
        if is_disk_full(error):
            text = f"The disk is full, so this could not be stored. {MAKE_ROOM}"
            return web.json_response({"error": text}, status=STATUS[InsufficientStorageError])
        log.exception("%s %s", request.method, request.path)
        return web.json_response({"error": "The local backend failed; its log says more"}, status=500)


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Admit only the daemon, whose requests have the host ``localhost`` and the launch's token."""
    setup = request.app[SETUP]
    if request.headers.getall("Host", []) != ["localhost"]:
        raise ForbiddenError("This host name is not served")
    if request.path not in OPEN_PATHS:
        header = request.headers.get("Authorization", "")
        if not hmac.compare_digest(
            header.encode("utf-8", "surrogateescape"), f"Bearer {setup.token}".encode()
        ):
            raise UnauthorizedError("Missing or invalid token")
    return await handler(request)


@routes.get("/v1/auth/cli/config")
async def auth_config(_: web.Request) -> web.Response:
    return web.json_response({"auth0Domain": None, "clientId": None, "audience": None, "callbackPorts": None})


@routes.get("/v1/me")
async def me(request: web.Request) -> web.Response:
    user = {"id": "local", "email": None, "name": "local"}
    return web.json_response({"user": user, "orgs": [{**ORG, "slug": request.app[SETUP].org}]})


def _project(setup: Setup) -> dict[str, str]:
    name = setup.project.name or setup.slug
    return {"id": setup.store.project_id, "slug": setup.slug, "name": name, "orgId": ORG["id"]}


@routes.get("/v1/capabilities")
async def capabilities(request: web.Request) -> web.Response:
    # The client is a browser: the page may show data sets, and start what needs a worker.
    request.app[DATASETS].prepare()
    SPARE.prepare()
    methods = await asyncio.to_thread(listed)
    return web.json_response({"features": [*FEATURES, *optional_features()], "methods": methods})


@routes.get("/v1/projects")
async def projects(request: web.Request) -> web.Response:
    setup = check_org(request)
    return web.json_response({"org": {**ORG, "slug": setup.org}, "projects": [_project(setup)]})


@routes.post("/v1/projects")
async def create_project(request: web.Request) -> web.Response:
    setup = check_org(request)
    await body_of(request, PROJECT)
    raise ConflictError(f"The local backend serves the one project {setup.slug}")


@routes.post("/v1/inference/chat")
async def chat(request: web.Request) -> web.StreamResponse:
    check_scope(request)
    return await request.app[CHAT].handle(request, await body_as(ChatCall, request, ASK))


@routes.post("/v1/inference/classify")
async def classify(request: web.Request) -> web.Response:
    check_scope(request)
    body = await body_of(request, CLASSIFY)
    return web.json_response(await request.app[CHAT].classify(body["adapter"], body["text"]))


@routes.post("/v1/inference/search")
async def search(request: web.Request) -> web.Response:
    check_scope(request)
    body = await body_of(request, SEARCH)
    found = await ranked(request.app[CHAT], body["adapter"], body["query"], body["texts"])
    return web.json_response(found)


def create_app(setup: Setup) -> web.Application:
    """Return the application for ``setup``; workers end with it."""
    app = web.Application(middlewares=[envelope, guard], client_max_size=BODY_LIMIT)
    models = Models(setup.project, setup.cache)
    gpu_list = gpus(os.environ)
    shared = bool(gpu_list) or sys.platform == "darwin"  # a Mac's GPU also shares the system's memory
    inference = EngineRouter(setup.cache, setup.engine, gpu=bool(gpu_list), shared=shared)
    formats, prompts = FormatChecks(), PromptChecks()
    app[SETUP], app[INFERENCE], app[IMPORTING] = setup, inference, asyncio.Lock()
    store, folders = setup.store, (setup.data, setup.project)
    scheduler = app[SCHEDULER] = Scheduler(store, models, *folders, setup.at_once, gpu_list)

    def busy() -> bool:
        return scheduler.busy

    app[CHAT] = Chat(store, models, inference, formats, prompts, setup.data, busy)
    app[DATASETS] = Datasets(models, *folders, busy)
    app[EMBEDDINGS] = Embeddings(models, *folders, busy)
    app[FORECASTS] = Forecasts(models, *folders, busy, max(1, len(gpu_list)))
    app[EVALUATIONS] = Evaluations(store, models, *folders, busy)
    app[ATTRIBUTIONS] = Attributions(store, models, *folders, busy, scheduler.wake, copy_parent)
    app[DELETIONS] = Deletions(store, *folders, scheduler.wake, copy_parent)
    app[EXPORTS] = Exports(store, models, *folders, setup.cache, busy)
    app[ENDPOINTS] = Endpoints(store, app[CHAT], MAX_CONCURRENT, setup.engine)
    app[CLUSTERS] = Clusters(setup.data)
    services = app[EVALUATIONS], app[EXPORTS], app[ATTRIBUTIONS], app[EMBEDDINGS]
    scheduler.observer, scheduler.waiting = app[FORECASTS], (*services, inference)
    app.add_routes([*routes, *job_routes, *dataset_routes, *forecast_routes, *evaluation_routes])
    app.add_routes([*interruption_routes, *export_routes, *endpoint_routes, *serve_routes])
    app[SWEEPS] = Sweeps(
        store, scheduler, app[FORECASTS], *folders, lambda: any(service.pending for service in services)
    )
    app.add_routes([*placement_routes, *sweep_routes, *attribution_routes, *deletion_routes])

    def computing() -> bool:
        return scheduler.busy or app[FORECASTS].measuring or any(service.pending for service in services)

    async def workers(app: web.Application) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for worker in (models, inference, formats, prompts, app[DATASETS], app[CLUSTERS]):
                stack.push_async_callback(worker.close)
            for service in (app[FORECASTS], *services, app[ENDPOINTS]):
                await stack.enter_async_context(service.running())
            options = {"idle": setup.idle, "on_demand": setup.on_demand, "resume": setup.resume}
            await stack.enter_async_context(scheduler.running(**options))
            await stack.enter_async_context(ReportedRuns(store, setup.data).running())
            await stack.enter_async_context(app[SWEEPS].running())
            await stack.enter_async_context(SPARE.running(computing))
            yield

    app.cleanup_ctx.append(workers)
    return app
