"""The application: wires the services together."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.connection.connect import connected
from arkor_dev.connection.engine_setup import EngineSetupService
from arkor_dev.jobs.event_hub import EventHub
from arkor_dev.jobs.jobs_cache import JobsCache
from arkor_dev.making.service import MakingService
from arkor_dev.processes.training_runs import TrainingRuns
from arkor_dev.project.manifest import ManifestReader
from arkor_dev.project.start_requests import WaitingCount, folder_of
from arkor_dev.project.watch import ProjectWatch
from arkor_dev.server.api.envelope import BODY_LIMIT, error_envelope
from arkor_dev.server.security.guards import add_security_headers, expectation_guard, host_guard, token_guard
from arkor_dev.server.security.same_user import same_user_guard

from . import app_keys as keys
from .api import routes
from .api.train import prepared
from .endpoints.routes import ROUTES as ENDPOINTS
from .hot_swap import HotSwap
from .static_page import bundle_handler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.typedefs import Middleware

    from arkor_dev.backend.client import Backend
    from arkor_dev.connection.connect import Connect
    from arkor_dev.core.settings import Settings
    from arkor_dev.identity.local_backend import Notice
    from arkor_dev.processes.training_runs import CommandRun

NOTICES_AFTER: Final = 2.0
"""Seconds after the start until jobs are watched for ``[notify]``."""


def create_app(
    settings: Settings,
    on_notice: Callable[[Notice], None] = lambda _: None,
    connect: Connect = connected,
) -> web.Application:
    """Create one launch's application. ``connect`` opens the backend, ``on_notice`` gets its notices."""
    guards: list[Middleware] = [error_envelope, host_guard]
    if not settings.allow_other_users:
        guards.append(same_user_guard)
    guards += [token_guard(settings.studio_token), expectation_guard]
    app = web.Application(middlewares=guards, client_max_size=BODY_LIMIT)
    app[keys.SETTINGS] = settings
    app[keys.MANIFEST] = ManifestReader(
        settings.project, local=settings.local, here=settings.local and settings.ssh is None
    )
    app[keys.WATCH] = ProjectWatch(settings.project)
    app[keys.START_REQUESTS] = WaitingCount(folder_of(settings))
    app[keys.MAKING] = MakingService(settings, os.environ)
    app[keys.ENGINE] = EngineSetupService(settings)
    app.on_response_prepare.append(add_security_headers)
    app.add_routes(routes())
    app.add_routes(ENDPOINTS)
    if settings.agent:
        from . import agent
        from .open_studios import PATH

        app.router.add_get(PATH, agent.handler(settings.agent_secret))
    # Excludes paths for programs: a wrong method there is a 405, an unknown path a 404.
    app.router.add_get("/{path:(?!(?:api|e|agent)(?:/|$)).*}", bundle_handler(settings.studio_token))

    async def services(app: web.Application) -> AsyncIterator[None]:
        if (warning := app[keys.MANIFEST].warning()) is not None:
            on_notice({"notice": "message", "level": "warning", "text": warning})
        async with AsyncExitStack() as stack:
            backend = await stack.enter_async_context(connect(settings, on_notice))
            jobs = JobsCache(backend.list_jobs)
            hub = EventHub(backend.events, jobs.refresh)
            runs = TrainingRuns(settings.project, jobs.refresh, settings.data / "launches")
            runs.settle()
            for service in (jobs, hub, runs, app[keys.MAKING], app[keys.ENGINE]):
                stack.push_async_callback(service.close)
            app[keys.BACKEND], app[keys.JOBS], app[keys.EVENTS], app[keys.RUNS] = backend, jobs, hub, runs
            telling = asyncio.create_task(_send_notices(settings, backend, on_notice), name="notices")
            yield
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def watch_project(app: web.Application) -> AsyncIterator[None]:
        watching = [
            asyncio.create_task(app[keys.WATCH].run(), name="watch the project"),
            asyncio.create_task(_hot_swap(app), name="hot swap"),
        ]
        yield
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    async def end_streams(app: web.Application) -> None:
        app[keys.WATCH].close()
        await app[keys.EVENTS].close()

    app.cleanup_ctx.append(services)
    app.cleanup_ctx.append(watch_project)
    app.on_shutdown.append(end_streams)  # runs before aiohttp waits for open requests
    return app


async def _hot_swap(app: web.Application) -> None:
    """Let running TypeScript trainers take edits of their sources."""
    runs = app[keys.RUNS]

    async def start_again(run: CommandRun) -> None:
        await runs.start(replace(run.launch, trainer=None), prepared(app))
        app[keys.JOBS].refresh()

    await HotSwap(app[keys.WATCH], runs, lambda: app[keys.MANIFEST].typescript, start_again).run()


async def _send_notices(settings: Settings, backend: Backend, on_notice: Callable[[Notice], None]) -> None:
    """Send the notifications that ``[notify]`` asks for. Starts late, so that the page comes first."""
    await asyncio.sleep(NOTICES_AFTER)
    from arkor_dev.notices.watch import watching

    def warn(text: str) -> None:
        on_notice({"notice": "message", "level": "warning", "text": text})

    async with watching(settings, backend, warn):
        await asyncio.Event().wait()
