"""Continues a job that repeats another without some rows from a checkpoint saved before their first use.

Up to there, both runs are the same bit for bit, so the result is that of a run from the start without the
rows. That holds only for the same model, versions, processor, threads and number format; otherwise the job
starts from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arkor_dev.contract.errors import NotFoundError
from arkor_dev.contract.settings.evaluation import SETTLED
from arkor_dev.data.passages import Passages, texts_of
from arkor_dev.data.rows import row_digest
from arkor_dev.local.checkpoints import origin
from arkor_dev.local.checkpoints.resume_points import ResumePlan, StoredResumePoint, checked_points
from arkor_dev.local.jobs.forgotten import write_forgotten
from arkor_dev.local.workers.errors import JobFailure

from .rows.left_out import blanked, first_use

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import Forgotten
    from arkor_dev.data.rows import Row
    from arkor_dev.local.jobs.atomic_folder import RunOrigin
    from arkor_dev.local.modeling.example import Example

    from .job_settings import EffectiveSettings
    from .plan import Plan


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """An earlier job on the same rows: the hash of its ``rows`` as encoded, and the ``newest`` step before it
    used a row that is left out now.
    """

    job: str
    name: str
    rows: str
    newest: int


def earlier_runs(
    forgets: Sequence[Forgotten],
    locations: Collection[str],
    train: Sequence[Example],
    held_out: Sequence[Example],
    plan: Plan,
) -> list[EarlierRun]:
    """Return the jobs that a job without the rows at ``locations`` may continue.

    ``forgets`` is that of its config, ``train`` are its rows before any is left out.
    """
    left_out = set(locations)
    runs = []
    for earlier in forgets:
        already = set(earlier["rows"])
        before = blanked(train, already)
        first = first_use(before, plan, left_out - already)
        newest = plan.steps if first is None else first - 1
        rows = origin.hash_of_rows(before, held_out)
        runs.append(EarlierRun(earlier["job"], earlier["name"], rows, newest))
    return runs


def earlier_plan(data: Path, runs: Sequence[EarlierRun], now: RunOrigin) -> ResumePlan | str:
    """Return the plan to resume from the newest usable point of ``runs``, or a sentence: why from the start.

    ``now`` is the job's ``origin``.
    """
    best: ResumePlan | None = None
    why = "No earlier checkpoint is left"
    for run in runs:
        try:
            points = [point for point, wrong in checked_points(data, run.job, run.newest) if wrong is None]
        except NotFoundError:
            continue
        # The points before it count, too: a run may have been resumed under other conditions.
        differing = [reason for point in points for reason in _differences(point, run, now)]
        if differing:
            why = f"The job {run.name} trained under other conditions ({differing[0]})"
            continue
        for point in points:
            if best and point.step <= best.points[0].step:
                break
            if _slowed(point):
                # The loss that was not finite may have been that of a row that is left out now.
                why = f"The job {run.name} was rolled back to a lower learning rate"
                continue
            best = ResumePlan(
                [point],
                f"Continued from step {point.step} of the job {run.name}, saved before the rows were used.",
                other_job=True,
            )
            break
    return best or f"{why}: the job starts from the beginning, without the rows."


def why_from_start(settings: EffectiveSettings) -> str | None:
    """Return why no checkpoint may be continued with these settings; None if one may.

    Evaluations that end a run take part in its verdict, and those before a checkpoint are the other job's.
    So are the checkpoints from which a forgetting budget chooses.
    """
    if settings.get("maxHarm") is not None:
        return "max_harm chooses among steps: the job starts from the beginning, without the rows."
    if settings.get("earlyStoppingPatience") or settings.get("stopWhen") == SETTLED:
        return "Evaluations may end the training early: the job starts from the beginning, without the rows."
    return None


def _differences(point: StoredResumePoint, run: EarlierRun, now: RunOrigin) -> list[str]:
    before = point.origin
    if before.get("consistent") is not True:
        return ["they changed during its training, or are unknown"]
    if before.get("rows") != run.rows:
        return ["its rows were others"]
    if before.get("format") != now.get("format"):
        return [f"in {before.get('format')}"]
    versions = [each.get("versions", {}).get("arkor-dev") for each in (now, before)]
    if versions[0] != versions[1]:
        return [f"arkor-dev is {versions[0]} and was {versions[1]}"]
    # The rows as encoded are the same, whatever else is in the files.
    compared = before.copy()
    compared.pop("rows", None)
    compared.pop("data", None)
    return origin.differences(compared, now)


def _slowed(point: StoredResumePoint) -> bool:
    from arkor_dev.local.checkpoints.state import StateError, read_state

    try:
        return read_state(point.folder).get("rateFactor") != 1
    except StateError:
        return True


def check_forgettable(
    locations: Collection[str], train: Sequence[Row], held_out: Sequence[Row], replayed: Sequence[Row]
) -> None:
    """Raise JobFailure if the result could still depend on the rows at ``locations``."""
    where = {row_digest(row): row.where for row in train if row.where in locations}
    for row in train:
        if row.where not in locations and (other := where.get(row_digest(row))):
            raise JobFailure(f"{row.where} has the same content as {other}: delete both")
    for row in held_out:
        if other := where.get(row_digest(row)):
            raise JobFailure(
                f"{row.where} is held out and has the same content as {other}, so it judges the adapter, and "
                "may choose its checkpoint: remove it there, and train a new job"
            )
    for row in replayed:
        if other := where.get(row_digest(row)):
            raise JobFailure(
                f"{row.where} of the replay data set has the same content as {other}: remove it there, and "
                "train a new job"
            )


def record_forgotten(
    folder: Path,
    rows: Sequence[Row],
    locations: Collection[str],
    runs: Sequence[EarlierRun],
    plan: Plan,
    start: ResumePlan | str,
) -> None:
    """Write what the certificate says about the training into the job's ``folder``.

    ``rows`` are all of the data set, those at ``locations`` are deleted: only hashes of their texts are kept.
    """
    deleted = {row.where: row_digest(row) for row in rows if row.where in locations}
    same = set(deleted.values())
    kept = [row for row in rows if row.where not in locations]
    passages = Passages.of(
        (text for row in rows if row.where in locations for text in texts_of(row)),
        (text for row in kept if row_digest(row) not in same for text in texts_of(row)),
    )
    newest = runs[-1].newest
    write_forgotten(
        folder,
        {
            "rows": [{"where": where, "sha256": digest} for where, digest in deleted.items()],
            "first": newest + 1 if newest < plan.steps else None,
            "start": start.points[0].step if isinstance(start, ResumePlan) else 0,
            "steps": plan.steps,
            "message": start.message if isinstance(start, ResumePlan) else start,
            "passages": passages.to_json(),
        },
    )
