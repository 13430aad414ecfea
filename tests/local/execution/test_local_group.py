"""Several workers on as many GPUs of this machine are one worker to whoever started them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution import local_process
from arkor_dev.local.execution.local_process import LOCAL_PROCESS
from arkor_dev.local.execution.messages import Ended, JobRequest, Pause
from arkor_dev.local.models.catalog import Model
from tests.local.job_configs import config_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.local.execution.interface import Worker
    from arkor_dev.local.execution.messages import WorkerMessage

GPUS = ["GPU-a", "GPU-b"]
MODEL = Model("tiny", Path("/tiny"))


@pytest.fixture
async def start(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A function that starts workers which end in these ways."""
    monkeypatch.setattr(local_process, "WORKER", "tests.local.execution.ranks")
    started: list[Worker] = []

    async def start(*ends: str | None) -> Worker:
        job = JobRequest("job", config_of({"ends": ends}), "/d", "/p", devices=GPUS)
        started.append(await LOCAL_PROCESS.start(job))
        return started[-1]

    yield start
    for worker in started:
        await worker.stop()


async def said(worker: Worker) -> list[Any]:
    """What it says up to its last word or its end."""
    messages: list[WorkerMessage] = []
    async with asyncio.timeout(60):
        async for batch in worker.batches():
            messages += batch
            if isinstance(messages[-1], Ended):
                break
    return messages


async def test_only_rank_0_reports_and_gets_requests(start: Any) -> None:
    worker = await start(None, "completed")
    worker.send(MODEL)
    reading = asyncio.create_task(said(worker))
    await asyncio.sleep(0)
    worker.send(Pause("asked"))
    told, end = await reading
    fields = json.loads(told.event["message"])
    assert end == Ended({"type": "training.paused", "step": 0, "reason": "asked"})
    assert fields["rank"] == 0
    first = fields["first"]
    assert (first["device"], first["group"]) == ("GPU-a", {"rank": 0, "count": 2})
    assert fields["then"] == [MODEL.name]


async def test_a_failure_of_any_rank_fails_the_job(start: Any) -> None:
    """It has its own GPU, rank 0's socket, and the model, whenever that was sent."""
    worker = await start(None, "failed")
    worker.send(MODEL)
    *_, end = await said(worker)
    assert end == Ended({"type": "training.failed", "error": "of rank 1"})


@pytest.mark.parametrize(("ends", "gpu"), [(("dies", None), "GPU-a"), ((None, "dies"), "GPU-b")])
async def test_killing_one_rank_ends_all(start: Any, ends: Any, gpu: str) -> None:
    worker = await start(*ends)
    worker.send(MODEL)
    assert not [message for message in await said(worker) if isinstance(message, Ended)]
    async with asyncio.timeout(60):
        await worker.ended()
    assert worker.killed
    assert f"The training process on the GPU {gpu} was killed (signal 9)" in worker.cause(
        "The training process"
    )
