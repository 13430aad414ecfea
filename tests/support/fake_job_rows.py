"""The fake backend's feature ``rows``: how the rows of two jobs differ, as a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import RefusedError

if TYPE_CHECKING:
    from .fake_backend import FakeBackend

NOTHING: dict[str, Any] = {"same": 0, "changed": 0, "added": 0, "removed": 0, "rows": []}


class FakeJobRows:
    """``told`` has the difference of a job from another, by both ids."""

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.told: dict[tuple[str, str], dict[str, Any]] = {}

    def routes(self) -> list[web.RouteDef]:
        """The route of the feature."""
        return [web.get("/v1/jobs/{id}/rows", self._get)]

    async def _get(self, request: web.Request) -> web.Response:
        job, against = self._fake.job_of(request), request.query.get("against", "")
        if against not in self._fake.jobs:
            raise RefusedError(404, "There is no job to compare with.")
        found = self.told.get((job["id"], against))
        if found is None:
            raise RefusedError(409, "One of these jobs has no record of its rows.")
        return web.json_response({"difference": {"train": NOTHING, "heldOut": NOTHING, **found}})
