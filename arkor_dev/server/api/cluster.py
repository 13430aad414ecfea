"""The cluster of this launch's jobs. It is asked nothing before a person says so: a project may name any."""

from __future__ import annotations

import asyncio

from aiohttp import web

from arkor_dev.contract.errors import NotFoundError
from arkor_dev.server.api.envelope import answered
from arkor_dev.server.app_keys import BACKEND, SETTINGS


async def named(request: web.Request) -> web.Response:
    """``GET /api/cluster``: ``{address, insecure}``, its address or null; reads the file alone."""
    from arkor_dev.project.toml.compute import cluster_of  # not on the way to the page's first byte

    settings = request.app[SETTINGS]
    address = await asyncio.to_thread(cluster_of, settings)
    return web.json_response({"address": address, "insecure": settings.insecure_cluster})


async def look(request: web.Request) -> web.Response:
    """``POST /api/cluster/look``: ``{cluster}``, as it is now."""
    from arkor_dev.project.toml.compute import cluster_of, question

    settings = request.app[SETTINGS]
    address = await asyncio.to_thread(cluster_of, settings)
    if address is None:
        raise NotFoundError("Neither this launch nor arkor.toml names a cluster.")
    return answered(await request.app[BACKEND].get_cluster(question(settings, address)))


ROUTES = [web.get("/api/cluster", named), web.post("/api/cluster/look", look)]
