"""Trains in child processes of the backend on this machine: one, or one for each of several GPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.process import Child
from arkor_dev.local.workers.spare import SPARE

from .local_group import LocalGroup
from .messages import REPORTS, Meeting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.contract.shapes import JobConfig

    from .interface import Execution, Worker
    from .messages import JobRequest, Report

WORKER: Final = "arkor_dev.local.training.worker"


class LocalWorker:
    """One training process; see `Worker`."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.send, self.ended, self.stop, self.cause = child.send, child.ended, child.stop, child.cause

    @property
    def killed(self) -> bool:
        return self._child.killed

    @property
    def ran_out_of_memory(self) -> bool:
        return self._child.ran_out_of_memory

    async def batches(self) -> AsyncIterator[list[Report]]:
        async for batch in self._child.batches(REPORTS):
            yield [message for message in batch if not isinstance(message, Meeting)]


class LocalProcess:
    """Trains in child processes. A process still busy with a step after ``grace`` seconds is killed."""

    grace = 0.3

    async def start(self, job: JobRequest) -> Worker:
        devices = job.devices
        if devices is None:
            # A GPU must be chosen before the libraries look for one.
            child = await (Child.start(WORKER) if job.device is not None else SPARE.start(WORKER))
            child.send(job)
            return LocalWorker(child)
        children: list[Child] = []
        try:
            while len(children) < len(devices):
                children.append(await Child.start(WORKER))
        except OSError:
            for child in children:
                await child.stop()
            raise
        return LocalGroup(children, replace(job, devices=None), devices)

    def attaches(self, _: Path, __: str) -> bool:
        """Return False: a worker ends with the backend."""
        return False

    async def has_capacity(self, _: JobConfig) -> bool:
        """Return True: a job may always try to start."""
        return True


LOCAL_PROCESS: Final[Execution] = LocalProcess()
