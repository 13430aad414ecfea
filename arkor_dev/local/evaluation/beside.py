"""Two adapters beside each other, by the losses on the same rows that were kept of both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import ConflictError, NotFoundError, UnavailableError
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.workers.process import Child

from . import kept

if TYPE_CHECKING:
    from pathlib import Path

WORKER: Final = "arkor_dev.local.evaluation.comparing"
NAME: Final = 60
"""Characters of a job's name in a sentence."""

Compared = tuple[dict[str, Any], int | None]
"""A job, and which of its checkpoints; None for the final adapter."""


async def compare(folder: Path, one: Compared, other: Compared, data: str | None) -> Any:
    """The contract's part in which ``one`` stands as adapter and ``other`` as base.

    On their held-out rows, or on the file ``data`` that both were evaluated on; ``folder`` is the backend's.
    Raises NotFoundError where one of them has not been evaluated, and ConflictError where they were on
    different rows.
    """
    first = await asyncio.to_thread(_scores, folder, one, data)
    second = await asyncio.to_thread(_scores, folder, other, data)
    both = f"{_called(one)} and {_called(other)}"
    if any(first[key] != second[key] for key in ("rows", "groups")):
        raise ConflictError(
            f"{both} were evaluated on different rows: a difference would say nothing of the adapters. "
            "Evaluate both on one file (data)"
        )
    if first["tokens"] != second["tokens"]:
        raise ConflictError(
            f"{both} read the same rows as other tokens (another model, chat template or maxLength): their "
            "losses a token are not alike"
        )
    child = await Child.start(WORKER)
    try:
        child.send(one=first, other=second, beside=_called(other), called=data)
        async for batch in child.batches():
            for message in batch:
                return message["comparison"]
        await child.ended()
        raise UnavailableError(child.cause("The comparing process"))
    finally:
        await child.stop()


def _scores(folder: Path, one: Compared, data: str | None) -> dict[str, Any]:
    """What is kept of each row of an evaluation."""
    job, step = one
    found = kept.result(job_folder(folder, job["id"]), step, data)
    if found is None:
        on = "" if data is None else f" on {data}"
        raise NotFoundError(f"{_called(one)} has not been evaluated{on}")
    scores = found.get("scores")
    if not kept.is_score(scores):
        raise ConflictError(
            f"An earlier version has evaluated {_called(one)}: evaluate it again to compare it"
        )
    assert isinstance(scores, dict)
    return scores


def _called(one: Compared) -> str:
    """A job's adapter in a sentence."""
    job, step = one
    name = " ".join(job["name"].split())
    name = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    return name if step is None else f"{name} at step {step}"
