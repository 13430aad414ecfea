"""Where a job runs: how a cluster is named, and what a backend says of one (docs/contract.md#placement)."""

from __future__ import annotations

import re
from typing import Final, NotRequired, TypedDict

from .rules import Rule, whole

AUTO: Final = "auto"
"""The cluster that this machine is a node of."""
HERE: Final = "here"
"""No cluster: this machine."""
NAMED: Final = re.compile(r"(?:ray://)?([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:]{2,45}\]):([0-9]{1,5})")
CLUSTER: Final = "cluster"
INSECURE: Final = "insecureCluster"
STORAGE: Final = "storage"
"""The fields of a job's config."""


def is_address(value: object) -> bool:
    """Whether ``value`` names a cluster: ``auto``, ``ray://HOST:PORT`` or ``HOST:PORT``."""
    if not isinstance(value, str):
        return False
    found = NAMED.fullmatch(value)
    return value == AUTO or (found is not None and 1 <= int(found[2]) <= 65535)


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
"""Where something is to run: a cluster, or this machine."""


def host_of(address: str) -> str | None:
    """The host of an address; None for ``auto``."""
    found = NAMED.fullmatch(address)
    return found[1].strip("[]") if found else None


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine answers at ``host``."""
    from ipaddress import ip_address  # on the way to --help it is not needed

    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


LIMIT: Final = 1000
PROTOCOLS: Final = (
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss"),
    *("webhdfs", "smb", "sftp", "ftp"),
)
"""What an address may begin with: a server that means the same on every machine, and takes files.

fsspec has others, and any package may add some: folders and memory of whichever machine reads the address
(``file``, ``memory``), what other programs or files say (``dask``, ``reference``), chains of several
(``simplecache::``), and what is read alone (``http``). A list of what is refused would never be whole.
"""
STORE: Final = re.compile(
    rf"(?:{'|'.join(PROTOCOLS)})://"
    r"(?:[\w.-]{1,255}@)?"  # a container, or a name; a password would follow a colon
    r"[\w.-]{1,255}(?::[0-9]{1,5})?"
    r"((?:/[\w.+=~-]+)*)/?"  # nothing that is a pattern, a query or an escape to some protocol
)


def is_store(value: object) -> bool:
    """Whether ``value`` is a store's address, which holds no secret and no way up in it."""
    if not isinstance(value, str) or len(value) > LIMIT or not value.isprintable():
        return False
    found = STORE.fullmatch(value)
    return found is not None and not {".", ".."} & set(found[1].split("/"))


def is_folder(value: object) -> bool:
    """Whether ``value`` may name a folder of other machines: an absolute path with no way up in it."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        return False
    return len(value) <= LIMIT and value.strip("/") != "" and ".." not in value.split("/")


SHARED_STORAGE: Final = Rule(
    "other",
    noun='the absolute path of a folder that the machines of the cluster share, such as "/mnt/jobs", or a '
    f'store\'s address without any key or password, such as "s3://bucket/jobs" ({", ".join(PROTOCOLS)})',
    test=lambda value: is_folder(value) or is_store(value),
)


WORKERS: Final = whole(1, 64)
"""Whoever reads a number of them checks it by this."""


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
