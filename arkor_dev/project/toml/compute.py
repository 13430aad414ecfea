"""``[compute]`` in ``arkor.toml``: on which cluster the project's jobs run, and what its machines share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.placement.address import ADDRESS, CLUSTER, HERE, STORAGE
from arkor_dev.contract.placement.storage import SHARED_STORAGE

from .one_table import load_table

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

    from .problems import Problems

TABLE: Final = "compute"
KEYS: Final = {CLUSTER: ADDRESS, STORAGE: SHARED_STORAGE}
"""What may stand in it."""


def check_compute(table: object, problems: Problems) -> None:
    """Add what is wrong with a document's ``[compute]``."""
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
    """The cluster of the project's file; None where it names none, or a wrong one, of which trainers tell."""
    return _load(project, CLUSTER)


def load_storage(project: Path) -> str | None:
    """What the machines of the project's cluster share, by its file; None as `load_cluster` has it."""
    return _load(project, STORAGE)


def _load(project: Path, key: str) -> str | None:
    table = load_table(project, TABLE)
    value = table.get(key) if isinstance(table, dict) else None
    return value if KEYS[key].fits(value) else None


def cluster_of(settings: Settings) -> str | None:
    """Where a launch's jobs run: as its option or environment says, else the file; None for this machine."""
    if settings.cluster is not None:
        return None if settings.cluster == HERE else settings.cluster
    return load_cluster(settings.project)


def question(settings: Settings, address: str) -> dict[str, str]:
    """What a backend is asked about a cluster (docs/contract.md#placement)."""
    return {"address": address, **({"insecure": "true"} if settings.insecure_cluster else {})}
