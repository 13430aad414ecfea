"""The fake backend's features ``pause``, ``resume``, ``adjust``, ``extend`` and ``parent``, with checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import RefusedError, number, parsed, whole, wrong
from .fake_order import OVER

if TYPE_CHECKING:
    from .fake_backend import FakeBackend

ENDINGS = ("training.completed", "training.failed", "training.cancelled", "training.paused")


class Resuming:
    """Where jobs stand and go on.

    ``changed`` says of a job what is other than it was when it stood; ``points`` after which step it goes on
    when it begins again.
    """

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.changed: dict[str, str] = {}
        self.points: dict[str, int] = {}

    def routes(self) -> dict[str, list[web.RouteDef]]:
        """The routes of the features."""
        job = "/v1/jobs/{id}"
        calls = {"pause": self._pause, "resume": self._resume, "adjust": self._adjust, "extend": self._extend}
        return {name: [web.post(f"{job}/{name}", call)] for name, call in calls.items()}

    # --- what a trainer does ----------------------------------------------------------------------------

    def pause(self, job_id: str, reason: str = "asked", **more: Any) -> None:
        """The job stands after its last step; ``message`` and what else its event says are in ``more``."""
        step = self.last_step(job_id)
        self._fake.emit(job_id, "training.paused", step=step, reason=reason, **more)
        said = {key: more[key] for key in ("message",) if key in more}
        self._fake.jobs[job_id].update(status="paused", pause={"step": step, "reason": reason, **said})

    def go_on(self, job_id: str, step: int, **more: Any) -> None:
        """The job goes on after ``step``: later steps, and an end or a pause, are history no more.

        Nor is what has no step and was said behind the last event that stays.
        """
        frames = self._fake.frames[job_id]
        events = [_event_of(frame) for _, frame in frames]
        over = [event.get("type") in ENDINGS or event.get("step", 0) > step for event in events]
        later = over.index(True) if True in over else len(over)
        stay = [
            place
            for place, event in enumerate(events[:later])
            if event.get("type") != "system.metrics" and event.get("step", step + 1) <= step
        ]
        first = stay[-1] + 1 if stay else later
        for place in range(first if step else 0, len(frames)):
            event = events[place]
            kept = event.get("type") == "training.started" or event.get("step", step + 1) <= step
            if over[place] or not kept or not step:
                # Its id is not used again, so that a stream can resume after it.
                frames[place] = (frames[place][0], b"")
        checkpoints = self._fake.checkpoints[job_id]
        checkpoints -= {saved for saved in checkpoints if saved > step}
        self._fake.emit(job_id, "training.resumed", step=step, **more)

    def last_step(self, job_id: str) -> int:
        """The last step that the job's history tells."""
        rows = (_event_of(frame) for _, frame in reversed(self._fake.frames[job_id]))
        return next((row["step"] for row in rows if row.get("type") == "training.log"), 0)

    def over(self, job_id: str) -> None:
        """The job has ended: say after which step it could go on."""
        job = self._fake.jobs[job_id]
        whole_run = job["status"] == "completed"
        kept = [self.last_step(job_id)] if whole_run else sorted(self._fake.checkpoints[job_id])
        if kept and {"resume", "extend"} & set(self._fake.features or ()):
            job["resumable"] = kept[-1]

    # --- calls ------------------------------------------------------------------------------------------

    async def _pause(self, request: web.Request) -> web.Response:
        job = self._fake.job_of(request)
        if job["status"] != "running":
            raise RefusedError(409, f"The job is {job['status']}: there is nothing to pause.")
        self.pause(job["id"])
        return web.json_response({"job": job})

    async def _resume(self, request: web.Request) -> web.Response:
        job, body = self._fake.job_of(request), parsed(await request.read() or b"{}")
        force = _force(body)
        standing = job["status"] == "paused" or (job["status"] in OVER[1:] and "resumable" in job)
        if not standing:
            raise RefusedError(409, f"The job is {job['status']} and cannot resume.")
        point = job["pause"]["step"] if job["status"] == "paused" else job["resumable"]
        return self._queue(job, point, force=force)

    async def _adjust(self, request: web.Request) -> web.Response:
        job, body = self._fake.job_of(request), parsed(await request.read())
        force, settings = _force(body), body.get("settings")
        if not isinstance(settings, dict) or not settings:
            wrong("settings has to be an object.")
        if settings.keys() & {"model", "loraR", "batchSize"}:
            wrong("A job keeps its model, adapter and batches.")
        if job["status"] not in ("running", "paused") and (
            job["status"] not in OVER[1:] or "resumable" not in job
        ):
            raise RefusedError(409, f"The job is {job['status']} and cannot continue.")
        before = job["config"]
        differing = {field: [before.get(field), value] for field, value in settings.items()}
        differing = {field: pair for field, pair in differing.items() if pair[0] != pair[1]}
        if not differing:
            wrong("The job has these settings already.")
        if job["status"] == "running":
            self.pause(job["id"], "adjusting")
        step = job["pause"]["step"] if job["status"] == "paused" else job["resumable"]
        answer = self._queue(job, step, force=force)
        merged = {**before, **settings}
        job["config"] = {
            **{field: value for field, value in merged.items() if value is not None},
            "adjusted": [*before.get("adjusted", ()), {"step": step, "settings": differing}],
        }
        return web.json_response({"job": job}) if answer.status == 200 else answer

    async def _extend(self, request: web.Request) -> web.Response:
        job, body = self._fake.job_of(request), parsed(await request.read())
        force = _force(body)
        if len(body.keys() & {"maxSteps", "numTrainEpochs"}) != 1:
            wrong("Either maxSteps or numTrainEpochs is the new end.")
        whole(body, "maxSteps", 1)
        number(body, "numTrainEpochs", 1e-9)
        if body.get("schedule", "continue") not in ("continue", "restart"):
            wrong("schedule is not known.")
        if job["status"] != "completed" or "resumable" not in job:
            raise RefusedError(409, f"The job is {job['status']} and cannot be extended.")
        if body.get("maxSteps", job["resumable"] + 1) <= job["resumable"]:
            wrong(f"The job has {job['resumable']} steps already.")
        if body.get("numTrainEpochs", 1e9) <= job["config"].get("numTrainEpochs", 0):
            wrong("The job has as many epochs already.")
        answer = self._queue(job, job["resumable"], force=force)
        job["config"] = {
            key: value for key, value in job["config"].items() if key not in ("maxSteps", "numTrainEpochs")
        } | {key: body[key] for key in ("maxSteps", "numTrainEpochs") if key in body}
        return answer

    def _queue(self, job: dict[str, Any], point: int, *, force: bool) -> web.Response:
        changed = self.changed.get(job["id"])
        if changed and not force:
            raise RefusedError(409, changed, changed=True)
        for key in ("pause", "completedAt", "error", "resumable"):
            job.pop(key, None)
        job["status"] = "queued"
        if self._fake.has("queue"):
            job["queue"] = {"position": 0, "behind": None}  # before all others
        self.points[job["id"]] = point
        self._fake.created(job["id"])
        return web.json_response({"job": job})

    def parent_of(self, body: dict[str, Any]) -> dict[str, Any]:
        """What a new job says of the one that it begins from; empty where it begins from none."""
        parent = body.get("parent")
        if parent is None or not self._fake.has("parent"):
            return {}
        if not isinstance(parent, dict) or not isinstance(parent.get("jobId"), str):
            wrong("parent has to name a job.")
        whole(parent, "step", 1)
        other, step = self._fake.jobs.get(parent["jobId"]), parent.get("step")
        if other is None:
            raise RefusedError(404, "No such job.")
        if step is None and other["status"] == "completed":
            step = self.last_step(other["id"])
        elif step not in self._fake.checkpoints[other["id"]]:
            raise RefusedError(404, "This job has no such checkpoint.")
        if other["config"].get("model") != body["config"].get("model"):
            raise RefusedError(409, f"The adapter is one of {other['config'].get('model')}.")
        return {"parent": {"jobId": other["id"], "step": step, "name": other["name"]}}


def _force(body: dict[str, Any]) -> bool:
    force = body.get("force", False)
    if not isinstance(force, bool):
        wrong("force has to be true or false.")
    return force


def _event_of(frame: bytes) -> dict[str, Any]:
    try:
        event = json.loads(frame.partition(b"\ndata: ")[2] or b"{}")
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
