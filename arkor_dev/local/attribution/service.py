"""Runs attributions on request: one at a time, in a separate worker, and never during training.

Each is a file in its job's folder, ``attribution/<id>.json``; the same question and answer have the same id.
A proof consists of two queued jobs, and is scored once both have ended. When a job starts, the running worker
is stopped and later restarted.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.run_names import LONGEST
from arkor_dev.contract.settings.evaluation import NO_SAMPLES
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.jobs.job_config import LEFT_OUT, left_out_of
from arkor_dev.local.jobs.job_folder import (
    attribution_file,
    attribution_ids,
    final_folder,
    job_folder,
    parent_folder,
    saved_folder,
)
from arkor_dev.local.jobs.repeatable import why_unrepeatable
from arkor_dev.local.jobs.store import Store, new_id
from arkor_dev.local.workers.codec import read_as
from arkor_dev.local.workers.service import WorkerService, WorkerTask

from .messages import Attributed, AttributionRecord, AttributionRequest, Proved, StoredProof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arkor_dev.contract.attribution import Attribution, Proof, Reliability
    from arkor_dev.contract.shapes import ChatMessage, Job
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.jobs.job_folder import JobFile
    from arkor_dev.local.models.catalog import Models

WORKER: Final = "arkor_dev.local.attribution.worker"
ROWS: Final = "rows"
"""The id of the search for contradicting rows, which a job has only once."""
QUIET: Final[Mapping[str, object]] = {"samples": NO_SAMPLES, "evaluations": [], "reportTo": None}
"""Fields that a proof's jobs don't need and that have no effect on their training."""
RESULT_FIELDS: Final = (
    "messages",
    "contradicting",
    "unproven",
    "answer",
    "adapter",
    "base",
    "learned",
    "rows",
    "close",
    "similar",
)


@dataclass(eq=False)
class AttributionTask(WorkerTask):
    """Work for a worker: ``name`` is the attribution's id, ``question`` has messages and answer."""

    job: Job
    name: str
    do: Literal["why", "rows", "prove"]
    question: AttributionRecord
    folders: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.job["id"], self.name


