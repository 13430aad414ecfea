"""The driver's side of shared storage: sets it up, and describes its use to a person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.placement import STORAGE

from .storage.shared import SharedFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.execution.messages import JobRequest

    from .actor_client import ActorClient

COPY_SECONDS: Final = 600.0
"""Seconds that a node may take to copy files to or from it. A node that dies meanwhile is noticed at once."""


def use_storage(actors: Sequence[ActorClient], root: str | None) -> str:
    """Make the nodes of ``actors`` use ``root``, a folder or an address; return a sentence about it.

    The sentence is empty without a ``root``. Raises the errors of `ActorClient.call`.
    """
    if not root:
        return ""
    with ThreadPoolExecutor(max(1, len(actors))) as pool:
        answers = list(pool.map(lambda actor: actor.call("use_storage", root), actors))
    problems = [
        f"the node {actor.facts['node']} does not see it ({_line(reason.decode(errors='replace'))})"
        for actor, reason in zip(actors, answers, strict=True)
        if reason
    ]
    if not problems:
        return f" Checkpoints are also stored in {root}."
    return f" Checkpoints are stored on this machine only, and not in {root}: {', '.join(problems)}."


def open_storage(job: JobRequest, actor: ActorClient) -> tuple[SharedFiles | None, str]:
    """Return a ``job``'s shared files as this machine sees them, or None with a sentence on the reason.

    While this machine waits for them, it tells ``actor`` that the driver is still running.
    """
    root = job.config.get(STORAGE)
    if not root:
        return None, ""
    try:
        return SharedFiles.open(root, job.id, lambda: _keep_alive(actor), writes=False), ""
    except OSError as fault:
        reason = _line(str(fault))
        return None, f" This machine does not see {root} ({reason}): they come through the cluster."


def _keep_alive(actor: ActorClient) -> None:
    actor.call("missing_files", {})


def storage_summary(actors: Sequence[ActorClient], root: str | None) -> str:
    """Return a sentence on how many files the nodes have found in ``root``; empty if none."""
    answers = [actor.call("storage_hits") for actor in actors] if root else []
    count = sum(int(answer) for answer in answers if answer.isdigit() and len(answer) < 10)
    files = "file" if count == 1 else "files"
    return f" It resumes from {count} {files} found there." if count else ""


def _line(reason: str) -> str:
    return " ".join(reason.split())[:200]
