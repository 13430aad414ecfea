"""Backend: every call of ``/v1`` (docs/contract.md#backend-api), one method each.

Bodies that Studio only passes on stay bytes. How a call is made is in ``calls.py``, and nothing else in
Studio requests a path under ``/v1``.

One launch is wired like this::

    async with open_http_client() as http, FileIdentity(settings, http).opened() as identity:
        scopes = FileScopes(settings.project, ProjectCalls(http))
        backend = Backend(http, identity, scopes)
        http.own_ports.add(port)  # once bound
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.deployments.bodies import ENDPOINT_KEY_HEADER

from .calls import EVENT_STREAM, Need, ScopedCalls, headers_for, json_bytes, object_of, url_of
from .http_client import MIB, Answer, HttpClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiohttp import ClientResponse

    from .interfaces import Credentials

__all__ = ["Answer", "Backend", "ProjectCalls", "anonymous_identity", "sign_in_config"]

PAUSE_SECONDS: Final = 600.0
"""How long a job's current step, and writing what it saves, may take."""
ARCHIVE_SECONDS: Final = 3600.0
"""How long copying and hashing gigabytes may take."""
SERVE_SECONDS: Final = 600.0
"""As long as OpenAI's clients wait: a caller may have to queue before its answer starts."""
JOBS_LIMIT: Final = 256 * MIB
NO_JOBS: Final = Answer(200, b'{"jobs":[]}')
NO_DEPLOYMENTS: Final = Answer(200, b'{"deployments":[],"scopeMissing":true}')


async def anonymous_identity(http: HttpClient, base_url: str) -> dict[str, object]:
    """Create an anonymous identity: ``{token, anonymousId, kind, personalOrg:{id, slug, name}}``."""
    answer = await http.call(
        "POST", url_of(base_url, "auth", "anonymous"), headers=headers_for(None), data=b'{"kind":"cli"}'
    )
    return object_of(answer.body)


async def sign_in_config(http: HttpClient, base_url: str) -> dict[str, object]:
    """Return how accounts sign in, nulls if they cannot. It needs no identity."""
    answer = await http.call("GET", url_of(base_url, "auth", "cli", "config"), headers=headers_for(None))
    return object_of(answer.body)


class ProjectCalls:
    """The calls that create a scope, and therefore do not need one."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def list_projects(self, credentials: Credentials, org_slug: str) -> list[dict[str, object]]:
        """Return the organisation's projects ``{id, slug, name, orgId}``."""
        url = url_of(credentials.base_url, "projects", query={"orgSlug": org_slug})
        answer = await self._http.call(
            "GET", url, headers=headers_for(credentials), secrets=[credentials.token]
        )
        projects = object_of(answer.body).get("projects")
        listed = projects if isinstance(projects, list) else []
        return [project for project in listed if isinstance(project, dict)]

    async def create_project(
        self, credentials: Credentials, org_slug: str, name: str, slug: str
    ) -> dict[str, object]:
        """Create a project and return it. Raises ConflictError if the slug exists."""
        url = url_of(credentials.base_url, "projects", query={"orgSlug": org_slug})
        data = json.dumps({"name": name, "slug": slug}).encode()
        answer = await self._http.call(
            "POST", url, headers=headers_for(credentials), data=data, secrets=[credentials.token]
        )
        project = object_of(answer.body).get("project")
        return project if isinstance(project, dict) else {}


