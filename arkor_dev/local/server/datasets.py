"""HTTP handlers of the feature ``datasets`` (docs/contract.md#data-sets)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from arkor_dev.contract.bodies import CONFIG, RENDER
from arkor_dev.contract.errors import BadRequestError, ConflictError, NotFoundError
from arkor_dev.data.findings.languages import LANGUAGES
from arkor_dev.local.datasets.client import Datasets
from arkor_dev.local.embeddings.service import Embeddings, Losses
from arkor_dev.local.jobs.job_config import check_config, with_current_reviews
from arkor_dev.local.jobs.job_folder import adapter_folder
from arkor_dev.local.jobs.store import Store

from .requests import body_of, check_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.shapes import JobConfig

routes = web.RouteTableDef()
DATASETS: Final = web.AppKey("datasets", Datasets)
EMBEDDINGS: Final = web.AppKey("embeddings", Embeddings)
ROWS: Final = 200
MATCHES: Final = 10_000
"""Maximum number of rows in one response."""
SIMILAR: Final = 100
SURPRISING: Final = 1000
GROUPS: Final = 1000
TEXT: Final = 1_000
ROLE: Final = 100
FILTERS: Final = ("text", "role", "language", "least", "most")
SOURCES: Final = 99
MANY: Final = 2**32
WANTED: Final = ("longest", "longer", "finding", "text")


def integer(query: Mapping[str, str], name: str, otherwise: int, high: int = MANY) -> int:
    """Parse a query parameter as an integer from 0 to ``high``. Raises BadRequestError."""
    text = query.get(name, "")
    if not text:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= high):
        raise BadRequestError(f"{name} must be a whole number from 0 to {high:,}")
    return int(text)


def search_of(query: Mapping[str, str]) -> dict[str, object]:
    """Return the search as parameters of ``View.find``. Raises BadRequestError."""
    want = query.get("want", "")
    if want not in WANTED:
        raise BadRequestError(f"want must be one of {', '.join(WANTED)}")
    search: dict[str, Any] = {"want": want, "after": integer(query, "after", 0)}
    if "count" in query and want != "longest":
        search["count"] = integer(query, "count", 1, MATCHES)
    if want == "longer":
        search["than"] = integer(query, "than", 0)
    if want == "finding":
        search["code"] = query.get("code", "")
    if want == "text":
        search |= {"text": query.get("text", ""), "role": query.get("role", "")}
        search |= {"least": integer(query, "least", 0), "most": integer(query, "most", 0)}
        search["source"] = integer(query, "source", 0, SOURCES) if query.get("source") else None
        if query.get("group"):
            search["group"] = integer(query, "group", 0, GROUPS)
        search["language"] = query.get("language", "")
        if search["language"] not in ("", *LANGUAGES):
            raise BadRequestError(f"language must be one of {', '.join(LANGUAGES)}")
        if len(search["text"]) > TEXT or len(search["role"]) > ROLE:
            raise BadRequestError(f"text must have at most {TEXT:,} characters, and role {ROLE}")
        if search["source"] is None and "group" not in search and not any(search[key] for key in FILTERS):
            raise BadRequestError(f"{', '.join(FILTERS)}, source or group must be given")
    return search


def row_of(request: web.Request) -> int:
    """Return the number of the row in the path."""
    text = request.match_info["row"]
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise NotFoundError("This row does not exist")
    return int(text)


def view_of(request: web.Request) -> tuple[Datasets, str]:
    """Return the data sets, and the view's id from the path."""
    check_scope(request)
    return request.app[DATASETS], request.match_info["id"]


@routes.post("/v1/datasets")
async def open_view(request: web.Request) -> web.Response:
    setup = check_scope(request)
    body = await body_of(request, CONFIG)
    config = check_config(body["config"])
    config = await asyncio.to_thread(with_current_reviews, config, setup.project)
    return web.json_response({"dataset": await request.app[DATASETS].open(config)})


