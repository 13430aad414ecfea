"""Backend: every call of ``/v1`` (docs/contract.md#backend-api), one method each.

Bodies that Studio only passes on stay bytes. How a call is made is in ``calls.py``, and nothing else of
Studio asks for a path under ``/v1``.

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
"""As long as the step that a job is at may still take, and what it keeps may take to be written."""
ARCHIVE_SECONDS: Final = 3600.0
"""As long as gigabytes may take to be copied and hashed."""
SERVE_SECONDS: Final = 600.0
"""As long as OpenAI's clients wait: a caller may have to wait in line before its answer begins."""
JOBS_LIMIT: Final = 256 * MIB
NO_JOBS: Final = Answer(200, b'{"jobs":[]}')
NO_DEPLOYMENTS: Final = Answer(200, b'{"deployments":[],"scopeMissing":true}')


async def anonymous_identity(http: HttpClient, base_url: str) -> dict[str, object]:
    """A new anonymous identity: ``{token, anonymousId, kind, personalOrg:{id, slug, name}}``."""
    answer = await http.call(
        "POST", url_of(base_url, "auth", "anonymous"), headers=headers_for(None), data=b'{"kind":"cli"}'
    )
    return object_of(answer.body)


async def sign_in_config(http: HttpClient, base_url: str) -> dict[str, object]:
    """How accounts sign in, nulls where they cannot; needs no identity, so it also tells who is there."""
    answer = await http.call("GET", url_of(base_url, "auth", "cli", "config"), headers=headers_for(None))
    return object_of(answer.body)


class ProjectCalls:
    """The calls that make a scope, and therefore cannot ask for one."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def list_projects(self, credentials: Credentials, org_slug: str) -> list[dict[str, object]]:
        """The organisation's projects ``{id, slug, name, orgId}``."""
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
        """The new project; raises ``ConflictError`` when the slug exists."""
        url = url_of(credentials.base_url, "projects", query={"orgSlug": org_slug})
        data = json.dumps({"name": name, "slug": slug}).encode()
        answer = await self._http.call(
            "POST", url, headers=headers_for(credentials), data=data, secrets=[credentials.token]
        )
        project = object_of(answer.body).get("project")
        return project if isinstance(project, dict) else {}


