"""Determines how a job resumes: from which points, whether data and model are unchanged, and what may differ.

As much as possible is checked before torch is imported, so that a job that cannot resume fails at once.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.local.jobs.atomic_folder import RunOrigin
from arkor_dev.local.workers.errors import JobFailure

from . import origin
from .resume_points import ResumePlan, StoredResumePoint, checked_points, drop_later

if TYPE_CHECKING:
    from arkor_dev.local.execution.messages import JobRequest, ResumeOptions


@dataclass
class Continuation:
    """A start of a job, the first or a later one.

    ``options``, empty at the first start, are ``{why, kept, force?, further?, restart?}``: a sentence for the
    user, the newest step that it may resume from, whether changed data or model are allowed, the last step
    before it was extended, and the step after which the schedule restarted. ``passed`` are sentences about
    incomplete points that were skipped.
    """

    job: JobRequest
    origin: RunOrigin = field(default_factory=RunOrigin)
    passed: list[str] = field(default_factory=list)
    _hashing: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.options: ResumeOptions = self.job.resume or {}
        self.points: list[StoredResumePoint] = []
        data, job_id = Path(self.job.data), self.job.id
        # The database does not know a point saved at the moment of a crash: events of the steps before it may
        # be lost.
        newest = self.options.get("kept", 0)
        for point, wrong in checked_points(data, job_id, newest) if self.options else ():
            if wrong is None:
                self.points.append(point)
            elif not self.points:
                self.passed.append(f"{point.name} is skipped, since it is incomplete: {wrong}")
        if self.options and not self.points:
            drop_later(data, job_id, -1)

    @property
    def restart_reason(self) -> str | None:
        """Return why a job that should resume starts from the beginning; None if it resumes."""
        if not self.options or self.points:
            return None
        again = "starts again" if self.job.config.get("forgets") else "starts from the beginning"
        return f"{self.options['why']} It {again}."

    @property
    def before(self) -> RunOrigin:
        """Return the inputs that the run depended on before; empty at its first start."""
        return self.points[0].origin if self.points else {}

    @property
    def threads(self) -> int | None:
        """Return the number of threads that the run used before, if this machine has that many."""
        # With a different number of threads, sums are in a different order and round differently.
        threads, available = self.before.get("threads"), os.cpu_count() or 1
        return threads if type(threads) is int and 0 < threads <= available else None

    def hash_files(self, model: Path, second: Path | None = None) -> None:
        """Start hashing the files of the data, of ``model`` and of a ``second`` one, once.

        It takes seconds for a large model.
        """
        job, data = self.job, Path(self.job.data)

        def hash_all() -> None:
            self.origin.update(origin.files(job.config, Path(job.project), model, data, second))

        self._hashing = threading.Thread(target=hash_all, name="hashes", daemon=True)
        self._hashing.start()

    def depends_on(self) -> RunOrigin:
        """Return the inputs that bit-exactness depends on, once all of them are known."""
        if self._hashing:
            self._hashing.join()
        return self.origin

    def resume_plan(self) -> ResumePlan | None:
        """Return the plan for resuming the run, None for a first start. Requires the run's ``origin``.

        Raises JobFailure if data or model have changed, unless that is allowed.
        """
        unchanged = not self.job.config.get("adjusted") and self.options.get("further") is None
        if not self.points:
            self.origin["consistent"] = unchanged
            return None
        before, now = self.before, self.depends_on()
        changes = origin.changed(before, now)
        if changes and not self.options.get("force"):
            raise JobFailure(
                f"The job does not resume after step {self.points[0].step}: {', and '.join(changes)}. "
                "Restore the original, or resume anyway with force"
            )
        resume_plan = ResumePlan(self.points, self.options["why"], self.passed, self.options.get("further"))
        differences = origin.differences(before, now)
        same = [before.get(key) == now.get(key) for key in ("format", "versions")]
        # From here on, all later points and the result say so: the points before may be removed.
        self.origin["consistent"] = (
            unchanged and before.get("consistent") is True and not differences and all(same)
        )
        if differences:
            differs = "The result may differ from an uninterrupted run"
            return replace(resume_plan, message=f"{resume_plan.message} {differs}: {', '.join(differences)}.")
        return resume_plan
