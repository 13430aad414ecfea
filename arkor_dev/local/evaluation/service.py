"""Evaluations on request: of completed jobs, of their checkpoints, and comparisons of two.

They run one at a time in a separate worker, and never during training: when a job starts, the running
evaluation is stopped and later restarted. Results are stored in the job's folder (``results``).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError, ConflictError
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.data.sources import REPLAY, SourceError, file_like, inside, parts_of
from arkor_dev.local.execution.messages import Ended, Evaluated, JobRequest, SavedModel, TrainingEvent
from arkor_dev.local.jobs.job_folder import job_folder, saved_folder
from arkor_dev.local.jobs.peer_adapter import ELSEWHERE
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.modeling.adapter_abilities import why_full_strength_only
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.service import WorkerService, WorkerTask

from . import results
from .adapter_pairs import compare, compare_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.shapes import (
        Evaluation,
        EvaluationPart,
        EvaluationResult,
        Job,
        JobConfig,
        JobEvaluating,
    )
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.models.catalog import Models

    from .adapter_pairs import Compared

WORKER: Final = "arkor_dev.local.training.worker"


@dataclass(eq=False)
class EvaluationTask(WorkerTask):
    """A requested evaluation of ``folder``, the checkpoint of ``step`` or the final adapter.

    It runs on the job's held-out rows, or on the project's file ``data``. With ``strengths``, the adapter is
    measured at several strengths, and its base is not measured again.
    """

    job: Job
    folder: Path
    step: int | None
    data: str | None = None
    strengths: bool = False


class Evaluations(WorkerService[EvaluationTask]):
    """Runs requested evaluations in the order of requests. ``busy`` says whether a job is training."""

    def __init__(
        self, store: AsyncStore, models: Models, data: Path, project: Path, busy: Callable[[], bool]
    ) -> None:
        super().__init__(busy)
        self._store, self._models = store, models
        self._data, self._project = data, project

    # Called by the server

    async def request(
        self,
        job: Job,
        step: int | None,
        data: str | None = None,
        *,
        force: bool = False,
        strengths: bool = False,
    ) -> None:
        """Request the evaluation of an ended job, on its held-out rows or on the project's file ``data``.

        ``force`` accepts data that have changed since training. Raises ConflictError, NotFoundError, or
        BadRequestError for a missing file.
        """
        if job["status"] not in TERMINAL:
            raise ConflictError(f"The job {job['name']} is {job['status']}: evaluate it when it has ended")
        before = self._tasks.get(job["id"])
        if before and not before.error:
            raise ConflictError(f"The job {job['name']} is being evaluated already")
        folder = await asyncio.to_thread(saved_folder, self._data, job, step)
        if data is not None:
            try:
                await asyncio.to_thread(inside, self._project, data)
            except SourceError as fault:
                raise BadRequestError(f"data: {fault}") from None
        elif not force:
            await asyncio.to_thread(self._check_data, job)
        self._start(job["id"], EvaluationTask(job, folder, step, data, strengths))

    async def request_strengths(self, job: Job, *, force: bool = False) -> None:
        """Request the losses of a job's final adapter at several strengths, on the rows of its verdict.

        Raises ConflictError for an adapter that works only at full strength, and for a job whose verdict
        lacks the losses of either kind of rows.
        """
        evaluation = job.get("evaluation")
        task, general = (evaluation.get("heldOut"), evaluation.get("general")) if evaluation else (None, None)
        measure = task.get("measure") if task else None
        if not task or not general or (measure and measure.get("higher")) or "preferred" in task:
            raise ConflictError(
                f"The job {job['name']} has no losses on held-out rows and general questions to compare "
                "with: evaluate it first"
            )
        folder = await asyncio.to_thread(saved_folder, self._data, job, None)
        if why := await asyncio.to_thread(why_full_strength_only, folder):
            raise ConflictError(f"The adapter of {job['name']} has no other strengths: {why}")
        await self.request(job, None, force=force, strengths=True)

    def state_of(self, job_id: str) -> JobEvaluating | None:
        """Return the progress of a job's evaluation; None if none was requested or the last has finished."""
        task = self._tasks.get(job_id)
        if task is None:
            return None
        state: JobEvaluating = {"state": task.state}
        if task.error:
            state["error"] = task.error
        if task.step is not None:
            state["step"] = task.step
        if task.data is not None:
            state["data"] = task.data
        if task.child and task.progress:
            state["progress"] = task.progress
        return state

    def result(self, job_id: str, step: int | None, data: str | None = None) -> EvaluationResult | None:
        """Read the stored result from its file; None if there is none."""
        stored = results.result(job_folder(self._data, job_id), step, data)
        if stored is None:
            return None
        result: EvaluationResult = {"evaluation": stored["evaluation"], "rows": stored["rows"]}
        if stored["answers"]:
            result["answers"] = stored["answers"]
        return result

    async def compare(
        self, first_run: Compared, second_run: Compared, data: str | None = None
    ) -> EvaluationPart:
        """Compare ``first_run`` as the adapter with ``second_run`` as the base; see ``adapter_pairs``."""
        return await compare(self._data, first_run, second_run, data)

    async def compare_settings(self, first_job: Job, second_job: Job) -> EvaluationPart:
        """Compare the settings of two jobs, whose runs are paired by seed; see ``adapter_pairs``."""
        jobs = json.loads(await self._store.read(Store.listing))["jobs"]
        return await compare_settings(self._data, first_job, second_job, jobs)

    def drop(self, job_id: str) -> None:
        """Cancel and forget requests for a job."""
        self._drop(job_id)

    # Internal

    def _check_data(self, job: Job) -> None:
        """Raise if the data have changed, since the held-out rows depend on the data used in training."""
        sources = job["config"].get("datasetSource"), job["config"].get("evalDatasetSource")
        began = datetime.fromisoformat(job.get("startedAt") or job["createdAt"]).timestamp()
        for part in (part for source in sources if source for part in parts_of(source)):
            if part["type"] != "file":
                continue
            try:
                files = inside(self._project, part["path"])
            except SourceError as fault:
                raise ConflictError(f"Its held-out rows are gone: {fault}") from None
            if changed := next((file for file in files if file.stat().st_mtime > began), None):
                raise ConflictError(
                    f"{changed.name} has changed since this job started: its held-out rows may be "
                    "different now, or rows that it was trained on",
                    changed=True,
                )

    async def _work(self, task: EvaluationTask) -> None:
        evaluation = await self._evaluate(task)
        elsewhere = task.job["config"].get(ELSEWHERE) is True  # these are its only held-out rows
        if task.step is None and (task.data is None or elsewhere):
            await self._store.write(Store.keep_evaluation, task.job["id"], evaluation)
        if self._tasks.get(task.job["id"]) is task:
            del self._tasks[task.job["id"]]

    async def _evaluate(self, task: EvaluationTask) -> Evaluation:
        """Measure in a worker. Raises JobFailure if it ends without a result."""
        job_id = task.job["id"]
        config = await self._store.config_of(task.job)
        if task.data is not None:
            config = _on_file(config, task.data)

        model = await self._models.ensure(config["model"], task.tell)
        async with self._worker(task, WORKER) as child:
            saved = SavedModel(
                str(task.folder), task.step, task.data, task.strengths, config.get(ELSEWHERE) is True
            )
            child.send(JobRequest(job_id, config, str(self._data), str(self._project), evaluate=saved))
            child.send(model)
            kinds = (Evaluated, Ended, TrainingEvent)
            async for message in child.replies(kinds, "The evaluating process", task.tell):
                match message:
                    case Evaluated(evaluation):
                        return evaluation
                    case Ended(event):
                        raise JobFailure(event.get("error", "It was ended"))
            raise AssertionError("replies never end by themselves")


def _on_file(config: JobConfig, data: str) -> JobConfig:
    """Return a job's config with its data replaced by the file ``data``, read in the same form."""
    own = config.get("evalDatasetSource") or config["datasetSource"]
    source = file_like(own, data)
    # Nothing is trained, so settings for evaluations during a run do not apply.
    return {
        **config,
        "evalSteps": 1,
        "earlyStoppingPatience": None,
        "stopWhen": None,
        "packing": False,
        "dryRun": False,
        "evaluations": [],
        REPLAY: None,
        "datasetSource": source,
        "evalDatasetSource": source,
    }
