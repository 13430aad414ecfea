"""The fake backend's clusters: one that can be used, and any other, which cannot."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .fake_checks import CLUSTER, RefusedError

ADDRESS_OF_IT = "ray://head:10001"
FREE: dict[str, Any] = {"cpus": 6.0, "gpus": 1.0, "memory": 24 << 30}
NODES: list[dict[str, Any]] = [
    {
        "name": "10.0.0.5",
        "cpus": 4.0,
        "gpus": 1.0,
        "memory": 16 << 30,
        "python": "3.11.9",
        "versions": {"torch": "2.13.0", "transformers": "5.24.0", "peft": "0.21.2"},
        "missing": [],
    },
    {
        "name": "10.0.0.6",
        "cpus": 4.0,
        "gpus": 0.0,
        "memory": 16 << 30,
        "python": "3.11.9",
        "versions": {"transformers": "5.24.0", "peft": "0.21.2"},
        "missing": ["torch"],
    },
]


class FakePlacement:
    """``token`` is whether its cluster asks for one."""

    def __init__(self) -> None:
        self.token = True

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/clusters", self._look)]

    async def _look(self, request: web.Request) -> web.Response:
        address = request.query.get("address")
        if not CLUSTER.fullmatch(address or ""):
            raise RefusedError(400, "address has to be one.")
        cluster: dict[str, Any] = {"address": address}
        if address != ADDRESS_OF_IT:
            cluster["problem"] = f"Nothing answers at {address}."
        elif not self.token and request.query.get("insecure") != "true":
            cluster["problem"] = f"The cluster {address} asks for no token."
        else:
            more = {"ray": "2.60.0", "python": "3.11.9", "token": self.token}
            cluster |= {**more, "nodes": NODES, "free": FREE}
        return web.json_response({"cluster": cluster})
