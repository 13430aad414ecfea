"""Writes a run's checkpoints and resume points, and removes those no longer needed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.contract.events import CHECKPOINT_REMOVED, CHECKPOINT_SAVED, CheckpointRemoved, CheckpointSaved
from arkor_dev.contract.units import format_bytes
from arkor_dev.local.jobs.atomic_folder import DiskFullError, write_atomically
from arkor_dev.local.jobs.disk import disk_shortage
from arkor_dev.local.jobs.job_folder import (
    checkpoint_folder,
    checkpoint_steps,
    describe,
    drop_checkpoint,
    final_folder,
    kind_of,
    resume_folder,
)
from arkor_dev.local.models.downloads import size_of

from .resume_points import drop_before
from .state import write_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import Artifact
    from arkor_dev.local.jobs.atomic_folder import ExtraFiles, ManifestFacts, RunOrigin

    from .figures import Best


MORE_ROOM: Final = 256 << 20
"""Bytes that must be free in addition to the size of a failed write before it is tried again."""


class NoSpaceError(Exception):
    """Not enough disk space; ``str()`` says so for the user.

    ``needs`` is how many bytes must be free before another attempt makes sense, if known.
    """

    def __init__(self, text: str, needs: int | None = None) -> None:
        super().__init__(text)
        self.needs = needs


class CheckpointWriter:
    """Writes one job's checkpoints, resume points and result to disk while it trains.

    ``limit`` is the maximum number of checkpoints kept, the newest ones and that of the ``best`` evaluation;
    None for all. ``emit`` sends an event, ``on_resumable`` is called with each step that the job can resume
    from, and ``origin`` returns the inputs that the run depends on. ``describe_files`` writes an adapter's
    card and provenance into its folder, given its files, ``final`` or ``checkpoint``, and the step. ``step``
    is the newest step that can be resumed from, None before the first.
    """

    def __init__(
        self,
        data: Path,
        job_id: str,
        limit: int | None,
        emit: Callable[[CheckpointSaved | CheckpointRemoved], None],
        on_resumable: Callable[[int], None],
        origin: Callable[[], RunOrigin],
        describe_files: Callable[..., None] = lambda *_: None,
        best: Best | None = None,
    ) -> None:
        self._best = best
        self._data, self._job, self._limit = data, job_id, limit
        self._emit, self._on_resumable, self._origin, self._describe = (
            emit,
            on_resumable,
            origin,
            describe_files,
        )
        self.step: int | None = None

    def checkpoint(self, step: int, write: Callable[[Path], None]) -> None:
        """Create a checkpoint: weights by ``write``, and the training state. Raises NoSpaceError."""
        if short := disk_shortage(self._data):
            raise NoSpaceError(short)
        folder = checkpoint_folder(self._data, self._job, step)
        size = self._write(
            folder, step, write, lambda *arguments: self._describe(*arguments, "checkpoint", step)
        )
        artifact = describe("checkpoint", f"step {step}", folder, size, step)
        self._emit(CheckpointSaved(type=CHECKPOINT_SAVED, step=step, artifacts=[artifact]))
        if self._limit:
            for earlier in checkpoint_steps(self._data, self._job)[: -self._limit]:
                if self._best is None or earlier != self._best.step:
                    drop_checkpoint(self._data, self._job, earlier)
                    self._emit(CheckpointRemoved(type=CHECKPOINT_REMOVED, step=earlier))
        self._keep(step)

    def final(self, step: int, write: Callable[[Path], None]) -> Artifact:
        """Fill the final folder by ``write`` after ``step``; return its ``Artifact``. Raises NoSpaceError."""
        folder = final_folder(self._data, self._job)
        size = self._write(folder, step, write, lambda *arguments: self._describe(*arguments, "final", step))
        return describe(kind_of(folder), "final", folder, size)

    def best(self, final_step: int) -> list[Artifact]:
        """Return the contract's ``Artifact`` of the best checkpoint, if that is not ``final_step``."""
        step = self._best.step if self._best else 0
        if step in (0, final_step) or not self.has_checkpoint(step):
            return []
        folder = checkpoint_folder(self._data, self._job, step)
        return [describe("checkpoint", "best", folder, size_of(folder), step)]

    def point(self, step: int, state: Callable[[], Mapping[str, object]]) -> None:
        """Save the state after ``step``, unless a checkpoint contains it already. Raises NoSpaceError."""
        if self.step != step:
            folder = resume_folder(self._data, self._job, step)
            self._write(folder, step, lambda folder: write_state(folder, state()))
            self._keep(step)

    def has_checkpoint(self, step: int) -> bool:
        return checkpoint_folder(self._data, self._job, step).is_dir()

    def _write(
        self, folder: Path, step: int, write: Callable[[Path], None], describe_files: ExtraFiles | None = None
    ) -> int:
        facts: ManifestFacts = {"job": self._job, "step": step, "origin": self._origin()}
        try:
            return write_atomically(folder, write, facts, describe_files)
        except DiskFullError:
            free = shutil.disk_usage(self._data).free
            needs = free + MORE_ROOM
            raise NoSpaceError(
                f"The disk is full: the state of step {step} could not be written with {format_bytes(free)} "
                f"free. The job resumes when {format_bytes(needs)} are free. {MAKE_ROOM}",
                needs,
            ) from None

    def _keep(self, step: int) -> None:
        drop_before(self._data, self._job, step)
        self.step = step
        self._on_resumable(step)
