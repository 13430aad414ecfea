"""Training runs: start, list, output and stop."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from aiohttp import ClientConnectionResetError, web

from arkor_dev.contract.bodies import MOST_SEEDS, PARENT, changes_fault
from arkor_dev.contract.errors import ConflictError
from arkor_dev.contract.placement import ON
from arkor_dev.contract.rules import FILLED, FLAG, Rule, integer, text_line
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.processes.output_log import ALL_LIMIT, FILE_LIMIT
from arkor_dev.project.training_command import OUTDATED, training_command
from arkor_dev.server.app_keys import BACKEND, JOBS, MANIFEST, RUNS, SETTINGS

from .envelope import read_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.contract.shapes import TrainRequest
    from arkor_dev.processes.training_runs import CommandRun, Launch, Prepare

ID = text_line(200, "a job's id")
PATH = text_line(1000, "the path of a file of the project")
MOST_FILES = 20
TRAIN = Schema(
    Field("file", FILLED, null=True),
    Field("trainer", FILLED, null=True),
    Field("dryRun", FLAG, null=True),
    Field("revision", FILLED, null=True),
    Field("settings", Rule("object"), null=True),
    Field("like", ID, null=True),
    Field("seeds", integer(2, MOST_SEEDS), null=True),
    Field("data", Rule("list", 1, MOST_FILES, noun="a list of files of the project", of=PATH), null=True),
    Field("parent", Rule("object"), null=True, inner=PARENT),
    Field("on", ON, null=True),
    also=lambda body: changes_fault(body.get("settings") or {}),
)


def _cut(dropped: int) -> bytes:
    """Return the note that replaces dropped output."""
    return (
        f"\n[{dropped:,} bytes were dropped: Studio keeps the newest {FILE_LIMIT >> 20} MiB of a run, "
        f"and {ALL_LIMIT >> 20} MiB of all runs together]\n"
    ).encode()


async def _stream(request: web.Request, run: CommandRun) -> web.StreamResponse:
    """Stream the run's output as bytes from its start, until it ends or the client disconnects."""
    response = web.StreamResponse(headers={"X-Arkor-Run": run.id, "X-Accel-Buffering": "no"})
    response.content_type = "text/plain"
    response.charset = "utf-8"
    await response.prepare(request)
    offset = 0
    try:
        while True:
            data, end = await run.output.read(offset)
            if dropped := end - len(data) - offset:
                await response.write(_cut(dropped))
            if not data:
                break
            await response.write(data)
            offset = end
        await response.write_eof()
    except ClientConnectionResetError:
        pass  # the tab has closed; the run continues
    return response


def prepared(app: web.Application) -> Prepare:
    """Return what prepares a TypeScript project: a build of its current sources and valid credentials."""
    from arkor_dev.project.typescript import START_SECONDS  # not needed for the page's first byte

    async def prepare(launch: Launch) -> tuple[Launch, Callable[[], None]]:
        # The command reads the credentials file but cannot refresh an expired token.
        await app[BACKEND].identity.credentials()
        built = await app[MANIFEST].typescript.build(launch.file)
        try:
            if launch.file is None:
                built.check_name(launch.trainer)
                bundle = built.bundle
                launch = replace(launch, trainer=built.name, bundle=bundle.digest, config=bundle.config)
        except BaseException:
            built.give_back()
            raise
        asyncio.get_running_loop().call_later(START_SECONDS, built.give_back)
        return launch, built.give_back

    return prepare


async def start(request: web.Request) -> web.StreamResponse:
    """``POST /api/train``: start the project's training command and stream its output."""
    sent = await read_object(request, TRAIN, optional=True)
    body = cast("TrainRequest", {name: value for name, value in sent.items() if value is not None})
    revision = body.get("revision")
    if revision is not None and revision != await request.app[MANIFEST].revision():
        raise ConflictError(OUTDATED)
    launch = await asyncio.to_thread(training_command, request.app[SETTINGS], body)
    backend = request.app[BACKEND]

    async def served(launch: Launch) -> tuple[Launch, Callable[[], None]]:
        # A command started before the launch's own backend is ready would start another one.
        await backend.identity.credentials()
        return launch, lambda: None

    prepare = prepared(request.app) if launch.typescript else served if backend.ends_with_launch else None
    # Finish the start even if the tab closes now, so that no half-started run remains.
    run = await asyncio.shield(request.app[RUNS].start(launch, prepare))
    request.app[JOBS].refresh()
    return await _stream(request, run)


async def list_runs(request: web.Request) -> web.Response:
    """``GET /api/train``: this launch's runs, newest first."""
    return web.json_response({"runs": request.app[RUNS].views()})


async def output(request: web.Request) -> web.StreamResponse:
    """``GET /api/train/:id/output``: the run's output so far, then live."""
    return await _stream(request, request.app[RUNS].get(request.match_info["id"]))


async def stop(request: web.Request) -> web.Response:
    """``POST /api/train/:id/stop``: end the command. Its job continues on the backend."""
    run = request.app[RUNS].get(request.match_info["id"])
    run.stop()
    return web.json_response({"run": run.view()})


ROUTES = [
    web.get("/api/train", list_runs),
    web.post("/api/train", start),
    web.get("/api/train/{id}/output", output, allow_head=False),
    web.post("/api/train/{id}/stop", stop),
]
