"""Selects the cluster for a command's job: its option, then the environment, then ``arkor.toml``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from arkor_dev.cli.lost_jobs import features_of
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.extras import install_command
from arkor_dev.contract.placement.address import CLUSTER, INSECURE, STORAGE
from arkor_dev.project.toml.compute import cluster_of, load_storage

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings

FEATURE = "placement"


async def placed(settings: Settings, config: dict[str, Any]) -> str | None:
    """Write the job's placement into ``config``; return a warning to show in red, or None."""
    for field in (CLUSTER, INSECURE, STORAGE):
        config.pop(field, None)
    address = await asyncio.to_thread(cluster_of, settings)
    if address is None:
        return None
    config[CLUSTER] = address
    if storage := await asyncio.to_thread(load_storage, settings.project):
        config[STORAGE] = storage
    if not settings.insecure_cluster:
        return None
    config[INSECURE] = True
    return (
        f"--insecure-cluster: the cluster {address} is used even if it requires no token. Anyone who can "
        f"reach it can run programs there, and read the data and the model sent to it."
    )


async def need_placement(backend: Backend, settings: Settings, config: dict[str, Any]) -> None:
    """Raise BadRequestError if a job is to run on a cluster and the backend does not support clusters."""
    if CLUSTER not in config or FEATURE in await features_of(backend):
        return
    if settings.local:
        raise BadRequestError(
            f"The cluster {config[CLUSTER]} needs Ray, which is not installed. Install it with: "
            f"{install_command('ray')}\nOr train on this machine: --on here"
        )
    raise BadRequestError(
        f"This backend can't run jobs on the cluster {config[CLUSTER]}. Add --local, or use --on here"
    )
