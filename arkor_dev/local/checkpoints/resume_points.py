"""Points from which a job can resume: checkpoints, and states saved at a pause or at the end.

A checkpoint is an adapter that can answer, with the training state beside it. A pause or the end of a run
saves only that state. The newest complete point is used.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arkor_dev.local.jobs.atomic_folder import DamagedFolderError, checked, manifest_of
from arkor_dev.local.jobs.job_folder import (
    CHECKPOINTS,
    STATE,
    checkpoint_folder,
    checkpoint_steps,
    drop_checkpoint,
    resume_folder,
    resume_steps,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from arkor_dev.local.jobs.atomic_folder import FolderManifest, RunOrigin


@dataclass(frozen=True, slots=True)
class StoredResumePoint:
    """The state of a run after ``step``. Its ``manifest`` contains the ``origin``."""

    step: int
    folder: Path
    manifest: FolderManifest

    @property
    def origin(self) -> RunOrigin:
        """The inputs that the run depended on; empty if they were not saved."""
        return self.manifest.get("origin", {})

    @property
    def name(self) -> str:
        """A description of the point."""
        return (
            f"The {'checkpoint' if self.folder.parent.name == CHECKPOINTS else 'state'} of step {self.step}"
        )


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """Says to resume from the newest of ``points`` that can be read. ``message`` is the reason.

    ``passed`` are sentences about incomplete points that were skipped. ``further`` is the job's last step
    before it was extended. ``other_job``: the points are those of a job that began the same.
    """

    points: Sequence[StoredResumePoint]
    message: str
    passed: Sequence[str] = ()
    further: int | None = None
    other_job: bool = False


def _folders(data: Path, job_id: str) -> Iterator[tuple[int, Path]]:
    """Yield every point, newest first; at the same step, the point of a pause comes first."""
    paused = [(step, 1, resume_folder(data, job_id, step)) for step in resume_steps(data, job_id)]
    saved = [(step, 0, checkpoint_folder(data, job_id, step)) for step in checkpoint_steps(data, job_id)]
    for step, _, folder in sorted([*paused, *saved], reverse=True):
        yield step, folder


def checked_points(
    data: Path, job_id: str, newest: float = math.inf
) -> Iterator[tuple[StoredResumePoint, str | None]]:
    """Yield a job's points from step ``newest`` backwards, each with its fault, or None if it is complete."""
    for step, folder in _folders(data, job_id):
        if step > newest:
            continue
        try:
            manifest, wrong = checked(folder, STATE), None
            if manifest.get("job") != job_id or manifest.get("step") != step:
                wrong = "it belongs to another job or step"
        except DamagedFolderError as error:
            manifest, wrong = {"format": 0, "files": {}}, str(error)
        yield StoredResumePoint(step, folder, manifest), wrong


def latest(data: Path, job_id: str) -> StoredResumePoint | None:
    """Return the newest point, judged by its manifest alone; its files are checked when it is read."""
    for step, folder in _folders(data, job_id):
        with contextlib.suppress(DamagedFolderError):
            manifest = manifest_of(folder)
            if manifest.get("job") == job_id and manifest.get("step") == step:
                return StoredResumePoint(step, folder, manifest)
    return None


def drop_later(data: Path, job_id: str, step: int) -> None:
    """Remove all points after ``step``: later steps are computed again."""
    for later in checkpoint_steps(data, job_id):
        if later > step:
            drop_checkpoint(data, job_id, later)
    for later in resume_steps(data, job_id):
        if later > step:
            drop_resume(data, job_id, later)


def drop_before(data: Path, job_id: str, step: int) -> None:
    """Remove the states saved at pauses before ``step``, which now has a point of its own."""
    for earlier in resume_steps(data, job_id):
        if earlier < step:
            drop_resume(data, job_id, earlier)


def drop_resume(data: Path, job_id: str, step: int) -> None:
    """Remove the state saved at a pause after ``step``."""
    shutil.rmtree(resume_folder(data, job_id, step), ignore_errors=True)
    with contextlib.suppress(OSError):  # removing the last one removes the folder, too
        resume_folder(data, job_id, step).parent.rmdir()
