"""Making rows with a teacher (docs/contract.md#making-rows).

Imports the code that makes rows on demand: it is not needed for the page's first byte. The teacher's key is
named by its environment variable; its value never leaves Studio.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.making_shapes import MakingOptions
from arkor_dev.contract.rules import FILLED, FLAG, KEY_VARIABLE, TEXT, Rule, string, text_line
from arkor_dev.contract.schema import Field, Schema, check_as
from arkor_dev.server.app_keys import BACKEND, MAKING, MANIFEST, SETTINGS

from .envelope import read_object
from .project import receive

if TYPE_CHECKING:
    from pathlib import Path


UPLOAD_LIMIT: Final = 64 * 2**20
GENERATED: Final = re.compile(r"data/made/[a-z0-9][a-z0-9-]{0,39}\.jsonl")
LINE = text_line(300, "a text on one line")
MOST = 10**12
OPTIONS = Schema(
    Field("kind", LINE, needed=True),
    Field("teacher", LINE, needed=True),
    Field("model", TEXT, needed=True),
    Field("paths", Rule("list", 1, 1000, of=text_line(1000), noun="a list of paths"), null=True),
    Field("of", LINE, null=True),
    Field("trainer", LINE, null=True),
    Field("rows", Rule("list", 1, 10_000, of=Rule("whole", 1, MOST), noun="a list of rows"), null=True),
    Field("name", LINE, null=True),
    Field("keyEnv", LINE, null=True),
    Field("perPassage", Rule("whole", 1, 10), null=True),
    Field("voice", LINE, null=True),
    Field("schema", Rule("object"), null=True),
    Field("budgetTokens", Rule("whole", 1, MOST), null=True),
    Field("budgetRequests", Rule("whole", 1, MOST), null=True),
    Field("budgetMoney", Rule("number", 0, MOST, above=True), null=True),
    Field("price", Rule("list", 2, 2, of=Rule("number", 0, 1e6), noun="two prices"), null=True),
)

TEACHER = Schema(Field("teacher", LINE, needed=True), Field("keyEnv", LINE, null=True))

DATASET = Schema(
    Field("trainer", FILLED, needed=True),
    Field("revision", FILLED, needed=True),
    Field("file", string("a file of data/made", GENERATED.fullmatch), needed=True),
    Field("preview", FLAG, null=True),
)


async def get(request: web.Request) -> web.Response:
    """``GET /api/making``: the current making run, and past ones."""
    return web.json_response(await request.app[MAKING].makings())


async def estimate(request: web.Request) -> web.Response:
    """``POST /api/making/estimate``: the estimate of a making run."""
    return web.json_response(await request.app[MAKING].estimate(await _options(request)))


async def models(request: web.Request) -> web.Response:
    """``POST /api/making/models``: the models that a teacher lists."""
    body = await read_object(request, TEACHER)
    variable = _page_variable(body.get("keyEnv"))
    return web.json_response({"models": await request.app[MAKING].models(body["teacher"], variable)})


async def start(request: web.Request) -> web.Response:
    """``POST /api/making``: start or resume a making run."""
    options = await _options(request)
    return web.json_response(await request.app[MAKING].start(options, request.app[BACKEND]))


async def pause(request: web.Request) -> web.Response:
    """``POST /api/making/pause``."""
    return web.json_response({"current": request.app[MAKING].pause()})


async def upload(request: web.Request) -> web.Response:
    """``POST /api/making/documents?name=``: store the body as a document of the project."""
    from arkor_dev.making.document_worker import SUFFIXES
    from arkor_dev.project.new_data import NewDataFile

    project, name = request.app[SETTINGS].project, request.query.get("name", "")
    file = await asyncio.to_thread(NewDataFile, project, name, "documents", SUFFIXES)
    try:
        await receive(request, file, UPLOAD_LIMIT)
        await asyncio.to_thread(file.keep)
    finally:
        await asyncio.to_thread(file.close)
    return web.json_response({"path": file.path})


async def add_to_dataset(request: web.Request) -> web.Response:
    """``POST /api/making/dataset``: add a file of made rows to a trainer's data set."""
    body = await read_object(request, DATASET)
    answer = await request.app[MANIFEST].write_dataset(
        body["trainer"], body["revision"], {"add": body["file"]}, preview=bool(body.get("preview"))
    )
    return web.json_response(answer)


async def _options(request: web.Request) -> MakingOptions:
    body = await read_object(request, OPTIONS)
    _page_variable(body.get("keyEnv"))
    project = request.app[SETTINGS].project
    await asyncio.to_thread(_check_inside, project, body.get("paths") or [])
    given = {field.name: body[field.name] for field in OPTIONS.fields if body.get(field.name) is not None}
    return check_as(MakingOptions, given, OPTIONS)


def _page_variable(name: str | None) -> str | None:
    """Return the name of a variable that the page may use. Raises BadRequestError for another."""
    if name and not KEY_VARIABLE.fullmatch(name):
        raise BadRequestError(
            "The page takes environment variables whose name ends with API_KEY, such as OPENAI_API_KEY. "
            "In a terminal, arkor-dev data make --key-env takes any."
        )
    return name or None


def _check_inside(project: Path, paths: list[str]) -> None:
    """Raise BadRequestError for a path outside the project: only the terminal reads those."""
    for path in paths:
        if not (project / path).resolve().is_relative_to(project.resolve()):
            raise BadRequestError(f"{path} is outside the project. Copy the documents there, or drop them.")


ROUTES = [
    web.get("/api/making", get),
    web.post("/api/making", start),
    web.post("/api/making/estimate", estimate),
    web.post("/api/making/models", models),
    web.post("/api/making/pause", pause),
    web.post("/api/making/documents", upload),
    web.post("/api/making/dataset", add_to_dataset),
]
