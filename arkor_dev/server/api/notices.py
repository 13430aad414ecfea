"""Consent to the project's ``[notify]``, which may run a program: once for each project and content."""

from __future__ import annotations

import asyncio

from aiohttp import web

from arkor_dev.contract.errors import ConflictError
from arkor_dev.contract.rules import text_line
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.server.app_keys import SETTINGS

from .envelope import read_object

AGREE = Schema(Field("mark", text_line(64), needed=True))


async def pending(request: web.Request) -> web.Response:
    """``GET /api/notices``: ``{pending}``, what nobody has agreed to yet, or null."""
    from arkor_dev.notices import consent  # not needed for the page's first byte

    return web.json_response({"pending": await asyncio.to_thread(consent.pending, request.app[SETTINGS])})


async def agree(request: web.Request) -> web.Response:
    """``POST /api/notices``: record that the person agrees to the table that the page shows."""
    from arkor_dev.notices import consent

    body = await read_object(request, AGREE)
    if not await asyncio.to_thread(consent.agree, request.app[SETTINGS], body["mark"]):
        raise ConflictError("[notify] in arkor.toml has changed. Check it, then agree again.")
    return await pending(request)


ROUTES = [web.get("/api/notices", pending), web.post("/api/notices", agree)]
