"""Following a job over cuts, restarts, garbage and repeats: each event once, in order, to the end."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.backend.client import Backend
from arkor_dev.backend.http_client import Timeouts, open_http_client
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.identity.scope import FixedScope
from arkor_dev.identity.views import FixedIdentity
from arkor_dev.jobs import follow as follow_module
from arkor_dev.jobs.follow import Connection, JobEvent, Waiting, follow, read_event, waiting_of
from tests.support.fake_backend import ORG, PROJECT, TOKEN, FakeBackend
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Item = JobEvent | Connection | Waiting
STREAM = "GET /v1/jobs/{id}/events/stream"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "BACKOFF", (0.01, 0.05))


@asynccontextmanager
async def backend_at(fake: FakeBackend, **timeouts: float) -> AsyncIterator[Backend]:
    async with open_http_client(Timeouts(**timeouts)) as http:
        yield Backend(
            http,
            FixedIdentity(Credentials("anon", TOKEN, ORG, fake.url)),
            FixedScope(Scope(ORG, PROJECT)),
        )


async def collect(
    fake: FakeBackend, job_id: str, seen: list[Item] | None = None, **timeouts: float
) -> list[Item]:
    """All that comes to the job's end, which is in ``seen`` as soon as it has come."""
    seen = [] if seen is None else seen
    async with (
        asyncio.timeout(60),
        backend_at(fake, **timeouts) as backend,
        aclosing(follow(backend, job_id)) as items,
    ):
        async for item in items:
            seen.append(item)
    return seen


def steps(items: list[Item]) -> list[object]:
    return [
        item.data.get("step")
        for item in items
        if isinstance(item, JobEvent) and item.name == "training.log" and isinstance(item.data, dict)
    ]


def names(items: list[Item]) -> list[str]:
    return [
        item.name
        if isinstance(item, JobEvent)
        else f"<{item.fault}>"
        if isinstance(item, Connection)
        else f"#{item.position}"
        for item in items
    ]


