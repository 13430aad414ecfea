"""Responses about a cluster."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class NamedCluster(TypedDict):
    """The cluster of a launch's jobs (``GET /api/cluster``), not contacted; null without one.

    ``insecure``: the user accepts a remote cluster without a token.
    """

    address: str | None
    insecure: bool


class ClusterNode(TypedDict):
    """One machine of a cluster. ``memory`` is in bytes.

    ``versions`` lists packages needed for training, ``missing`` those not installed. If the machine did not
    answer, ``problem`` says why and replaces the others.
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
    """Free resources over all machines. ``memory`` is in bytes."""

    cpus: float
    gpus: float
    memory: float


class Cluster(TypedDict):
    """The current state of a cluster. ``token`` says whether it requires one, if known.

    If it is unusable, only ``address`` and ``problem`` are present.
    """

    address: str
    ray: NotRequired[str]
    python: NotRequired[str]
    token: NotRequired[bool]
    nodes: NotRequired[list[ClusterNode]]
    free: NotRequired[ClusterFree]
    problem: NotRequired[str]
