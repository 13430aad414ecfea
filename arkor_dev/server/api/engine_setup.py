"""Installing the engine for training on this machine: planned, installed and cancelled from the page."""

from __future__ import annotations

from aiohttp import web

from arkor_dev.contract.rules import FLAG
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.server.app_keys import ENGINE

from .envelope import read_object

START = Schema(Field("install", FLAG, needed=True))


async def get(request: web.Request) -> web.Response:
    """``GET /api/setup``: whether it is installed, and the progress of an installation."""
    return web.json_response(await request.app[ENGINE].view())


async def post(request: web.Request) -> web.Response:
    """``POST /api/setup``: install it, or only find out what would be installed."""
    body = await read_object(request, START)
    await request.app[ENGINE].start(install=body["install"])
    return web.json_response(await request.app[ENGINE].view())


async def delete(request: web.Request) -> web.Response:
    """``DELETE /api/setup``: cancel what runs; what was downloaded is kept for the next time."""
    await request.app[ENGINE].close()
    return web.json_response(await request.app[ENGINE].view())


ROUTES = [
    web.get("/api/setup", get),
    web.post("/api/setup", post),
    web.delete("/api/setup", delete),
]
