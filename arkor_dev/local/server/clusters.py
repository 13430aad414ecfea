"""Inspects clusters, each in its own process, since only that may import Ray; results are cached briefly."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.contract.extras import install_command
from arkor_dev.contract.placement import ADDRESS
from arkor_dev.local.execution.messages import ClusterDescribed, DescribeCluster
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from .requests import check_scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.contract.placement import Cluster


TASKS: Final = "arkor_dev.local.cluster.tasks"
FEATURE: Final = "placement"
FRESH_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 180.0
"""Time limit for connecting and querying all nodes, in seconds."""
KNOWN: Final = 20
"""Maximum number of clusters whose results are cached."""


def optional_features() -> Iterator[str]:
    """Yield the feature's name if Ray is installed, without importing it."""
    if importlib.util.find_spec("ray") is not None:
        yield FEATURE


class Clusters:
    """The status of each cluster. Concurrent requests for one cluster share a process."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._looking: dict[tuple[str, bool], tuple[float, asyncio.Task[Cluster]]] = {}

    async def look(self, address: str, *, insecure: bool) -> Cluster:
        """Return the cluster's status."""
        key = (address, insecure)
        started, task = self._looking.get(key, (0.0, None))
        if task is None or (task.done() and time.monotonic() - started > FRESH_SECONDS):
            task = asyncio.create_task(self._look(address, insecure), name=f"look at {address}")
            self._looking.pop(key, None)
            self._looking[key] = (time.monotonic(), task)
            for old in list(self._looking)[:-KNOWN]:
                self._looking.pop(old)[1].cancel()
        return await asyncio.shield(task)

    async def _look(self, address: str, insecure: bool) -> Cluster:
        async with Child.running(TASKS) as child:
            child.send(DescribeCluster(address, insecure, str(self._data)))
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    return (await child.result(ClusterDescribed, "The process that inspected it")).cluster
            except JobFailure as failure:
                return {"address": address, "problem": str(failure)}
            except TimeoutError:
                return {"address": address, "problem": f"It did not answer within {LOOK_SECONDS:.0f} s"}

    async def close(self) -> None:
        """End every process."""
        tasks = [task for _, task in self._looking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


CLUSTERS: Final = web.AppKey("clusters", Clusters)

routes = web.RouteTableDef()


@routes.get("/v1/clusters")
async def look(request: web.Request) -> web.Response:
    check_scope(request)
    if not list(optional_features()):
        raise NotFoundError(f"Clusters need Ray. Install it with: {install_command('ray')}")
    address = request.query.get("address")
    if not ADDRESS.fits(address):
        raise BadRequestError(f"address must be {ADDRESS.words}")
    insecure = request.query.get("insecure") == "true"
    cluster = await request.app[CLUSTERS].look(str(address), insecure=insecure)
    return web.json_response({"cluster": cluster})
