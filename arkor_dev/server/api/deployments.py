"""The list of deployments, and a new key of one; the other calls are in ``passed_on``."""

from __future__ import annotations

from aiohttp import web

from arkor_dev.contract.deployments import KEY
from arkor_dev.contract.errors import NotFoundError, UnsupportedError
from arkor_dev.server.app_keys import BACKEND

from .envelope import answered, read_object


async def list_all(request: web.Request) -> web.Response:
    """``GET /api/deployments``; ``{"deployments": [], "unsupported": true}`` if the backend has none."""
    try:
        return answered(await request.app[BACKEND].list_deployments())
    except (NotFoundError, UnsupportedError):
        # The page polls this: answer with a fact instead of an error each time.
        return web.json_response({"deployments": [], "unsupported": True})


async def create_key(request: web.Request) -> web.Response:
    """``POST /api/deployments/:id/keys``: the only response with the key's plaintext."""
    body = await read_object(request, KEY)
    body["label"] = body["label"].strip()
    return answered(await request.app[BACKEND].create_key(request.match_info["id"], body))


ROUTES = [
    web.get("/api/deployments", list_all),
    web.post("/api/deployments/{id}/keys", create_key),
]
