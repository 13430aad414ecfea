"""A managed backend of the tests' own: a real aiohttp server that keeps its log and can be told to misbehave.

It speaks all of docs/contract.md#backend-api (and the sign-in service's ``/oauth/token``) from memory. It
imports nothing of the product, so that both sides can be wrong only independently. Times are seconds.

    fake = FakeBackend(); await fake.start()
    job = fake.add_job(); fake.log(job, step=1, loss=2.5); fake.finish(job)
    fake.fault("GET /v1/jobs", hang=True)          # until fake.heal()
    fake.fault("*", times=1, status=426)           # the next call only
    await fake.stop(); await fake.restart()        # same port, log intact
    assert fake.count("GET /v1/jobs") == 1
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_attributions import FakeAttributions
from .fake_cards import FakeCards
from .fake_checks import (
    RefusedError,
    check_chat,
    check_deployment,
    check_job,
    check_key,
    check_project,
    check_strength,
    parsed,
)
from .fake_datasets import FakeDatasets
from .fake_deletions import FakeDeletions
from .fake_evaluation import FakeEvaluations
from .fake_exports import FakeExports
from .fake_faults import Fault, Sender, answer_wrongly
from .fake_forecasts import FakeForecasts
from .fake_formats import check_format, forced, instance_of
from .fake_job_rows import FakeJobRows
from .fake_order import OVER, Order
from .fake_placement import FakePlacement
from .fake_resume import Resuming
from .fake_sampling import (
    answered_by,
    check_engine,
    check_sampling,
    check_tools,
    logprobs,
    until_stop,
    usage,
)
from .fake_serving import FakeServing
from .fake_sweeps import FakeSweeps
from .fake_votes import FakeVotes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from yarl import URL

    from arkor_dev.contract.shapes import TrainingMethod

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN_ROUTES = {"POST /v1/auth/anonymous", "GET /v1/auth/cli/config", "POST /oauth/token"}
TOKEN = "fake-backend-token-0123456789"
ORG = "anon-org"
PROJECT = "demo"
FAULT: web.RequestKey[Fault | None] = web.RequestKey("fault")
CREATED = "2026-01-01T00:00:00Z"


@dataclass
class Seen:
    """One request as it came."""

    route: str
    url: URL
    headers: Mapping[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class ChatScript:
    """What the model says, how slowly, and whether somebody left meanwhile (``left_at`` in loop time).

    ``to`` makes it of the request, where not everybody is told the same. ``calls`` are what it calls where it
    is offered tools, and ``by`` is ``{answeredBy}`` of a last chunk. Each chunk takes one of ``turns``.
    """

    chunks: list[str] = field(default_factory=lambda: ["Hello", ", ", "world"])
    first_delay: float = 0
    delay: float = 0
    turns: asyncio.Semaphore | None = None
    endless: bool = False
    left_at: float | None = None
    to: Callable[[dict[str, Any]], list[str]] | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    by: dict[str, Any] = field(default_factory=dict)


class FakeBackend:
    """The server, its memory, its counters and its faults."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.active: Counter[str] = Counter()
        self.peers: set[object] = set()
        self.order = Order(self)
        self.trouble = ""
        """Why it can store nothing, in its list of jobs."""
        self.resuming = Resuming(self)
        self.chat = ChatScript()
        self.chat_bytes = 0
        self.headers: dict[str, str] = {}
        self.tokens: dict[str, set[str]] = {TOKEN: {ORG}}
        self.refresh_tokens: set[str] = set()
        self.anonymous = 0
        self.cli_config: dict[str, Any] | None = None
        self.token_life: float | None = 3600
        self.rotate = True
        self.projects: dict[str, dict[str, dict[str, Any]]] = {ORG: {}}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.frames: dict[str, list[tuple[str | None, bytes]]] = {}
        self.checkpoints: dict[str, set[int]] = {}
        self.deployments: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, dict[str, Any]]] = {}
        self.methods: list[TrainingMethod] = []
        self.labels = ["billing", "shipping", "returns"]
        self.features: list[str] | None = None  # as an older backend, which does not know the question
        self.datasets = FakeDatasets()
        self.forecasts = FakeForecasts()
        self.evaluations = FakeEvaluations(self)
        self.exports = FakeExports(self)
        self.cards = FakeCards(self)
        self.job_rows = FakeJobRows(self)
        self.votes = FakeVotes(self)
        self.attributions = FakeAttributions(self)
        self.deletions = FakeDeletions(self)
        self.serving = FakeServing(self)
        self.placement = FakePlacement()
        self.sweeps = FakeSweeps()
        self.frames_per_write = 64
        self.ping_every: float | None = None
        self.created: Callable[[str], object] = lambda _: (
            None
        )  # called with the id of a job that was asked for
        self._feature_of: dict[object, str] = {}
        self._faults: dict[str, list[Fault]] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._ids = 0
        self.socket: Path | None = None
        self._runner: web.AppRunner | None = None
        # Bound and never listening: the port stays ours while the server is down, and refuses.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port: int = self._place.getsockname()[1]
        self.add_project(PROJECT)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def sign_in(self, arkor_home: Path, project: Path) -> None:
        """This server's anonymous account in ``~/.arkor``, and its project as the folder's scope."""
        arkor_home.mkdir(mode=0o700)
        credentials = {"mode": "anon", "token": TOKEN, "anonymousId": "a0"}
        credentials |= {"arkorCloudApiUrl": self.url, "orgSlug": ORG}
        (arkor_home / "credentials.json").write_text(json.dumps(credentials))
        scope = {"orgSlug": ORG, "projectSlug": PROJECT, "projectId": self.projects[ORG][PROJECT]["id"]}
        (project / ".arkor").mkdir()
        (project / ".arkor" / "state.json").write_text(json.dumps(scope))

    # --- life -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen; the memory is as it was."""
        app = web.Application(middlewares=[self._outer], client_max_size=64 << 20)
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, backlog=1024).start()
        if self.socket is not None:
            await web.UnixSite(self._runner, self.socket).start()

    async def stop(self) -> None:
        """Refuse new connections and break off the open ones, as a killed process does."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._abort(runner)
            await runner.cleanup()

    async def restart(self) -> None:
        """Come back on the same port with the log intact."""
        await self.stop()
        await self.start()

    async def close(self) -> None:
        """The end: the port is free again."""
        await self.stop()
        self._place.close()

    def cut(self) -> None:
        """Break off every open connection at once, and keep listening."""
        if self._runner is not None:
            self._abort(self._runner)

    @staticmethod
    def _abort(runner: web.AppRunner) -> None:
        for protocol in runner.server.connections if runner.server else ():
            if protocol.transport is not None:
                protocol.transport.abort()

    # --- faults and evidence --------------------------------------------------------------------------

    def fault(self, route: str, *, times: int | None = None, **how: Any) -> Fault:
        """Let ``route`` (``"GET /v1/jobs/{id}"``, or ``"*"``) go wrong as :class:`Fault` says."""
        fault = Fault(times=times, **how)
        self._faults.setdefault(route, []).append(fault)
        return fault

    def heal(self) -> None:
        """No more faults; calls that hang now go on hanging until they are cut."""
        self._faults.clear()

    def reset(self) -> None:
        """Have what a new one has, but for its account, its features and the ids that were given."""
        self.heal()
        self.trouble, self.headers, self.chat = "", {}, ChatScript()
        for known in (self.jobs, self.deployments, self.keys, self.sweeps.sweeps):
            known.clear()
        for part, at_first in ((self.datasets, FakeDatasets()), (self.order, Order(self))):
            # Its routes are bound to the part.
            vars(part).update(vars(at_first))

    async def until(self, what: Callable[[], bool], patience: float = 30) -> None:
        """Wait until ``what`` is true; raises ``TimeoutError`` after ``patience``."""
        async with asyncio.timeout(patience):
            while not what():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def has(self, feature: str) -> bool:
        """Whether it names an optional feature."""
        return feature in (self.features or ())

    def count(self, route: str) -> int:
        """How many calls of this route came."""
        return sum(seen.route == route for seen in self.requests)

    def last(self, route: str) -> Seen:
        """The latest call of this route."""
        return next(seen for seen in reversed(self.requests) if seen.route == route)

    # --- memory ---------------------------------------------------------------------------------------

    def new_id(self, kind: str) -> str:
        """An id that nothing else has."""
        self._ids += 1
        return f"{kind}-{self._ids}"

    def add_project(self, slug: str, org: str = ORG) -> dict[str, Any]:
        """A project that exists."""
        project = {"id": self.new_id("prj"), "slug": slug, "name": slug, "orgId": f"id-of-{org}"}
        self.projects.setdefault(org, {})[slug] = project
        return project

    def add_job(
        self,
        status: str = "running",
        *,
        name: str = "job",
        org: str = ORG,
        project: str = PROJECT,
        **more: Any,
    ) -> str:
        """A job, with ``training.started`` in its log unless it is queued; answers its id."""
        job_id = str(more.pop("id", None) or self.new_id("job"))
        self.jobs[job_id] = {
            "id": job_id,
            "orgId": f"id-of-{org}",
            "projectId": self.projects[org][project]["id"],
            "name": name,
            "status": status,
            "config": {"model": "tiny", "datasetSource": {"type": "huggingface", "name": "d"}},
            "createdAt": CREATED,
            **more,
        }
        self.frames[job_id] = []
        self.checkpoints[job_id] = set()
        self._changed[job_id] = asyncio.Event()
        if status != "queued":
            self.emit(job_id, "training.started")
        return job_id

    def emit(self, job_id: str, event: str, **fields: Any) -> str:
        """One event at the end of the job's log; answers its id."""
        event_id = str(len(self.frames[job_id]) + 1)
        if event == "checkpoint.saved":
            self.checkpoints[job_id].add(fields["step"])
        data = {"type": event, "jobId": job_id, "timestamp": CREATED, **fields}
        self.emit_raw(
            job_id, f"id: {event_id}\nevent: {event}\ndata: {json.dumps(data)}\n\n".encode(), event_id
        )
        return event_id

    def emit_raw(self, job_id: str, frame: bytes, event_id: str | None = None) -> None:
        """Any bytes, as one entry of the log."""
        self.frames[job_id].append((event_id, frame))
        self._wake(job_id)

    def log(self, job_id: str, step: int, **fields: Any) -> str:
        """One ``training.log`` row."""
        return self.emit(job_id, "training.log", step=step, **fields)

    def begin(self, job_id: str) -> int:
        """The first event of a job that waited; answers the step after which it goes on, 0 for a new one."""
        self.jobs[job_id].pop("queue", None)
        self.jobs[job_id].update(status="running", startedAt=CREATED)
        point = self.resuming.points.pop(job_id, 0)
        if point:
            self.resuming.go_on(job_id, point)
        self.emit(job_id, "training.started")
        return point

    def finish(self, job_id: str, status: str = "completed") -> None:
        """The job's last event and its status; streams end with ``end``.

        The managed backend, which has no features, knows no event of its own for a cancelled job.
        """
        as_failed = status == "cancelled" and self.features is None
        name = "training.failed" if as_failed else f"training.{status}"
        why = {"error": "Job cancelled" if as_failed else "it broke"} if name == "training.failed" else {}
        self.emit(job_id, name, **why)
        for gone in ("queue", "pause"):
            self.jobs[job_id].pop(gone, None)
        self.jobs[job_id].update(status=status, completedAt=CREATED, **why)
        self.resuming.over(job_id)
        self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        changed, self._changed[job_id] = self._changed[job_id], asyncio.Event()
        changed.set()

    # --- the server -----------------------------------------------------------------------------------

    def _routes(self) -> list[web.RouteDef]:
        job, endpoint = "/v1/jobs/{id}", "/v1/endpoints/{id}"
        return [
            web.get("/v1/auth/cli/config", self._cli_config),
            web.post("/v1/auth/anonymous", self._anonymous),
            web.post("/oauth/token", self._token),
            web.get("/v1/me", self._me),
            web.get("/v1/capabilities", self._capabilities),
            web.get("/v1/projects", self._list_projects),
            web.post("/v1/projects", self._create_project),
            web.get("/v1/jobs", self._list_jobs),
            web.post("/v1/jobs", self._create_job),
            web.get(job, self._get_job),
            web.post(job + "/cancel", self._cancel_job),
            web.get(job + "/events/stream", self._events),
            web.post("/v1/inference/chat", self._chat),
            web.get("/v1/endpoints", self._list_endpoints),
            web.post("/v1/endpoints", self._create_endpoint),
            web.get(endpoint, self._get_endpoint),
            web.patch(endpoint, self._update_endpoint),
            web.delete(endpoint, self._delete_endpoint),
            web.get(endpoint + "/keys", self._list_keys),
            web.post(endpoint + "/keys", self._create_key),
            web.delete(endpoint + "/keys/{key}", self._delete_key),
            *self._optional(),
        ]

    def _optional(self) -> list[web.RouteDef]:
        """The routes of features, which are not there where theirs is not named."""
        parts = {
            **self.order.routes(),
            **self.resuming.routes(),
            "datasets": self.datasets.routes(),
            "forecast": self.forecasts.routes(),
            "evaluation": self.evaluations.routes(),
            "exports": self.exports.routes(),
            "card": self.cards.routes(),
            "rows": self.job_rows.routes(),
            "votes": self.votes.routes(),
            "attribution": self.attributions.routes(),
            "forget": self.deletions.routes(),
            "serving": self.serving.routes(),
            "placement": self.placement.routes(),
            "sweeps": self.sweeps.routes(),
            "classify": [web.post("/v1/inference/classify", self._classify)],
            "search": [web.post("/v1/inference/search", self._search)],
        }
        self._feature_of = {route.handler: name for name, routes in parts.items() for route in routes}
        return [route for routes in parts.values() for route in routes]

    @web.middleware
    async def _outer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = f"{request.method} {resource.canonical if resource else request.path}"
        body = await request.read()
        now = asyncio.get_running_loop().time()
        self.requests.append(Seen(route, request.url, request.headers.copy(), body, now))
        self.active[route] += 1
        self.peers.add(request.transport and request.transport.get_extra_info("peername"))
        try:
            fault = self._fault_for(route)
            if fault is not None:
                wrong = await answer_wrongly(fault, request)
                if wrong is not None:
                    return wrong
            request[FAULT] = fault
            response = await self._answer(request, handler, route)
            if not response.prepared:
                response.headers.update(self.headers)
                if fault is not None and isinstance(response, web.Response):
                    return await Sender.resend(request, response, fault)
            return response
        finally:
            self.active[route] -= 1

    async def _answer(self, request: web.Request, handler: Handler, route: str) -> web.StreamResponse:
        try:
            refusal = None if route in OPEN_ROUTES else self._refusal(request)
            feature = self._feature_of.get(request.match_info.handler)
            if feature is not None and not self.has(feature):
                refusal = refusal or _error(404, "Not Found.")
            return refusal or await handler(request)
        except RefusedError as error:
            return web.json_response({"error": str(error), **error.extra}, status=error.status)
        except web.HTTPClientError as error:
            return _error(error.status, f"{error.reason}.")

    def _fault_for(self, route: str) -> Fault | None:
        for fault in self._faults.get(route, []) + self._faults.get("*", []):
            if fault.times is None or fault.times > 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not re.fullmatch(r"[\w.-]+/\d[\w.+-]*", request.headers.get("X-Arkor-Client", "")):
            return _error(426, "Upgrade required: no X-Arkor-Client.")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        orgs = self.tokens.get(token) if scheme == "Bearer" else None
        if orgs is None:
            return _error(401, "Unauthorized.")
        org, project = request.query.get("orgSlug"), request.query.get("projectSlug")
        if request.path in ("/v1/me", "/v1/capabilities"):
            return None
        if org is None or (project is None and request.path != "/v1/projects"):
            return _error(400, "orgSlug or projectSlug is missing.")
        if org not in orgs:
            return _error(403, f"Not your organisation: {org}.")
        if request.path != "/v1/projects" and project not in self.projects.get(org, {}):
            return _error(404, "No such project.")
        return None

    async def _cli_config(self, _: web.Request) -> web.Response:
        own = {"auth0Domain": f"127.0.0.1:{self.port}", "clientId": "cli", "audience": self.url}
        return web.json_response(self.cli_config or own | {"callbackPorts": [52521]})

    async def _anonymous(self, request: web.Request) -> web.Response:
        if await request.json() != {"kind": "cli"}:
            return _error(400, "kind must be cli.")
        self.anonymous += 1
        token, org = f"anonymous-token-{self.anonymous:04}-0123456789", f"anon-{self.anonymous}"
        self.tokens[token] = {org}
        self.projects.setdefault(org, {})
        personal = {"id": f"id-of-{org}", "slug": org, "name": org}
        return web.json_response(
            {"token": token, "anonymousId": f"a{self.anonymous}", "kind": "cli", "personalOrg": personal}
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        old = str(form.get("refresh_token"))
        if form.get("grant_type") != "refresh_token" or not form.get("client_id"):
            return web.json_response({"error": "invalid_request"}, status=400)
        if old not in self.refresh_tokens:
            return web.json_response({"error": "invalid_grant", "error_description": "Unknown"}, status=403)
        access = self.new_id("access-token-0123456789")
        self.tokens[access] = {ORG}
        answer: dict[str, Any] = {"access_token": access, "token_type": "Bearer"}
        if self.token_life is not None:
            answer["expires_in"] = self.token_life
        if self.rotate:
            self.refresh_tokens.remove(old)
            answer["refresh_token"] = self.new_id("refresh-token")
            self.refresh_tokens.add(answer["refresh_token"])
        return web.json_response(answer)

    async def _me(self, request: web.Request) -> web.Response:
        orgs = self.tokens[request.headers["Authorization"].removeprefix("Bearer ")]
        listed = [{"id": f"id-of-{org}", "slug": org, "name": org} for org in sorted(orgs)]
        return web.json_response({"user": {"id": "u1", "email": "a@example.org"}, "orgs": listed})

    async def _capabilities(self, _: web.Request) -> web.Response:
        if self.features is None:
            return _error(404, "Not Found.")
        methods = {"methods": self.methods} if self.methods else {}
        return web.json_response({"features": self.features, **methods})

    async def _list_projects(self, request: web.Request) -> web.Response:
        org = request.query["orgSlug"]
        projects = list(self.projects[org].values())
        return web.json_response({"org": {"slug": org}, "projects": projects})

    async def _create_project(self, request: web.Request) -> web.Response:
        org, body = request.query["orgSlug"], parsed(await request.read())
        check_project(body)
        if body["slug"] in self.projects[org]:
            return _error(409, "This slug exists.")
        project = self.add_project(body["slug"], org)
        project["name"] = body["name"]
        return web.json_response({"project": project}, status=201)

    def _here(self, request: web.Request) -> str:
        return str(self.projects[request.query["orgSlug"]][request.query["projectSlug"]]["id"])

    async def _list_jobs(self, request: web.Request) -> web.Response:
        here = self._here(request)
        listed: dict[str, Any] = {"jobs": [job for job in self.jobs.values() if job["projectId"] == here]}
        if self.has("queue"):
            self.place(self.order.waiting())
            listed["queue"] = {"held": self.order.held}
        if self.trouble:
            listed["trouble"] = self.trouble
        return web.json_response(listed)

    async def _create_job(self, request: web.Request) -> web.Response:
        body, query = parsed(await request.read()), request.query
        check_job(body, managed=self.features is None)
        parent = self.resuming.parent_of(body)
        source = body["config"]["datasetSource"]
        if source.get("token"):
            body["config"]["datasetSource"] = {**source, "token": "***"}
        job_id = self.add_job(
            "queued",
            name=body["name"],
            org=query["orgSlug"],
            project=query["projectSlug"],
            config=body["config"],
            **parent,
        )
        self.created(job_id)
        return web.json_response({"job": self.jobs[job_id]}, status=201)

    def place(self, order: list[str]) -> None:
        """Tell each waiting job its place."""
        before = next((job for job in self.jobs.values() if job["status"] == "running"), None)
        held = {"held": True} if self.order.held else {}
        for position, job_id in enumerate(order, 1):
            behind = before and {"id": before["id"], "name": before["name"]}
            before = self.jobs[job_id]
            before["queue"] = {"position": position, "behind": behind, **held}

    def forget(self, job_id: str) -> None:
        """Remove a job with everything known about it; its streams end."""
        del self.jobs[job_id]
        self._wake(job_id)

    def job_of(self, request: web.Request) -> dict[str, Any]:
        job = self.jobs.get(request.match_info["id"])
        if job is None or job["projectId"] != self._here(request):
            raise RefusedError(404, "No such job.")
        return job

    async def _get_job(self, request: web.Request) -> web.Response:
        job = self.job_of(request)
        size = {"bytes": self.order.size(job["id"])} if self.has("delete") else {}
        if self.has("queue"):
            self.place(self.order.waiting())
        evaluating = self.evaluations.told(job["id"])
        told = {"evaluating": evaluating} if evaluating else {}
        return web.json_response({"job": {**job, **told}, **size})

    async def _cancel_job(self, request: web.Request) -> web.Response:
        job = self.job_of(request)
        if job["status"] in ("queued", "running", "paused"):
            self.finish(job["id"], "cancelled")
        return web.json_response({"job": job})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        job = self.job_of(request)
        frames, position = self.frames[job["id"]], 0
        last = request.headers.get("Last-Event-ID")
        for index, (event_id, _) in enumerate(frames):
            if last is not None and event_id == last:
                position = index + 1
        sender = await Sender.open(request, "text/event-stream", self.headers, request[FAULT])
        while True:
            changed = self._changed[job["id"]]
            while position < len(frames):
                batch = frames[position : position + self.frames_per_write]
                position += len(batch)
                if data := b"".join(frame for _, frame in batch):
                    await sender.write(data)
            if job["status"] not in ("queued", "running", "paused"):
                await sender.write(b"event: end\ndata: {}\n\n")
                return await sender.end()
            if changed is not self._changed[job["id"]]:
                continue
            try:
                async with asyncio.timeout(self.ping_every):
                    await changed.wait()
            except TimeoutError:
                ping = json.dumps({"trouble": self.trouble} if self.trouble else {})
                await sender.write(f"event: ping\ndata: {ping}\n\n".encode())

    def _check_adapter(self, adapter: dict[str, Any]) -> None:
        job = self.jobs.get(adapter["jobId"])
        if job is None:
            raise RefusedError(404, "No such job.")
        if adapter["kind"] == "final" and job["status"] != "completed":
            raise RefusedError(409, "This job has no final adapter.")
        if adapter["kind"] == "checkpoint" and adapter["step"] not in self.checkpoints[job["id"]]:
            raise RefusedError(404, "This job has no such checkpoint.")

    def _check_head(self, adapter: dict[str, Any], *methods: str) -> None:
        """Refuse an adapter that was not trained by one of ``methods``."""
        if ("step" in adapter) != (adapter.get("kind") == "checkpoint"):
            raise RefusedError(400, "A checkpoint has a step, and nothing else has one.")
        self._check_adapter(adapter)
        if self.jobs[adapter["jobId"]]["config"].get("method") not in methods:
            raise RefusedError(400, f"This model was not trained by {' or '.join(methods)}.")

    def check_result(self, job: dict[str, Any], step: int | None) -> None:
        """Refuse a job that is not over, or has no adapter of ``step``; of its end without."""
        if job["status"] not in OVER:
            raise RefusedError(409, f"The job {job['name']} is {job['status']}.")
        if step is not None and step not in self.checkpoints[job["id"]]:
            raise RefusedError(404, "No such checkpoint.")
        if step is None and job["status"] != "completed":
            raise RefusedError(409, f"The job {job['name']} has no final adapter.")

    async def _classify(self, request: web.Request) -> web.Response:
        """A classifier with fixed labels: a text's likeliest one is the one that it names."""
        body = parsed(await request.read())
        adapter, text = body.get("adapter"), body.get("text")
        if not isinstance(adapter, dict) or not isinstance(text, str) or not text.strip():
            raise RefusedError(400, "Send an adapter and a text.")
        self._check_head(adapter, "classify")
        scores = [40.0 if label in text else 1.0 for label in self.labels]
        return web.json_response(
            {"labels": self.labels, "probabilities": [score / sum(scores) for score in scores]}
        )

    async def _search(self, request: web.Request) -> web.Response:
        """An embedder or a reranker: the score of a text is its share of words that the query has, too."""
        body = parsed(await request.read())
        adapter, query, texts = body.get("adapter"), body.get("query"), body.get("texts")
        if not isinstance(adapter, dict) or not isinstance(query, str) or not query.strip():
            raise RefusedError(400, "Send an adapter and a query.")
        if not isinstance(texts, list) or not 1 <= len(texts) <= 500:
            raise RefusedError(400, "Send 1 to 500 texts.")
        if not all(isinstance(text, str) and text.strip() and len(text) <= 20_000 for text in texts):
            raise RefusedError(400, "A text is empty or too long.")
        self._check_head(adapter, "embed", "rerank")
        asked = set(query.lower().split())
        words = [text.lower().split() for text in texts]
        scores = [sum(word in asked for word in of_text) / len(of_text) for of_text in words]
        best = sorted(range(len(texts)), key=lambda index: -scores[index])[:50]
        return web.json_response({"results": [{"index": index, "score": scores[index]} for index in best]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body, script = parsed(await request.read()), self.chat
        check_chat(body)
        if body.get("adapter") is not None:
            self._check_adapter(body["adapter"])
        if self.has("strength"):
            check_strength(body)
        chunks = script.chunks if script.to is None else script.to(body)
        more: dict[str, Any] = {}
        if self.has("sampling"):
            check_sampling(body)
            chunks = until_stop(chunks, body)
            more = usage(chunks, body)
        if self.has("engines"):
            check_engine(body)
            more |= script.by or answered_by(body)
        calls = script.calls if body.get("tools") and body.get("toolChoice") != "none" else []
        if self.has("formats"):
            check_format(body)
            held = instance_of(body)
            chunks = chunks if held is None else [held]
            calls = forced(body) or calls
        elif self.has("tools"):
            check_tools(body)
        finish = "tool_calls" if calls else "stop"
        try:
            await asyncio.sleep(script.first_delay)
            if body.get("stream", True) is False:
                message: dict[str, Any] = {"role": "assistant", "content": "".join(chunks)}
                message |= {"tool_calls": calls} if calls else {}
                told = logprobs("".join(chunks), body) if more else {}
                choice = {"message": message, **told, **({"finish_reason": finish} if more else {})}
                return web.json_response({"choices": [choice], **more})
            sender = await Sender.open(request, "text/event-stream", self.headers, request[FAULT])
            while True:
                for chunk in chunks:
                    if script.turns is not None:
                        await script.turns.acquire()
                    told = logprobs(chunk, body) if more else {}
                    delta = json.dumps({"choices": [{"delta": {"content": chunk}, **told}]})
                    await sender.write(f"data: {delta}\n\n".encode())
                    self.chat_bytes += len(delta)
                    await asyncio.sleep(script.delay)
                if not script.endless:
                    break
            if more or calls:
                given = (
                    {"tool_calls": [{"index": n, **call} for n, call in enumerate(calls)]} if calls else {}
                )
                last = {"choices": [{"delta": given, "finish_reason": finish}], **more, **script.by}
                await sender.write(f"data: {json.dumps(last)}\n\n".encode())
            await sender.write(b"data: [DONE]\n\n")
            return await sender.end()
        except (asyncio.CancelledError, ConnectionError):
            script.left_at = asyncio.get_running_loop().time()
            raise

    async def _list_endpoints(self, _: web.Request) -> web.Response:
        return web.json_response({"deployments": list(self.deployments.values())})

    async def _create_endpoint(self, request: web.Request) -> web.Response:
        body = parsed(await request.read())
        check_deployment(body, new=True)
        if any(other["slug"] == body["slug"] for other in self.deployments.values()):
            return _error(409, "This slug is taken.")
        if trouble := self.serving.trouble_of(body["target"]):
            raise RefusedError(409, trouble, code="target_unavailable")
        fixed = {"urlFormat": "openai_compat", "enabled": True, "customDomain": None}
        times = {"createdAt": CREATED, "updatedAt": CREATED}
        where = {"id": self.new_id("dep"), "orgId": "id", "projectId": self._here(request)}
        deployment = {**where, **fixed, **body, **times}
        self.deployments[deployment["id"]] = deployment
        self.keys[deployment["id"]] = {}
        return web.json_response({"deployment": deployment}, status=201)

    def _endpoint(self, request: web.Request) -> dict[str, Any]:
        deployment = self.deployments.get(request.match_info["id"])
        if deployment is None:
            raise RefusedError(404, "No such deployment.")
        return deployment

    async def _get_endpoint(self, request: web.Request) -> web.Response:
        found = self._endpoint(request)
        trouble = self.serving.trouble_of(found["target"])
        return web.json_response({"deployment": {**found, **({"trouble": trouble} if trouble else {})}})

    async def _update_endpoint(self, request: web.Request) -> web.Response:
        deployment, change = self._endpoint(request), parsed(await request.read())
        check_deployment(change, new=False)
        deployment.update(change)
        return web.json_response({"deployment": deployment})

    async def _delete_endpoint(self, request: web.Request) -> web.Response:
        del self.deployments[self._endpoint(request)["id"]]
        return web.Response(status=204)

    async def _list_keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": list(self.keys[self._endpoint(request)["id"]].values())})

    async def _create_key(self, request: web.Request) -> web.Response:
        keys, body = self.keys[self._endpoint(request)["id"]], parsed(await request.read())
        check_key(body)
        key = {"id": self.new_id("key"), "label": body["label"].strip(), "prefix": "ak_1", "enabled": True}
        key |= {"createdAt": CREATED, "lastUsedAt": None}
        keys[key["id"]] = key
        plaintext = f"ak_1{self.new_id('secret')}"
        self.serving.keys[plaintext] = key["id"]
        return web.json_response({"key": {**key, "plaintext": plaintext}}, status=201)

    async def _delete_key(self, request: web.Request) -> web.Response:
        keys, key_id = self.keys[self._endpoint(request)["id"]], request.match_info["key"]
        if key_id not in keys or not keys[key_id]["enabled"]:
            return _error(404, "No such key.")
        if self.features is None:  # the managed backend lists revoked keys, too
            keys[key_id]["enabled"] = False
        else:
            del keys[key_id]
        return web.Response(status=204)


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


@asynccontextmanager
async def running_fake_backend() -> AsyncIterator[FakeBackend]:
    """A fake backend that listens while the block runs."""
    fake = FakeBackend()
    await fake.start()
    try:
        yield fake
    finally:
        await fake.close()
