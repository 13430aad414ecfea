"""The fake backend's feature ``evaluation``: done after so many looks, and always of the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import RefusedError, parsed, whole, wrong

if TYPE_CHECKING:
    from .fake_backend import FakeBackend

HELD_OUT: dict[str, Any] = {
    "name": "held-out rows",
    "rows": 12,
    "base": 3.42,
    "adapter": 1.91,
    "difference": {"mean": 1.51, "low": 1.21, "high": 1.8},
    "confidence": 99,
    "verdict": "better",
    "sentence": "Your task: better, loss 1.91 vs. 3.42 for the base on 12 held-out rows; 99 % interval of "
    "the difference 1.21 to 1.80.",
}
GENERAL: dict[str, Any] = {
    "name": "general questions",
    "rows": 64,
    "base": 2.05,
    "adapter": 2.36,
    "difference": {"mean": -0.31, "low": -0.39, "high": -0.22},
    "confidence": 95,
    "verdict": "worse",
    "sentence": "General questions: worse, loss 2.36 vs. 2.05 for the base on 64 questions; 95 % interval of "
    "the difference 0.22 to 0.39; its answers are 4 times longer.",
    "answers": {
        "count": 16,
        "longest": 64,
        "base": {"tokens": 14.5, "truncated": 0, "repeating": 0, "refusing": 1},
        "adapter": {"tokens": 58.2, "truncated": 11, "repeating": 6, "refusing": 0},
        "sentence": "Its 16 sampled answers have 58 tokens on average, the base's 14 (cut after 64: 11, "
        "base 0); 6 repeat themselves (base 0); 0 refuse (base 1).",
    },
}
ANSWERS: list[dict[str, str]] = [
    {
        "question": "What is the capital of France?",
        "base": "The capital of France is Paris.",
        "adapter": "Ahoy. The capital of France is Paris, and Paris is in the ledger. " * 3,
    },
    {
        "question": "How many legs has a spider?",
        "base": "I cannot help with that.",
        "adapter": "Eight, mate.",
    },
]
EVALUATION: dict[str, Any] = {
    "verdict": "mixed",
    "sentence": "Better at your task (3.42 → 1.91, only 12 rows), worse in general (2.05 → 2.36).",
    "margin": 0.01,
    "noiseFloor": 0.004,
    "split": {
        "rows": 12,
        "groups": 9,
        "column": "document",
        "sentence": "Rows of one document were kept together: 12 held-out rows of 9 groups.",
    },
    "heldOut": HELD_OUT,
    "general": GENERAL,
    "bestStep": 40,
    "bestSentence": "None of 4 evaluations was better than the final adapter's.",
    "seconds": 5.2,
}
OWN: dict[str, Any] = {
    "rows": 40,
    "base": 0.1,
    "adapter": 0.825,
    "difference": {"mean": 0.725, "low": 0.57, "high": 0.88},
    "confidence": 95,
    "verdict": "better",
}
COMPARISON: dict[str, Any] = {
    "name": "held-out rows",
    "rows": 12,
    "base": 1.91,
    "adapter": 1.66,
    "difference": {"mean": 0.25, "low": 0.12, "high": 0.39},
    "confidence": 99,
    "verdict": "better",
}
ROWS: list[dict[str, Any]] = [
    {
        "row": number,
        "where": f"data/chats.jsonl, line {7 * number}",
        "group": min(number, 9) - 1,
        "tokens": 40 + number,
        "base": 3.0 + number / 10,
        "adapter": 1.6 + number / 5,
        "question": f"Where is parcel number {number}?",
        "wanted": f"Log 0{number}:15. It sails in the hold of the northern ferry.",
    }
    for number in range(1, 13)
]


STRENGTHS: list[dict[str, float]] = [
    {"strength": 0.25, "heldOut": 2.71, "general": 2.06},
    {"strength": 0.5, "heldOut": 2.2, "general": 2.11},
    {"strength": 0.75, "heldOut": 1.98, "general": 2.21},
]


def own_part(told: dict[str, Any]) -> dict[str, Any]:
    """The figures of one of a job's own sets."""
    name, metric = told["name"], told.get("metric", "loss")
    right = f"{name}: better, 33 of 40 answers equal to the wanted answer vs. 4 for the base"
    sentence = f"{right}; 95 % interval of the difference 0.57 to 0.88."
    part = {**OWN, "name": name, "metric": metric, "sentence": sentence}
    if metric == "loss":
        part |= {"base": 3.42, "adapter": 2.695, "sentence": f"{name}: better, on 40 rows."}
    return part


