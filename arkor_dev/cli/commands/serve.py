"""``arkor-dev serve``: serves one endpoint to other programs, without page or training, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.cli.console import Terminal
from arkor_dev.connection.connect import joined
from arkor_dev.contract.deployments import UNAVAILABLE_TARGET
from arkor_dev.contract.errors import ArkorError, BadRequestError, ConflictError, NotFoundError
from arkor_dev.core.plain_text import one_line
from arkor_dev.server.endpoints.app import endpoint_app
from arkor_dev.server.endpoints.routes import base_url
from arkor_dev.server.serve import bind, serving

from .jobs import choose_job, jobs_of, require_sign_in

if TYPE_CHECKING:
    from arkor_dev.backend.client import Answer, Backend
    from arkor_dev.core.settings import Settings

log = logging.getLogger(__name__)

FAULTS_SECONDS: Final = 2.0
"""How often to check for failed requests."""
AGAIN_SECONDS: Final = 60.0
MOST: Final = 50
"""Longest slug, in characters."""
LABEL: Final = "arkor-dev serve"
TRIES: Final = 20


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
        deployment, key = await _chosen(backend, name, open_to_all=open_to_all)
        slug, stopped = str(deployment["slug"]), asyncio.Event()
        if trouble := _of(await backend.get_deployment(deployment["id"]), "deployment").get("trouble"):
            raise ConflictError(f"The endpoint {one_line(slug, MOST)} cannot answer: {one_line(trouble)}")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        sock = bind(settings.port)
        port = sock.getsockname()[1]
        async with serving(settings, sock, make=lambda now, _: endpoint_app(now, backend, slug)):
            print("\n".join(_lines(deployment, key, port)), flush=True)  # noqa: T201
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


async def _newest(backend: Backend, deployment: str) -> list[dict[str, Any]]:
    """Return the newest requests of a deployment; empty if they are unreadable."""
    try:
        requests: list[dict[str, Any]] = _of(await backend.list_requests(deployment), "requests")
    except ArkorError:
        return []
    return requests


def _lines(deployment: dict[str, Any], key: str | None, port: int) -> list[str]:
    slug = one_line(deployment["slug"], MOST)
    access = "Callers need one of its API keys."
    if key is not None:
        access = f"API key, shown only once: {key}"
    elif deployment.get("authMode") == "none":
        access = "Any program on this machine can call it; web pages can't."
    return [f"Serving {base_url(port, slug)} (model {slug})", access, "Press Ctrl-C to stop."]


async def _chosen(backend: Backend, name: str, *, open_to_all: bool) -> tuple[dict[str, Any], str | None]:
    """Return the deployment, and its key if it was created now."""
    deployments = _of(await backend.list_deployments(), "deployments")
    deployment = next((candidate for candidate in deployments if candidate["slug"] == name), None)
    if deployment is None:
        try:
            job = choose_job(await jobs_of(backend), name)
        except (BadRequestError, NotFoundError) as fault:
            raise fault.reworded(
                f"There is no endpoint {one_line(name, 100)}. As a job: {fault.text}"
            ) from None
        serves = {"kind": "adapter", "adapter": {"kind": "final", "jobId": job["id"]}}
        deployment = next((candidate for candidate in deployments if candidate["target"] == serves), None)
        if deployment is None:
            return await _created(backend, job, serves, open_to_all=open_to_all)
    if not deployment["enabled"]:
        raise BadRequestError(
            f"The endpoint {deployment['slug']} is off. Turn it on in Studio, under Endpoints."
        )
    if open_to_all and deployment["authMode"] != "none":
        raise BadRequestError(
            f"The endpoint {deployment['slug']} requires a key. Leave out --open, or change that in Studio."
        )
    return deployment, None


async def _created(
    backend: Backend, job: dict[str, Any], serves: dict[str, Any], *, open_to_all: bool
) -> tuple[dict[str, Any], str | None]:
    """Create a deployment of a job's final adapter, with a key unless it is open to all."""
    slug = slug_of(str(job.get("name", "")), str(job["id"]))
    access = {"target": serves, "authMode": "none" if open_to_all else "fixed_api_key"}
    for number in range(1, TRIES):
        end = "" if number == 1 else f"-{number}"
        try:
            body = {"slug": slug[: MOST - len(end)] + end, **access}
            deployment = _of(await backend.create_deployment(body), "deployment")
        except ConflictError as fault:
            if fault.extra.get("code") == UNAVAILABLE_TARGET:
                raise fault.reworded(f"{fault.text}. `arkor-dev jobs` lists the others.") from None
            continue
        if open_to_all:
            return deployment, None
        key = _of(await backend.create_key(deployment["id"], {"label": LABEL}), "key")
        return deployment, str(key["plaintext"])
    raise ConflictError(
        f"There are endpoints {slug} to {slug}-{TRIES - 1} already. Serve one of them by its name."
    )


def slug_of(name: str, job_id: str) -> str:
    """Derive an endpoint's slug from a job's name, or from its id if no character of the name is allowed."""
    for text in (name, job_id):
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower())[:MOST].strip("-")
        if len(slug) > 1:
            return slug
    return "endpoint"


def _of(answer: Answer, field: str) -> Any:
    return json.loads(answer.body)[field]
