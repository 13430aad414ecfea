"""Studio's API: one thin module for each resource, which parses, calls one service and responds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    adapters,
    chat,
    cluster,
    corrections,
    data_rows,
    documentation,
    engine_setup,
    exports,
    jobs,
    making,
    manifest,
    notices,
    passed_on,
    preferences,
    project,
    reviews,
    session,
    start_requests,
    train,
)

if TYPE_CHECKING:
    from aiohttp import web


def routes() -> list[web.RouteDef]:
    """Return every route under ``/api``."""
    resources = (
        session, manifest, jobs, train, chat, exports, corrections, preferences, data_rows, reviews, cluster,
        notices, project, start_requests, adapters, making, engine_setup, documentation, passed_on,
    )  # fmt: skip
    return [route for resource in resources for route in resource.ROUTES]