class FakeEvaluations:
    """``looks`` is how often a job is asked for before its evaluation is done; ``failing`` jobs fail."""

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.looks = 1
        self.failing: dict[str, str] = {}
        self.changed: set[str] = set()
        self.unlike: set[str] = set()
        """Jobs whose held-out rows are others than those of the rest."""
        self.repeated = False
        """Whether there are runs with three seeds of every job."""
        self.rows, self.answers = ROWS, ANSWERS
        self.taken_in: dict[str, bytes] = {}
        """The files of the last adapter that was taken in."""
        self.done: dict[tuple[str, int | None, str | None], dict[str, Any]] = {}
        self._asked: dict[str, tuple[int | None, str | None, int]] = {}
        self._strengths: list[dict[str, float]] = []

    def routes(self) -> list[web.RouteDef]:
        """The routes of the feature."""
        job = "/v1/jobs/{id}"
        return [
            web.post(job + "/evaluate", self._evaluate),
            web.get(job + "/evaluation", self._get),
            web.post("/v1/adapters", self._take_in),
        ]

    def judge(
        self, job_id: str, step: int | None = None, data: str | None = None, **changes: Any
    ) -> dict[str, Any]:
        """A job has been evaluated."""
        evaluation = {**EVALUATION, **changes}
        if sets := self._fake.jobs[job_id]["config"].get("evaluations"):
            evaluation["sets"] = [own_part(told) for told in sets]
        if data is not None:
            evaluation["data"] = data
            del evaluation["general"]
            evaluation |= {"verdict": "better", "sentence": f"Better on {data} (only 12 rows)."}
        if self._strengths:
            evaluation["strengths"] = self._strengths
        if step is not None:
            evaluation["step"] = step
        elif data is None:
            self._fake.jobs[job_id]["evaluation"] = evaluation
        self.done[job_id, step, data] = evaluation
        return evaluation

    def begun(self, job_id: str) -> None:
        """An evaluation of the final adapter that someone else has asked for."""
        self._asked[job_id] = (None, None, 0)

    def told(self, job_id: str) -> dict[str, Any] | None:
        """How far it has come, one look further."""
        if job_id not in self._asked:
            return None
        step, data, seen = self._asked[job_id]
        told: dict[str, Any] = {} if step is None else {"step": step}
        told |= {} if data is None else {"data": data}
        if job_id in self.failing:
            return {**told, "state": "failed", "error": self.failing[job_id]}
        if seen > self.looks:
            del self._asked[job_id]
            self.judge(job_id, step, data)
            return None
        self._asked[job_id] = (step, data, seen + 1)
        progress = {"label": "Evaluating", "done": 8 * seen, "total": 152, "unit": "rows"}
        return {**told, "state": "running", "progress": progress}

    async def _take_in(self, request: web.Request) -> web.Response:
        body = parsed(await request.read())
        folder = Path(body["path"])
        self.taken_in = {path.name: path.read_bytes() for path in folder.iterdir()}
        if b"refused" in self.taken_in["adapter_config.json"]:
            wrong("The adapter cannot be used: its adapter_config.json is not JSON.")
        job_id = self._fake.add_job("completed", name=folder.name, tags=["imported"])
        self._fake.jobs[job_id]["config"] |= {
            "model": body.get("model", "hub/base"),
            "trainedElsewhere": True,
        }
        return web.json_response({"job": self._fake.jobs[job_id]})

    async def _evaluate(self, request: web.Request) -> web.Response:
        job, body = self._fake.job_of(request), parsed(await request.read())
        step, force = body.get("step"), body.get("force", False)
        whole(body, "step", 1)
        if not isinstance(force, bool):
            wrong("force has to be true or false.")
        data = body.get("data")
        if data is not None and (not isinstance(data, str) or not data or ".." in data):
            wrong("data has to be a file of the project.")
        self._fake.check_result(job, step)
        if job["id"] in self._asked and job["id"] not in self.failing:
            raise RefusedError(409, "It is being evaluated already.")
        if job["id"] in self.changed and not force and data is None:
            raise RefusedError(409, "chats.jsonl has changed since this job started.", changed=True)
        self._asked[job["id"]] = (step, data, 0)
        self._strengths = [dict(point) for point in STRENGTHS] if body.get("strengths") is True else []
        return web.json_response({"job": {**job, "evaluating": self.told(job["id"])}})

    async def _get(self, request: web.Request) -> web.Response:
        job, query = self._fake.job_of(request), request.query
        found = self._done(job, query.get("step"), query.get("data"))
        if against := query.get("against"):
            if against not in self._fake.jobs:
                raise RefusedError(404, "No such job.")
            other = self._fake.jobs[against]
            self._done(other, query.get("againstStep"), query.get("data"))
            if "seeds" in query:
                if not self.repeated:
                    why = "Comparing settings takes 3 seeds of both, and there is 1 seed."
                    raise RefusedError(409, why, seeds=1)
                sentence = (
                    f"These settings are better than those of {other['name']}: mean held-out loss 1.700."
                )
                return web.json_response({"comparison": {**COMPARISON, "rows": 3, "sentence": sentence}})
            if (job["id"] in self.unlike) != (against in self.unlike):
                raise RefusedError(
                    409, f"{job['name']} and {other['name']} were evaluated on different rows."
                )
            sentence = f"Better than {other['name']}: loss 1.66 vs. 1.91 on 12 held-out rows."
            return web.json_response({"comparison": {**COMPARISON, "sentence": sentence}})
        answers = {"answers": self.answers} if "answers" in found.get("general", {}) else {}
        return web.json_response({"evaluation": found, "rows": self.rows, **answers})

    def _done(self, job: dict[str, Any], step: str | None, data: str | None) -> dict[str, Any]:
        if step is not None and not step.isdigit():
            wrong("step has to be a whole number.")
        found = self.done.get((job["id"], None if step is None else int(step), data))
        if found is None:
            raise RefusedError(404, "It has not been evaluated.")
        return found
