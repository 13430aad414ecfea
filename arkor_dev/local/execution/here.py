"""This machine: a child process of the backend trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.process import Child

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .seam import Execution, Worker

WORKER: Final = "arkor_dev.local.training.worker"


class ThisMachine:
    """Trains in a child process. One that is in the middle of a step is killed after a moment."""

    grace = 0.3

    async def start(self, job: Mapping[str, Any]) -> Worker:
        """As `Execution` has it."""
        child = await Child.start(WORKER)
        child.send(**job)
        return child

    def attaches(self, _: Path, __: str) -> bool:
        """As `Execution` has it: a worker ends with the backend."""
        return False

    async def room(self, _: Mapping[str, Any]) -> bool:
        """As `Execution` has it: a job may always try."""
        return True


HERE: Final[Execution] = ThisMachine()
