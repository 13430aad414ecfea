"""Backend: the only module that calls ``/v1`` (docs/contract.md#backend-api).

Each call takes one snapshot of the credentials, and that snapshot serves the scope's check as well as the
call it guards: nobody can change sides in between. Bodies that Studio only passes on stay bytes.

One launch is wired like this::

    async with open_http_client() as http, FileIdentity(settings, http).opened() as identity:
        scopes = FileScopes(settings.project, ProjectCalls(http))
        backend = Backend(http, identity, scopes)
        http.own_ports.add(port)  # once bound
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, NoReturn
from urllib.parse import quote, urlencode

from yarl import URL

from arkor_dev import __version__
from arkor_dev.contract.errors import BackendError, NotFoundError, UnauthorizedError
from arkor_dev.contract.shapes import CLIENT_HEADER

from .http_client import MIB, Answer, HttpClient
from .interfaces import refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from aiohttp import ClientResponse

    from .interfaces import Credentials, IdentitySource, Scope, ScopeSource

__all__ = ["Answer", "Backend", "ProjectCalls", "anonymous_identity", "sign_in_config"]

Need = Literal["none", "read", "write"]

JOBS_LIMIT: Final = 256 * MIB
EVENT_STREAM: Final = "text/event-stream"
# A compressed stream would come in the compressor's portions, not in the model's.
STREAMED: Final = {"Accept": f"{EVENT_STREAM}, application/json", "Accept-Encoding": "identity"}
CLIENT: Final = f"arkor-dev/{__version__}"
NO_JOBS: Final = Answer(200, b'{"jobs":[]}')
NO_DEPLOYMENTS: Final = Answer(200, b'{"deployments":[],"scopeMissing":true}')


async def anonymous_identity(http: HttpClient, base_url: str) -> dict[str, object]:
    """A new anonymous identity: ``{token, anonymousId, kind, personalOrg:{id, slug, name}}``."""
    answer = await http.call(
        "POST", _url(base_url, "auth", "anonymous"), headers=_headers(None), data=b'{"kind":"cli"}'
    )
    return _object(answer.body)


async def sign_in_config(http: HttpClient, base_url: str) -> dict[str, object]:
    """How accounts sign in, nulls where they cannot; needs no identity, so it also tells who is there."""
    answer = await http.call("GET", _url(base_url, "auth", "cli", "config"), headers=_headers(None))
    return _object(answer.body)


class ProjectCalls:
    """The calls that make a scope, and therefore cannot ask for one."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def list_projects(self, credentials: Credentials, org_slug: str) -> list[dict[str, object]]:
        """The organisation's projects ``{id, slug, name, orgId}``."""
        url = _url(credentials.base_url, "projects", query={"orgSlug": org_slug})
        answer = await self._http.call("GET", url, headers=_headers(credentials), secrets=[credentials.token])
        projects = _object(answer.body).get("projects")
        return (
            [project for project in projects if isinstance(project, dict)]
            if isinstance(projects, list)
            else []
        )

    async def create_project(
        self, credentials: Credentials, org_slug: str, name: str, slug: str
    ) -> dict[str, object]:
        """The new project; raises ``ConflictError`` when the slug exists."""
        url = _url(credentials.base_url, "projects", query={"orgSlug": org_slug})
        data = json.dumps({"name": name, "slug": slug}).encode()
        answer = await self._http.call(
            "POST", url, headers=_headers(credentials), data=data, secrets=[credentials.token]
        )
        project = _object(answer.body).get("project")
        return project if isinstance(project, dict) else {}


