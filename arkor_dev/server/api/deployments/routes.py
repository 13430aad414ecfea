"""Deployments and their keys: checks bodies and forwards to the backend's ``/v1/endpoints``."""

from __future__ import annotations

from aiohttp import web

from arkor_dev.contract.deployments.bodies import CREATE, KEY, UPDATE
from arkor_dev.contract.errors import NotFoundError, UnsupportedError
from arkor_dev.server.api.envelope import answered, read_object
from arkor_dev.server.app_keys import BACKEND


async def list_all(request: web.Request) -> web.Response:
    """``GET /api/deployments``; ``{"deployments": [], "unsupported": true}`` if the backend has none."""
    try:
        return answered(await request.app[BACKEND].list_deployments())
    except (NotFoundError, UnsupportedError):
        # The page polls this: answer with a fact instead of an error each time.
        return web.json_response({"deployments": [], "unsupported": True})


async def create(request: web.Request) -> web.Response:
    """``POST /api/deployments``."""
    body = await read_object(request, CREATE)
    return answered(await request.app[BACKEND].create_deployment(body))


async def get(request: web.Request) -> web.Response:
    """``GET /api/deployments/:id``."""
    return answered(await request.app[BACKEND].get_deployment(request.match_info["id"]))


async def update(request: web.Request) -> web.Response:
    """``PATCH /api/deployments/:id``."""
    body = await read_object(request, UPDATE)
    return answered(await request.app[BACKEND].update_deployment(request.match_info["id"], body))


async def delete(request: web.Request) -> web.Response:
    """``DELETE /api/deployments/:id``: ``{}``."""
    answer = await request.app[BACKEND].delete_deployment(request.match_info["id"])
    return web.json_response({}, headers=answer.headers)


async def list_keys(request: web.Request) -> web.Response:
    """``GET /api/deployments/:id/keys``."""
    return answered(await request.app[BACKEND].list_keys(request.match_info["id"]))


async def create_key(request: web.Request) -> web.Response:
    """``POST /api/deployments/:id/keys``: the only response with the key's plaintext."""
    body = await read_object(request, KEY)
    body["label"] = body["label"].strip()
    return answered(await request.app[BACKEND].create_key(request.match_info["id"], body))


async def delete_key(request: web.Request) -> web.Response:
    """``DELETE /api/deployments/:id/keys/:keyId``: ``{}``."""
    answer = await request.app[BACKEND].delete_key(request.match_info["id"], request.match_info["key"])
    return web.json_response({}, headers=answer.headers)


async def list_requests(request: web.Request) -> web.Response:
    """``GET /api/deployments/:id/requests``: the newest requests with their results."""
    before = request.query.get("before")
    return answered(await request.app[BACKEND].list_requests(request.match_info["id"], before))


async def get_request(request: web.Request) -> web.Response:
    """``GET /api/deployments/:id/requests/:request``: one request, with its texts if they are kept."""
    where = (request.match_info["id"], request.match_info["request"])
    return answered(await request.app[BACKEND].get_request(*where))


ROUTES = [
    web.get("/api/deployments", list_all),
    web.post("/api/deployments", create),
    web.get("/api/deployments/{id}", get),
    web.patch("/api/deployments/{id}", update),
    web.delete("/api/deployments/{id}", delete),
    web.get("/api/deployments/{id}/keys", list_keys),
    web.post("/api/deployments/{id}/keys", create_key),
    web.delete("/api/deployments/{id}/keys/{key}", delete_key),
    web.get("/api/deployments/{id}/requests", list_requests),
    web.get("/api/deployments/{id}/requests/{request}", get_request),
]
