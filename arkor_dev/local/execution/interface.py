"""Interface for running a job, on this machine or elsewhere; its messages are in ``messages``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import JobConfig
    from arkor_dev.local.workers.codec import Message

    from .messages import JobRequest, WorkerMessage


class Worker(Protocol):
    """One job's worker."""

    @property
    def killed(self) -> bool:
        """Whether it was killed, by the system or by someone else."""

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the system has killed it because memory ran out, or may have."""

    def send(self, message: Message) -> None:
        """Queue one message, without waiting for it to be sent."""

    def batches(self) -> AsyncIterator[Sequence[WorkerMessage]]:
        """Yield lists of messages that arrived together, until the worker ends."""

    async def ended(self) -> int:
        """Wait for its end; return the exit status, negative for a signal."""

    async def stop(self) -> None:
        """End it and all processes that it has started, and wait for that."""

    def cause(self, subject: str, relief: str = ...) -> str:
        """Return why the worker, called ``subject`` in the sentence, ended without a final message."""


class Execution(Protocol):
    """A place to run jobs. After ``cancel`` a worker has ``grace`` seconds to end by itself."""

    grace: float

    async def start(self, job: JobRequest) -> Worker:
        """Start a worker for ``job``; its model follows. Raises OSError."""

    def attaches(self, data: Path, job_id: str) -> bool:
        """Return whether the job is known to keep training by itself, so that `start` would attach to it."""

    async def has_capacity(self, config: JobConfig) -> bool:
        """Return whether a job of ``config`` that is waiting for resources could start now."""
