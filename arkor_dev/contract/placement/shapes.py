"""What a backend answers when it is asked for a cluster."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class NamedCluster(TypedDict):
    """The cluster of a launch's jobs (``GET /api/cluster``), not looked at; null where there is none.

    ``insecure``: one on another machine may be used though it asks for no token.
    """

    address: str | None
    insecure: bool


class ClusterNode(TypedDict):
    """One machine of a cluster. ``memory`` is in bytes.

    ``versions`` are of the packages that training needs, ``missing`` those that are not there. ``problem``
    says why the machine did not answer; the others are not there then.
    """

    name: str
    cpus: float
    gpus: float
    memory: int
    python: NotRequired[str]
    versions: NotRequired[dict[str, str]]
    missing: NotRequired[list[str]]
    problem: NotRequired[str]


class ClusterFree(TypedDict):
    """What no job has taken, of all machines together. ``memory`` is in bytes."""

    cpus: float
    gpus: float
    memory: float


class Cluster(TypedDict):
    """A cluster as it is now. ``token`` says whether it asks for one, where that was looked at.

    Where it cannot be used there is a ``problem``, and nothing else but its ``address``.
    """

    address: str
    ray: NotRequired[str]
    python: NotRequired[str]
    token: NotRequired[bool]
    nodes: NotRequired[list[ClusterNode]]
    free: NotRequired[ClusterFree]
    problem: NotRequired[str]
