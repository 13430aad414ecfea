"""A worker's process that says what no worker says is ended, and whoever listens hears why."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from arkor_dev.local.inference.client import Inference
from arkor_dev.local.workers import process
from arkor_dev.local.workers.errors import SMALLER, TRY_AGAIN, JobFailure
from arkor_dev.local.workers.process import Child

from .wild import WORDS

WILD = "tests.local.workers.wild"


@pytest.mark.parametrize("say", [*WORDS, "no end"])
async def test_what_is_no_message_ends_it(say: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MESSAGE_LIMIT", 2**20)
    child = await Child.start(WILD)
    try:
        async with asyncio.timeout(30):
            child.send(say=say)
            heard: list[dict[str, Any]] = [each async for batch in child.batches() for each in batch]
            await child.ended()
        assert len(heard) <= 1
        assert child.cause("It").startswith("It sent an invalid message, and was killed")
        assert not child.killed  # by the system, that is, for its memory
    finally:
        await child.stop()


async def test_what_a_killed_process_advises_is_for_its_own_work() -> None:
    child = await Child.start(WILD)
    child.kill()
    await child.ended()
    assert child.cause("The inference process").endswith(f"{TRY_AGAIN}.")
    assert child.cause("The training process", SMALLER).endswith("batch_size or max_length.")


async def test_an_answer_of_a_worker_that_says_no_message_ends() -> None:
    inference = Inference(module=WILD)
    try:
        with pytest.raises(JobFailure, match="sent an invalid message"):
            async with asyncio.timeout(30), inference.answer(say="no JSON") as messages:
                assert [message async for message in messages]
        with pytest.raises(
            JobFailure, match=r"ran out of memory: close other programs, or choose a smaller model\.$"
        ):
            async with asyncio.timeout(30), inference.answer(say="killed") as messages:
                assert [message async for message in messages]
    finally:
        await inference.close()
