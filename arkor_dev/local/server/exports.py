"""HTTP handlers of the feature ``exports`` (docs/contract.md#exports)."""

from __future__ import annotations

import asyncio

from aiohttp import web

from arkor_dev.contract.bodies import EXPORT
from arkor_dev.contract.shapes import NewExport

from .jobs import EXPORTS, job_of
from .requests import body_as

routes = web.RouteTableDef()


@routes.post("/v1/jobs/{id}/exports")
async def create(request: web.Request) -> web.Response:
    job, body = await job_of(request), await body_as(NewExport, request, EXPORT)
    export = await request.app[EXPORTS].request(job, body)
    return web.json_response({"export": export}, status=201)


@routes.get("/v1/jobs/{id}/exports")
async def listed(request: web.Request) -> web.Response:
    job, exports = await job_of(request), request.app[EXPORTS]
    formats = await asyncio.to_thread(exports.formats, job)
    listed = await asyncio.to_thread(exports.list, job["id"])
    return web.json_response({"exports": listed, "formats": formats})


@routes.get("/v1/jobs/{id}/exports/{export}")
async def read_export(request: web.Request) -> web.Response:
    job = await job_of(request)
    export = await asyncio.to_thread(request.app[EXPORTS].get, job["id"], request.match_info["export"])
    return web.json_response({"export": export})


@routes.get("/v1/jobs/{id}/exports/{export}/files/{name}")
async def file(request: web.Request) -> web.StreamResponse:
    job = await job_of(request)
    path = await asyncio.to_thread(
        request.app[EXPORTS].file, job["id"], request.match_info["export"], request.match_info["name"]
    )
    headers = {"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff"}
    return web.FileResponse(path, headers=headers)


@routes.delete("/v1/jobs/{id}/exports/{export}")
async def remove(request: web.Request) -> web.Response:
    job = await job_of(request)
    await request.app[EXPORTS].remove(job["id"], request.match_info["export"])
    return web.Response(status=204)
