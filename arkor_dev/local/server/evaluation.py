"""HTTP handlers of ``evaluation``, ``card``, ``rows`` and ``votes`` (docs/contract.md#optional-features)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from arkor_dev.contract.bodies import EVALUATE, PEER_ADAPTER, VOTE
from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.contract.provenance.statement import CARD
from arkor_dev.contract.regular_files import read_inside
from arkor_dev.contract.shapes import Ballot
from arkor_dev.data.sources import SourceError, inside
from arkor_dev.local.cards.job_rows import difference
from arkor_dev.local.evaluation.votes import add_vote, remove_vote, votes_of
from arkor_dev.local.jobs.job_folder import adapter_folder, job_folder
from arkor_dev.local.jobs.peer_adapter import PeerAdapter
from arkor_dev.local.jobs.records import compact
from arkor_dev.local.jobs.store import Store

from .jobs import EVALUATIONS, IMPORTING, job_of
from .requests import SETUP, Setup, body_as, body_of, check_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.shapes import Job

routes = web.RouteTableDef()


@routes.post("/v1/jobs/{id}/evaluate")
async def evaluate(request: web.Request) -> web.Response:
    job = await job_of(request)
    body = await body_of(request, EVALUATE)
    evaluations = request.app[EVALUATIONS]
    force = bool(body.get("force"))
    if body.get("strengths"):
        if body.get("step") is not None or body.get("data") is not None:
            raise BadRequestError(
                "strengths are measured of the final adapter on its held-out rows: leave out step and data"
            )
        await evaluations.request_strengths(job, force=force)
    else:
        await evaluations.request(job, body.get("step"), body.get("data"), force=force)
    return web.json_response({"job": job | {"evaluating": evaluations.state_of(job["id"])}})


@routes.post("/v1/adapters")
async def import_adapter(request: web.Request) -> web.Response:
    setup = check_scope(request)
    body = await body_of(request, PEER_ADAPTER)
    try:
        await asyncio.to_thread(inside, setup.project, body["data"])
    except SourceError as fault:
        raise BadRequestError(f"data: {fault}") from None
    # Continues if its client disconnects, so that the job exists completely or not at all.
    taking = asyncio.create_task(_import(setup, request.app[IMPORTING], body))
    return web.json_response({"job": await asyncio.shield(taking)})


async def _import(setup: Setup, turn: asyncio.Lock, body: Mapping[str, Any]) -> Job:
    adapter = await asyncio.to_thread(PeerAdapter.read, Path(body["path"]), body.get("model"))
    job = adapter.job(body["data"])
    async with turn:
        if known := await setup.store.read(Store.get, adapter.job_id):
            return known
        ended = await asyncio.to_thread(adapter.install_files, setup.data)
        try:
            return await setup.store.request(Store.import_job, job, None, [ended])
        except Exception:
            await asyncio.to_thread(adapter.remove_copies, setup.data)
            raise


@routes.get("/v1/jobs/{id}/evaluation")
async def evaluation(request: web.Request) -> web.Response:
    job, evaluations = await job_of(request), request.app[EVALUATIONS]
    step, data = _step(request, "step"), request.query.get("data")
    if against := request.query.get("against"):
        other = await request.app[SETUP].store.read(Store.get, against)
        if other is None:
            raise NotFoundError(f"There is no job {against}")
        if "seeds" in request.query:
            return web.json_response({"comparison": await evaluations.compare_settings(job, other)})
        other_step = _step(request, "againstStep")
        compared = await evaluations.compare((job, step), (other, other_step), data)
        return web.json_response({"comparison": compared})
    result = await asyncio.to_thread(evaluations.result, job["id"], step, data)
    if result is None:
        checkpoint = "" if step is None else f"'s checkpoint of step {step}"
        on = "" if data is None else f" on {data}"
        raise NotFoundError(f"The job {job['name']}{checkpoint} has not been evaluated{on}")
    return web.json_response(result, dumps=compact)


@routes.get("/v1/jobs/{id}/card")
async def card(request: web.Request) -> web.Response:
    job, step = await job_of(request), _step(request, "step")
    data, job_id = request.app[SETUP].data, job["id"]
    text = await asyncio.to_thread(_card_in, adapter_folder(data, job_id, step))
    if text is None:
        checkpoint = "" if step is None else f"'s checkpoint of step {step}"
        raise NotFoundError(f"The job {job['name']}{checkpoint} has no model card")
    return web.json_response({"card": text})


@routes.get("/v1/jobs/{id}/rows")
async def rows(request: web.Request) -> web.Response:
    setup, job = request.app[SETUP], await job_of(request)
    against = await setup.store.read(Store.get, request.query.get("against", ""))
    if against is None:
        raise NotFoundError("There is no job to compare with: name it with against")
    folders = [job_folder(setup.data, row_job["id"]) for row_job in (against, job)]
    return web.json_response({"difference": await asyncio.to_thread(difference, *folders)})


def _step(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise BadRequestError(f"{name} must be a whole number")
    return None if text is None else int(text)


def _card_in(folder: Path) -> str | None:
    """Return the card in the folder; None if it is not text, or a link that leads outside."""
    try:
        return read_inside(folder, CARD).decode()
    except (OSError, ValueError):
        return None


@routes.get("/v1/jobs/{id}/votes")
async def votes(request: web.Request) -> web.Response:
    job_id = (await job_of(request))["id"]
    stored = await asyncio.to_thread(votes_of, job_folder(request.app[SETUP].data, job_id))
    return web.json_response({"votes": stored}, dumps=compact)


@routes.post("/v1/jobs/{id}/votes")
async def vote(request: web.Request) -> web.Response:
    job_id = (await job_of(request))["id"]
    ballot = await body_as(Ballot, request, VOTE)
    stored = await asyncio.to_thread(add_vote, job_folder(request.app[SETUP].data, job_id), ballot)
    return web.json_response({"vote": stored})


@routes.delete("/v1/jobs/{id}/votes/{vote}")
async def take_back(request: web.Request) -> web.Response:
    job_id = (await job_of(request))["id"]
    folder = job_folder(request.app[SETUP].data, job_id)
    await asyncio.to_thread(remove_vote, folder, request.match_info["vote"])
    return web.Response(status=204)
