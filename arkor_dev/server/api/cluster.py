"""The cluster of this launch's jobs. Not contacted until a person asks: a project may name any address."""

from __future__ import annotations

import asyncio

from aiohttp import web

from arkor_dev.contract.errors import NotFoundError
from arkor_dev.server.api.envelope import answered
from arkor_dev.server.app_keys import BACKEND, SETTINGS


async def configured(request: web.Request) -> web.Response:
    """``GET /api/cluster``: ``{address, insecure}``, with its address or null; only reads the file."""
    from arkor_dev.project.toml.compute import cluster_of  # not needed for the page's first byte

    settings = request.app[SETTINGS]
    address = await asyncio.to_thread(cluster_of, settings)
    return web.json_response({"address": address, "insecure": settings.insecure_cluster})


async def probe(request: web.Request) -> web.Response:
    """``POST /api/cluster/look``: ``{cluster}``, its current state."""
    from arkor_dev.project.toml.compute import cluster_of, question

    settings = request.app[SETTINGS]
    address = await asyncio.to_thread(cluster_of, settings)
    if address is None:
        raise NotFoundError("Neither this launch nor arkor.toml names a cluster.")
    return answered(await request.app[BACKEND].get_cluster(question(settings, address)))


ROUTES = [web.get("/api/cluster", configured), web.post("/api/cluster/look", probe)]
