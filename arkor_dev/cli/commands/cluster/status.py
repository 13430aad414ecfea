"""``arkor-dev cluster status``: the resources of a cluster, and what is missing on it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.cli.lost_jobs import features_of
from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.contract.extras import install_command
from arkor_dev.contract.placement.address import ADDRESS
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.connect import joined
from arkor_dev.project.toml.compute import cluster_of, question

from .choice import FEATURE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arkor_dev.core.settings import Settings

AMOUNTS: Final = {"cpus": "processor", "gpus": "GPU"}


async def run_cluster(settings: Settings, action: str | None, address: str | None, *, as_json: bool) -> int:
    """Show the cluster at ``address``, by default the project's; return 1 if it is unusable."""
    if action not in (None, "status"):
        raise BadRequestError(f"unknown action {one_line(action, 100)}. The only one is status.")
    wanted = address or cluster_of(settings)
    if wanted is None:
        raise BadRequestError("Name a cluster: arkor-dev cluster status ADDRESS.")
    if not ADDRESS.fits(wanted):
        raise BadRequestError(f"{one_line(wanted, 100)} is not {ADDRESS.words}.")
    async with joined(dataclasses.replace(settings, local=True), lambda _: None, idle=True) as backend:
        if FEATURE not in await features_of(backend):
            raise BadRequestError(
                f"A cluster needs Ray, which is not installed. Install it with: {install_command('ray')}"
            )
        answer = await backend.get_cluster(question(settings, wanted))
    try:
        cluster = json.loads(answer.body)["cluster"]
        lines = [*lines_of(cluster)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackendError("The backend's response about the cluster is unreadable.") from None
    print(json.dumps({"cluster": cluster}, indent=2) if as_json else "\n".join(lines))  # noqa: T201
    return 1 if "problem" in cluster else 0


def lines_of(cluster: Mapping[str, Any]) -> Iterator[str]:
    """Format a cluster for a terminal: a summary, then a line for each machine."""
    if "problem" in cluster:
        yield one_line(str(cluster["problem"]), 2000)
        return
    free = cluster["free"]
    asks = f", asks for {'a' if cluster['token'] else 'no'} token" if "token" in cluster else ""
    yield f"{cluster['address']}: Ray {cluster['ray']}, Python {cluster['python']}{asks}"
    yield f"free now: {_amounts(free)}"
    for node in cluster["nodes"]:
        if "problem" in node:
            said = f"has not answered: {one_line(node['problem'], 300)}"
        elif node["missing"]:
            lacks = ", ".join(node["missing"])
            said = f"lacks {lacks}: pip install 'arkor-dev[local]' in the Python that Ray runs with"
        else:
            said = ", ".join(f"{name} {version}" for name, version in node["versions"].items())
        yield "  " + one_line(f"{node['name']}: {_amounts(node)}; {said}", 1000)


def _amounts(has: Mapping[str, Any]) -> str:
    counts = (f"{has[key]:g} {one}{'' if has[key] == 1 else 's'}" for key, one in AMOUNTS.items())
    return f"{', '.join(counts)}, {has['memory'] / 2**30:.1f} GiB"
