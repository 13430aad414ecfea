"""``/api/jobs/:id/pause``, ``resume`` and ``extend``: passed on, and the stream goes on behind its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

END = b"event: end\ndata: {}\n\n"


@pytest.fixture
def backend(fake_backend: FakeBackend) -> FakeBackend:
    fake_backend.features = ["adjust", "extend", "pause", "resume"]
    return fake_backend


async def post(studio: Studio, path: str, body: object = None) -> tuple[int, Any]:
    async with studio.session.post(path, json=body) as answer:
        return answer.status, await answer.json()


async def listed(studio: Studio) -> dict[str, Any]:
    async with studio.session.get("/api/jobs") as answer:
        (job,) = (await answer.json())["jobs"]
        return dict(job)


async def test_readers_see_a_job_pause_and_resume(studio: Studio, backend: FakeBackend) -> None:
    job = backend.add_job()
    backend.log(job, 1, loss=1.0)
    assert (await listed(studio))["status"] == "running"
    async with asyncio.timeout(30), studio.session.get(f"/api/jobs/{job}/events") as stream:
        await stream.content.readuntil(b'"loss": 1.0}\n\n')
        status, answer = await post(studio, f"/api/jobs/{job}/pause")
        assert (status, answer["job"]["status"]) == (200, "paused")
        assert (await listed(studio))["pause"] == {"step": 1, "reason": "asked"}
        assert b"training.paused" in await stream.content.readuntil(b"\n\n")
        status, answer = await post(studio, f"/api/jobs/{job}/resume")
        assert (status, answer["job"]["status"]) == (200, "queued")
        assert (await listed(studio))["status"] == "queued"
        backend.begin(job)
        assert b"training.resumed" in await stream.content.readuntil(b"\n\n")
        backend.finish(job)
        assert (await stream.content.read()).endswith(END)


async def test_the_stream_of_a_resumed_job_continues(studio: Studio, backend: FakeBackend) -> None:
    job = backend.add_job()
    backend.log(job, 1, loss=1.0)
    backend.finish(job)

    async def history(query: str = "") -> bytes:
        async with studio.session.get(f"/api/jobs/{job}/history{query}") as answer:
            return await answer.read()

    assert (await history()).endswith(END)
    status, answer = await post(studio, f"/api/jobs/{job}/extend", {"maxSteps": 5, "schedule": "restart"})
    assert (status, answer["job"]["status"]) == (200, "queued")
    assert backend.last("POST /v1/jobs/{id}/extend").json() == {"maxSteps": 5, "schedule": "restart"}
    assert not (await history()).endswith(END)
    backend.begin(job)
    backend.finish(job)
    async with asyncio.timeout(30), studio.session.get(f"/api/jobs/{job}/events") as stream:
        whole = await stream.content.read()
    assert whole.index(b"training.completed") < whole.index(b"training.resumed")
    assert whole.endswith(END)


async def test_a_job_resumed_elsewhere_is_streamed_again(studio: Studio, backend: FakeBackend) -> None:
    job = backend.add_job()
    backend.log(job, 1, loss=1.0)
    backend.finish(job)
    async with studio.session.get(f"/api/jobs/{job}/history") as answer:
        assert (await answer.read()).endswith(END)
    backend.jobs[job]["status"] = "running"
    backend.resuming.go_on(job, 1)
    async with studio.session.get(f"/api/jobs/{job}/history") as answer:
        assert b"training.resumed" not in await answer.read()  # from memory
    async with studio.session.get(f"/api/jobs/{job}/history?again=1") as answer:
        assert b"training.resumed" in await answer.read()


async def test_changed_data_is_reported_and_resuming_forced(studio: Studio, backend: FakeBackend) -> None:
    job = backend.add_job("paused", pause={"step": 3, "reason": "asked"})
    backend.resuming.changed[job] = "data.jsonl has other rows than it had."
    status, answer = await post(studio, f"/api/jobs/{job}/resume", {})
    assert (status, answer) == (409, {"error": "data.jsonl has other rows than it had.", "changed": True})
    status, answer = await post(studio, f"/api/jobs/{job}/resume", {"force": True})
    assert (status, answer["job"]["status"]) == (200, "queued")


@pytest.mark.parametrize(
    ("call", "body", "words"),
    [
        ("resume", {"force": "yes"}, "force must be true or false"),
        ("adjust", {"settings": {}}, "settings must be an object of settings by field"),
        ("adjust", {"settings": {"lr": 1}}, '"lr" is not a trainer setting'),
        ("adjust", {"settings": {"learningRate": 0}}, "learningRate must be"),
        (
            "adjust",
            {"settings": {"loraR": 2}},
            "lora.r cannot change while a job continues: its model, adapter",
        ),
        ("extend", {}, "either maxSteps or numTrainEpochs"),
        ("extend", {"maxSteps": 2, "numTrainEpochs": 2}, "either maxSteps or numTrainEpochs"),
        ("extend", {"maxSteps": 0}, "maxSteps must be a whole number from 1"),
        ("extend", {"numTrainEpochs": 0}, "numTrainEpochs must be a number above 0"),
        ("extend", {"maxSteps": 9, "schedule": "x"}, "schedule must be one of"),
    ],
)
async def test_invalid_resume_requests_are_not_forwarded(
    studio: Studio, backend: FakeBackend, call: str, body: object, words: str
) -> None:
    status, answer = await post(studio, f"/api/jobs/x/{call}", body)
    assert status == 400
    assert words in answer["error"]
    assert backend.count(f"POST /v1/jobs/{{id}}/{call}") == 0


@pytest.mark.parametrize("call", ["pause", "resume", "adjust", "extend"])
async def test_resuming_needs_the_feature(studio: Studio, fake_backend: FakeBackend, call: str) -> None:
    job = fake_backend.add_job()
    body = {"settings": {"maxSteps": 9}} if call == "adjust" else {"maxSteps": 9}
    status, answer = await post(studio, f"/api/jobs/{job}/{call}", body)
    assert status == 404
    assert answer["error"]
