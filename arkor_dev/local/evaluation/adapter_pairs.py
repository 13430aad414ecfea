"""Compares two adapters, or two settings, by their stored losses on the same rows."""

from __future__ import annotations

import asyncio
import contextlib
import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ConflictError, NotFoundError, UnavailableError
from arkor_dev.contract.settings import by_field
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from . import messages, results
from .halves import judging
from .messages import CompareScores
from .minimums import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationPart, Job

    from .results import Scores


FEWEST: Final = 3
"""Minimum number of seeds, or pairs of runs, for a comparison."""
T: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t for a 95 % interval by degrees of freedom, from 1; the last is used for all higher ones."""
UNTOLD: Final = ("seed", "setByHand")
DIGITS: Final = 5


def by_seed(jobs: Sequence[Job], job: Job) -> dict[int, Job]:
    """Return the completed ``jobs``, newest first, with the settings and data of ``job``, by seed."""
    settings, default = _compared_settings(job["config"]), by_field()["seed"].default
    assert isinstance(default, int)
    by_seed_value: dict[int, Job] = {}
    for candidate in (job, *jobs):
        if candidate["status"] == "completed" and _compared_settings(candidate["config"]) == settings:
            by_seed_value.setdefault(candidate["config"].get("seed") or default, candidate)
    return by_seed_value


def _compared_settings(config: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in config.items() if value is not None and key not in UNTOLD}


def by_run(
    first_losses: Sequence[float], second_losses: Sequence[float], margin: float, other: str
) -> EvaluationPart:
    """Compare the held-out losses of two lists of runs, both in the same order of seeds.

    The job ``other`` takes the base's role. Differences below ``margin`` do not matter.
    """
    gains = [before - after for before, after in zip(second_losses, first_losses, strict=True)]
    mean, count = fmean(gains), len(gains)
    side = T[min(count - 1, len(T)) - 1] * stdev(gains) / math.sqrt(count)
    low, high = mean - side, mean + side
    if low > margin or high < -margin:
        verdict = "better" if low > margin else "worse"
        words = f"These settings are {verdict} than those of {other}"
    elif -margin <= low and high <= margin:
        verdict, words = "same", f"No difference that matters between these settings and those of {other}"
    else:
        verdict, words = "unclear", f"No clear difference between these settings and those of {other}"
    figures = (
        f"mean held-out loss {fmean(first_losses):.3f} vs. {fmean(second_losses):.3f} with {count} seeds each"
    )
    ends = (-high, -low) if verdict == "worse" else (low, high)
    interval = f"95 % interval of the difference {ends[0]:.3f} to {ends[1]:.3f}"
    return {
        "name": "seeds",
        "rows": count,
        "base": round(fmean(second_losses), DIGITS),
        "adapter": round(fmean(first_losses), DIGITS),
        "difference": {"mean": round(mean, DIGITS), "low": round(low, DIGITS), "high": round(high, DIGITS)},
        "confidence": 95,
        "verdict": verdict,
        "sentence": f"{words}: {figures}; {interval}.",
    }


WORKER: Final = "arkor_dev.local.evaluation.comparing"
NAME: Final = 60
"""Maximum length of a job's name in a sentence, in characters."""

Compared = tuple["Job", "int | None"]
"""A job with one of its checkpoints, or None for the final adapter."""


async def compare(
    folder: Path, first_run: Compared, second_run: Compared, data: str | None
) -> EvaluationPart:
    """Compare ``first_run`` as the adapter with ``second_run`` as the base.

    Uses their held-out rows, or the file ``data`` that both were evaluated on; ``folder`` is the backend's.
    Raises NotFoundError if one has not been evaluated, ConflictError if their rows differ.
    """
    first, second = await asyncio.to_thread(_on_same_rows, folder, first_run, second_run, data)
    async with Child.running(WORKER) as child:
        child.send(CompareScores(first, second, _called(second_run), data))
        try:
            return (await child.result(messages.Compared, "The comparing process")).comparison
        except JobFailure as failure:
            raise UnavailableError(str(failure)) from None


async def compare_settings(
    folder: Path, first_job: Job, second_job: Job, jobs: Sequence[Job]
) -> EvaluationPart:
    """Compare the settings of two jobs by the runs among ``jobs`` that differ only in the seed.

    Raises ConflictError if fewer than three seeds have been trained and evaluated with both.
    """
    first_by_seed, second_by_seed = by_seed(jobs, first_job), by_seed(jobs, second_job)
    if first_job["id"] in {job["id"] for job in second_by_seed.values()}:
        raise ConflictError(
            f"{_called((first_job, None))} and {_called((second_job, None))} have the same settings"
        )
    pairs = []
    for seed in sorted(first_by_seed.keys() & second_by_seed.keys()):
        with contextlib.suppress(NotFoundError):
            runs = (first_by_seed[seed], None), (second_by_seed[seed], None)
            pairs.append(await asyncio.to_thread(_on_same_rows, folder, *runs, None))
    if len(pairs) < FEWEST:
        have = "no seed" if not pairs else "1 seed" if len(pairs) == 1 else f"{len(pairs)} seeds"
        raise ConflictError(
            f"Comparing settings takes {FEWEST} seeds of both, and there {'is' if len(pairs) < 2 else 'are'} "
            f"{have}: repeat both jobs with {FEWEST} seeds",
            seeds=len(pairs),
        )
    chose = results.chose_either(*(scores for pair in pairs for scores in pair))
    if chose and all(chose):
        raise ConflictError(
            f"All {len(chose)} held-out rows took part in early stopping, so none is left to compare "
            f"settings by: hold out at least {2 * ROWS} independent rows (eval_split)"
        )
    before, after = ([fmean(judging(chose, pair[index]["adapter"])) for pair in pairs] for index in (1, 0))
    margin = max(scores["margin"] for pair in pairs for scores in pair)
    return by_run(after, before, margin, _called((second_job, None)))


def _on_same_rows(
    folder: Path, first_run: Compared, second_run: Compared, data: str | None
) -> tuple[Scores, Scores]:
    """Return the stored scores of both adapters on the same rows. Raises the errors of :func:`compare`."""
    first, second = _scores(folder, first_run, data), _scores(folder, second_run, data)
    both = f"{_called(first_run)} and {_called(second_run)}"
    if first["rows"] != second["rows"] or first["groups"] != second["groups"]:
        raise ConflictError(
            f"{both} were evaluated on different rows, so a difference would say nothing about the adapters. "
            "Evaluate both on one file (data)"
        )
    if first["tokens"] != second["tokens"]:
        raise ConflictError(
            f"{both} tokenize the same rows differently (another model, chat template or max_length): "
            "their losses per token are not comparable"
        )
    return first, second


def _scores(folder: Path, run: Compared, data: str | None) -> Scores:
    """Return the stored scores of an evaluation's rows."""
    job, step = run
    stored = results.result(job_folder(folder, job["id"]), step, data)
    if stored is None:
        on = "" if data is None else f" on {data}"
        raise NotFoundError(f"{_called(run)} has not been evaluated{on}")
    scores = stored.get("scores")
    if scores is None:
        raise ConflictError(
            f"An earlier version has evaluated {_called(run)}: evaluate it again to compare it"
        )
    return scores


def _called(run: Compared) -> str:
    """Return a phrase that names a job's adapter."""
    job, step = run
    name = " ".join(job["name"].split())
    name = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    return name if step is None else f"{name} at step {step}"
