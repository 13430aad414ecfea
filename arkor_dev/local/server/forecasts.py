"""HTTP handlers of the feature ``forecast`` (docs/contract.md#forecasts)."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from arkor_dev.contract.bodies import CONFIG
from arkor_dev.contract.errors import NotFoundError
from arkor_dev.local.forecast.service import Forecasts
from arkor_dev.local.jobs.job_config import check_config, with_current_reviews

from .requests import body_of, check_scope

FORECASTS: Final = web.AppKey("forecasts", Forecasts)

routes = web.RouteTableDef()


@routes.post("/v1/forecast")
async def create(request: web.Request) -> web.Response:
    setup = check_scope(request)
    config = check_config((await body_of(request, CONFIG))["config"])
    config = await asyncio.to_thread(with_current_reviews, config, setup.project)
    return web.json_response({"forecast": await request.app[FORECASTS].request(config)})


@routes.get("/v1/forecast/{id}")
async def get(request: web.Request) -> web.Response:
    check_scope(request)
    forecast = await request.app[FORECASTS].get(request.match_info["id"])
    if forecast is None:
        raise NotFoundError(f"There is no forecast {request.match_info['id']}; request it again")
    return web.json_response({"forecast": forecast})


@routes.delete("/v1/forecast/{id}")
async def cancel(request: web.Request) -> web.Response:
    check_scope(request)
    if not request.app[FORECASTS].cancel(request.match_info["id"]):
        raise NotFoundError(f"There is no forecast {request.match_info['id']}")
    return web.Response(status=204)
