"""``/api/jobs/:id``, ``/api/queue`` and ``/api/disk``: what is passed on, and what has to follow from it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

LIST = "GET /v1/jobs"


@pytest.fixture
def backend(fake_backend: FakeBackend) -> FakeBackend:
    fake_backend.features = ["delete", "edit", "queue"]
    return fake_backend


async def call(studio: Studio, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, path, json=body) as answer:
        return answer.status, await answer.json()


async def test_a_changed_job_is_refreshed_in_the_list(studio: Studio, backend: FakeBackend) -> None:
    job = backend.add_job("completed", name="a")
    assert (await call(studio, "GET", "/api/jobs"))[1]["jobs"][0]["name"] == "a"
    body = {"name": " b ", "notes": "*why*", "tags": ["x ", "x"], "starred": True, "later": 1}
    status, answer = await call(studio, "PATCH", f"/api/jobs/{job}", body)
    assert status == 200
    sent = {**body, "name": "b", "tags": ["x"]}
    assert backend.last("PATCH /v1/jobs/{id}").json() == sent  # a newer backend may know more
    assert answer["job"].items() >= {"name": "b", "notes": "*why*", "tags": ["x"], "starred": True}.items()
    assert (await call(studio, "GET", "/api/jobs"))[1]["jobs"] == [answer["job"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("PATCH", "/api/jobs/x", {}, "Nothing to change"),
        ("PATCH", "/api/jobs/x", {"name": "a\u0007"}, "name must be one line"),
        ("PATCH", "/api/jobs/x", {"notes": "\u202e"}, "notes must be text"),
        ("PATCH", "/api/jobs/x", {"notes": "x" * 10_001}, "at most 10,000 characters"),
        ("PATCH", "/api/jobs/x", {"tags": ["a,b"]}, "tags must be a list"),
        ("PATCH", "/api/jobs/x", {"starred": 1}, "starred must be true or false"),
        ("PATCH", "/api/queue", {}, "Nothing to change"),
        ("PATCH", "/api/queue", {"order": ["a", "a"]}, "each once"),
        ("PATCH", "/api/queue", {"held": None}, "held must be true or false"),
    ],
)
async def test_invalid_changes_are_not_forwarded(
    studio: Studio, backend: FakeBackend, method: str, path: str, body: object, words: str
) -> None:
    status, answer = await call(studio, method, path, body)
    assert status == 400
    assert words in answer["error"]
    assert not [seen for seen in backend.requests if seen.route.startswith("PATCH")]


async def test_deleting_a_job_ends_its_streams(studio: Studio, backend: FakeBackend) -> None:
    job, other = backend.add_job("running"), backend.add_job("completed")
    status, answer = await call(studio, "DELETE", f"/api/jobs/{job}")
    assert (status, "Cancel it first" in answer["error"]) == (409, True)
    async with studio.session.get(f"/api/jobs/{job}/events") as stream:
        assert b"training.started" in await stream.content.readuntil(b"\n\n")
        backend.jobs[job]["status"] = "cancelled"  # and its last event is not here yet
        assert await call(studio, "DELETE", f"/api/jobs/{job}") == (200, {})
        async with asyncio.timeout(30):
            await stream.content.read()
    assert [each["id"] for each in (await call(studio, "GET", "/api/jobs"))[1]["jobs"]] == [other]
    async with studio.session.get(f"/api/jobs/{job}/history") as answer:
        assert answer.status == 204
    assert (await call(studio, "GET", f"/api/jobs/{job}"))[0] == 404


async def test_job_size_and_queue_are_forwarded(studio: Studio, backend: FakeBackend) -> None:
    job = backend.add_job("completed", name="a")
    status, answer = await call(studio, "GET", f"/api/jobs/{job}")
    assert (status, answer["bytes"]) == (200, 3_712_000)
    _, answer = await call(studio, "GET", "/api/disk")
    assert answer["disk"]["jobs"] == [{"id": job, "name": "a", "bytes": 3_712_000}]
    backend.order.leftovers, backend.order.unused = 500, 700
    assert await call(studio, "POST", "/api/disk/clean") == (200, {"freed": 1200})
    _, answer = await call(studio, "GET", "/api/disk")
    assert (answer["disk"]["leftovers"], answer["disk"]["unused"]) == (0, 0)
    waiting = [backend.add_job("queued", name=name) for name in "bc"]
    await call(studio, "GET", "/api/jobs")
    body = {"order": waiting[::-1], "held": True}
    status, answer = await call(studio, "PATCH", "/api/queue", body)
    assert (status, answer) == (200, {"queue": body})
    _, listed = await call(studio, "GET", "/api/jobs")
    assert listed["queue"] == {"held": True}
    assert [each.get("queue", {}).get("position") for each in listed["jobs"]] == [None, 2, 1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/api/jobs/x"),
        ("DELETE", "/api/jobs/x"),
        ("PATCH", "/api/queue"),
        ("GET", "/api/disk"),
        ("POST", "/api/disk/clean"),
    ],
)
async def test_changing_jobs_needs_the_feature(studio: Studio, method: str, path: str) -> None:
    status, answer = await call(studio, method, path, {"name": "a", "held": True})
    assert status == 404
    assert answer["error"]
