"""The fake backend's sweeps: those that a test puts there, and those that are asked for, which stay."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .fake_checks import RefusedError, parsed


class FakeSweeps:
    """``sweeps``, newest first."""

    def __init__(self) -> None:
        self.sweeps: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/sweeps", self._list),
            web.post("/v1/sweeps", self._start),
            web.get("/v1/sweeps/{id}", self._get),
            web.delete("/v1/sweeps/{id}", self._delete),
            web.post("/v1/sweeps/{id}/stop", self._stop),
        ]

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"sweeps": self.sweeps})

    async def _start(self, request: web.Request) -> web.Response:
        body = parsed(await request.read())
        if body.get("sources") is not None:
            body |= {"space": {}, "runs": body.pop("sources").get("runs", 16)}
        elif not body.get("space"):
            raise RefusedError(400, "space has no setting to search")
        sweep = {"id": f"sweep_{len(self.sweeps):012x}", "state": "running", "trials": [], **body}
        self.sweeps.insert(0, {"createdAt": "2026-01-01T00:00:00Z", **sweep})
        return web.json_response({"sweep": self.sweeps[0]})

    def _one(self, request: web.Request) -> dict[str, Any]:
        found = next((each for each in self.sweeps if each["id"] == request.match_info["id"]), None)
        if found is None:
            raise RefusedError(404, "There is no such sweep.")
        return found

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response({"sweep": self._one(request)})

    async def _delete(self, request: web.Request) -> web.Response:
        sweep = self._one(request)
        if sweep["state"] == "running":
            raise RefusedError(409, "The sweep is running: stop it before you delete it")
        self.sweeps.remove(sweep)
        return web.Response(status=204)

    async def _stop(self, request: web.Request) -> web.Response:
        sweep = self._one(request)
        sweep["state"] = "stopped"
        return web.json_response({"sweep": sweep})
