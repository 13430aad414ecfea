"""Interface for running a job, on this machine or elsewhere.

Messages to a worker: a `JobRequest`, then the model, then perhaps ``do``: ``cancel``, or ``pause`` with a
``reason``. Messages from a worker are `WorkerMessage`. A worker that exits without an ``end`` has crashed,
and the job resumes from its last saved state.

Workers of some executions continue without the backend. They add a text ``mark`` to their messages. The
backend stores it with the message, confirms that by sending it back as ``do: known``, and passes it to the
next worker, which continues after that message. ``do: detach`` ends only the backend's part. A worker that
attaches to such a job begins with ``attached``; any other sends ``wants`` and then receives the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import Progress


class JobRequest(TypedDict):
    """The first message to a worker. ``data`` and ``project`` are folders on this machine.

    ``resume`` describes how an interrupted job resumes (``checkpoints.continuation``). ``device`` is the name
    of a GPU in ``CUDA_VISIBLE_DEVICES``, or the names of several over which the model is spread; ``devices``
    are those of several GPUs that share each batch. A job that keeps training without the backend has
    ``attaches`` and its ``mark``.
    """

    id: str
    config: dict[str, Any]
    data: str
    project: str
    resume: NotRequired[dict[str, Any] | None]
    device: NotRequired[str]
    devices: NotRequired[list[str]]
    attaches: NotRequired[bool]
    mark: NotRequired[str | None]


class WorkerMessage(TypedDict, total=False):
    """One message of a worker; each has a few of these fields.

    ``event`` comes with ``fields``. ``kept`` is a step from which the job can resume; its files are already
    in the backend's data folder. ``end``, with ``fields``, is the final message. ``lost`` is a crash with its
    reason, and ``waits`` the reason why the job must wait: no resources are free, or the cluster where it
    trains does not respond. Both reasons are sentences.
    """

    event: str
    fields: dict[str, Any]
    progress: Progress
    kept: int
    end: str
    lost: str
    waits: str
    mark: str
    attached: bool
    wants: bool


class Worker(Protocol):
    """One job's worker."""

    @property
    def killed(self) -> bool:
        """Whether it was killed, by the system or by someone else."""

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the system has killed it because memory ran out, or may have."""

    def send(self, **fields: Any) -> None:
        """Queue one message, without waiting for it to be sent."""

    def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield lists of `WorkerMessage` that arrived together, until the worker ends."""

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

    async def has_capacity(self, config: Mapping[str, Any]) -> bool:
        """Return whether a job of ``config`` that is waiting for resources could start now."""
