"""Where a job runs: names and descriptions of clusters (docs/contract.md#placement)."""

from __future__ import annotations

import re
from typing import Final, NotRequired, TypedDict

from .rules import Rule, integer, string, text_line

AUTO: Final = "auto"
"""The cluster that this machine is a node of."""
HERE: Final = "here"
"""No cluster: this machine."""
NODE_ADDRESS: Final = re.compile(r"(?:ray://)?([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:]{2,45}\]):([0-9]{1,5})")
CLUSTER: Final = "cluster"
INSECURE: Final = "insecureCluster"
STORAGE: Final = "storage"
"""The job config's fields for placement."""


def is_address(value: object) -> bool:
    """Return whether ``value`` names a cluster: ``auto``, ``ray://HOST:PORT`` or ``HOST:PORT``."""
    if not isinstance(value, str):
        return False
    match = NODE_ADDRESS.fullmatch(value)
    return value == AUTO or (match is not None and 1 <= int(match[2]) <= 65535)


ADDRESS: Final = Rule(
    "other",
    noun='a Ray cluster\'s address, such as "ray://head:10001", "10.0.0.5:6379" or "auto"',
    test=is_address,
)


ON: Final = Rule(
    "other",
    noun=f'"{HERE}", or {ADDRESS.noun}',
    test=lambda value: value == HERE or ADDRESS.fits(value),
)
"""A target: a cluster, or this machine."""


def host_of(address: str) -> str | None:
    """Return the host of an address; None for ``auto``."""
    match = NODE_ADDRESS.fullmatch(address)
    return match[1].strip("[]") if match else None


def is_loopback(host: str | None) -> bool:
    """Return whether only this machine can answer at ``host`` (without port or brackets)."""
    from ipaddress import ip_address  # not needed for --help

    if host and host.lower() == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


LIMIT: Final = 1000
PROTOCOLS: Final = ("s3", "gs", "az")
"""Accepted URL schemes: object stores, which are the same from every machine and where files appear complete.

fsspec has more, and packages may add others: folders and memory of the local machine (``file``, ``memory``),
contents of other programs or files (``dask``, ``reference``), chains (``simplecache::``) and read-only ones
(``http``). A list of refused schemes could never be complete.
"""
STORE: Final = re.compile(
    rf"(?:{'|'.join(PROTOCOLS)})://"
    r"(?:[\w.-]{1,255}@)?"  # a container, or a user name; a password would follow a colon
    r"[\w.-]{1,255}(?::[0-9]{1,5})?"
    r"((?:/[\w.+=~-]+)*)/?"  # no patterns, queries, or escapes to another protocol
)


def is_store(value: object) -> bool:
    """Return whether ``value`` is a storage URL without a secret and without ``..``."""
    if not isinstance(value, str) or len(value) > LIMIT or not value.isprintable():
        return False
    match = STORE.fullmatch(value)
    return match is not None and not {".", ".."} & set(match[1].split("/"))


def is_folder(value: object) -> bool:
    """Return whether ``value`` may be a folder on other machines: an absolute path without ``..``."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        return False
    return len(value) <= LIMIT and value.strip("/") != "" and ".." not in value.split("/")


SHARED_STORAGE: Final = Rule(
    "other",
    noun='the absolute path of a folder that the machines of the cluster share, such as "/mnt/jobs", or a '
    f'store\'s address without any key or password, such as "s3://bucket/jobs" ({", ".join(PROTOCOLS)})',
    test=lambda value: is_folder(value) or is_store(value),
)


WORKERS: Final = integer(1, 64)
"""The rule for a number of workers."""

SSH: Final = "ssh"
PYTHON: Final = "python"
"""The keys of ``[compute]`` in arkor.toml."""
# Nothing that ssh could read as an option, or a shell or a forwarding in another way.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}@)?[A-Za-z0-9][A-Za-z0-9._-]{0,252}")

SSH_HOST: Final = string(
    'a host of your ssh configuration, such as "gpu-box" or "me@gpu-box"', _HOST.fullmatch
)
SSH_PYTHON: Final = text_line(500, "the path of a Python on that machine")


class NamedCluster(TypedDict):
    """The cluster of a launch's jobs (``GET /api/cluster``), not contacted; null without one.

    ``insecure``: the user accepts a remote cluster without a token. ``untrusted`` is what only ``arkor.toml``
    names and nobody has agreed to use: the cluster's address, a store for its checkpoints.
    """

    address: str | None
    insecure: bool
    untrusted: list[str]


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
