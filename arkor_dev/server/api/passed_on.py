"""Routes that check the body and pass the call on to the backend: one line each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.backend.client import Backend
from arkor_dev.contract.attribution import PROVE, TRACE
from arkor_dev.contract.bodies import (
    ADJUSTMENT,
    CLASSIFY,
    CONFIG,
    EVALUATE,
    EXPORT,
    EXTENSION,
    QUEUE_CHANGES,
    RENDER,
    RESUMPTION,
    SEARCH,
    SWEEP,
    VOTE,
)
from arkor_dev.contract.deployments import CREATE, KEY, UPDATE
from arkor_dev.contract.errors import NotFoundError, UnsupportedError
from arkor_dev.server.app_keys import BACKEND, EVENTS, JOBS

from .envelope import answered, read_object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from arkor_dev.backend.client import Response
    from arkor_dev.contract.schema import Schema

BELOW: Final = (
    "lengths",
    "find",
    "rows",
    "rows/[0-9]+",
    "embeddings",
    "similar",
    "groups",
    "map",
    "losses",
    r"losses/[\w-]+",
    "surprising",
)
"""What can be read of a view of a data set."""


def passed(
    method: str,
    path: str,
    call: Callable[..., Awaitable[Response]],
    schema: Schema | None = None,
    *,
    optional: bool = False,
    query: tuple[str, ...] = (),
    then: Callable[[web.Request], None] | None = None,
) -> web.RouteDef:
    """Return a route to a method of `Backend`, called with the names in the path, then the body or query.

    Only these names of a query leave Studio; the page's token, for example, does not. ``then`` runs after a
    successful call. A response without a body becomes ``{}``.
    """
    names = re.findall(r"{(\w+)}", path)

    async def handler(request: web.Request) -> web.Response:
        arguments: list[object] = [request.match_info[name] for name in names]
        if schema is not None:
            arguments.append(await read_object(request, schema, optional=optional))
        elif query:
            arguments.append({name: request.query[name] for name in query if name in request.query})
        answer = await call(request.app[BACKEND], *arguments)
        if then is not None:
            then(request)
        return web.json_response({}, headers=answer.headers) if answer.status == 204 else answered(answer)

    return web.route(method, path, handler)


def refresh(request: web.Request) -> None:
    """Refresh the list of jobs."""
    request.app[JOBS].refresh()


def reopen(request: web.Request) -> None:
    """Continue a job's ended stream."""
    request.app[EVENTS].reopen(request.match_info["id"])
    refresh(request)


OF_DATASETS: Final = frozenset(
    {
        "from", "count", "want", "after", "than", "code", "text", "role", "language", "least", "most",
        "source", "group", "row", "job",
    }
)  # fmt: skip
"""Query parameters that are forwarded; others, such as the page's token, are not."""


async def get_dataset(request: web.Request) -> web.Response:
    """``GET /api/datasets/:id`` and the paths below it."""
    path = [request.match_info["id"], *request.match_info.get("below", "").split("/")]
    query = {name: value for name, value in request.query.items() if name in OF_DATASETS}
    return answered(await request.app[BACKEND].get_dataset(*filter(None, path), parameters=query))


async def list_deployments(request: web.Request) -> web.Response:
    """``GET /api/deployments``; ``{"deployments": [], "unsupported": true}`` if the backend has none."""
    try:
        return answered(await request.app[BACKEND].list_deployments())
    except (NotFoundError, UnsupportedError):
        # The page polls this: answer with a fact instead of an error each time.
        return web.json_response({"deployments": [], "unsupported": True})


async def create_key(request: web.Request) -> web.Response:
    """``POST /api/deployments/:id/keys``: the only response with the key's plaintext."""
    body = await read_object(request, KEY)
    body["label"] = body["label"].strip()
    return answered(await request.app[BACKEND].create_key(request.match_info["id"], body))


async def start_sweep(request: web.Request) -> web.Response:
    """``POST /api/sweeps``; its jobs are in the list at once."""
    answer = await request.app[BACKEND].start_sweep(await read_object(request, SWEEP))
    refresh(request)
    return answered(answer)


