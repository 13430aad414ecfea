"""Who is signed in where, and what the project can train."""

from __future__ import annotations

from aiohttp import web

from ..identity import credentials_view
from ..keys import BACKEND, MANIFEST
from .envelope import answered


async def credentials(request: web.Request) -> web.Response:
    """``GET /api/credentials``: mode, organisation, project, backend and a masked token."""
    backend = request.app[BACKEND]
    snapshot = await backend.identity.credentials()
    scope = await backend.scopes.for_read(snapshot)
    return web.json_response(credentials_view(snapshot, scope))


async def me(request: web.Request) -> web.Response:
    """``GET /api/me``: the backend's answer."""
    return answered(await request.app[BACKEND].me())


async def manifest(request: web.Request) -> web.Response:
    """``GET /api/manifest``: the trainers that the project declares."""
    return web.json_response(await request.app[MANIFEST].read())


ROUTES = [
    web.get("/api/credentials", credentials),
    web.get("/api/me", me),
    web.get("/api/manifest", manifest),
]
