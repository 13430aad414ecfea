"""The resources that a job requests, and whether the cluster has them. Needs a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, NotRequired, TypedDict

from .errors import RequeueError

if TYPE_CHECKING:
    from collections.abc import Mapping


BUSY_SECONDS: Final = 30.0
"""Seconds that a job waits for resources in use before it returns to the queue."""
STARTUP_SECONDS: Final = 120.0
"""Seconds that a node with free resources may take to receive our code and start the actor."""


class ResourceRequest(NamedTuple):
    """Resources of each of a job's ``workers``; ``memory`` is in bytes, None for no limit."""

    cpus: float = 1
    gpus: float = 0
    memory: int | None = None
    workers: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ResourceRequest:
        """Return the request in a job's config, where memory is in GiB."""
        memory = config.get("memory")
        cpus, gpus = config.get("cpus") or 1, config.get("gpus") or 0
        return cls(cpus, gpus, int(memory * 2**30) if memory else None, config.get("workers") or 1)

    @property
    def ray_resources(self) -> dict[str, float]:
        """Resources of one worker, by Ray's names, without those that it does not need."""
        amounts = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory or 0}
        return {name: amount for name, amount in amounts.items() if amount}

    @property
    def description(self) -> str:
        """Description of the request for the user: ``2 processors, 1 GPU``."""
        parts = [_count(self.cpus, "processor")]
        if self.gpus:
            parts.append(_count(self.gpus, "GPU"))
        if self.memory:
            parts.append(f"{self.memory / 2**30:.3g} GiB")
        of_each = ", ".join(parts)
        return of_each if self.workers == 1 else f"{self.workers} workers of {of_each} each"


def _count(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


class RayNode(TypedDict):
    """What is read of Ray's record of a node."""

    NodeID: str
    NodeManagerAddress: str
    Resources: NotRequired[dict[str, float]]


def alive_nodes() -> list[RayNode]:
    """Return Ray's records of the nodes that are alive."""
    import ray

    return [node for node in ray.nodes() if node.get("Alive", node.get("alive"))]


def has_capacity(request: ResourceRequest) -> bool:
    """Return whether the nodes are large enough, and whether enough is free on all of them together."""
    import ray

    return _nodes_are_large_enough(request) and _fits(ray.available_resources(), request)


def startup_timeout(request: ResourceRequest) -> float:
    """Return how many seconds to wait for the workers. Raises RequeueError if the cluster is too small."""
    import ray

    if not _nodes_are_large_enough(request):
        if request.workers == 1:
            raise RequeueError(shortage(request, "and no node of the cluster has that"))
        raise RequeueError(shortage(request, "and the nodes of the cluster do not have that"))
    return STARTUP_SECONDS if _fits(ray.available_resources(), request) else BUSY_SECONDS


def actor_options(request: ResourceRequest) -> dict[str, object]:
    """Return Ray's options for the actor of one worker."""
    options: dict[str, object] = {"num_cpus": request.cpus, "num_gpus": request.gpus, "max_restarts": 0}
    return {**options, "memory": request.memory} if request.memory else options


def shortage(request: ResourceRequest, reason: str) -> str:
    """Describe a job's request, the ``reason`` why it waits, and the cluster's resources."""
    import ray

    free = ray.available_resources()
    available = ResourceRequest(free.get("CPU", 0), free.get("GPU", 0), int(free.get("memory", 0)) or None)
    nodes = alive_nodes()
    largest = max((node.get("Resources", {}).get("CPU", 0) for node in nodes), default=0)
    requested = f"{request.description} of one node" if request.workers == 1 else request.description
    return (
        f"The job asks for {requested}, {reason}: {available.description} are free on all {len(nodes)} "
        f"nodes together, and the largest has {_count(largest, 'processor')}"
    )


def _nodes_are_large_enough(request: ResourceRequest) -> bool:
    return sum(_workers_in(node.get("Resources", {}), request) for node in alive_nodes()) >= request.workers


def _fits(resources: Mapping[str, float], request: ResourceRequest) -> bool:
    return _workers_in(resources, request) >= request.workers


def _workers_in(resources: Mapping[str, float], request: ResourceRequest) -> int:
    """Return the number of workers of ``request`` that fit into ``resources``."""
    return min(int(resources.get(name, 0) // amount) for name, amount in request.ray_resources.items())