JOB, DEPLOYMENT = "/api/jobs/{id}", "/api/deployments/{id}"
COMPARED = ("step", "data", "against", "againstStep", "seeds")
ROUTES = [
    passed("POST", "/api/inference/classify", Backend.classify, CLASSIFY),
    passed("POST", "/api/inference/search", Backend.search, SEARCH),
    passed("PATCH", "/api/queue", Backend.arrange_queue, QUEUE_CHANGES, then=refresh),
    passed("POST", f"{JOB}/cancel", Backend.cancel_job, then=refresh),
    passed("POST", f"{JOB}/pause", Backend.pause_job, then=refresh),
    passed("POST", f"{JOB}/resume", Backend.resume_job, RESUMPTION, optional=True, then=reopen),
    passed("POST", f"{JOB}/adjust", Backend.adjust_job, ADJUSTMENT, then=reopen),
    passed("POST", f"{JOB}/extend", Backend.extend_job, EXTENSION, then=reopen),
    passed("GET", "/api/disk", Backend.disk),
    passed("POST", "/api/disk/clean", Backend.clean_disk),
    passed("POST", "/api/forecast", Backend.create_forecast, CONFIG),
    passed("GET", "/api/forecast/{id}", Backend.get_forecast),
    passed("DELETE", "/api/forecast/{id}", Backend.cancel_forecast),
    passed("GET", "/api/sweeps", Backend.list_sweeps),
    web.post("/api/sweeps", start_sweep),
    passed("GET", "/api/sweeps/{id}", Backend.get_sweep),
    passed("DELETE", "/api/sweeps/{id}", Backend.delete_sweep),
    passed("POST", "/api/sweeps/{id}/stop", Backend.stop_sweep, then=refresh),
    passed("POST", f"{JOB}/evaluate", Backend.evaluate_job, EVALUATE, optional=True),
    passed("GET", f"{JOB}/evaluation", Backend.get_evaluation, query=COMPARED, then=refresh),
    passed("GET", f"{JOB}/card", Backend.get_card, query=("step",)),
    passed("GET", f"{JOB}/rows", Backend.compare_rows, query=("against",)),
    passed("GET", f"{JOB}/votes", Backend.get_votes),
    passed("POST", f"{JOB}/votes", Backend.add_vote, VOTE),
    passed("DELETE", f"{JOB}/votes/{{vote}}", Backend.delete_vote),
    passed("POST", f"{JOB}/attributions", Backend.trace_answer, TRACE),
    passed("GET", f"{JOB}/attributions/{{attribution}}", Backend.get_attribution),
    passed(
        "POST",
        f"{JOB}/attributions/{{attribution}}/proof",
        Backend.prove_attribution,
        PROVE,
        optional=True,
        then=refresh,
    ),
    passed("POST", f"{JOB}/exports", Backend.create_export, EXPORT),
    passed("GET", f"{JOB}/exports", Backend.list_exports),
    passed("GET", f"{JOB}/exports/{{export}}", Backend.get_export),
    passed("DELETE", f"{JOB}/exports/{{export}}", Backend.delete_export),
    passed("POST", "/api/deployments", Backend.create_deployment, CREATE),
    passed("GET", DEPLOYMENT, Backend.get_deployment),
    passed("PATCH", DEPLOYMENT, Backend.update_deployment, UPDATE),
    passed("DELETE", DEPLOYMENT, Backend.delete_deployment),
    passed("GET", f"{DEPLOYMENT}/keys", Backend.list_keys),
    passed("DELETE", f"{DEPLOYMENT}/keys/{{key}}", Backend.delete_key),
    passed("GET", f"{DEPLOYMENT}/requests", Backend.list_requests, query=("before",)),
    passed("GET", f"{DEPLOYMENT}/requests/{{request}}", Backend.get_request),
    passed("POST", "/api/datasets", Backend.open_dataset, CONFIG),
    passed("DELETE", "/api/datasets/{id}", Backend.drop_dataset),
    passed("POST", "/api/datasets/{id}/render", Backend.render_row, RENDER),
    web.get("/api/datasets/{id}", get_dataset),
    passed("POST", "/api/datasets/{id}/embeddings", Backend.embed_rows),
    passed("DELETE", "/api/datasets/{id}/embeddings", Backend.cancel_embeddings),
    passed("POST", "/api/datasets/{id}/losses", Backend.measure_losses),
    passed("DELETE", "/api/datasets/{id}/losses", Backend.cancel_losses),
    passed("POST", "/api/datasets/{id}/losses/{job}", Backend.measure_losses_of),
    passed("DELETE", "/api/datasets/{id}/losses/{job}", Backend.cancel_losses_of),
    web.get(f"/api/datasets/{{id}}/{{below:{'|'.join(BELOW)}}}", get_dataset),
    web.get("/api/deployments", list_deployments),
    web.post("/api/deployments/{id}/keys", create_key),
]
