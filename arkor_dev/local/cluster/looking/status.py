"""The process that looks at a cluster and ends: told ``{address, insecure, cache}``, it says ``cluster``."""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Final

from arkor_dev.local.cluster import access, code, connection
from arkor_dev.local.cluster.answers import HostileError, facts_of
from arkor_dev.local.cluster.there.facts import facts
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import Link

LOOK_SECONDS: Final = 20.0


def look(address: str, cache: Path, *, insecure: bool) -> dict[str, Any]:
    """The contract's ``Cluster``; what cannot be used has its ``problem``."""
    try:
        token = access.check(address, insecure=insecure)
        connection.connect(address, code.packed(cache))
        told = {"address": address, **_seen()}
        return told if token is None else {**told, "token": token}
    except JobFailure as failure:
        return {"address": address, "problem": str(failure)}


def _seen() -> dict[str, Any]:
    """The cluster that this process is connected to, as the contract has it, but for its ``address``."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asking = ray.remote(facts)
    nodes, asked = [], []
    for node in connection.alive():
        resources = node.get("Resources", {})
        nodes.append(
            {
                "name": str(node.get("NodeManagerAddress")),
                "cpus": resources.get("CPU", 0),
                "gpus": resources.get("GPU", 0),
                "memory": int(resources.get("memory", 0)),
            }
        )
        where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked.append(asking.options(num_cpus=0, max_retries=0, scheduling_strategy=where).remote())
    end = time.monotonic() + LOOK_SECONDS
    for told, answer in zip(nodes, asked, strict=True):
        try:
            told |= facts_of(ray.get(answer, timeout=max(0.1, end - time.monotonic())))
        except HostileError as fault:
            told["problem"] = f"It sent {fault}"
        except Exception as fault:  # noqa: BLE001 - one node that fails is no reason not to tell of the others
            told["problem"] = " ".join(str(fault).split())[:300] or type(fault).__name__
    free = ray.available_resources()
    return {
        "ray": ray.__version__,
        "python": platform.python_version(),
        "nodes": sorted(nodes, key=lambda node: node["name"]),
        "free": {
            name: free.get(key, 0) for name, key in (("cpus", "CPU"), ("gpus", "GPU"), ("memory", "memory"))
        },
    }


def main() -> None:
    """Serve the one message, then end."""
    link = Link()
    asked = link.receive()
    try:
        cluster = look(asked["address"], Path(asked["cache"]), insecure=asked["insecure"])
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
        traceback.print_exc()
        cluster = {"address": asked["address"], "problem": f"{type(error).__name__}: {error}"}
    link.send(cluster=cluster)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
