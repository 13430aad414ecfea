"""``[compute]`` in ``arkor.toml``: the cluster on which the project's jobs run, and its shared storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.placement import ADDRESS, CLUSTER, HERE, SHARED_STORAGE, STORAGE

from .one_table import load_table

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

    from .problems import Problems

TABLE: Final = "compute"
KEYS: Final = {CLUSTER: ADDRESS, STORAGE: SHARED_STORAGE}
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
    """Return the shared storage of the project's cluster; None as in `load_cluster`."""
    return _load(project, STORAGE)


def _load(project: Path, key: str) -> str | None:
    table = load_table(project, TABLE)
    value = table.get(key) if isinstance(table, dict) else None
    return value if KEYS[key].fits(value) else None


def cluster_of(settings: Settings) -> str | None:
    """Return where a launch's jobs run: by option or environment, or else the file; None for this machine."""
    if settings.cluster is not None:
        return None if settings.cluster == HERE else settings.cluster
    return load_cluster(settings.project)


def question(settings: Settings, address: str) -> dict[str, str]:
    """Return the request for a backend's view of a cluster (docs/contract.md#placement)."""
    return {"address": address, **({"insecure": "true"} if settings.insecure_cluster else {})}
