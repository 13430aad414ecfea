"""The backend's client: every call of ``/v1`` (docs/contract.md#backend-api), most as a line of a table.

Bodies that Studio only passes on stay bytes. ``calls.py`` makes the calls. Nothing else in Studio requests a
path under ``/v1``.

One launch is wired like this::

    async with open_http_client() as http, FileIdentity(settings, http).opened() as identity:
        scopes = FileScopes(settings.project, ProjectCalls(http))
        backend = Backend(http, identity, scopes)
        http.own_ports.add(port)  # once bound
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.deployments import ENDPOINT_KEY_HEADER

from .calls import EVENT_STREAM, Need, ScopedCalls, headers_for, json_bytes, object_of, url_of
from .http_client import MIB, HttpClient, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiohttp import ClientResponse

    from .interfaces import Credentials

__all__ = ["Backend", "ProjectCalls", "Response", "anonymous_identity", "sign_in_config"]

PAUSE_SECONDS: Final = 600.0
"""How long a job's current step, and writing what it saves, may take."""
ARCHIVE_SECONDS: Final = 3600.0
"""How long copying and hashing gigabytes may take."""
SERVE_SECONDS: Final = 600.0
"""As long as OpenAI's clients wait: a caller may have to queue before its answer starts."""
JOBS_LIMIT: Final = 256 * MIB
NO_JOBS: Final = Response(200, b'{"jobs":[]}')
NO_DEPLOYMENTS: Final = Response(200, b'{"deployments":[],"scopeMissing":true}')


async def anonymous_identity(http: HttpClient, base_url: str) -> dict[str, object]:
    """Create an anonymous identity: ``{token, anonymousId, kind, personalOrg:{id, slug, name}}``."""
    answer = await http.call(
        "POST", url_of(base_url, "auth", "anonymous"), headers=headers_for(None), data=b'{"kind":"cli"}'
    )
    return object_of(answer.body)


async def sign_in_config(http: HttpClient, base_url: str) -> dict[str, object]:
    """Return the settings for signing in with an account, all null without accounts. Needs no identity."""
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
        entries = projects if isinstance(projects, list) else []
        return [project for project in entries if isinstance(project, dict)]

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


def _call(
    method: str,
    path: str,
    *,
    need: Need | None = None,
    without: Response | None = None,
    limit: int = 8 * MIB,
    patience: float | None = None,
) -> Callable[..., Coroutine[object, object, Response]]:
    """Return a method of `Backend` that makes one call.

    It takes a string for each ``{}`` of ``path``, then the JSON body, or for a GET the query.
    """  # fmt: skip
    names = path.count("{}")
    is_read = method == "GET"

    async def send(self: Backend, *arguments: Any) -> Response:
        segments, (rest,) = iter(arguments[:names]), arguments[names:] or (None,)
        return await self._call(
            method, *(next(segments) if part == "{}" else part for part in path.split("/")),
            need=need or ("read" if is_read else "write"), without=without, limit=limit, patience=patience,
            data=None if is_read or rest is None else json_bytes(rest), parameters=rest if is_read else None,
        )  # fmt: skip

    return send