class Backend(ScopedCalls):
    """Every project call; raises ``ArkorError`` for all but a 2xx, with the backend's status and words."""

    async def me(self) -> Answer:
        """``{user, orgs}`` of the identity."""
        return await self._call("GET", "me", need="none")

    async def capabilities(self) -> Answer:
        """``{features: [name, …]}``; a backend that names none answers 404."""
        return await self._call("GET", "capabilities", need="none")

    async def list_jobs(self) -> Answer:
        """The whole list, unparsed; ``{"jobs":[]}`` without a usable scope, and then nothing is called."""
        return await self._call("GET", "jobs", without=NO_JOBS, limit=JOBS_LIMIT)

    async def create_job(
        self, name: str, config: Mapping[str, object], parent: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """Start a job, from another's checkpoint where ``parent`` names one: ``{job}``."""
        body = {"name": name, "config": config, **({} if parent is None else {"parent": parent})}
        answer = await self._call("POST", "jobs", need="write", data=json_bytes(body))
        return object_of(answer.body)

    async def get_job(self, job_id: str) -> Answer:
        """``{job, events?}``."""
        return await self._call("GET", "jobs", job_id)

    async def edit_job(self, job_id: str, changes: Mapping[str, object]) -> Answer:
        """Change any of a job's ``{name, notes, tags, starred}``; the answer is ``{job}``."""
        return await self._call("PATCH", "jobs", job_id, need="write", data=json_bytes(changes))

    async def delete_job(self, job_id: str) -> Answer:
        """Take a job that is over and its files away: 204, no body."""
        return await self._call("DELETE", "jobs", job_id, need="write")

    async def arrange_queue(self, changes: Mapping[str, object]) -> Answer:
        """Put waiting jobs in order, hold the queue or let it go on, ``{order?, held?}``: ``{queue}``."""
        return await self._call("PATCH", "queue", need="write", data=json_bytes(changes))

    async def export_job(self, job_id: str, path: str) -> Answer:
        """Write a job with all its files to a file of the backend's machine: ``{bytes}``."""
        data = json_bytes({"path": path})
        call = ("POST", "jobs", job_id, "export")
        return await self._call(*call, need="write", data=data, patience=ARCHIVE_SECONDS)

    async def import_job(self, path: str) -> Answer:
        """Take in a job from such a file: ``{job}``."""
        data = json_bytes({"path": path})
        return await self._call("POST", "jobs", "import", need="write", data=data, patience=ARCHIVE_SECONDS)

    async def disk(self) -> Answer:
        """What jobs and models take on the disk: ``{disk}``."""
        return await self._call("GET", "disk")

    async def clean_disk(self) -> Answer:
        """Remove what belongs to no job: ``{freed}``, in bytes."""
        return await self._call("POST", "disk", "clean", need="write")

    async def cancel_job(self, job_id: str) -> Answer:
        """Ask for the job's end; the answer says that it was asked, not that it has happened."""
        return await self._call("POST", "jobs", job_id, "cancel", need="write")

    async def pause_job(self, job_id: str) -> Answer:
        """Let a running job stand after its step: ``{job}``, once it does."""
        return await self._call("POST", "jobs", job_id, "pause", need="write", patience=PAUSE_SECONDS)

    async def resume_job(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Let a job go on where it stood, ``{force?}``: ``{job}``."""
        return await self._call("POST", "jobs", job_id, "resume", need="write", data=json_bytes(body))

    async def extend_job(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Give a finished job a later end, ``{maxSteps | numTrainEpochs, schedule?, force?}``: ``{job}``."""
        return await self._call("POST", "jobs", job_id, "extend", need="write", data=json_bytes(body))

    def events(
        self, job_id: str, last_event_id: str | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """The job's SSE stream from behind ``last_event_id``; 60 s of silence raise ``TimedOutError``."""
        headers = {"Accept": EVENT_STREAM}
        # An id that no header can carry: the stream then begins at the start, and the reader drops repeats.
        if last_event_id is not None and last_event_id.isprintable():
            headers["Last-Event-ID"] = last_event_id
        return self._stream(
            "GET", "jobs", job_id, "events", "stream", headers=headers, silence=self.http.timeouts.silence
        )

    def chat(self, body: bytes | Mapping[str, object]) -> AbstractAsyncContextManager[ClientResponse]:
        """A model's answer as it comes, SSE or JSON; leaving the context ends the upstream call."""
        data = body if isinstance(body, bytes) else json_bytes(body)
        patience = self.http.timeouts.chat
        return self._stream(
            "POST", "inference", "chat", need="write", data=data, first_byte=patience, pause=patience
        )

    async def create_forecast(self, config: Mapping[str, object]) -> Answer:
        """What a job with ``config`` would take: ``{forecast}``, known or still to be measured."""
        return await self._call("POST", "forecast", need="write", data=json_bytes({"config": config}))

    async def get_forecast(self, forecast_id: str) -> Answer:
        """``{forecast}``, as far as it has come."""
        return await self._call("GET", "forecast", forecast_id)

    async def cancel_forecast(self, forecast_id: str) -> Answer:
        """End its measurement: 204, no body."""
        return await self._call("DELETE", "forecast", forecast_id, need="write")

    async def get_cluster(self, asked: Mapping[str, str]) -> Answer:
        """What the cluster at ``{address, insecure?}`` has, as its machines say: ``{cluster}``."""
        return await self._call("GET", "clusters", asked=asked, patience=PAUSE_SECONDS)

    async def evaluate_job(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Measure its adapter, or the checkpoint of ``{step?}``, against the base: ``{job}``."""
        return await self._call("POST", "jobs", job_id, "evaluate", need="write", data=json_bytes(body))

    async def get_evaluation(self, job_id: str, asked: Mapping[str, str]) -> Answer:
        """What came of it, ``{evaluation, rows}``, or beside another job; ``asked`` is the call's query."""
        return await self._call("GET", "jobs", job_id, "evaluation", asked=asked)

    async def create_export(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Write its adapter for other programs, ``{format, step?}``: ``{export}``."""
        return await self._call("POST", "jobs", job_id, "exports", need="write", data=json_bytes(body))

    async def list_exports(self, job_id: str) -> Answer:
        """``{exports: [Export]}``, the newest first."""
        return await self._call("GET", "jobs", job_id, "exports")

    async def get_export(self, job_id: str, export_id: str) -> Answer:
        """``{export}``, as far as it has come."""
        return await self._call("GET", "jobs", job_id, "exports", export_id)

    async def delete_export(self, job_id: str, export_id: str) -> Answer:
        """End it, and take its files away: 204, no body."""
        return await self._call("DELETE", "jobs", job_id, "exports", export_id, need="write")

    def export_file(
        self, job_id: str, export_id: str, name: str, wanted: str | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """The bytes of one of its files, or of the range ``wanted`` (a ``Range`` header)."""
        headers = {"Accept": "application/octet-stream", **({} if wanted is None else {"Range": wanted})}
        return self._stream("GET", "jobs", job_id, "exports", export_id, "files", name, headers=headers)

    async def get_card(self, job_id: str, step: str | None = None) -> Answer:
        """The model card of what it made, ``{card}``; of a checkpoint where ``step`` names one."""
        return await self._call("GET", "jobs", job_id, "card", asked={} if step is None else {"step": step})

    async def get_votes(self, job_id: str) -> Answer:
        """What people preferred of this job's answers and others, not knowing whose: ``{votes}``."""
        return await self._call("GET", "jobs", job_id, "votes")

    async def add_vote(self, job_id: str, body: Mapping[str, object]) -> Answer:
        """Keep a ballot with the job: ``{vote}``."""
        return await self._call("POST", "jobs", job_id, "votes", need="write", data=json_bytes(body))

    async def list_deployments(self) -> Answer:
        """The deployments; ``{"deployments":[],"scopeMissing":true}`` without a usable scope."""
        return await self._call("GET", "endpoints", without=NO_DEPLOYMENTS)

    async def create_deployment(self, body: Mapping[str, object]) -> Answer:
        """A new deployment from ``{slug, target, authMode, …retention}``."""
        return await self._call("POST", "endpoints", need="write", data=json_bytes(body))

    async def get_deployment(self, deployment_id: str) -> Answer:
        """One deployment."""
        return await self._call("GET", "endpoints", deployment_id)

    async def update_deployment(self, deployment_id: str, body: Mapping[str, object]) -> Answer:
        """Change any of ``{target, authMode, enabled, …retention}``."""
        return await self._call("PATCH", "endpoints", deployment_id, need="write", data=json_bytes(body))

    async def delete_deployment(self, deployment_id: str) -> Answer:
        """Take the deployment down: 204, no body."""
        return await self._call("DELETE", "endpoints", deployment_id, need="write")

    async def list_keys(self, deployment_id: str) -> Answer:
        """The deployment's keys, never with a plaintext."""
        return await self._call("GET", "endpoints", deployment_id, "keys")

    async def create_key(self, deployment_id: str, body: Mapping[str, object]) -> Answer:
        """A new key from ``{label}``; its ``plaintext`` is in this answer and never again."""
        call = ("POST", "endpoints", deployment_id, "keys")
        return await self._call(*call, need="write", data=json_bytes(body))

    async def delete_key(self, deployment_id: str, key_id: str) -> Answer:
        """Revoke a key: 204, no body."""
        return await self._call("DELETE", "endpoints", deployment_id, "keys", key_id, need="write")

    async def list_requests(self, deployment_id: str, before: str | None = None) -> Answer:
        """What its callers asked, the newest first, from before the request of this id: ``{requests, …}``."""
        asked = {} if before is None else {"before": before}
        return await self._call("GET", "endpoints", deployment_id, "requests", asked=asked)

    async def get_request(self, deployment_id: str, request_id: str) -> Answer:
        """One request of a caller, with its text where that is kept: ``{request}``."""
        return await self._call("GET", "endpoints", deployment_id, "requests", request_id)

    def serve(
        self, slug: str, call: Sequence[str], key: str | None, body: bytes | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """A caller's request to the deployment ``slug``, answered in OpenAI's form, whole or as a stream.

        ``call`` is the path below its base URL, ``key`` what the caller has for a key.
        """
        headers = {} if key is None else {ENDPOINT_KEY_HEADER: key}
        need: Need = "read" if body is None else "write"
        method = "GET" if body is None else "POST"
        return self._stream(
            method, "serve", slug, *call, need=need, headers=headers, data=body,
            first_byte=SERVE_SECONDS, pause=SERVE_SECONDS,
        )  # fmt: skip

    async def open_dataset(self, body: Mapping[str, object]) -> Answer:
        """A view of what a job of ``{config}`` would train on (docs/contract.md#data-sets)."""
        return await self._call("POST", "datasets", need="write", data=json_bytes(body))

    async def get_dataset(self, *path: str, asked: Mapping[str, str] | None = None) -> Answer:
        """An open view, or what lies below it: its lengths, rows, one row; ``asked`` is the call's query."""
        return await self._call("GET", "datasets", *path, asked=asked)

    async def drop_dataset(self, view_id: str) -> Answer:
        """Let go of a view: 204, no body."""
        return await self._call("DELETE", "datasets", view_id, need="write")
