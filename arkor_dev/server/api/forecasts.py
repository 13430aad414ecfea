"""Estimates of a job's time and memory, if the backend measures them (docs/contract.md#forecasts)."""

from __future__ import annotations

from aiohttp import web

from arkor_dev.contract.rules import Rule
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.server.app_keys import BACKEND

from .envelope import answered, read_object

ASK = Schema((Field("config", Rule("object"), needed=True),))
"""The backend checks the config."""


async def create(request: web.Request) -> web.Response:
    """``POST /api/forecast``: ``{forecast}``, which may still have to be measured."""
    body = await read_object(request, ASK)
    return answered(await request.app[BACKEND].create_forecast(body["config"]))


async def get(request: web.Request) -> web.Response:
    """``GET /api/forecast/:id``."""
    return answered(await request.app[BACKEND].get_forecast(request.match_info["id"]))


async def cancel(request: web.Request) -> web.Response:
    """``DELETE /api/forecast/:id``: ``{}``."""
    answer = await request.app[BACKEND].cancel_forecast(request.match_info["id"])
    return web.json_response({}, headers=answer.headers)


ROUTES = [
    web.post("/api/forecast", create),
    web.get("/api/forecast/{id}", get),
    web.delete("/api/forecast/{id}", cancel),
]