class Backend(ScopedCalls):
    """Every project call. Raises ArkorError for anything but a 2xx, with the backend's status and message.

    The comment after a call describes its response. A DELETE responds with 204 and no body.
    """

    me = _call("GET", "me", need="none")  # {user, orgs} of the identity
    capabilities = _call("GET", "capabilities", need="none")  # {features: [name]}; 404 without any

    list_jobs = _call("GET", "jobs", without=NO_JOBS, limit=JOBS_LIMIT)  # {jobs}
    get_job = _call("GET", "jobs/{}")  # {job, events?}
    edit_job = _call("PATCH", "jobs/{}")  # of {name, notes, tags, starred}: {job}
    delete_job = _call("DELETE", "jobs/{}")  # with its files, once it is over
    cancel_job = _call("POST", "jobs/{}/cancel")  # confirms the request, not the end
    pause_job = _call("POST", "jobs/{}/pause", patience=PAUSE_SECONDS)  # {job}, once it is paused
    resume_job = _call("POST", "jobs/{}/resume")  # of {force?}: {job}
    adjust_job = _call("POST", "jobs/{}/adjust")  # of {settings, force?}: {job}
    extend_job = _call("POST", "jobs/{}/extend")  # of {maxSteps | numTrainEpochs, schedule?, force?}: {job}
    arrange_queue = _call("PATCH", "queue")  # of {order?, held?}: {queue}
    disk = _call("GET", "disk")  # what jobs and models take: {disk}
    clean_disk = _call("POST", "disk/clean")  # removes what belongs to no job: {freed}, in bytes

    create_forecast = _call("POST", "forecast")  # of {config}: {forecast}, possibly not measured yet
    get_forecast = _call("GET", "forecast/{}")
    cancel_forecast = _call("DELETE", "forecast/{}")
    list_sweeps = _call("GET", "sweeps")  # {sweeps}, newest first
    start_sweep = _call("POST", "sweeps")  # of {name, config, space or sources, …}: {sweep}
    get_sweep = _call("GET", "sweeps/{}")  # {sweep}, with its trials so far
    stop_sweep = _call("POST", "sweeps/{}/stop", patience=PAUSE_SECONDS)  # {sweep}, with its verdict
    delete_sweep = _call("DELETE", "sweeps/{}")  # once it has ended; its jobs stay
    classify = _call("POST", "inference/classify", need="write", patience=PAUSE_SECONDS)  # ClassifiedText
    search = _call("POST", "inference/search", need="write", patience=PAUSE_SECONDS)  # SearchResult
    get_cluster = _call("GET", "clusters", patience=PAUSE_SECONDS)  # of {address, insecure?}: {cluster}

    evaluate_job = _call("POST", "jobs/{}/evaluate")  # of {step?, force?, data?}, against the base: {job}
    get_evaluation = _call("GET", "jobs/{}/evaluation")  # {evaluation, rows}, perhaps beside another job's
    get_card = _call("GET", "jobs/{}/card")  # of {step?}: {card}
    compare_rows = _call("GET", "jobs/{}/rows")  # of {against}: {difference}
    get_votes = _call("GET", "jobs/{}/votes")  # blind votes on this job's answers and others: {votes}
    add_vote = _call("POST", "jobs/{}/votes")  # {vote}
    delete_vote = _call("DELETE", "jobs/{}/votes/{}")
    trace_answer = _call("POST", "jobs/{}/attributions")  # of {messages, answer?}: {attribution}
    get_attribution = _call("GET", "jobs/{}/attributions/{}")  # {attribution}, as far as it is known
    forget_rows = _call("POST", "jobs/{}/forget")  # of {rows}: {job}, the new one
    get_certificate = _call("GET", "jobs/{}/certificate", patience=PAUSE_SECONDS)  # {certificate}
    search_again = _call("POST", "jobs/{}/certificate", patience=PAUSE_SECONDS)  # of {delete?, repeat?}
    prove_attribution = _call("POST", "jobs/{}/attributions/{}/proof")  # of {rows?}: {attribution}
    create_export = _call("POST", "jobs/{}/exports")  # of {format, step?}: {export}
    list_exports = _call("GET", "jobs/{}/exports")  # {exports}, newest first
    get_export = _call("GET", "jobs/{}/exports/{}")  # {export}, as far as it is done
    delete_export = _call("DELETE", "jobs/{}/exports/{}")

    list_deployments = _call("GET", "endpoints", without=NO_DEPLOYMENTS)  # {deployments}
    create_deployment = _call("POST", "endpoints")  # of {slug, target, authMode, …retention}
    get_deployment = _call("GET", "endpoints/{}")
    update_deployment = _call("PATCH", "endpoints/{}")  # of {target, authMode, enabled, …retention}
    delete_deployment = _call("DELETE", "endpoints/{}")
    list_keys = _call("GET", "endpoints/{}/keys")  # never with a plaintext
    create_key = _call("POST", "endpoints/{}/keys")  # of {label}: only this response has the plaintext
    delete_key = _call("DELETE", "endpoints/{}/keys/{}")
    list_requests = _call("GET", "endpoints/{}/requests")  # of {before?}: its callers' requests, newest first
    get_request = _call("GET", "endpoints/{}/requests/{}")  # with its text if that is kept: {request}

    open_dataset = _call("POST", "datasets")  # a view of what a job of {config} would train on
    drop_dataset = _call("DELETE", "datasets/{}")
    embed_rows = _call("POST", "datasets/{}/embeddings")
    cancel_embeddings = _call("DELETE", "datasets/{}/embeddings")
    measure_losses = _call("POST", "datasets/{}/losses")  # under the base model
    cancel_losses = _call("DELETE", "datasets/{}/losses")
    measure_losses_of = _call("POST", "datasets/{}/losses/{}")  # under a job's adapter
    cancel_losses_of = _call("DELETE", "datasets/{}/losses/{}")
    render_row = _call("POST", "datasets/{}/render")  # tokens of {record, source?}, before it is saved

    async def create_job(
        self, name: str, config: Mapping[str, object], parent: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """Start a job, from another job's checkpoint if ``parent`` names one: ``{job}``."""
        body = {"name": name, "config": config, **({} if parent is None else {"parent": parent})}
        answer = await self._call("POST", "jobs", need="write", data=json_bytes(body))
        return object_of(answer.body)

    async def export_job(self, job_id: str, path: str) -> Response:
        """Write a job with all its files to a file on the backend's machine: ``{bytes}``."""
        data = json_bytes({"path": path})
        call = ("POST", "jobs", job_id, "export")
        return await self._call(*call, need="write", data=data, patience=ARCHIVE_SECONDS)

    async def import_job(self, path: str) -> Response:
        """Import a job from such a file: ``{job}``."""
        data = json_bytes({"path": path})
        return await self._call("POST", "jobs", "import", need="write", data=data, patience=ARCHIVE_SECONDS)

    async def import_adapter(self, body: Mapping[str, object]) -> Response:
        """Import an adapter trained elsewhere, ``{path, data, model?}``: ``{job}``."""
        data = json_bytes(body)
        return await self._call("POST", "adapters", need="write", data=data, patience=ARCHIVE_SECONDS)

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
        """Stream a model's answer, as SSE or JSON; leaving the context ends the upstream call."""
        data = body if isinstance(body, bytes) else json_bytes(body)
        patience = self.http.timeouts.chat
        return self._stream(
            "POST", "inference", "chat", need="write", data=data, first_byte=patience, pause=patience
        )

    def export_file(
        self, job_id: str, export_id: str, name: str, byte_range: str | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """Open a file of an export, or the range ``byte_range`` of it (a ``Range`` header)."""
        headers = {
            "Accept": "application/octet-stream",
            **({} if byte_range is None else {"Range": byte_range}),
        }
        return self._stream("GET", "jobs", job_id, "exports", export_id, "files", name, headers=headers)

    def serve(
        self, slug: str, call: Sequence[str], key: str | None, body: bytes | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """Send a caller's request to the deployment ``slug``; the answer, whole or streamed, is OpenAI's.

        ``call`` is the path below its base URL, ``key`` the caller's API key.
        """
        headers = {} if key is None else {ENDPOINT_KEY_HEADER: key}
        need: Need = "read" if body is None else "write"
        method = "GET" if body is None else "POST"
        return self._stream(
            method, "serve", slug, *call, need=need, headers=headers, data=body,
            first_byte=SERVE_SECONDS, pause=SERVE_SECONDS,
        )  # fmt: skip

    async def get_dataset(self, *path: str, parameters: Mapping[str, str] | None = None) -> Response:
        """Return a view of a data set, or a part of it: its lengths, its rows, or one row."""
        return await self._call("GET", "datasets", *path, parameters=parameters)
