"""Status of a cluster."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.contract.extras import install_command
from arkor_dev.contract.placement.address import ADDRESS
from arkor_dev.local.server.requests import check_scope

from .clusters import Clusters, named

CLUSTERS: Final = web.AppKey("clusters", Clusters)

routes = web.RouteTableDef()


@routes.get("/v1/clusters")
async def look(request: web.Request) -> web.Response:
    check_scope(request)
    if not list(named()):
        raise NotFoundError(f"Clusters need Ray. Install it with: {install_command('ray')}")
    address = request.query.get("address")
    if not ADDRESS.fits(address):
        raise BadRequestError(f"address must be {ADDRESS.words}")
    insecure = request.query.get("insecure") == "true"
    found = await request.app[CLUSTERS].look(str(address), insecure=insecure)
    return web.json_response({"cluster": found})
