"""Studio's API: one thin module for each resource, which parses, calls one service and responds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    chat,
    corrections,
    datasets,
    evaluation,
    exports,
    forecasts,
    jobs,
    manifest,
    project,
    session,
    train,
)
from .deployments import routes as deployments
from .placement import routes as placement

if TYPE_CHECKING:
    from aiohttp import web


def routes() -> list[web.RouteDef]:
    """Return every route under ``/api``."""
    resources = (
        session, manifest, jobs, train, chat, datasets, deployments, forecasts, evaluation, exports,
        corrections, placement, project,
    )  # fmt: skip
    return [route for resource in resources for route in resource.ROUTES]
