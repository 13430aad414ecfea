"""Compares two adapters, or two settings, by their stored losses on the same rows."""

from __future__ import annotations

import asyncio
import contextlib
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import ConflictError, NotFoundError, UnavailableError
from arkor_dev.local.evaluation import results
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.workers.process import Child

from .seeds import FEWEST, by_run, by_seed

if TYPE_CHECKING:
    from pathlib import Path

WORKER: Final = "arkor_dev.local.evaluation.comparing"
NAME: Final = 60
"""Longest job name in a sentence, in characters."""

Compared = tuple[dict[str, Any], int | None]
"""A job and one of its checkpoints; None for the final adapter."""


async def compare(folder: Path, one: Compared, other: Compared, data: str | None) -> Any:
    """Compare ``one`` as the adapter with ``other`` as the base; return an ``EvaluationPart``.

    Uses their held-out rows, or the file ``data`` that both were evaluated on; ``folder`` is the backend's.
    Raises NotFoundError if one has not been evaluated, ConflictError if their rows differ.
    """
    first, second = await asyncio.to_thread(_on_same_rows, folder, one, other, data)
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


async def compare_settings(
    folder: Path, one: dict[str, Any], other: dict[str, Any], jobs: list[dict[str, Any]]
) -> Any:
    """Compare the settings of two jobs by the runs among ``jobs`` that differ only in the seed.

    Raises ConflictError if fewer than three seeds have been trained and evaluated with both.
    """
    ones, others = by_seed(jobs, one), by_seed(jobs, other)
    if one["id"] in {each["id"] for each in others.values()}:
        raise ConflictError(f"{_called((one, None))} and {_called((other, None))} have the same settings")
    pairs = []
    for seed in sorted(ones.keys() & others.keys()):
        with contextlib.suppress(NotFoundError):
            runs = (ones[seed], None), (others[seed], None)
            pairs.append(await asyncio.to_thread(_on_same_rows, folder, *runs, None))
    if len(pairs) < FEWEST:
        have = "no seed" if not pairs else "1 seed" if len(pairs) == 1 else f"{len(pairs)} seeds"
        raise ConflictError(
            f"Comparing settings takes {FEWEST} seeds of both, and there {'is' if len(pairs) < 2 else 'are'} "
            f"{have}: repeat both jobs with {FEWEST} seeds",
            seeds=len(pairs),
        )
    before, after = ([fmean(pair[place]["adapter"]) for pair in pairs] for place in (1, 0))
    margin = max(scores["margin"] for pair in pairs for scores in pair)
    return by_run(after, before, margin, _called((other, None)))


def _on_same_rows(
    folder: Path, one: Compared, other: Compared, data: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the stored scores of both, on the same rows. Raises like :func:`compare`."""
    first, second = _scores(folder, one, data), _scores(folder, other, data)
    both = f"{_called(one)} and {_called(other)}"
    if any(first[key] != second[key] for key in ("rows", "groups")):
        raise ConflictError(
            f"{both} were evaluated on different rows, so a difference would say nothing about the adapters. "
            "Evaluate both on one file (data)"
        )
    if first["tokens"] != second["tokens"]:
        raise ConflictError(
            f"{both} tokenize the same rows differently (another model, chat template or maxLength): "
            "their losses per token are not comparable"
        )
    return first, second


def _scores(folder: Path, one: Compared, data: str | None) -> dict[str, Any]:
    """Return the stored scores of an evaluation's rows."""
    job, step = one
    found = results.result(job_folder(folder, job["id"]), step, data)
    if found is None:
        on = "" if data is None else f" on {data}"
        raise NotFoundError(f"{_called(one)} has not been evaluated{on}")
    scores = found.get("scores")
    if not results.is_score(scores):
        raise ConflictError(
            f"An earlier version has evaluated {_called(one)}: evaluate it again to compare it"
        )
    assert isinstance(scores, dict)
    return scores


def _called(one: Compared) -> str:
    """Describe a job's adapter in a sentence."""
    job, step = one
    name = " ".join(job["name"].split())
    name = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    return name if step is None else f"{name} at step {step}"
