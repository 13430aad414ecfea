"""The points that a job can go on from: its checkpoints, and what was kept at a pause or at its end.

A checkpoint is an adapter that can be talked to, with the state of the training beside it. What is kept at a
pause or at the end is that state alone. Of all points the newest one that is whole counts.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arkor_dev.local.jobs.job_folder import (
    CHECKPOINTS,
    STATE,
    checkpoint_folder,
    checkpoint_steps,
    drop_checkpoint,
    resume_folder,
    resume_steps,
)
from arkor_dev.local.jobs.whole_folder import NotWholeError, checked, manifest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """What a training was after ``step``. ``manifest`` has its ``origin``."""

    step: int
    folder: Path
    manifest: dict[str, Any]

    @property
    def origin(self) -> dict[str, Any]:
        """What the run depended on; empty where that was not kept."""
        origin = self.manifest.get("origin")
        return origin if isinstance(origin, dict) else {}

    @property
    def name(self) -> str:
        """How a person is told of it."""
        return (
            f"The {'checkpoint' if self.folder.parent.name == CHECKPOINTS else 'state'} of step {self.step}"
        )


@dataclass(frozen=True, slots=True)
class ResumeOrder:
    """A run goes on from the newest of ``points`` that can be read. ``message`` says why, for a person.

    ``passed`` are sentences on points that are not whole. ``further``: the end that it had before it was
    given a later one.
    """

    points: Sequence[ResumePoint]
    message: str
    passed: Sequence[str] = ()
    further: int | None = None


def _folders(data: Path, job_id: str) -> Iterator[tuple[int, Path]]:
    """Every point, the newest first; at the same step what was kept at a pause comes first."""
    kept = [(step, 1, resume_folder(data, job_id, step)) for step in resume_steps(data, job_id)]
    saved = [(step, 0, checkpoint_folder(data, job_id, step)) for step in checkpoint_steps(data, job_id)]
    for step, _, folder in sorted([*kept, *saved], reverse=True):
        yield step, folder


def whole_points(
    data: Path, job_id: str, newest: float = math.inf
) -> Iterator[tuple[ResumePoint, str | None]]:
    """Every point of a job, from that of step ``newest`` back, with what is wrong with it.

    That is None where it is whole.
    """
    for step, folder in _folders(data, job_id):
        if step > newest:
            continue
        try:
            manifest, wrong = checked(folder, STATE), None
            if manifest.get("job") != job_id or manifest.get("step") != step:
                wrong = "it belongs to another job or step"
        except NotWholeError as error:
            manifest, wrong = {}, str(error)
        yield ResumePoint(step, folder, manifest), wrong


def latest(data: Path, job_id: str) -> ResumePoint | None:
    """The newest point by its manifest alone: whether its files are whole shows when it is read."""
    for step, folder in _folders(data, job_id):
        with contextlib.suppress(NotWholeError):
            manifest = manifest_of(folder)
            if manifest.get("job") == job_id and manifest.get("step") == step:
                return ResumePoint(step, folder, manifest)
    return None


def drop_later(data: Path, job_id: str, step: int) -> None:
    """Remove all points after ``step``: the steps up to them are made again."""
    for later in checkpoint_steps(data, job_id):
        if later > step:
            drop_checkpoint(data, job_id, later)
    for later in resume_steps(data, job_id):
        if later > step:
            drop_resume(data, job_id, later)


def drop_before(data: Path, job_id: str, step: int) -> None:
    """Remove what was kept at pauses before ``step``, of which there is a point by now."""
    for earlier in resume_steps(data, job_id):
        if earlier < step:
            drop_resume(data, job_id, earlier)


def drop_resume(data: Path, job_id: str, step: int) -> None:
    """Remove what was kept at a pause after ``step``."""
    shutil.rmtree(resume_folder(data, job_id, step), ignore_errors=True)
    with contextlib.suppress(OSError):  # the last one takes the folder with it
        resume_folder(data, job_id, step).parent.rmdir()
