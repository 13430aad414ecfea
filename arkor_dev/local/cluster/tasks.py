"""One-shot tasks on a cluster, each in its own process: ``python -m arkor_dev.local.cluster.tasks``.

The process receives one `ClusterTask` and sends its result. If the cluster does not respond, no job counts as
removed, and the backend retries later.
"""

from __future__ import annotations

import platform
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.local.execution.messages import (
    CapacityFound,
    ClusterDescribed,
    ClusterTask,
    DescribeCluster,
    FindCapacity,
    JobsRemoved,
    RemoveJobs,
)
from arkor_dev.local.workers.codec import Codec
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import serve

from . import access, code_package, connection, resources
from .errors import ProtocolError
from .node.actor import machine_facts
from .node_messages import parse_facts
from .reattach import remove_actor
from .resources import ResourceRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.placement import Cluster, ClusterNode
    from arkor_dev.contract.shapes import JobConfig
    from arkor_dev.local.workers.link import Link

TASKS: Final = Codec[ClusterTask](DescribeCluster, FindCapacity, RemoveJobs)
NODES_SECONDS: Final = 20.0
"""Time limit for the responses of all nodes together, in seconds."""


def cluster_status(address: str, cache: Path, *, insecure: bool) -> Cluster:
    """Return the cluster's status; an unusable one has a ``problem``."""
    try:
        has_token = access.check_access(address, insecure=insecure)
        connection.connect(address, code_package.package_code(cache))
        status = _describe_cluster(address)
    except JobFailure as failure:
        return {"address": address, "problem": str(failure)}
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
        traceback.print_exc()
        return {"address": address, "problem": f"{type(error).__name__}: {error}"}
    if has_token is not None:
        status["token"] = has_token
    return status


def _describe_cluster(address: str) -> Cluster:
    """Return the status of the cluster at ``address``, to which this process is connected."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote_facts = ray.remote(machine_facts)
    nodes: list[ClusterNode] = []
    pending = []
    for record in resources.alive_nodes():
        amounts = record.get("Resources", {})
        nodes.append(
            {
                "name": str(record.get("NodeManagerAddress")),
                "cpus": amounts.get("CPU", 0),
                "gpus": amounts.get("GPU", 0),
                "memory": int(amounts.get("memory", 0)),
            }
        )
        strategy = NodeAffinitySchedulingStrategy(record["NodeID"], soft=False)
        pending.append(remote_facts.options(num_cpus=0, max_retries=0, scheduling_strategy=strategy).remote())
    deadline = time.monotonic() + NODES_SECONDS
    for node, answer in zip(nodes, pending, strict=True):
        try:
            facts = parse_facts(ray.get(answer, timeout=max(0.1, deadline - time.monotonic())))
            node |= {
                "python": facts["python"],
                "versions": facts["versions"],
                "missing": facts["missing"],
            }
        except ProtocolError as fault:
            node["problem"] = f"It sent {fault}"
        except Exception as fault:  # noqa: BLE001 - one node that fails must not hide the others
            node["problem"] = " ".join(str(fault).split())[:300] or type(fault).__name__
    free = ray.available_resources()
    return {
        "address": address,
        "ray": ray.__version__,
        "python": platform.python_version(),
        "nodes": sorted(nodes, key=lambda node: node["name"]),
        "free": {
            "cpus": free.get("CPU", 0),
            "gpus": free.get("GPU", 0),
            "memory": free.get("memory", 0),
        },
    }


def _has_capacity(config: JobConfig) -> bool:
    try:
        access.check_access(config["cluster"], insecure=bool(config.get("insecureCluster")))
        connection.connect(config["cluster"])
        return resources.has_capacity(ResourceRequest.of(config))
    except JobFailure:
        return True  # the job itself will report why the cluster cannot be used


def _remove(address: str, actors: Mapping[str, str], *, insecure: bool) -> list[str]:
    access.check_access(address, insecure=insecure)
    connection.connect(address)
    return [name for name, actor in actors.items() if remove_actor(actor, name)]


def run_task(task: ClusterTask, _: Link) -> ClusterDescribed | CapacityFound | JobsRemoved:
    """Return the response to the process's only message."""
    match task:
        case DescribeCluster(address, insecure, cache):
            return ClusterDescribed(cluster_status(address, Path(cache), insecure=insecure))
        case FindCapacity(config):
            return CapacityFound(_has_capacity(config))
        case RemoveJobs(address, insecure, actors):
            return JobsRemoved(_remove(address, actors, insecure=insecure))


if __name__ == "__main__":
    serve(TASKS, run_task, lambda error: f"{type(error).__name__}: {error}")