@routes.get("/v1/datasets/{id}")
async def view(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    return web.json_response({"dataset": await datasets.status(view_id)})


@routes.delete("/v1/datasets/{id}")
async def drop_view(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    await datasets.drop(view_id)
    return web.Response(status=204)


@routes.get("/v1/datasets/{id}/lengths")
async def lengths(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    return web.json_response({"lengths": await datasets.ask(view_id, "lengths")})


@routes.get("/v1/datasets/{id}/rows")
async def rows(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    start, count = integer(request.query, "from", 1), integer(request.query, "count", 50, ROWS)
    return web.json_response({"rows": await datasets.ask(view_id, "rows", start=max(1, start), count=count)})


@routes.get("/v1/datasets/{id}/rows/{row}")
async def row(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    return web.json_response({"row": await datasets.ask(view_id, "row", number=row_of(request))})


@routes.post("/v1/datasets/{id}/render")
async def render(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    body = await body_of(request, RENDER)
    drawn = {"source": body.get("source") or 0, "record": body["record"]}
    return web.json_response({"row": await datasets.ask(view_id, "render", **drawn)})


@routes.get("/v1/datasets/{id}/find")
async def find(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    search = search_of(request.query)
    if "group" in search:
        search["file"] = await embedded_file(request)
    return web.json_response({"found": await datasets.ask(view_id, "find", **search)})


async def embedded_file(request: web.Request) -> str:
    """Return the embeddings file of the view in the path. Raises ConflictError if it has none."""
    datasets, view_id = view_of(request)
    file = await request.app[EMBEDDINGS].file(datasets.config(view_id))
    if file is None:
        raise ConflictError("The rows are not embedded yet")
    return str(file)


REQUESTED: Final = (
    "/v1/datasets/{id}/{wanted:embeddings}",
    "/v1/datasets/{id}/{wanted:losses}",
    "/v1/datasets/{id}/{wanted:losses}/{job}",
)


async def requested(request: web.Request) -> tuple[JobConfig, Losses | None]:
    """Return the config of the view in the path, and the model of the requested losses; None for embeddings.

    Raises NotFoundError for a job without a final adapter.
    """
    datasets, view_id = view_of(request)
    config = datasets.config(view_id)
    if request.match_info.get("wanted") == "embeddings":
        return config, None
    if not (job_id := request.match_info.get("job") or request.query.get("job")):
        return config, Losses()
    setup = check_scope(request)
    job = await setup.store.read(Store.get, job_id)
    folder = adapter_folder(setup.data, job["id"], None) if job else None
    if folder is None or not await asyncio.to_thread(folder.is_dir):
        raise NotFoundError("There is no such job, or it has no final adapter")
    return config, Losses(folder)


async def request_measured(request: web.Request) -> web.Response:
    state = await request.app[EMBEDDINGS].request(*await requested(request))
    return web.json_response({request.match_info["wanted"]: state})


async def get_measured(request: web.Request) -> web.Response:
    state = await request.app[EMBEDDINGS].state_of(*await requested(request))
    return web.json_response({request.match_info["wanted"]: state})


async def cancel_measured(request: web.Request) -> web.Response:
    request.app[EMBEDDINGS].cancel(*await requested(request))
    return web.Response(status=204)


for path in REQUESTED:
    routes.post(path)(request_measured)
    routes.get(path)(get_measured)
    routes.delete(path)(cancel_measured)


@routes.get("/v1/datasets/{id}/similar")
async def similar(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    question = {
        "number": integer(request.query, "row", 1),
        "count": integer(request.query, "count", 10, SIMILAR),
        "file": await embedded_file(request),
    }
    return web.json_response({"similar": await datasets.ask(view_id, "similar", **question)})


@routes.get("/v1/datasets/{id}/groups")
async def groups(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    file = await embedded_file(request)
    return web.json_response({"groups": await datasets.ask(view_id, "groups", file=file)})


@routes.get("/v1/datasets/{id}/map")
async def row_map(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    file = await embedded_file(request)
    return web.json_response({"map": await datasets.ask(view_id, "map", file=file)})


@routes.get("/v1/datasets/{id}/surprising")
async def surprising(request: web.Request) -> web.Response:
    datasets, view_id = view_of(request)
    file = await request.app[EMBEDDINGS].file(*await requested(request))
    if file is None:
        raise ConflictError("The rows' losses are not measured yet")
    start = max(1, integer(request.query, "from", 1))
    question = {"start": start, "count": integer(request.query, "count", 100, SURPRISING), "file": str(file)}
    return web.json_response({"surprising": await datasets.ask(view_id, "surprising", **question)})
