"""Questions that come while the worker cannot be started, is just being ended, or hangs."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.inference.client import Inference
from arkor_dev.local.inference.messages import AnswerRequest, Text
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child
from tests.support.waiting import until

from .obedient import ENDLESS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REQUEST = AnswerRequest("base", "tiny")


@pytest.fixture
async def inference() -> AsyncIterator[Inference]:
    inference = Inference(module="tests.local.inference.obedient")
    yield inference
    await inference.close()


async def said(inference: Inference) -> str:
    """What the worker answers: how many questions it was asked."""
    async with asyncio.timeout(60), inference.answer(REQUEST) as parts:
        text, _ = [part async for part in parts]
    assert isinstance(text, Text)
    return text.text


async def test_a_request_during_unloading_goes_to_the_next_worker(
    inference: Inference,
) -> None:
    assert [await said(inference) for _ in range(2)] == ["1", "2"]
    unloaded = inference._child
    assert unloaded
    inference._unload()
    assert await said(inference) == "1"
    assert inference._child is not unloaded


async def test_a_request_to_an_ending_worker_is_sent_once(
    inference: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    await said(inference)
    hung = inference._child
    assert hung
    os.kill(hung.pid, signal.SIGSTOP)
    ended, noticed = hung.ended, asyncio.Event()

    async def late() -> int:
        status = await ended()
        await noticed.wait()
        return status

    monkeypatch.setattr(hung, "ended", late)
    monkeypatch.setattr(inference, "_stop_seconds", 0.01)
    async with inference.answer(REQUEST):
        pass
    await until(lambda: not hung.alive, 60)
    asking = asyncio.create_task(said(inference))
    await until(lambda: len(inference._answers) == 1, 60)
    noticed.set()
    assert await asking == "1"
    assert await said(inference) == "2"


async def test_a_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> Child:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(Child, "start", refused)
    inference = Inference()
    for _ in range(2):
        with pytest.raises(JobFailure, match=r"inference process cannot be started: .*unavailable"):
            async with inference.answer(REQUEST):
                pass
    assert inference._answers == {}
    await inference.close()


async def test_a_starting_job_unloads_the_model(inference: Inference) -> None:
    """At once if nobody is being answered; and an answer that goes on for too long ends with the reason."""
    await said(inference)
    resting = inference._child
    assert resting
    inference.free_memory()
    await until(lambda: not resting.alive, 60)
    assert await said(inference) == "1"
    async with asyncio.timeout(60), inference.answer(AnswerRequest("base", ENDLESS)) as messages:
        await anext(messages)
        inference.free_memory(0.01)
        with pytest.raises(JobFailure, match="A job has started and needs the memory"):
            await anext(messages)
    assert await said(inference) == "1"
