"""Deployments, their keys, and the log of their requests (docs/contract.md#deployments, #serving)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.deployments import CREATE, KEY, UPDATE
from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.contract.rules import quoted
from arkor_dev.local.endpoints import deployments, requests
from arkor_dev.local.server.requests import body_as, body_of, check_scope

from . import ENDPOINTS

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import Deployment
    from arkor_dev.local.endpoints.service import Endpoints

RETENTIONS: Final = (None, "days", "unlimited", "disabled")

routes = web.RouteTableDef()


async def _deployment(request: web.Request) -> tuple[Endpoints, Deployment]:
    check_scope(request)
    endpoints, endpoint_id = request.app[ENDPOINTS], request.match_info["id"]
    deployment = await endpoints.store.read(deployments.get, endpoint_id)
    if deployment is None:
        raise NotFoundError(f"There is no endpoint {endpoint_id}")
    return endpoints, deployment


def _check_retention(body: deployments.DeploymentChanges) -> None:
    mode = body.get("runRetentionMode")
    if mode not in RETENTIONS:  # an unknown mode cannot be stored
        raise BadRequestError(
            f'runRetentionMode must be "days", "unlimited" or "disabled", not {quoted(mode)}'
        )


@routes.get("/v1/endpoints")
async def listed(request: web.Request) -> web.Response:
    check_scope(request)
    deployment = await request.app[ENDPOINTS].store.read(deployments.listing)
    return web.json_response({"deployments": deployment})


@routes.post("/v1/endpoints")
async def create(request: web.Request) -> web.Response:
    check_scope(request)
    body = await body_as(deployments.NewDeployment, request, CREATE)
    _check_retention(body)
    await request.app[ENDPOINTS].check_target(body["target"])
    deployment = await request.app[ENDPOINTS].store.request(deployments.create, body)
    return web.json_response({"deployment": deployment}, status=201)


@routes.get("/v1/endpoints/{id}")
async def read_deployment(request: web.Request) -> web.Response:
    endpoints, deployment = await _deployment(request)
    problem = await endpoints.problem(deployment["target"])
    return web.json_response({"deployment": {**deployment, **({"trouble": problem} if problem else {})}})


@routes.patch("/v1/endpoints/{id}")
async def change(request: web.Request) -> web.Response:
    endpoints, deployment = await _deployment(request)
    body = await body_as(deployments.DeploymentChanges, request, UPDATE)
    _check_retention(body)
    if "target" in body:
        await endpoints.check_target(body["target"])
    changed = await endpoints.store.request(deployments.change, deployment["id"], body)
    if deployments.RESTART & body.keys():
        endpoints.choose_anew(deployment["id"])
    if "engine" in body or any(
        changed[field] != deployment[field] for field in ("target", "authMode", "enabled")
    ):
        endpoints.cut(lambda caller: caller.deployment["id"] == deployment["id"])
    if "runRetentionMode" in body:
        await endpoints.forget_texts()
    return web.json_response({"deployment": changed})


@routes.delete("/v1/endpoints/{id}")
async def remove(request: web.Request) -> web.Response:
    endpoints, deployment = await _deployment(request)
    await endpoints.store.request(deployments.remove, deployment["id"])
    endpoints.cut(lambda caller: caller.deployment["id"] == deployment["id"])
    return web.Response(status=204)


@routes.get("/v1/endpoints/{id}/keys")
async def keys(request: web.Request) -> web.Response:
    endpoints, deployment = await _deployment(request)
    return web.json_response({"keys": await endpoints.store.read(deployments.keys, deployment["id"])})


@routes.post("/v1/endpoints/{id}/keys")
async def issue(request: web.Request) -> web.Response:
    endpoints, deployment = await _deployment(request)
    label = (await body_of(request, KEY))["label"].strip()
    key = await endpoints.store.request(deployments.issue, deployment["id"], label)
    return web.json_response({"key": key}, status=201)


@routes.delete("/v1/endpoints/{id}/keys/{key}")
async def revoke(request: web.Request) -> web.Response:
    endpoints, deployment = await _deployment(request)
    key = request.match_info["key"]
    if not await endpoints.store.request(deployments.revoke, deployment["id"], key):
        raise NotFoundError(f"This endpoint has no key {key}")
    endpoints.cut(lambda caller: caller.key is not None and caller.key.id == key)
    return web.Response(status=204)


def _number(text: str) -> int | None:
    """Return the number in a request's id; None for an invalid id."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


@routes.get("/v1/endpoints/{id}/requests")
async def log(request: web.Request) -> web.Response:
    endpoints, deployment = await _deployment(request)
    before = request.query.get("before")
    number = None if before is None else _number(before)
    if before is not None and number is None:
        raise BadRequestError(f"before must be the id of a request, not {quoted(before)}")
    return web.json_response(await endpoints.store.read(requests.listing, deployment, number))


@routes.get("/v1/endpoints/{id}/requests/{request}")
async def logged(request: web.Request) -> web.Response:
    endpoints, deployment = await _deployment(request)
    request_id = request.match_info["request"]
    number = _number(request_id)
    entry = None if number is None else await endpoints.store.read(requests.read_request, deployment, number)
    if entry is None:
        raise NotFoundError(f"This endpoint has no request {request_id}")
    return web.json_response({"request": entry})
