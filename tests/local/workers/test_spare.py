"""The worker that is started before it is needed: when it waits, when it ends, and what takes it over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.workers import spare
from arkor_dev.local.workers.spare import IDLE_SECONDS, LEAST_FREE, SpareWorker
from tests.local.conftest import CONFIG
from tests.local.harness import Backend, until

from .questions import Libraries, Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.local.workers.process import Child

LIBRARIES = "tests.local.workers.libraries"
GIB = 2**30


class Machine:
    """A machine's clock and free memory, and the process that waits on it."""

    def __init__(self) -> None:
        self.now, self.free = 0.0, 8 * GIB
        self.spare = SpareWorker(lambda: self.now, lambda: self.free)

    async def waiting(self, *, busy: bool = False) -> Child | None:
        await self.spare.check(busy=busy)
        return self.spare._child


@pytest.fixture
async def machine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.setattr(spare, "MODULE", "tests.local.workers.wild")  # what waits is of no matter here
    machine = Machine()
    yield machine
    machine.now = 10 * IDLE_SECONDS
    assert await machine.waiting() is None


async def test_a_spare_worker_waits_only_while_a_page_is_open_and_idle(machine: Machine) -> None:
    assert await machine.waiting() is None
    machine.spare.prepare()
    assert await machine.waiting(busy=True) is None
    child = await machine.waiting()
    assert child
    assert child.alive
    assert await machine.waiting(busy=True) is child
    machine.now += IDLE_SECONDS - 1
    assert await machine.waiting() is child
    machine.now += 1
    assert await machine.waiting() is None
    assert not child.alive


async def test_a_spare_worker_ends_when_memory_is_scarce(machine: Machine) -> None:
    machine.spare.prepare()
    child = await machine.waiting()
    assert child
    machine.free = LEAST_FREE - 1
    assert await machine.waiting() is None
    assert not child.alive
    machine.free = LEAST_FREE
    assert await machine.waiting()


async def test_a_killed_spare_worker_is_replaced(machine: Machine) -> None:
    machine.spare.prepare()
    child = await machine.waiting()
    assert child
    os.kill(child.pid, 9)
    await child.gone()
    started = await machine.spare.start("tests.local.workers.wild")
    assert started is not child
    await started.stop()
    assert await machine.waiting() not in (None, child)


async def told_by(child: Child) -> Libraries:
    """What the module that a worker runs says of its process."""
    try:
        child.send(Question("which libraries are there?"))
        return await child.result(Libraries, "The worker")
    finally:
        await child.stop()


@pytest.mark.engine
async def test_a_spare_worker_has_its_libraries_imported(forked_workers: None) -> None:
    machine = Machine()
    machine.spare.prepare()
    waiting = await machine.waiting()
    assert waiting
    child = await machine.spare.start(LIBRARIES)
    assert child is waiting
    assert child.module == LIBRARIES
    told = await told_by(child)
    assert set(told.libraries) == {"peft", "torch", "transformers"}
    assert told.asked == "which libraries are there?"
    assert told.name == "__main__"
    assert not told.cuda, "a GPU is chosen later"


@pytest.mark.engine
def test_a_job_takes_over_the_spare_worker(
    tmp_path: Path, project: Path, tiny: Path, template: dict[str, str]
) -> None:
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)
    try:
        assert not backend.processes(spare.MODULE)
        backend.call("GET", "/v1/capabilities")
        waiting = until(lambda: backend.processes(spare.MODULE))
        job = backend.submit({**CONFIG, "model": str(tiny), "maxSteps": 2})
        backend.wait_for(job, "training.log")
        assert backend.processes(spare.MODULE) == waiting
        assert not backend.processes("arkor_dev.local.training.worker")
        backend.wait_for(job, "training.completed")
        until(lambda: backend.processes(spare.MODULE) not in ([], waiting))  # the next one waits
    finally:
        backend.stop()
