"""Runs that a program wants to start: shown on the page, which allows or denies them."""

from __future__ import annotations

import asyncio

from aiohttp import web

from arkor_dev.contract.rules import FLAG
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.project.start_requests import answer, folder_of, waiting
from arkor_dev.server.app_keys import SETTINGS, START_REQUESTS

from .envelope import read_object

ANSWER = Schema(Field("allow", FLAG, needed=True))


async def get(request: web.Request) -> web.Response:
    """``GET /api/start-requests``: those that wait for an answer."""
    folder = folder_of(request.app[SETTINGS])
    requests = await asyncio.to_thread(lambda: list(waiting(folder)))
    return web.json_response({"requests": requests})


async def post(request: web.Request) -> web.Response:
    """``POST /api/start-requests/:id``: allow or deny one, once."""
    body = await read_object(request, ANSWER)
    folder = folder_of(request.app[SETTINGS])
    await asyncio.to_thread(answer, folder, request.match_info["id"], allow=body["allow"])
    request.app[START_REQUESTS].expire()
    return web.json_response({})


ROUTES = [web.get("/api/start-requests", get), web.post("/api/start-requests/{id}", post)]
