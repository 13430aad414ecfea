"""Tokenized data sets: forwards to the backend's ``/v1/datasets`` (docs/contract.md#data-sets)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from arkor_dev.server.app_keys import BACKEND

from .envelope import answered

ASKED: Final = frozenset({"from", "count", "want", "after", "than", "code", "text"})
"""Query parameters that are forwarded; others, such as the page's token, are not."""


async def get(request: web.Request) -> web.Response:
    """``GET /api/datasets/:id`` and the paths below it."""
    path = [request.match_info["id"], *request.match_info.get("below", "").split("/")]
    asked = {name: value for name, value in request.query.items() if name in ASKED}
    return answered(await request.app[BACKEND].get_dataset(*filter(None, path), parameters=asked))


ROUTES = [
    web.get("/api/datasets/{id}", get),
    web.get("/api/datasets/{id}/{below:lengths|find|rows|rows/[0-9]+}", get),
]
