"""HTTP handlers of the feature ``sweeps`` (docs/contract.md#sweeps)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from arkor_dev.contract.bodies import SWEEP
from arkor_dev.contract.shapes import NewSweep
from arkor_dev.local.sweeps.service import Sweeps

from .requests import body_as, check_scope

SWEEPS: Final = web.AppKey("sweeps", Sweeps)

routes = web.RouteTableDef()


@routes.get("/v1/sweeps")
async def sweeps(request: web.Request) -> web.Response:
    check_scope(request)
    return web.json_response({"sweeps": request.app[SWEEPS].views()})


@routes.post("/v1/sweeps")
async def start(request: web.Request) -> web.Response:
    check_scope(request)
    return web.json_response(
        {"sweep": await request.app[SWEEPS].start(await body_as(NewSweep, request, SWEEP))}
    )


@routes.get("/v1/sweeps/{id}")
async def sweep(request: web.Request) -> web.Response:
    check_scope(request)
    return web.json_response({"sweep": request.app[SWEEPS].view(request.match_info["id"])})


@routes.delete("/v1/sweeps/{id}")
async def delete(request: web.Request) -> web.Response:
    check_scope(request)
    await request.app[SWEEPS].delete(request.match_info["id"])
    return web.Response(status=204)


@routes.post("/v1/sweeps/{id}/stop")
async def stop(request: web.Request) -> web.Response:
    check_scope(request)
    return web.json_response({"sweep": await request.app[SWEEPS].stop(request.match_info["id"])})
