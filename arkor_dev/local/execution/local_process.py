"""Trains in child processes of the backend on this machine: one, or one for each of several GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.process import Child
from arkor_dev.local.workers.spare import SPARE

from .local_group import LocalGroup

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .interface import Execution, JobRequest, Worker

WORKER: Final = "arkor_dev.local.training.worker"


class LocalProcess:
    """Trains in child processes. A process still busy with a step after ``grace`` seconds is killed."""

    grace = 0.3

    async def start(self, job: JobRequest) -> Worker:
        devices = job.get("devices")
        if devices is None:
            # A GPU must be chosen before the libraries look for one.
            child = await (Child.start(WORKER) if "device" in job else SPARE.start(WORKER))
            child.send(**job)
            return child
        children: list[Child] = []
        try:
            while len(children) < len(devices):
                children.append(await Child.start(WORKER))
        except OSError:
            for child in children:
                await child.stop()
            raise
        return LocalGroup(children, {key: value for key, value in job.items() if key != "devices"}, devices)

    def attaches(self, _: Path, __: str) -> bool:
        """Return False: a worker ends with the backend."""
        return False

    async def has_capacity(self, _: Mapping[str, Any]) -> bool:
        """Return True: a job may always try to start."""
        return True


LOCAL_PROCESS: Final[Execution] = LocalProcess()
