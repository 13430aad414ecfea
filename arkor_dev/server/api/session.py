"""The signed-in account and the backend's capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from arkor_dev.contract.errors import NotFoundError, UnsupportedError
from arkor_dev.identity.views import credentials_view
from arkor_dev.server.app_keys import BACKEND

from .envelope import answered

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import Capabilities

UNNAMED: Capabilities = {"features": [], "baseModels": ["unsloth/gemma-4-E4B-it"]}
"""Capabilities of a backend without this call: Arkor's managed one has this base model."""


async def credentials(request: web.Request) -> web.Response:
    """``GET /api/credentials``: mode, organisation, project, backend and a masked token."""
    backend = request.app[BACKEND]
    snapshot = await backend.identity.credentials()
    scope = await backend.scopes.for_read(snapshot)
    return web.json_response(credentials_view(snapshot, scope, backend.identity.sign_in))


async def me(request: web.Request) -> web.Response:
    """``GET /api/me``: the backend's response."""
    return answered(await request.app[BACKEND].me())


async def capabilities(request: web.Request) -> web.Response:
    """``GET /api/capabilities``: the backend's response, or known defaults for one without the call."""
    try:
        return answered(await request.app[BACKEND].capabilities())
    except (NotFoundError, UnsupportedError):
        return web.json_response(UNNAMED)


ROUTES = [
    web.get("/api/credentials", credentials),
    web.get("/api/me", me),
    web.get("/api/capabilities", capabilities),
]
