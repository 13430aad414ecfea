"""Studio's API: one thin module a resource. Each parses, calls one service and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import chat, deployments, jobs, manifest, session, train

if TYPE_CHECKING:
    from aiohttp import web


def routes() -> list[web.RouteDef]:
    """Every route under ``/api``."""
    return [*session.ROUTES, *manifest.ROUTES, *jobs.ROUTES, *train.ROUTES, *chat.ROUTES, *deployments.ROUTES]
