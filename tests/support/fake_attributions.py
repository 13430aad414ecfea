"""The fake backend's feature ``attribution``: what a test has set, answered to every question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import parsed

if TYPE_CHECKING:
    from .fake_backend import FakeBackend

NAME = "why_0123456789abcdef"


class FakeAttributions:
    """``told`` is the attribution of every answer, ``proof`` what its proof comes to."""

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.told: dict[str, Any] = {"state": "completed", "learned": False}
        self.proof: dict[str, Any] = {}

    def routes(self) -> list[web.RouteDef]:
        """The routes of the feature."""
        path = "/v1/jobs/{id}/attributions"
        return [
            web.post(path, self._answer),
            web.get(f"{path}/{NAME}", self._answer),
            web.post(f"{path}/{NAME}/proof", self._prove),
        ]

    async def _answer(self, request: web.Request) -> web.Response:
        self._fake.job_of(request)
        if request.method == "POST":
            self.told |= parsed(await request.read())
        return web.json_response({"attribution": {"id": NAME, **self.told}})

    async def _prove(self, request: web.Request) -> web.Response:
        self._fake.job_of(request)
        self.told |= {"proof": self.proof}
        if "learned" in self.told:
            self.told["reliability"] = {"proofs": 1, "confirmed": 1}
        return web.json_response({"attribution": {"id": NAME, **self.told}})
