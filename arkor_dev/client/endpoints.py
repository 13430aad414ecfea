"""OpenAI-compatible endpoints (docs/contract.md#deployments): lists, makes, changes and deletes them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from arkor_dev.contract.deployments import UNAVAILABLE_TARGET, EndpointRequest
from arkor_dev.contract.errors import BackendError, BadRequestError, ConflictError
from arkor_dev.contract.shapes import Deployment, DeploymentKey
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.backend.client import Backend, Response
    from arkor_dev.contract.shapes import AdapterRef, Job

_T = TypeVar("_T")

SERVING: Final = "serving"
"""The feature of a backend whose endpoints an open Studio serves."""
MOST: Final = 50
"""Longest slug, in characters."""
TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An endpoint and its API key, which is shown only once; None if it requires none or was there before."""

    deployment: Deployment
    key: str | None


async def deployments_of(backend: Backend) -> list[Deployment]:
    """Return the project's endpoints. Raises ArkorError."""
    return value_of(await backend.list_deployments(), "deployments", list[Deployment])


async def deployment_of(backend: Backend, name: str) -> Deployment:
    """Return the endpoint ``name``. Raises BadRequestError if there is none."""
    for deployment in await deployments_of(backend):
        if deployment["slug"] == name:
            return deployment
    raise BadRequestError(f"There is no endpoint {one_line(name, 100)}. `arkor-dev endpoints` lists them.")


async def logged_requests(backend: Backend, deployment: Deployment) -> AsyncIterator[EndpointRequest]:
    """Yield the requests in an endpoint's log, the oldest first, with their texts if those are kept."""
    listed: list[EndpointRequest] = []
    page: dict[str, str] = {}
    while True:
        answer = await backend.list_requests(deployment["id"], page or None)
        requests = value_of(answer, "requests", list[EndpointRequest])
        listed += requests
        if not requests or not value_of(answer, "more", bool):
            break
        page = {"before": str(requests[-1]["id"])}
    for request in reversed(listed):
        if request.get("kept"):
            answer = await backend.get_request(deployment["id"], str(request["id"]))
            request = value_of(answer, "request", EndpointRequest)
        yield request


async def create_endpoint(
    backend: Backend,
    job: Job,
    *,
    step: int | None = None,
    name: str | None = None,
    open_to_all: bool = False,
    label: str,
) -> NewEndpoint:
    """Create an endpoint of a job's final adapter, or of the checkpoint of ``step``.

    Its ``name`` is by default the job's, with a number if that is taken. It gets a key, with ``label``,
    unless it is ``open_to_all``. Raises BadRequestError or ConflictError for what cannot be served.
    """
    target = {"kind": "adapter", "adapter": adapter_of(str(job["id"]), step)}
    slug = name or slug_of(str(job.get("name", "")), str(job["id"]))
    for number in range(1, TRIES):
        end = "" if number == 1 else f"-{number}"
        body = {
            "slug": slug if name else slug[: MOST - len(end)] + end,
            "target": target,
            "authMode": "none" if open_to_all else "fixed_api_key",
        }
        try:
            deployment = value_of(await backend.create_deployment(body), "deployment", Deployment)
        except ConflictError as fault:
            if fault.extra.get("code") == UNAVAILABLE_TARGET:
                raise fault.reworded(f"{fault.text}. `arkor-dev jobs` lists the others.") from None
            if name:
                raise
            continue
        return NewEndpoint(deployment, None if open_to_all else await new_key(backend, deployment, label))
    raise ConflictError(
        f"There are endpoints {slug} to {slug}-{TRIES - 1} already. Serve one of them by its name."
    )


async def new_key(backend: Backend, deployment: Deployment, label: str) -> str:
    """Create an API key, and return its plaintext."""
    answer = await backend.create_key(deployment["id"], {"label": label})
    return str(value_of(answer, "key", DeploymentKey)["plaintext"])


def adapter_of(job_id: str, step: int | None) -> AdapterRef:
    """Return the reference to a job's final adapter, or to that of a checkpoint."""
    if step is None:
        return {"kind": "final", "jobId": job_id}
    return {"kind": "checkpoint", "jobId": job_id, "step": step}


def slug_of(name: str, job_id: str) -> str:
    """Derive an endpoint's slug from a job's name, or from its id if no character of the name is allowed."""
    for text in (name, job_id):
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower())[:MOST].strip("-")
        if len(slug) > 1:
            return slug
    return "endpoint"


def value_of(answer: Response, field: str, kind: type[_T]) -> _T:
    """Return a field of the backend's answer, of the contract's class ``kind``.

    Raises BackendError if there is none.
    """
    try:
        value: _T = json.loads(answer.body)[field]
        return value
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackendError("The backend's answer about endpoints is unreadable. Try again later.") from None
