"""HTTP handlers of ``attribution``: docs/contract.md#attribution."""

from __future__ import annotations

from aiohttp import web

from arkor_dev.contract.attribution import PROVE, TRACE

from .jobs import ATTRIBUTIONS, job_of
from .requests import body_of

routes = web.RouteTableDef()


@routes.post("/v1/jobs/{id}/attributions")
async def trace(request: web.Request) -> web.Response:
    job, body = await job_of(request), await body_of(request, TRACE)
    state = await request.app[ATTRIBUTIONS].request(job, body.get("messages"), body.get("answer"))
    return web.json_response({"attribution": state})


@routes.get("/v1/jobs/{id}/attributions/{attribution}")
async def attribution(request: web.Request) -> web.Response:
    job = await job_of(request)
    state = await request.app[ATTRIBUTIONS].state_of(job, request.match_info["attribution"])
    return web.json_response({"attribution": state})


@routes.post("/v1/jobs/{id}/attributions/{attribution}/proof")
async def prove(request: web.Request) -> web.Response:
    job, body = await job_of(request), await body_of(request, PROVE)
    name = request.match_info["attribution"]
    state = await request.app[ATTRIBUTIONS].prove(job, name, body.get("rows"))
    return web.json_response({"attribution": state})
