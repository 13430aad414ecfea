"""``arkor-dev cluster status``, and the choice of the cluster for a command's job."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, Final

from arkor_dev.cli.consent import require_cluster_trust
from arkor_dev.client.features import features_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.contract.extras import install_command, quoted
from arkor_dev.contract.placement import ADDRESS, CLUSTER, INSECURE, STORAGE
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.toml.compute import cluster_of, load_storage, question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.placement import Cluster, ClusterFree, ClusterNode
    from arkor_dev.core.settings import Settings

FEATURE: Final = "placement"


async def run_cluster(settings: Settings, action: str | None, address: str | None, *, as_json: bool) -> int:
    """Show the cluster at ``address``, by default the project's; return 1 if it is unusable."""
    if action not in (None, "status"):
        raise BadRequestError(f"unknown action {one_line(action, 100)}. The only one is status.")
    chosen = address or cluster_of(settings)
    if chosen is None:
        raise BadRequestError("Name a cluster: arkor-dev cluster status ADDRESS.")
    if not ADDRESS.fits(chosen):
        raise BadRequestError(f"{one_line(chosen, 100)} is not {ADDRESS.words}.")
    if address is None:
        require_cluster_trust(settings, chosen, typed="arkor-dev cluster status {}")
    async with joined(dataclasses.replace(settings, local=True), lambda _: None, idle=True) as backend:
        if FEATURE not in await features_of(backend):
            raise BadRequestError(
                f"A cluster needs Ray, which is not installed. Install it with: {install_command('ray')}"
            )
        answer = await backend.get_cluster(question(settings, chosen))
    try:
        cluster: Cluster = json.loads(answer.body)["cluster"]
        lines = [*lines_of(cluster)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackendError("The backend's response about the cluster is unreadable.") from None
    print(json.dumps({"cluster": cluster}, indent=2) if as_json else "\n".join(lines))  # noqa: T201
    return 1 if "problem" in cluster else 0


def lines_of(cluster: Cluster) -> Iterator[str]:
    """Format a cluster for a terminal: a summary, then a line for each machine."""
    if "problem" in cluster:
        yield one_line(str(cluster["problem"]), 2000)
        return
    free = cluster["free"]
    token = f", asks for {'a' if cluster['token'] else 'no'} token" if "token" in cluster else ""
    yield f"{cluster['address']}: Ray {cluster['ray']}, Python {cluster['python']}{token}"
    yield f"free now: {_amounts(free)}"
    for node in cluster["nodes"]:
        if "problem" in node:
            state = f"has not answered: {one_line(node['problem'], 300)}"
        elif node["missing"]:
            lacks = ", ".join(node["missing"])
            state = f"lacks {lacks}: in the Python that Ray runs with, pip install {quoted('local')}"
        else:
            state = ", ".join(f"{name} {version}" for name, version in node["versions"].items())
        yield "  " + one_line(f"{node['name']}: {_amounts(node)}; {state}", 1000)


def _amounts(resources: ClusterFree | ClusterNode) -> str:
    amounts = (resources["cpus"], "processor"), (resources["gpus"], "GPU")
    counts = (f"{count:g} {unit}{'' if count == 1 else 's'}" for count, unit in amounts)
    return f"{', '.join(counts)}, {resources['memory'] / 2**30:.1f} GiB"


async def placed(settings: Settings, config: dict[str, object]) -> str | None:
    """Write into ``config`` where the job runs; return a warning to show in red, or None.

    The command's option overrides the environment, which overrides the file.
    """
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


async def need_placement(backend: Backend, settings: Settings, config: dict[str, object]) -> None:
    """Raise BadRequestError if a job is for a cluster that the backend can't use, or nobody has agreed to."""
    address, storage = config.get(CLUSTER), config.get(STORAGE)
    if address is None:
        return
    if FEATURE in await features_of(backend):
        require_cluster_trust(settings, str(address), None if storage is None else str(storage))
        return
    if settings.local:
        raise BadRequestError(
            f"The cluster {address} needs Ray, which is not installed. Install it with: "
            f"{install_command('ray')}\nOr train on this machine: --on here"
        )
    raise BadRequestError(
        f"This backend can't run jobs on the cluster {address}. Add --local, or use --on here"
    )
