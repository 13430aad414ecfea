"""The fake backend's feature ``forget``: a new job at once, and the certificate that a test has set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import parsed

if TYPE_CHECKING:
    from .fake_backend import FakeBackend


class FakeDeletions:
    """``certificate`` is that of every new job; ``bodies`` are those of all requests."""

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.certificate: dict[str, Any] = {}
        self.bodies: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        """The routes of the feature."""
        path = "/v1/jobs/{id}/certificate"
        return [
            web.post("/v1/jobs/{id}/forget", self._forget),
            web.get(path, self._certificate),
            web.post(path, self._search),
        ]

    async def _forget(self, request: web.Request) -> web.Response:
        job = self._fake.job_of(request)
        body = parsed(await request.read())
        self.bodies.append(body)
        query = request.query
        new = self._fake.add_job(
            "completed",
            name=f"{job['name']} without {len(body['rows'])} rows",
            org=query["orgSlug"],
            project=query["projectSlug"],
            config=job["config"],
        )
        return web.json_response({"job": self._fake.jobs[new]})

    async def _certificate(self, request: web.Request) -> web.Response:
        self._fake.job_of(request)
        return web.json_response({"certificate": self.certificate})

    async def _search(self, request: web.Request) -> web.Response:
        self._fake.job_of(request)
        body = parsed(await request.read())
        self.bodies.append(body)
        gone = set(body.get("delete") or ())
        copies = self.certificate.get("copies", [])
        deleted = [copy for copy in copies if copy["id"] in gone]
        kept = [copy for copy in copies if copy["id"] not in gone]
        self.certificate = {**self.certificate, "copies": kept, "copiesCount": len(kept)}
        self.certificate["deleted"] = [*self.certificate.get("deleted", []), *deleted]
        return web.json_response({"certificate": self.certificate})
