"""Which of the places a job runs at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.contract.placement.address import CLUSTER as FIELD

from .cluster import CLUSTER
from .here import HERE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .seam import Execution


def is_elsewhere(config: Mapping[str, Any]) -> bool:
    """Whether a job runs on another machine: what is known of this one does not hold for it."""
    return config.get(FIELD) is not None


def execution_of(config: Mapping[str, Any]) -> Execution:
    """Where a job of ``config`` runs."""
    return CLUSTER if is_elsewhere(config) else HERE


async def clear(data: Path, standing: Mapping[str, str]) -> bool:
    """Remove what jobs have left where they ran and nobody needs; whether nothing of it is left.

    ``standing`` are the jobs that are not over, by id, with their status: where one of them trains on alone,
    that is needed.
    """
    return await CLUSTER.clear(data, standing)


async def close() -> None:
    """End what waits for further jobs: no more are started."""
    await CLUSTER.close()
