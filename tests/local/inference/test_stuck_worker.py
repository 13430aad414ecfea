"""An inference worker that hears no stop is replaced, the next question answered; templates have limits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from arkor_dev.local.inference.client import Inference
from arkor_dev.local.inference.messages import Done, Text
from arkor_dev.local.workers.errors import JobFailure
from tests.local.forking_backend import fork_workers

from .asking import ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.local.inference.messages import AnswerRequest, StreamPart

# One worker for them all; a test that hangs it leaves the one that replaced it.
pytestmark = [pytest.mark.engine, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

SOON = 0.5
"""Seconds after which a worker that is known to hang is given up; any other one has all the time it takes."""
TEMPLATE_LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
"""Some ten minutes of a template that prints nothing."""
ENDLESS = f"{{% for a in range(99999) %}}{'x' * 1000}{{% endfor %}}"
"""One that prints 100 MB."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inference(template: dict[str, str]) -> AsyncIterator[Inference]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        fork_workers(template, patch)
        inference = Inference(stop_seconds=60)
        yield inference
        await inference.close()


async def words(inference: Inference, question: AnswerRequest) -> Done:
    """What the last message says once the answer is complete."""
    async with asyncio.timeout(100), inference.answer(question) as messages:
        done = [message async for message in messages][-1]
    assert isinstance(done, Done)
    return done


async def hang(inference: Inference, tiny: Path) -> None:
    """Let the worker hear nothing more, and leave an answer, whose stop it does not acknowledge soon."""
    assert inference._child
    os.kill(inference._child.pid, signal.SIGSTOP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "_stop_seconds", SOON)
        async with inference.answer(ask(tiny, None)):
            pass


async def test_a_hanging_worker_is_replaced(inference: Inference, tiny: Path) -> None:
    await words(inference, ask(tiny, None))
    assert inference._child
    stuck = inference._child.pid
    await hang(inference, tiny)
    # It waits behind the one that hangs, and is asked again by itself.
    done = await words(inference, ask(tiny, None))
    assert done.completion_tokens > 0
    assert inference._child.pid != stuck


async def test_an_acknowledged_stop_keeps_the_worker(inference: Inference, tiny: Path) -> None:
    await words(inference, ask(tiny, None))
    assert inference._child
    worker = inference._child.pid
    for _ in range(5):
        async with inference.answer(ask(tiny, None, max_tokens=200)) as messages:
            assert isinstance(await anext(aiter(messages)), Text)
        if inference._stopping:  # else this process stood still until the answer was whole
            break
    (timer,) = inference._stopping.values()
    async with asyncio.timeout(30):
        while inference._stopping:  # noqa: ASYNC110 - the acknowledgement is what is waited for
            await asyncio.sleep(0.01)
    assert timer.cancelled()  # it will not be ended now
    assert (await words(inference, ask(tiny, None))).completion_tokens > 0
    assert inference._child.pid == worker


async def test_a_request_cancelled_before_sending_stops_nobody(inference: Inference, tiny: Path) -> None:
    await words(inference, ask(tiny, None))
    assert inference._child
    worker = inference._child.pid
    async with inference._starting:  # nobody gets as far as asking
        asking = asyncio.create_task(words(inference, ask(tiny, None)))
        await asyncio.sleep(0)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
    assert not inference._stopping
    assert (await words(inference, ask(tiny, None))).completion_tokens > 0
    assert inference._child.pid == worker


async def _rest_of(messages: AsyncIterator[StreamPart]) -> list[StreamPart]:
    return [message async for message in messages]


async def test_an_interrupted_answer_has_its_reason(inference: Inference, tiny: Path) -> None:
    for _ in range(5):
        async with inference.answer(ask(tiny, None, max_tokens=240)) as messages:
            answer = aiter(messages)
            while not isinstance(await anext(answer), Text):
                pass
            await hang(inference, tiny)
            why: str = ""
            rest: list[StreamPart] = []
            try:
                rest = await asyncio.wait_for(_rest_of(answer), 60)
            except JobFailure as fault:
                why = str(fault)
        if not rest:  # else this process stood still until the answer was whole
            break
    assert "was restarted" in why


UNINTERRUPTIBLE = "{{ 7 ** 99999999 }}"
"""One operation of many minutes, in which Python cannot be interrupted."""


def with_template(tiny: Path, folder: Path, template: str) -> Path:
    shutil.copytree(tiny, folder)
    (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEMPLATE_LOOP, "takes longer than"),
        (ENDLESS, "more than"),
        ("{{ ().__class__.__base__.__subclasses__() }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "unsafe"),
    ],
    ids=["loops", "prints", "classes", "changes", "globals"],
)
async def test_chat_templates_are_sandboxed_and_bounded(
    inference: Inference, tiny: Path, tmp_path: Path, text: str, reason: str
) -> None:
    folder = with_template(tiny, tmp_path / "model", text)
    with pytest.raises(JobFailure, match=reason):
        await words(inference, ask(folder, None))
    assert inference._child
    worker = inference._child.pid
    assert (await words(inference, ask(tiny, None))).completion_tokens > 0
    assert inference._child.pid == worker


async def test_an_uninterruptible_template_fails_only_its_answer(
    inference: Inference, tiny: Path, tmp_path: Path
) -> None:
    folder = with_template(tiny, tmp_path / "model", UNINTERRUPTIBLE)
    await words(inference, ask(tiny, None))
    hanging = asyncio.create_task(words(inference, ask(folder, None)))
    waiting = asyncio.create_task(words(inference, ask(tiny, None)))
    assert (await waiting).completion_tokens > 0  # whoever asked for the other one is still there
    with pytest.raises(JobFailure, match="takes longer than"):
        await hanging
