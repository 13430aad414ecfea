"""The fake backend's features ``edit``, ``delete`` and ``queue``, in words and checks of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import RefusedError, parsed, wrong

if TYPE_CHECKING:
    from .fake_backend import FakeBackend

OVER = ("completed", "failed", "cancelled")
FIELDS = ("name", "notes", "tags", "starred")
LONGEST = {"name": 200, "notes": 10_000}
TAGS, TAG = 50, 50


def _plain(text: object, longest: int, least: int = 1, *, lines: bool = False) -> bool:
    allowed = "\t\n" if lines else ""
    return (
        isinstance(text, str)
        and least <= len(text.strip())
        and len(text) <= longest
        and not any((char < " " or "\x7f" <= char <= "\x9f") and char not in allowed for char in text)
        and not any(
            char in text for char in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        )
    )


def check_changes(body: dict[str, Any]) -> None:
    """Refuse what no job can be changed to."""
    if not body.keys() & set(FIELDS):
        wrong("There is nothing to change.")
    if "name" in body and not _plain(body["name"], LONGEST["name"]):
        wrong("name has to be one line.")
    if "notes" in body and not _plain(body["notes"], LONGEST["notes"], 0, lines=True):
        wrong("notes has to be a text.")
    if not isinstance(body.get("starred", False), bool):
        wrong("starred has to be true or false.")
    tags = body.get("tags", [])
    if not isinstance(tags, list) or len(tags) > TAGS:
        wrong("tags has to be a list, and not too long.")
    if not all(_plain(tag, TAG) and "," not in tag for tag in tags):
        wrong("A tag is one line without a comma.")


class Order:
    """What a person does with jobs; ``held`` and the waiting jobs' order are kept here."""

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.held = False
        self.sizes: dict[str, int] = {}
        self.models: list[dict[str, Any]] = [
            {"name": "tiny", "bytes": 269_000_000, "used": True, "shared": False}
        ]
        self.leftovers = self.unused = 0

    def waiting(self) -> list[str]:
        """The ids of the jobs that wait, the next one first."""
        waits = [job for job in self._fake.jobs.values() if job["status"] == "queued"]
        last = len(waits) + 1
        return [
            job["id"] for job in sorted(waits, key=lambda job: job.get("queue", {}).get("position", last))
        ]

    def routes(self) -> dict[str, list[web.RouteDef]]:
        """The routes of the three features."""
        job = "/v1/jobs/{id}"
        disk = web.get("/v1/disk", self._disk), web.post("/v1/disk/clean", self._clean)
        return {
            "edit": [web.patch(job, self._edit)],
            "delete": [web.delete(job, self._delete), *disk],
            "queue": [web.get("/v1/queue", self._queue), web.patch("/v1/queue", self._arrange)],
        }

    async def _edit(self, request: web.Request) -> web.Response:
        job, body = self._fake.job_of(request), parsed(await request.read())
        check_changes(body)
        changes: dict[str, Any] = {key: body[key] for key in FIELDS if key in body}
        if "tags" in changes:
            changes["tags"] = list(dict.fromkeys(tag.strip() for tag in changes["tags"]))
        if "name" in changes:
            changes["name"] = changes["name"].strip()
        job.update(changes)
        for key in ("notes", "tags", "starred"):
            if not job.get(key):
                job.pop(key, None)
        return web.json_response({"job": job})

    async def _delete(self, request: web.Request) -> web.Response:
        job = self._fake.job_of(request)
        if job["status"] not in OVER:
            raise RefusedError(409, f"The job {job['name']} is {job['status']}. Cancel it first.")
        self._fake.forget(job["id"])
        return web.Response(status=204)

    def size(self, job_id: str) -> int:
        """What a job's files take."""
        return self.sizes.get(job_id, 3_712_000 * (1 + len(self._fake.checkpoints[job_id])))

    async def _disk(self, _: web.Request) -> web.Response:
        jobs = [
            {"id": job["id"], "name": job["name"], "bytes": self.size(job["id"])}
            for job in self._fake.jobs.values()
        ]
        disk = {"jobs": jobs, "models": self.models, "leftovers": self.leftovers, "unused": self.unused}
        return web.json_response({"disk": {**disk, "database": 1_200_000, "free": 52_000_000_000}})

    async def _clean(self, _: web.Request) -> web.Response:
        spare = [model for model in self.models if not (model["used"] or model["shared"])]
        freed = self.leftovers + self.unused + sum(model["bytes"] for model in spare)
        self.leftovers = self.unused = 0
        self.models = [model for model in self.models if model not in spare]
        return web.json_response({"freed": freed})

    async def _queue(self, _: web.Request) -> web.Response:
        return web.json_response({"queue": {"held": self.held, "order": self.waiting()}})

    async def _arrange(self, request: web.Request) -> web.Response:
        body = parsed(await request.read())
        order, held = body.get("order", []), body.get("held", self.held)
        if not body.keys() & {"order", "held"}:
            wrong("There is nothing to change.")
        if not isinstance(held, bool):
            wrong("held has to be true or false.")
        if not isinstance(order, list) or not all(isinstance(each, str) and each for each in order):
            wrong("order has to be a list of ids.")
        if len(set(order)) != len(order):
            wrong("order has a job twice.")
        if not set(order) <= self._fake.jobs.keys():
            raise RefusedError(404, "No such job.")
        self.held, waits = held, self.waiting()
        first = [job_id for job_id in order if job_id in waits]
        self._fake.place([*first, *(job_id for job_id in waits if job_id not in first)])
        return await self._queue(request)
