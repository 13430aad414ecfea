"""Tokenized data sets: forwards to the backend's ``/v1/datasets`` (docs/contract.md#data-sets)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from arkor_dev.contract.rules import Rule
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.server.app_keys import BACKEND

from .envelope import answered, read_object

OPEN: Final = Schema((Field("config", Rule("object"), needed=True),))
"""The backend that would run the job checks the config."""

ASKED: Final = frozenset({"from", "count", "want", "after", "than", "code", "text"})
"""Query parameters that are forwarded; others, such as the page's token, are not."""


async def open_view(request: web.Request) -> web.Response:
    """``POST /api/datasets``."""
    body = await read_object(request, OPEN)
    return answered(await request.app[BACKEND].open_dataset(body))


async def get(request: web.Request) -> web.Response:
    """``GET /api/datasets/:id`` and the paths below it."""
    path = [request.match_info["id"], *request.match_info.get("below", "").split("/")]
    asked = {name: value for name, value in request.query.items() if name in ASKED}
    return answered(await request.app[BACKEND].get_dataset(*filter(None, path), parameters=asked))


async def drop(request: web.Request) -> web.Response:
    """``DELETE /api/datasets/:id``: ``{}``."""
    answer = await request.app[BACKEND].drop_dataset(request.match_info["id"])
    return web.json_response({}, headers=answer.headers)


ROUTES = [
    web.post("/api/datasets", open_view),
    web.get("/api/datasets/{id}", get),
    web.get("/api/datasets/{id}/{below:lengths|find|rows|rows/[0-9]+}", get),
    web.delete("/api/datasets/{id}", drop),
]