class Backend(ScopedCalls):
    """Every project call. Raises ArkorError for anything but a 2xx, with the backend's status and words."""

    async def me(self) -> Answer:
        """Return ``{user, orgs}`` of the identity."""
        return await self._call("GET", "me", need="none")

    async def capabilities(self) -> Answer:
        """Return ``{features: [name, …]}``; a backend without features answers 404."""
        return await self._call("GET", "capabilities", need="none")

    async def list_jobs(self) -> Answer:
        """Return the whole list, unparsed; ``{"jobs":[]}`` without a usable scope, and then nothing is
        called.
        """
        return await self._call("GET", "jobs", without=NO_JOBS, limit=JOBS_LIMIT)

    async def create_job(
        self, name: str, config: Mapping[str, object], parent: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """Start a job, from another job's checkpoint if ``parent`` names one: ``{job}``."""
        body = {"name": name, "config": config, **({} if parent is None else {"parent": parent})}
        answer = await self._call("POST", "jobs", need="write", data=json_bytes(body))
        return object_of(answer.body)

    async def get_job(self, job_id: str) -> Answer:
        """Return ``{job, events?}``."""
        return await self._call("GET", "jobs", job_id)

    async def edit_job(self, job_id: str, changes: Mapping[str, object]) -> Answer:
        """Change any of a job's ``{name, notes, tags, starred}``; return ``{job}``."""
        return await self._call("PATCH", "jobs", job_id, need="write", data=json_bytes(changes))

    async def delete_job(self, job_id: str) -> Answer:
        """Delete a finished job and its files: 204, no body."""
        return await self._call("DELETE", "jobs", job_id, need="write")

    async def arrange_queue(self, changes: Mapping[str, object]) -> Answer:
        """Order waiting jobs, hold or release the queue, ``{order?, held?}``: ``{queue}``."""
        return await self._call("PATCH", "queue", need="write", data=json_bytes(changes))

    async def export_job(self, job_id: str, path: str) -> Answer:
        """Write a job with all its files to a file on the backend's machine: ``{bytes}``."""
        data = json_bytes({"path": path})
        call = ("POST", "jobs", job_id, "export")
        return await self._call(*call, need="write", data=data, patience=ARCHIVE_SECONDS)

    async def import_job(self, path: str) -> Answer:
        """Import a job from such a file: ``{job}``."""
        data = json_bytes({"path": path})
        return await self._call("POST", "jobs", "import", need="write", data=data, patience=ARCHIVE_SECONDS)

    async def disk(self) -> Answer:
        """Return what jobs and models take on disk: ``{disk}``."""
        return await self._call("GET", "disk")

    async def clean_disk(self) -> Answer:
        """Remove what belongs to no job: ``{freed}``, in bytes."""
        return await self._call("POST", "disk", "clean", need="write")

    async def cancel_job(self, job_id: str) -> Answer:
        """Request the end of a job; the answer confirms the request, not the end."""
        return await self._call("POST", "jobs", job_id, "cancel", need="write")

    async def pause_job(self, job_id: str) -> Answer:
        """Pause a running job after its step: ``{job}``, once it is paused."""
        return await self._call("POST", "jobs", job_id, "pause", need="write", patience=PAUSE_SECONDS)

    async def resume_job(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Resume a paused job, ``{force?}``: ``{job}``."""
        return await self._call("POST", "jobs", job_id, "resume", need="write", data=json_bytes(body))

    async def extend_job(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Extend a finished job, ``{maxSteps | numTrainEpochs, schedule?, force?}``: ``{job}``."""
        return await self._call("POST", "jobs", job_id, "extend", need="write", data=json_bytes(body))

    def events(
        self, job_id: str, last_event_id: str | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """Open the job's SSE stream after ``last_event_id``. Raises TimedOutError after 60 s of silence."""
        headers = {"Accept": EVENT_STREAM}
        # No header can carry this id: the stream then starts at the beginning, and the reader drops repeats.
        if last_event_id is not None and last_event_id.isprintable():
            headers["Last-Event-ID"] = last_event_id
        return self._stream(
            "GET", "jobs", job_id, "events", "stream", headers=headers, silence=self.http.timeouts.silence
        )

    def chat(self, body: bytes | Mapping[str, object]) -> AbstractAsyncContextManager[ClientResponse]:
        """Open a model's answer as it comes, SSE or JSON; leaving the context ends the upstream call."""
        data = body if isinstance(body, bytes) else json_bytes(body)
        patience = self.http.timeouts.chat
        return self._stream(
            "POST", "inference", "chat", need="write", data=data, first_byte=patience, pause=patience
        )

    async def create_forecast(self, config: Mapping[str, object]) -> Answer:
        """Request a forecast of a job with ``config``: ``{forecast}``, known or still to be measured."""
        return await self._call("POST", "forecast", need="write", data=json_bytes({"config": config}))

    async def get_forecast(self, forecast_id: str) -> Answer:
        """Return ``{forecast}``, as far as it is known."""
        return await self._call("GET", "forecast", forecast_id)

    async def cancel_forecast(self, forecast_id: str) -> Answer:
        """Cancel its measurement: 204, no body."""
        return await self._call("DELETE", "forecast", forecast_id, need="write")

    async def get_cluster(self, parameters: Mapping[str, str]) -> Answer:
        """Return what the cluster at ``{address, insecure?}`` has, as reported by its machines:
        ``{cluster}``.
        """
        return await self._call("GET", "clusters", parameters=parameters, patience=PAUSE_SECONDS)

    async def evaluate_job(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Evaluate its adapter, or the checkpoint of ``{step?}``, against the base: ``{job}``."""
        return await self._call("POST", "jobs", job_id, "evaluate", need="write", data=json_bytes(body))

    async def get_evaluation(self, job_id: str, parameters: Mapping[str, str]) -> Answer:
        """Return the result, ``{evaluation, rows}``, perhaps beside another job's."""
        return await self._call("GET", "jobs", job_id, "evaluation", parameters=parameters)

    async def create_export(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Export its adapter for other programs, ``{format, step?}``: ``{export}``."""
        return await self._call("POST", "jobs", job_id, "exports", need="write", data=json_bytes(body))

    async def list_exports(self, job_id: str) -> Answer:
        """Return ``{exports: [Export]}``, newest first."""
        return await self._call("GET", "jobs", job_id, "exports")

    async def get_export(self, job_id: str, export_id: str) -> Answer:
        """Return ``{export}``, as far as it is done."""
        return await self._call("GET", "jobs", job_id, "exports", export_id)

    async def delete_export(self, job_id: str, export_id: str) -> Answer:
        """End it and delete its files: 204, no body."""
        return await self._call("DELETE", "jobs", job_id, "exports", export_id, need="write")

    def export_file(
        self, job_id: str, export_id: str, name: str, wanted: str | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """Open one of its files, or the range ``wanted`` of it (a ``Range`` header)."""
        headers = {"Accept": "application/octet-stream", **({} if wanted is None else {"Range": wanted})}
        return self._stream("GET", "jobs", job_id, "exports", export_id, "files", name, headers=headers)

    async def get_card(self, job_id: str, step: str | None = None) -> Answer:
        """Return the model card of the result, ``{card}``, or of the checkpoint of ``step``."""
        return await self._call(
            "GET", "jobs", job_id, "card", parameters={} if step is None else {"step": step}
        )

    async def get_votes(self, job_id: str) -> Answer:
        """Return the blind votes on this job's answers and others: ``{votes}``."""
        return await self._call("GET", "jobs", job_id, "votes")

    async def add_vote(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Store a vote with the job: ``{vote}``."""
        return await self._call("POST", "jobs", job_id, "votes", need="write", data=json_bytes(body))

    async def list_deployments(self) -> Answer:
        """Return the deployments; ``{"deployments":[],"scopeMissing":true}`` without a usable scope."""
        return await self._call("GET", "endpoints", without=NO_DEPLOYMENTS)

    async def create_deployment(self, body: Mapping[str, object]) -> Answer:
        """Create a deployment from ``{slug, target, authMode, …retention}``."""
        return await self._call("POST", "endpoints", need="write", data=json_bytes(body))

    async def get_deployment(self, deployment_id: str) -> Answer:
        """Return one deployment."""
        return await self._call("GET", "endpoints", deployment_id)

    async def update_deployment(self, deployment_id: str, body: Mapping[str, object]) -> Answer:
        """Change any of ``{target, authMode, enabled, …retention}``."""
        return await self._call("PATCH", "endpoints", deployment_id, need="write", data=json_bytes(body))

    async def delete_deployment(self, deployment_id: str) -> Answer:
        """Delete the deployment: 204, no body."""
        return await self._call("DELETE", "endpoints", deployment_id, need="write")

    async def list_keys(self, deployment_id: str) -> Answer:
        """Return the deployment's keys, never with a plaintext."""
        return await self._call("GET", "endpoints", deployment_id, "keys")

    async def create_key(self, deployment_id: str, body: Mapping[str, object]) -> Answer:
        """Create a key from ``{label}``; only this answer has its ``plaintext``."""
        call = ("POST", "endpoints", deployment_id, "keys")
        return await self._call(*call, need="write", data=json_bytes(body))

    async def delete_key(self, deployment_id: str, key_id: str) -> Answer:
        """Revoke a key: 204, no body."""
        return await self._call("DELETE", "endpoints", deployment_id, "keys", key_id, need="write")

    async def list_requests(self, deployment_id: str, before: str | None = None) -> Answer:
        """Return its callers' requests from before the one of this id, newest first: ``{requests, …}``."""
        parameters = {} if before is None else {"before": before}
        return await self._call("GET", "endpoints", deployment_id, "requests", parameters=parameters)

    async def get_request(self, deployment_id: str, request_id: str) -> Answer:
        """Return one caller's request, with its text if that is kept: ``{request}``."""
        return await self._call("GET", "endpoints", deployment_id, "requests", request_id)

    def serve(
        self, slug: str, call: Sequence[str], key: str | None, body: bytes | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """Send a caller's request to the deployment ``slug``; the answer has OpenAI's form, whole or as a
        stream.

        ``call`` is the path below its base URL, ``key`` the caller's API key.
        """
        headers = {} if key is None else {ENDPOINT_KEY_HEADER: key}
        need: Need = "read" if body is None else "write"
        method = "GET" if body is None else "POST"
        return self._stream(
            method, "serve", slug, *call, need=need, headers=headers, data=body,
            first_byte=SERVE_SECONDS, pause=SERVE_SECONDS,
        )  # fmt: skip

    async def open_dataset(self, body: Mapping[str, object]) -> Answer:
        """Open a view of what a job of ``{config}`` would train on (docs/contract.md#data-sets)."""
        return await self._call("POST", "datasets", need="write", data=json_bytes(body))

    async def get_dataset(self, *path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """Return an open view or a part of it: its lengths, rows, one row; ``query`` is the call's."""
        return await self._call("GET", "datasets", *path, parameters=parameters)

    async def drop_dataset(self, view_id: str) -> Answer:
        """Close a view: 204, no body."""
        return await self._call("DELETE", "datasets", view_id, need="write")