class Backend:
    """Every project call; raises ``ArkorError`` for all but a 2xx, with the backend's status and words.

    ``ends_with_launch``: the backend was started for this launch, so its running jobs end with it.
    """

    def __init__(
        self,
        http: HttpClient,
        identity: IdentitySource,
        scopes: ScopeSource,
        *,
        ends_with_launch: bool = False,
    ) -> None:
        self.http = http
        self.identity = identity
        self.scopes = scopes
        self.ends_with_launch = ends_with_launch

    async def me(self) -> Answer:
        """``{user, orgs}`` of the identity."""
        return await self._call("GET", "me", need="none")

    async def capabilities(self) -> Answer:
        """``{features: [name, …]}``; a backend that names none answers 404."""
        return await self._call("GET", "capabilities", need="none")

    async def list_jobs(self) -> Answer:
        """The whole list, unparsed; ``{"jobs":[]}`` without a usable scope, and then nothing is called."""
        return await self._call("GET", "jobs", without=NO_JOBS, limit=JOBS_LIMIT)

    async def create_job(self, name: str, config: Mapping[str, object]) -> dict[str, object]:
        """Start a job; the answer is ``{job}``."""
        answer = await self._call("POST", "jobs", need="write", data=_json({"name": name, "config": config}))
        return _object(answer.body)

    async def get_job(self, job_id: str) -> Answer:
        """``{job, events?}``."""
        return await self._call("GET", "jobs", job_id)

    async def cancel_job(self, job_id: str) -> Answer:
        """Ask for the job's end; the answer says that it was asked, not that it has happened."""
        return await self._call("POST", "jobs", job_id, "cancel", need="write")

    def events(
        self, job_id: str, last_event_id: str | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """The job's SSE stream from behind ``last_event_id``; 60 s of silence raise ``TimedOutError``."""
        headers = {"Accept": EVENT_STREAM}
        # An id that no header can carry: the stream then begins at the start, and the reader drops repeats.
        if last_event_id is not None and last_event_id.isprintable():
            headers["Last-Event-ID"] = last_event_id
        return self._stream(
            "GET", "jobs", job_id, "events", "stream", headers=headers, pause=self.http.timeouts.silence
        )

    def chat(self, body: bytes | Mapping[str, object]) -> AbstractAsyncContextManager[ClientResponse]:
        """A model's answer as it comes, SSE or JSON; leaving the context ends the upstream call."""
        data = body if isinstance(body, bytes) else _json(body)
        patience = self.http.timeouts.chat
        return self._stream(
            "POST", "inference", "chat", need="write", data=data, first_byte=patience, pause=patience
        )

    async def list_deployments(self) -> Answer:
        """The deployments; ``{"deployments":[],"scopeMissing":true}`` without a usable scope."""
        return await self._call("GET", "endpoints", without=NO_DEPLOYMENTS)

    async def create_deployment(self, body: Mapping[str, object]) -> Answer:
        """A new deployment from ``{slug, target, authMode, …retention}``."""
        return await self._call("POST", "endpoints", need="write", data=_json(body))

    async def get_deployment(self, deployment_id: str) -> Answer:
        """One deployment."""
        return await self._call("GET", "endpoints", deployment_id)

    async def update_deployment(self, deployment_id: str, body: Mapping[str, object]) -> Answer:
        """Change any of ``{target, authMode, enabled, …retention}``."""
        return await self._call("PATCH", "endpoints", deployment_id, need="write", data=_json(body))

    async def delete_deployment(self, deployment_id: str) -> Answer:
        """Take the deployment down: 204, no body."""
        return await self._call("DELETE", "endpoints", deployment_id, need="write")

    async def list_keys(self, deployment_id: str) -> Answer:
        """The deployment's keys, never with a plaintext."""
        return await self._call("GET", "endpoints", deployment_id, "keys")

    async def create_key(self, deployment_id: str, body: Mapping[str, object]) -> Answer:
        """A new key from ``{label}``; its ``plaintext`` is in this answer and never again."""
        return await self._call("POST", "endpoints", deployment_id, "keys", need="write", data=_json(body))

    async def delete_key(self, deployment_id: str, key_id: str) -> Answer:
        """Revoke a key: 204, no body."""
        return await self._call("DELETE", "endpoints", deployment_id, "keys", key_id, need="write")

    async def _call(
        self,
        method: str,
        *path: str,
        need: Need = "read",
        without: Answer | None = None,
        data: bytes | None = None,
        limit: int = 8 * MIB,
    ) -> Answer:
        credentials = await self.identity.credentials()
        for _ in range(2):
            try:
                query = await self._query(credentials, need)
                if query is None:
                    return without or _nothing_here()
                return await self.http.call(
                    method,
                    _url(credentials.base_url, *path, query=query),
                    headers=_headers(credentials),
                    data=data,
                    limit=limit,
                    secrets=[credentials.token],
                )
            except UnauthorizedError as refusal:
                if refusal.answered is None:  # not the backend's word: no other token would help
                    raise
                credentials = await self.identity.renew(credentials)
        raise refused(credentials)

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        *path: str,
        need: Need = "read",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        first_byte: float | None = None,
        pause: float | None = None,
    ) -> AsyncIterator[ClientResponse]:
        async with AsyncExitStack() as stack:
            credentials = await self.identity.credentials()
            response: ClientResponse | None = None
            for _ in range(2):
                try:
                    query = await self._query(credentials, need)
                    if query is None:
                        _nothing_here()
                    attempt = self.http.stream(
                        method,
                        _url(credentials.base_url, *path, query=query),
                        headers={**_headers(credentials), **STREAMED, **(headers or {})},
                        data=data,
                        first_byte=first_byte,
                        pause=pause,
                        secrets=[credentials.token],
                    )
                    response = await stack.enter_async_context(attempt)
                    break
                except UnauthorizedError as refusal:
                    if refusal.answered is None:
                        raise
                    credentials = await self.identity.renew(credentials)
            if response is None:
                raise refused(credentials)
            if path[-1] == "stream" and response.content_type != EVENT_STREAM:
                raise BackendError(
                    "The backend answered with no event stream. Check its address, or try again later."
                )
            yield response

    async def _query(self, credentials: Credentials, need: Need) -> dict[str, str] | None:
        """The scope as a query; None where a read has no usable scope."""
        if need == "none":
            return {}
        scope: Scope | None
        if need == "write":
            scope = await self.scopes.for_write(credentials)
        else:
            scope = await self.scopes.for_read(credentials)
        return None if scope is None else {"orgSlug": scope.org_slug, "projectSlug": scope.project_slug}


def _nothing_here() -> NoReturn:
    raise NotFoundError(
        "This project has no scope that you can use yet, so there is nothing here. Start a job first."
    )


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _object(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BackendError(
            "The backend's answer is not a JSON object. Check the backend address, or try again later."
        )
    return value


def _headers(credentials: Credentials | None) -> dict[str, str]:
    headers = {CLIENT_HEADER: CLIENT, "Accept": "application/json", "Content-Type": "application/json"}
    if credentials is not None:
        headers["Authorization"] = f"Bearer {credentials.token}"
    return headers


def _url(base_url: str, *path: str, query: Mapping[str, str] | None = None) -> URL:
    """Below ``/v1``. Segments are data: one that could climb or end the path stays one segment."""
    if not all(path) or "." in path or ".." in path:
        raise NotFoundError("There is nothing by that name.")
    url = "/".join([base_url, "v1", *(quote(segment, safe="") for segment in path)])
    return URL(f"{url}?{urlencode(query)}" if query else url, encoded=True)
