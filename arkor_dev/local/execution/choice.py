"""Selects a job's execution: this machine or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.placement import CLUSTER as FIELD

from .cluster import CLUSTER
from .local_process import LOCAL_PROCESS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .interface import Execution


def is_elsewhere(config: Mapping[str, object]) -> bool:
    """Return whether a job runs on another machine, so that facts about this one do not apply."""
    return config.get(FIELD) is not None


def execution_of(config: Mapping[str, object]) -> Execution:
    """Return the execution of a job with ``config``."""
    return CLUSTER if is_elsewhere(config) else LOCAL_PROCESS


async def clear(data: Path, unfinished: Mapping[str, str]) -> bool:
    """Remove leftovers of ended jobs on clusters; return whether everything is gone.

    ``unfinished`` is the status of all other jobs by id. Those that train by themselves are left alone.
    """
    return await CLUSTER.clear(data, unfinished)


async def close() -> None:
    """End idle driver processes."""
    await CLUSTER.close()
