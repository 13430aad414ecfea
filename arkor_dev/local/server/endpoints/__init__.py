"""The calls of ``endpoints`` and ``serving``: ``routes`` has the owner's, ``serve`` those of callers."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from arkor_dev.local.endpoints.service import Endpoints

ENDPOINTS: Final = web.AppKey("endpoints", Endpoints)
