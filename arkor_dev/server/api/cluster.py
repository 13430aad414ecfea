"""The cluster of this launch's jobs. Not contacted until a person agrees: a project may name any address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from arkor_dev.contract.errors import ConflictError, ForbiddenError, NotFoundError
from arkor_dev.contract.rules import Rule, text_line
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.server.api.envelope import answered, read_object
from arkor_dev.server.app_keys import BACKEND, SETTINGS

if TYPE_CHECKING:
    from arkor_dev.contract.placement import NamedCluster
    from arkor_dev.core.settings import Settings

TRUST = Schema(Field("names", Rule("list", 1, 2, noun="a cluster, a store or both", of=text_line(1000))))


def _named(settings: Settings) -> NamedCluster:
    from arkor_dev.project.toml.compute import cluster_of, load_storage  # not needed for the first byte
    from arkor_dev.project.trust import untrusted

    address, storage = cluster_of(settings), load_storage(settings.project)
    return {
        "address": address,
        "insecure": settings.insecure_cluster,
        "untrusted": untrusted(settings, address, storage),
    }


async def configured(request: web.Request) -> web.Response:
    """``GET /api/cluster``: ``{address, insecure, untrusted}``, its address or null; only reads files."""
    return web.json_response(await asyncio.to_thread(_named, request.app[SETTINGS]))


async def trust(request: web.Request) -> web.Response:
    """``POST /api/cluster/trust``: record that the person agrees to use the ``names`` that the page shows."""
    from arkor_dev.project import trust as record

    body, settings = await read_object(request, TRUST), request.app[SETTINGS]
    if body["names"] != (await asyncio.to_thread(_named, settings))["untrusted"]:
        raise ConflictError("arkor.toml names another cluster now. Check it, then agree again.")
    for name in body["names"]:
        await asyncio.to_thread(record.trust, settings, name)
    return await configured(request)


async def probe(request: web.Request) -> web.Response:
    """``POST /api/cluster/look``: ``{cluster}``, its current state."""
    from arkor_dev.project.toml.compute import question

    settings = request.app[SETTINGS]
    named = await asyncio.to_thread(_named, settings)
    if (address := named["address"]) is None:
        raise NotFoundError("Neither this launch nor arkor.toml names a cluster.")
    if address in named["untrusted"]:
        raise ForbiddenError(f"Nobody has agreed to use {address}, which arkor.toml names. Trust it first.")
    return answered(await request.app[BACKEND].get_cluster(question(settings, address)))


ROUTES = [
    web.get("/api/cluster", configured),
    web.post("/api/cluster/trust", trust),
    web.post("/api/cluster/look", probe),
]