async def test_follow_yields_every_event_of_a_job(fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.ping_every = 0.01
    task = asyncio.create_task(collect(fake_backend, job))
    for step in range(1, 4):
        await asyncio.sleep(0.03)
        fake_backend.log(job, step, loss=1.0)
    fake_backend.finish(job)
    items = await task
    assert names(items) == ["training.started", *["training.log"] * 3, "training.completed"]
    assert steps(items) == [1, 2, 3]
    assert fake_backend.count(STREAM) == 1


async def test_a_full_disk_of_the_backend_is_reported_once(fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.ping_every = 0.01
    fake_backend.trouble = "The disk is full."
    seen: list[Item] = []
    task = asyncio.create_task(collect(fake_backend, job, seen))
    await until(lambda: "training.message" in names(seen))
    await asyncio.sleep(0.05)
    fake_backend.trouble = ""
    fake_backend.log(job, 1)
    fake_backend.finish(job)
    assert names(await task) == ["training.started", "training.message", "training.log", "training.completed"]
    assert JobEvent("training.message", {"message": "The disk is full."}) in seen


async def test_a_cut_stream_resumes_after_the_last_id(fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.log(job, 1)
    seen: list[Item] = []
    task = asyncio.create_task(collect(fake_backend, job, seen))
    await until(lambda: steps(seen) == [1])
    fake_backend.cut()
    fake_backend.log(job, 2)
    fake_backend.finish(job)
    items = await task
    assert steps(items) == [1, 2]
    assert fake_backend.last(STREAM).headers["Last-Event-ID"] == "2"
    lost, back = [item for item in items if isinstance(item, Connection)]
    assert lost.fault is not None
    assert back.fault is None


async def test_an_unreachable_backend_is_retried_and_each_reason_reported_once(
    fake_backend: FakeBackend,
) -> None:
    job = fake_backend.add_job()
    seen: list[Item] = []
    task = asyncio.create_task(collect(fake_backend, job, seen))
    await until(lambda: seen)
    await fake_backend.stop()
    await until(lambda: len(seen) > 2)  # it has broken off, and then refused
    await asyncio.sleep(0.3)
    fake_backend.finish(job)
    await fake_backend.start()
    items = await task
    faults = [item.fault for item in items if isinstance(item, Connection)]
    assert [type(item) for item in items] == [JobEvent, *[Connection] * len(faults), JobEvent]
    assert names(items)[-1] == "training.completed"
    assert 2 <= len(set(faults)) == len(faults) <= 3
    assert faults[-1] is None
    assert fake_backend.count(STREAM) == 2


async def test_the_number_of_reported_reasons_is_bounded(fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.finish(job)
    for number in range(50):
        body = f'{{"error": "reason {number}"}}'.encode()
        fake_backend.fault(STREAM, times=1, status=503, body=body)
    items = await collect(fake_backend, job)
    assert len([item for item in items if isinstance(item, Connection)]) == follow_module.REASONS + 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
async def test_temporary_errors_are_retried(fake_backend: FakeBackend, status: int) -> None:
    job = fake_backend.add_job()
    fake_backend.finish(job)
    fake_backend.fault(STREAM, times=3, status=status)
    assert names(await collect(fake_backend, job))[-2:] == ["training.started", "training.completed"]


@pytest.mark.parametrize("status", [400, 403, 404, 426])
async def test_permanent_errors_end_following(fake_backend: FakeBackend, status: int) -> None:
    job = fake_backend.add_job()
    fake_backend.fault(STREAM, status=status)
    with pytest.raises(ArkorError) as caught:
        await collect(fake_backend, job)
    assert status_of(caught.value) == status
    assert fake_backend.count(STREAM) == 1


async def test_a_silent_stream_is_reopened(fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.fault(STREAM, times=1, stall_after=10)
    task = asyncio.create_task(collect(fake_backend, job, silence=0.2, first_byte=0.2))
    await fake_backend.until(lambda: fake_backend.count(STREAM) >= 2)
    fake_backend.finish(job)
    assert names(await task)[-1] == "training.completed"


async def test_a_closed_stream_of_a_finished_job_ends_following(fake_backend: FakeBackend) -> None:
    """The stream of a finished job that just closes, twice: the job's record says that it is over."""
    job = fake_backend.add_job()
    fake_backend.finish(job)
    body = b"".join(frame for _, frame in fake_backend.frames[job])
    head = {"Content-Type": "text/event-stream"}
    fake_backend.fault(STREAM, times=1, status=200, body=body, headers=head)
    fake_backend.fault(STREAM, status=200, body=b"", headers=head)
    items = await collect(fake_backend, job)
    assert names(items) == ["training.started", "training.completed"]
    assert fake_backend.count(STREAM) == 2


async def test_a_closed_stream_of_a_running_job_is_reopened(fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.fault(STREAM, times=3, status=200, body=b"", headers={"Content-Type": "text/event-stream"})
    task = asyncio.create_task(collect(fake_backend, job))
    await fake_backend.until(lambda: fake_backend.count(STREAM) == 4)
    fake_backend.finish(job)
    assert names(await task) == ["training.started", "training.completed"]


async def test_repeated_events_are_yielded_once(fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    same = b'id: x\nevent: training.log\ndata: {"step": %d}\n\n'
    for number in (1, 2, 1, 2, 3):
        fake_backend.emit_raw(job, same % number, "x")
    fake_backend.finish(job)
    assert steps(await collect(fake_backend, job)) == [1, 2, 3]


async def test_a_hundred_random_cuts_lose_and_repeat_nothing(fake_backend: FakeBackend) -> None:
    rng = random.Random(7)
    job = fake_backend.add_job()
    task = asyncio.create_task(collect(fake_backend, job))
    for step in range(1, 301):
        fake_backend.log(job, step, loss=rng.random())
        if step % 3 == 0:
            fake_backend.cut()
        await asyncio.sleep(rng.random() * 0.01)
    fake_backend.finish(job)
    assert steps(await task) == list(range(1, 301))


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (b'id: 1\nevent: a\ndata: {"x": 1}', JobEvent("a", {"x": 1})),
        (b'event:a\ndata:{"x":\ndata:1}', JobEvent("a", {"x": 1})),
        (b"event: a\ndata: not JSON", JobEvent("a", "not JSON")),
        (b"event: a\ndata: [1]", JobEvent("a", "[1]")),
        (b"event: a\ndata: \xff", JobEvent("a", "\ufffd")),
        (b"data: one\ndata: two", JobEvent("message", "one\ntwo")),
        (b"event: \xff\nretry: 3\n: comment", JobEvent("\ufffd", "")),
        (b"event: a\ndata: " + b"[" * 100_000, JobEvent("a", "[" * 100_000)),
        # As the managed backend says what others have their own event or names for.
        (
            b'event: training.failed\ndata: {"error": "Job cancelled", "step": 3}',
            JobEvent("training.cancelled", {"step": 3}),
        ),
        (b'event: training.failed\ndata: {"error": ["x"]}', JobEvent("training.failed", {"error": ["x"]})),
        (
            b'event: training.completed\ndata: {"metrics": {"finalLoss": 1, "totalSteps": 9, "seconds": 2}}',
            JobEvent("training.completed", {"metrics": {"loss": 1, "steps": 9, "seconds": 2}}),
        ),
        (
            b'event: training.completed\ndata: {"metrics": {"totalTime": 7.5, "totalSteps": null}}',
            JobEvent("training.completed", {"metrics": {"seconds": 7.5}}),
        ),
        (b'event: training.completed\ndata: {"metrics": 3}', JobEvent("training.completed", {"metrics": 3})),
    ],
)
def test_a_frame_becomes_an_event(frame: bytes, event: JobEvent) -> None:
    assert read_event(frame) == event


async def test_a_queued_job_reports_its_position_until_it_starts(
    fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_module, "QUEUE_SECONDS", (0.01, 0.01))
    job = fake_backend.add_job(status="queued")
    fake_backend.frames[job].clear()
    fake_backend.ping_every = 0.02
    record = fake_backend.jobs[job]
    record["queue"] = {"position": 2, "behind": {"id": "job_1", "name": "first"}}
    asked = "GET /v1/jobs/{id}"
    task = asyncio.create_task(collect(fake_backend, job))
    await fake_backend.until(lambda: fake_backend.count(asked) >= 3)
    record["queue"] = {"position": 1, "behind": {"id": "job_0", "name": "zero"}}
    seen = fake_backend.count(asked)
    await fake_backend.until(lambda: fake_backend.count(asked) >= seen + 5)
    del record["queue"]
    record["status"] = "running"
    seen = fake_backend.count(asked)
    await fake_backend.until(lambda: fake_backend.count(asked) > seen)
    fake_backend.log(job, 1)
    fake_backend.finish(job)
    items = await task
    assert names(items) == ["#2", "#1", "training.log", "training.completed"]
    assert items[0] == Waiting(2, ("first", "job_1"))


@pytest.mark.parametrize(
    "queue",
    [None, [], {}, {"position": True}, {"position": 0}, {"position": "1"}, {"position": 10**400}],
)
def test_invalid_queue_positions_are_ignored(queue: object) -> None:
    waiting: Any = {"status": "queued", "queue": queue}
    running: Any = {"status": "running", "queue": {"position": 1, "behind": None}}
    assert waiting_of(waiting) is None
    assert waiting_of(running) is None
