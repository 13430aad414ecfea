"""``[compute]`` in ``arkor.toml``: the cluster or the machine on which the project's jobs run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.placement import (
    ADDRESS,
    CLUSTER,
    HERE,
    PYTHON,
    SHARED_STORAGE,
    SSH,
    SSH_HOST,
    SSH_PYTHON,
    STORAGE,
)

from .one_table import load_table

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

    from .problems import Problems

TABLE: Final = "compute"
KEYS: Final = {CLUSTER: ADDRESS, STORAGE: SHARED_STORAGE, SSH: SSH_HOST, PYTHON: SSH_PYTHON}
"""The allowed keys."""


def check_compute(table: object, problems: Problems) -> None:
    """Add the problems of a document's ``[compute]``."""
    at = (TABLE,)
    if not isinstance(table, dict):
        problems.not_allowed(
            at, table, 'a table, such as [compute] with cluster = "ray://head:10001" below it'
        )
        return
    problems.check_keys(at, table, tuple(KEYS))
    for key, rule in KEYS.items():
        if key in table and not rule.fits(table[key]):
            problems.not_allowed((*at, key), table[key], rule.words)


def load_cluster(project: Path) -> str | None:
    """Return the cluster of the project's file; None without a valid one (the trainers report why)."""
    return _load(project, CLUSTER)


def load_storage(project: Path) -> str | None:
    """Return the shared storage of the project's cluster; None like `load_cluster`."""
    return _load(project, STORAGE)


def load_ssh(project: Path) -> str | None:
    """Return the host whose backend the project uses over ssh; None like `load_cluster`."""
    return _load(project, SSH)


def load_ssh_python(project: Path, host: str) -> str | None:
    """Return the Python to use on ``host`` as it is; None to create an environment there.

    The file's Python of another host does not apply to this one.
    """
    return _load(project, PYTHON) if load_ssh(project) in (None, host) else None


def _load(project: Path, key: str) -> str | None:
    table = load_table(project, TABLE)
    value = table.get(key) if isinstance(table, dict) else None
    return value if KEYS[key].fits(value) else None


def cluster_of(settings: Settings) -> str | None:
    """Return where a launch's jobs run, by option, environment or file; None for this machine."""
    if settings.cluster is not None:
        return None if settings.cluster == HERE else settings.cluster
    return load_cluster(settings.project)


def question(settings: Settings, address: str) -> dict[str, str]:
    """Return the request for a backend's view of a cluster (docs/contract.md#placement)."""
    return {"address": address, **({"insecure": "true"} if settings.insecure_cluster else {})}
