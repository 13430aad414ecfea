"""Studio's API: one thin module a resource. Each parses, calls one service and answers."""

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
    """Every route under ``/api``."""
    resources = (
        session, manifest, jobs, train, chat, datasets, deployments, forecasts, evaluation, exports,
        corrections, placement, project,
    )  # fmt: skip
    return [route for resource in resources for route in resource.ROUTES]
