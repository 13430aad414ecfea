"""Who is signed in where, and what the project can train."""

from __future__ import annotations

import hashlib

from aiohttp import web

from arkor_dev.contract.errors import ArkorError, NotFoundError, UnsupportedError
from arkor_dev.identity.views import credentials_view
from arkor_dev.server.app_keys import BACKEND, MANIFEST
from arkor_dev.server.negotiation import has

from .envelope import answered, fault_answer


async def credentials(request: web.Request) -> web.Response:
    """``GET /api/credentials``: mode, organisation, project, backend and a masked token."""
    backend = request.app[BACKEND]
    snapshot = await backend.identity.credentials()
    scope = await backend.scopes.for_read(snapshot)
    return web.json_response(credentials_view(snapshot, scope, backend.identity.sign_in))


async def me(request: web.Request) -> web.Response:
    """``GET /api/me``: the backend's answer."""
    return answered(await request.app[BACKEND].me())


async def capabilities(request: web.Request) -> web.Response:
    """``GET /api/capabilities``: the backend's optional features; none where it does not know the call."""
    try:
        return answered(await request.app[BACKEND].capabilities())
    except (NotFoundError, UnsupportedError):
        return web.json_response({"features": []})


async def manifest(request: web.Request) -> web.Response:
    """``GET /api/manifest``: the trainers that the project declares.

    With an ETag, also while the project does not build: a page that asks every other second hears the same
    fault once, and a browser reports each 400 in its console.
    """
    try:
        answer = web.json_response(await request.app[MANIFEST].read())
    except ArkorError as error:
        answer = fault_answer(error)
    tag = hashlib.sha256(answer.body or b"").hexdigest()[:32]  # type: ignore[arg-type]
    if has(request, tag):
        answer = web.Response(status=304)
    answer.etag = tag
    return answer


ROUTES = [
    web.get("/api/credentials", credentials),
    web.get("/api/me", me),
    web.get("/api/capabilities", capabilities),
    web.get("/api/manifest", manifest),
]
