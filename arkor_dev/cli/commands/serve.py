"""``arkor-dev serve``: serves one endpoint to other programs, without page or training, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import time
from typing import TYPE_CHECKING, Final

from arkor_dev.cli.console import Terminal
from arkor_dev.client.endpoints import (
    MOST,
    NewEndpoint,
    adapter_of,
    create_endpoint,
    deployments_of,
    value_of,
)
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.deployments import EndpointRequest, base_url
from arkor_dev.contract.errors import ArkorError, BadRequestError, ConflictError, NotFoundError
from arkor_dev.contract.shapes import Deployment
from arkor_dev.core.plain_text import one_line
from arkor_dev.server.endpoints.app import endpoint_app
from arkor_dev.server.serve import bind, serving

from .jobs import require_sign_in

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings

log = logging.getLogger(__name__)

FAULTS_SECONDS: Final = 2.0
"""How often to check for failed requests."""
AGAIN_SECONDS: Final = 60.0
LABEL: Final = "arkor-dev serve"


async def run_serve(settings: Settings, name: str | None, *, open_to_all: bool) -> int:
    """Serve the endpoint ``name``, or create one for the job of that name; return the exit code.

    Raises BadRequestError for what cannot be served, and passes on the backend's errors.
    """
    if name is None:
        raise BadRequestError("Name what to serve: an endpoint's name, or a job.")
    if not settings.local:
        require_sign_in(settings)
    elif settings.ssh is None:
        from arkor_dev.identity.engine import require_extra

        require_extra(settings)
    # Our own backend would train nothing; if Studio is open on the project, its backend answers.
    async with joined(settings, Terminal().notice, on_demand=True) as backend:
        if "serving" not in json.loads((await backend.capabilities()).body).get("features", []):
            raise BadRequestError(
                "This backend serves its endpoints at its own addresses. To serve from here, add --local."
            )
        endpoint = await _chosen(backend, name, open_to_all=open_to_all)
        deployment = endpoint.deployment
        slug, stopped = str(deployment["slug"]), asyncio.Event()
        answer = await backend.get_deployment(deployment["id"])
        if trouble := value_of(answer, "deployment", Deployment).get("trouble"):
            raise ConflictError(f"The endpoint {one_line(slug, MOST)} cannot answer: {one_line(trouble)}")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        sock = bind(settings.port)
        port = sock.getsockname()[1]
        async with serving(settings, sock, make=lambda now, _: endpoint_app(now, backend, slug)):
            print("\n".join(_lines(endpoint, port)), flush=True)  # noqa: T201
            await _report_errors(backend, str(deployment["id"]), stopped)
    return 0


async def _report_errors(backend: Backend, deployment: str, stopped: asyncio.Event) -> None:
    """Print why requests fail, as callers get less detail, until ``stopped``; a reason once a minute."""
    last = await _newest(backend, deployment)
    reported: dict[str, float] = {}
    while not stopped.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAULTS_SECONDS):
                await stopped.wait()
        requests = await _newest(backend, deployment)
        seen_ids = {request["id"] for request in last}
        now = time.monotonic()
        reported = {text: at for text, at in reported.items() if now - at < AGAIN_SECONDS}
        for request in reversed(
            [request for request in requests if request["id"] not in seen_ids and request.get("error")]
        ):
            text = f"a request was answered {request['status']}: {one_line(request['error'])}"
            if text not in reported:
                reported[text] = now
                log.error("%s", text)
        last = requests or last


async def _newest(backend: Backend, deployment: str) -> list[EndpointRequest]:
    """Return the newest requests of a deployment; empty if they are unreadable."""
    try:
        return value_of(await backend.list_requests(deployment), "requests", list[EndpointRequest])
    except ArkorError:
        return []


def _lines(endpoint: NewEndpoint, port: int) -> list[str]:
    deployment, key = endpoint.deployment, endpoint.key
    slug = one_line(deployment["slug"], MOST)
    access = "Callers need one of its API keys."
    if key is not None:
        access = f"API key, shown only once: {key}"
    elif deployment.get("authMode") == "none":
        access = "Any program on this machine can call it; web pages can't."
    return [f"Serving {base_url(port, slug)} (model {slug})", access, "Press Ctrl-C to stop."]


async def _chosen(backend: Backend, name: str, *, open_to_all: bool) -> NewEndpoint:
    """Return the endpoint of that name, or the one of the job of that name, made now if there is none."""
    deployments = await deployments_of(backend)
    deployment = next((candidate for candidate in deployments if candidate["slug"] == name), None)
    if deployment is None:
        try:
            job = choose_job(await jobs_of(backend), name)
        except (BadRequestError, NotFoundError) as fault:
            raise fault.reworded(
                f"There is no endpoint {one_line(name, 100)}. As a job: {fault.text}"
            ) from None
        serves = {"kind": "adapter", "adapter": adapter_of(job["id"], None)}
        deployment = next((candidate for candidate in deployments if candidate["target"] == serves), None)
        if deployment is None:
            return await create_endpoint(backend, job, open_to_all=open_to_all, label=LABEL)
    if not deployment["enabled"]:
        raise BadRequestError(
            f"The endpoint {deployment['slug']} is off. Turn it on in Studio, under Endpoints."
        )
    if open_to_all and deployment["authMode"] != "none":
        raise BadRequestError(
            f"The endpoint {deployment['slug']} requires a key. Leave out --open, or change that in Studio."
        )
    return NewEndpoint(deployment, None)
