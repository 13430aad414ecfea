"""A worker's process that says what no worker says is ended, and whoever listens hears why."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.inference.client import Inference
from arkor_dev.local.inference.messages import AnswerRequest
from arkor_dev.local.workers import out_of_memory, process
from arkor_dev.local.workers.codec import Codec
from arkor_dev.local.workers.errors import SMALLER, TRY_AGAIN, JobFailure
from arkor_dev.local.workers.messages import Failed
from arkor_dev.local.workers.process import Child

from .questions import Question
from .wild import WORDS

if TYPE_CHECKING:
    from pathlib import Path

WILD = "tests.local.workers.wild"


@pytest.mark.parametrize("say", [*WORDS, "no end"])
async def test_an_invalid_message_ends_the_worker(say: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MESSAGE_LIMIT", 2**20)
    child = await Child.start(WILD)
    try:
        async with asyncio.timeout(30):
            child.send(Question(say))
            heard = [each async for batch in child.batches(Codec(Failed)) for each in batch]
            await child.ended()
        assert len(heard) <= 1
        assert child.cause("It").startswith("It sent an invalid message, and was killed")
        assert not child.killed  # by the system, that is, for its memory
    finally:
        await child.stop()


@pytest.mark.parametrize(
    ("kills", "ran_out", "says"),
    [
        ((3, 4), True, f", most likely because the machine ran out of memory: {TRY_AGAIN}."),
        ((3, 3), False, " by a person or another program: the kernel did not run out of memory."),
        ((None, None), True, f", as happens where memory runs out: {TRY_AGAIN}."),
    ],
    ids=["by the kernel", "by someone", "unknown"],
)
async def test_a_kill_is_out_of_memory_only_if_the_kernel_counted_it(
    kills: tuple[int | None, int | None], ran_out: bool, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter(kills)
    monkeypatch.setattr(process, "out_of_memory_kills", lambda: next(counts))
    child = await Child.start(WILD)
    os.kill(child.pid, signal.SIGKILL)
    await child.ended()
    assert (child.killed, child.ran_out_of_memory) == (True, ran_out)
    assert child.cause("The process") == f"The process was killed (signal 9){says}"
    assert ("batch_size" in child.cause("The training process", SMALLER)) is ran_out


async def test_an_unreadable_page_of_a_mapped_file_is_the_cause() -> None:
    child = await Child.start(WILD)
    os.kill(child.pid, signal.SIGBUS)
    await child.ended()
    assert child.killed is False
    assert child.cause("The process") == (
        "The process ended: a file in use, such as the model's weights, was truncated or is unreadable"
    )


def test_out_of_memory_kills_are_read_from_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "vmstat"
    monkeypatch.setattr(out_of_memory, "VMSTAT", stat)
    assert out_of_memory.out_of_memory_kills() is None
    stat.write_text("nr_free_pages 5\noom_kill 12\nthp_fault_alloc 3\n")
    assert out_of_memory.out_of_memory_kills() == 12
    stat.write_text("nr_free_pages 5\n")
    assert out_of_memory.out_of_memory_kills() is None


async def test_an_invalid_message_ends_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    inference = Inference(module=WILD)
    try:
        with pytest.raises(JobFailure, match="sent an invalid message"):
            async with asyncio.timeout(30), inference.answer(AnswerRequest("base", "no JSON")) as messages:
                assert [message async for message in messages]
        monkeypatch.setattr(process, "out_of_memory_kills", lambda: None)
        with pytest.raises(
            JobFailure, match=r"memory runs out: close other programs, or choose a smaller model\.$"
        ):
            async with asyncio.timeout(30), inference.answer(AnswerRequest("base", "killed")) as messages:
                assert [message async for message in messages]
    finally:
        await inference.close()
