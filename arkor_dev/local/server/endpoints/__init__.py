"""HTTP handlers of ``endpoints`` and ``serving``: ``routes`` for the owner, ``serve`` for callers."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from arkor_dev.local.endpoints.service import Endpoints

ENDPOINTS: Final = web.AppKey("endpoints", Endpoints)
