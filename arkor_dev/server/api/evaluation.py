"""Evaluations, model cards and votes (docs/contract.md#evaluation)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from arkor_dev.contract.bodies import EVALUATE, VOTE
from arkor_dev.server.app_keys import BACKEND, JOBS

from .envelope import answered, read_object

ASKED: Final = ("step", "data", "against", "againstStep", "seeds")


async def evaluate(request: web.Request) -> web.Response:
    """``POST /api/jobs/:id/evaluate``: the backend's response; ``GET /api/jobs/:id`` reports progress."""
    body = await read_object(request, EVALUATE, optional=True)
    return answered(await request.app[BACKEND].evaluate_job(request.match_info["id"], body))


async def get(request: web.Request) -> web.Response:
    """``GET /api/jobs/:id/evaluation``: the backend's response to the same query; refreshes the job list."""
    asked = {name: request.query[name] for name in ASKED if name in request.query}
    answer = await request.app[BACKEND].get_evaluation(request.match_info["id"], asked)
    request.app[JOBS].refresh()
    return answered(answer)


async def card(request: web.Request) -> web.Response:
    """``GET /api/jobs/:id/card[?step=]``: the backend's response."""
    step = request.query.get("step")
    return answered(await request.app[BACKEND].get_card(request.match_info["id"], step))


async def votes(request: web.Request) -> web.Response:
    """``GET /api/jobs/:id/votes``: the backend's response."""
    return answered(await request.app[BACKEND].get_votes(request.match_info["id"]))


async def vote(request: web.Request) -> web.Response:
    """``POST /api/jobs/:id/votes``: the backend's response."""
    body = await read_object(request, VOTE)
    return answered(await request.app[BACKEND].add_vote(request.match_info["id"], body))


ROUTES = [
    web.post("/api/jobs/{id}/evaluate", evaluate),
    web.get("/api/jobs/{id}/evaluation", get),
    web.get("/api/jobs/{id}/card", card),
    web.get("/api/jobs/{id}/votes", votes),
    web.post("/api/jobs/{id}/votes", vote),
]
