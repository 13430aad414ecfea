"""HTTP handlers of ``forget``: docs/contract.md#forget."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from arkor_dev.contract.forget import FORGET, SEARCH_AGAIN
from arkor_dev.local.deletion.service import Deletions

from .jobs import job_of
from .requests import body_of

DELETIONS: Final = web.AppKey("deletions", Deletions)

routes = web.RouteTableDef()


@routes.post("/v1/jobs/{id}/forget")
async def forget(request: web.Request) -> web.Response:
    job, body = await job_of(request), await body_of(request, FORGET)
    return web.json_response({"job": await request.app[DELETIONS].request(job, body["rows"])})


@routes.get("/v1/jobs/{id}/certificate")
async def certificate(request: web.Request) -> web.Response:
    job = await job_of(request)
    return web.json_response({"certificate": await request.app[DELETIONS].certificate(job)})


@routes.post("/v1/jobs/{id}/certificate")
async def search_again(request: web.Request) -> web.Response:
    job, body = await job_of(request), await body_of(request, SEARCH_AGAIN)
    repeat = body.get("repeat") is True
    found = await request.app[DELETIONS].search_again(job, body.get("delete") or (), repeat=repeat)
    return web.json_response({"certificate": found})