class Attributions(WorkerService[AttributionTask]):
    """Runs requested attributions in order. ``busy`` says whether a job is training; ``wake`` starts jobs.

    ``copy_parent`` copies a folder into a new job, which starts from it.
    """

    def __init__(
        self,
        store: AsyncStore,
        models: Models,
        data: Path,
        project: Path,
        busy: Callable[[], bool],
        wake: Callable[[], None],
        copy_parent: Callable[[Path, str, Path], None],
    ) -> None:
        super().__init__(busy)
        self._store, self._models = store, models
        self._data, self._project = data, project
        self._wake, self._copy_parent = wake, copy_parent

    # Called by the server

    async def request(self, job: Job, messages: list[ChatMessage] | None, answer: str | None) -> Attribution:
        """Request the attribution of an ended job's answer, or without one a search for contradicting rows.

        Raises ConflictError.
        """
        if job["status"] not in TERMINAL:
            raise ConflictError(f"The job {job['name']} is {job['status']}: ask why when it has ended")
        await asyncio.to_thread(saved_folder, self._data, job, None)
        do: Literal["why", "rows"] = "rows" if messages is None else "why"
        question: AttributionRecord = {}
        name = ROWS
        if messages is not None:
            question["messages"] = messages
            if answer is not None:
                question["answer"] = answer
            digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
            name = f"why_{digest[:16]}"
        task = self._tasks.get((job["id"], name))
        if (task is None or task.error) and await self._stored(job["id"], name) is None:
            self._start((job["id"], name), AttributionTask(job, name, do, question))
        return await self.state_of(job, name)

    async def state_of(self, job: Job, name: str) -> Attribution:
        """Return an attribution with the results so far. Raises NotFoundError."""
        stored, task = await self._stored(job["id"], name), self._tasks.get((job["id"], name))
        state: Attribution
        if stored is not None:
            state = {"id": name, "state": "completed"}
            state |= {key: stored[key] for key in RESULT_FIELDS if key in stored}  # type: ignore[typeddict-item]
            if name != ROWS:
                state["reliability"] = await asyncio.to_thread(self._reliability, job["id"])
            if "proof" in stored:
                state["proof"] = await self._proof(job, name, stored)
        elif task is not None:
            state = {"id": name, "state": task.state}
            if "messages" in task.question:
                state["messages"] = task.question["messages"]
            if "answer" in task.question:
                state["answer"] = task.question["answer"]
            if task.error:
                state["error"] = task.error
        else:
            raise NotFoundError(f"The job {job['name']} has no attribution {name}")
        if task and task.progress and not task.error:
            state["progress"] = task.progress
        return state

    async def prove(self, job: Job, name: str, rows: list[str] | None) -> Attribution:
        """Train the job again without ``rows`` (by default the proposed ones), and again without random ones.

        Raises NotFoundError or ConflictError.
        """
        stored = await self._stored(job["id"], name)
        if stored is None:
            raise NotFoundError(f"The job {job['name']} has no attribution {name}")
        if "proof" in stored and (await self._proof(job, name, stored))["state"] != "failed":
            return await self.state_of(job, name)
        ranked = stored["contradicting"] or stored["unproven"] if name == ROWS else stored.get("similar", [])
        config = await self._store.config_of(job)
        already = left_out_of(config)
        rows = [row for row in rows or [row["where"] for row in ranked] if row not in already]
        if not rows:
            raise ConflictError("There are no rows to train without: none stand out")
        if why := await asyncio.to_thread(why_unrepeatable, final_folder(self._data, job["id"])):
            raise ConflictError(f"The job {job['name']} {why}")
        sides = {"without": rows}
        if name != ROWS:  # contradicting rows are judged by the held-out rows
            others = (row["where"] for row in stored["random"])
            drawn = [row for row in others if row not in rows and row not in already][: len(rows)]
            if len(drawn) < len(rows):
                raise ConflictError("There are too few other rows to compare with")
            sides["random"] = drawn
        # A job that leaves rows out is compared with others that leave them out, too.
        digest = config["leftOut"]["hash"] if already else stored["hash"]
        config.pop("forgets", None)
        jobs = {}
        for side, left_out in sides.items():
            count = f"{len(rows)} {'random ' * (side == 'random')}{'row' if len(rows) == 1 else 'rows'}"
            job_id, parent = new_id(), parent_folder(self._data, job["id"])
            if parent.is_dir():
                await asyncio.to_thread(self._copy_parent, self._data, job_id, parent)
            of = {**config, **QUIET, LEFT_OUT: {"rows": [*already, *left_out], "hash": digest}}
            title = f"{job['name'][: LONGEST - 40]} without {count}"
            created = await self._store.request(Store.create, title, of, None, job.get("parent"), job_id)
            jobs[side] = created["id"]
        await self._keep(job["id"], name, {**stored, "proof": {"jobs": jobs, "rows": rows}})
        self._wake()
        return await self.state_of(job, name)

    def drop(self, job_id: str) -> None:
        """Cancel and forget the requests for a job."""
        for task in [task for task in self._tasks.values() if task.job["id"] == job_id]:
            self._drop(task.key)

    # Internal

    async def _stored(self, job_id: str, name: str) -> AttributionRecord | None:
        file = attribution_file(job_folder(self._data, job_id), f"{name}.json")
        return await asyncio.to_thread(_record, file) if name in await self._names(job_id) else None

    async def _names(self, job_id: str) -> list[str]:
        return await asyncio.to_thread(attribution_ids, self._data, job_id)

    async def _keep(self, job_id: str, name: str, value: AttributionRecord) -> None:
        file = attribution_file(job_folder(self._data, job_id), f"{name}.json")
        await asyncio.to_thread(file.write_json, value)

    def _reliability(self, job_id: str) -> Reliability:
        """Count the job's completed proofs, and how many of them confirmed the proposed rows."""
        proofs = confirmed = 0
        for name in attribution_ids(self._data, job_id):
            stored = _record(attribution_file(job_folder(self._data, job_id), f"{name}.json"))
            proof = stored.get("proof") if stored else None
            if not stored or not proof or "without" not in proof or "random" not in proof:
                continue
            if proof["rows"] != [row["where"] for row in stored.get("similar", ())]:
                continue
            proofs += 1
            confirmed += proof["without"]["logp"] < proof["random"]["logp"]
        return {"proofs": proofs, "confirmed": confirmed}

    async def _proof(self, job: Job, name: str, stored: AttributionRecord) -> Proof:
        """Return the proof with its state; have it scored once both jobs have ended."""
        proof: Proof = {"state": "completed", **stored["proof"]}  # type: ignore[typeddict-item]
        if "without" in proof:
            return proof
        task = self._tasks.get((job["id"], name))
        if task and task.do == "prove":
            return _failed(proof, task.error) if task.error else {**proof, "state": "scoring"}
        for job_id in proof["jobs"].values():
            proof_job = await self._store.read(Store.get, job_id)
            if proof_job is None:
                return _failed(proof, "One of its jobs was deleted")
            if proof_job["status"] not in TERMINAL:
                return {**proof, "state": "training"}
            if proof_job["status"] != "completed":
                why = proof_job.get("error") or f"it was {proof_job['status']}"
                return _failed(proof, f"The job {proof_job['name']} has no result: {why}")
        if name == ROWS:
            return proof
        jobs = {"trained": job["id"], **proof["jobs"]}
        folders = {side: str(final_folder(self._data, of)) for side, of in jobs.items()}
        question: AttributionRecord = {"messages": stored["messages"], "answer": stored["answer"]}
        self._start((job["id"], name), AttributionTask(job, name, "prove", question, folders))
        return {**proof, "state": "scoring"}

    async def _work(self, task: AttributionTask) -> None:
        """Run a task in a worker and keep its result. Raises JobFailure if it ends without one."""
        job_id = task.job["id"]
        config = await self._store.config_of(task.job)
        model = await self._models.ensure(config["model"], task.tell)
        async with self._worker(task, WORKER) as child:
            job = JobRequest(job_id, config, str(self._data), str(self._project))
            child.send(
                AttributionRequest(
                    job,
                    task.do,
                    messages=task.question.get("messages", []),
                    answer=task.question.get("answer"),
                    folders=task.folders,
                )
            )
            child.send(model)
            reply = Proved if task.do == "prove" else Attributed
            result = await child.result(reply, "The attributing process", task.tell)
        if self._tasks.get((job_id, task.name)) is not task:
            return  # the job has been deleted meanwhile
        match result:
            case Attributed(found):
                await self._keep(job_id, task.name, {**task.question, **found})
            case Proved(scores):
                if stored := await self._stored(job_id, task.name):
                    proof: StoredProof = {**stored["proof"], **scores}  # type: ignore[typeddict-item]
                    await self._keep(job_id, task.name, {**stored, "proof": proof})
        del self._tasks[job_id, task.name]


def _record(file: JobFile) -> AttributionRecord | None:
    """Read a finished attribution; None if it is missing or damaged."""
    try:
        return read_as(AttributionRecord, file.read_json())
    except (ValueError, RecursionError):
        return None


def _failed(proof: Proof, error: str) -> Proof:
    return {**proof, "state": "failed", "error": error}
